import { UsageError } from './contract.ts';

const PLAIN = /^[A-Za-z0-9_-]+$/;

/** The same text in memory of its own: a part of a text keeps the whole of it alive, be it a file of many megabytes. */
export function ownText(text: string): string {
  return [text.slice(0, 1), text.slice(1)].join('');
}

/** A blank and the text, quoted where the shell or iptables-restore needs it (`xtables_save_string`). */
export function saveString(text: string): string {
  return PLAIN.test(text) ? ` ${text}` : ` "${text.replace(/["\\']/g, '\\$&')}"`;
}

/** ` !` before an inverted option, else nothing. */
export function not(invert: boolean): string {
  return invert ? ' !' : '';
}

/** `NAME: Bad value for "--OPTION" option: "VALUE"` (XTF_BAD_VALUE of libxtables). */
export function badValue(extension: string, option: string, value: string): UsageError {
  return new UsageError(`${extension}: Bad value for "${option}" option: "${value}"`);
}

/** ` 0x1` or ` 0x1/0xff` (`xtables_print_mark_mask`). */
export function maskedValue(value: number, mask: number): string {
  return mask === 0xffffffff ? ` 0x${value.toString(16)}` : ` 0x${value.toString(16)}/0x${mask.toString(16)}`;
}

/** `5` or `5:9`. */
export function rangeText([low, high]: readonly [number, number]): string {
  return low === high ? String(low) : `${low}:${high}`;
}

/** `5` or `5 to 9`, for people. */
export function rangeWords([low, high]: readonly [number | string | bigint, number | string | bigint]): string {
  return low === high ? String(low) : `${low} to ${high}`;
}

/** "a", "a or b", "a, b or c"; `last` is the word before the last one. */
export function listWords(parts: readonly string[], last = 'and'): string {
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} ${last} ${parts.at(-1)}`;
}

/** A blank and the text as it is, as extensions print it that never quote; quoted where it could not be read back as one word. */
export function saveBareString(text: string): string {
  return /^[^\s"]+$/.test(text) ? ` ${text}` : saveString(text);
}

/** A name that the real save writes as it is: quoted for keeping where it could not be read back otherwise. */
export function storedName(name: string): string {
  return /^[^\s"'\\]+$/.test(name) ? name : `"${name.replace(/["\\]/g, '\\$&')}"`;
}
