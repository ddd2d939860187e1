import { scanUnsignedWithin } from '../syntax/numbers.ts';
import { type NameServices, type ParsedOption, UsageError } from './contract.ts';

/** Numbers 0 to 255 with their names, in the order of an iproute2 file. */
export type NameMap = readonly { id: number; name: string }[];

/** Reads an iproute2 name file such as /etc/iproute2/group (`xtables_lmap_init`); null if there is none. */
export function readNameMap(path: string, names: NameServices): NameMap | null {
  const text = names.file(path);
  if (text === null) return null;
  const map: { id: number; name: string }[] = [];
  for (const line of text.split('\n')) {
    const match = /^\s*(0x[0-9a-fA-F]+|\d+)\s+([^\s#]\S*)/.exec(line);
    if (match === null) continue;
    const id = Number(match[1]);
    if (id <= 255) map.push({ id, name: match[2]! });
  }
  return map;
}

/** `NUMBER[/MASK]` or a name of the map (`xtables_parse_val_mask`). */
export function parseMapped(
  option: ParsedOption,
  extension: string,
  map: NameMap | null,
): { value: number; mask: number } {
  const { text } = option;
  const bad = (what: string) => new UsageError(`${extension}: ${what}\n`);
  const badInteger = () => bad(`bad integer value for option "--${option.name}", or out of range.`);
  const garbage = () => bad(`trailing garbage after value for option "--${option.name}".`);
  const value = scanUnsignedWithin(text, 0, 0xffffffff);
  const rest = value === null ? '' : text.slice(value.end);
  if (value !== null && rest === '') return { value: value.value, mask: 0xffffffff };
  if (value === null || !rest.startsWith('/')) {
    if (map === null) throw value === null ? badInteger() : garbage();
    const named = map.find(({ name }) => name === text);
    if (named !== undefined) return { value: named.id, mask: 0xffffffff };
    throw bad(`could not map name ${text} to an integer value for option "--${option.name}".`);
  }
  const mask = scanUnsignedWithin(rest.slice(1), 0, 0xffffffff);
  if (mask === null) throw badInteger();
  if (mask.end !== rest.length - 1) throw garbage();
  return { value: value.value, mask: mask.value };
}

/** ` name`, ` 0x5` or ` 0x5/0xff` (`xtables_print_val_mask`). */
export function mappedText(value: number, mask: number, map: NameMap | null): string {
  if (mask !== 0xffffffff) return ` 0x${value.toString(16)}/0x${mask.toString(16)}`;
  return ` ${map?.find(({ id }) => id === value)?.name ?? `0x${value.toString(16)}`}`;
}
