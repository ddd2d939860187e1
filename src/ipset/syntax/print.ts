import type { SetAddress } from '../entry.ts';
import { icmpName } from './icmp.ts';
import { OPTIONS } from './options.ts';
import type { SetNames, Values } from './session.ts';
import type { ElementPrinter, Keyword, SetTypeSyntax } from './type-syntax.ts';

/** How elements and headers are to be printed. */
export interface PrintOptions {
  family: 4 | 6 | 0;
  names: SetNames;
  /** Addresses as host names where they have one. */
  resolve: boolean;
}

export function ipv4Text(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`;
}

/** As inet_ntop() writes it. */
export function ipv6Text(words: SetAddress): string {
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]);
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && groups[i + n] === 0) n++;
    if (n > bestLength) {
      best = i;
      bestLength = n;
    }
  }
  if (best === 0 && (bestLength === 6 || (bestLength === 5 && groups[5] === 0xffff))) {
    return `::${bestLength === 5 ? 'ffff:' : ''}${ipv4Text(words[3]!)}`;
  }
  const hex = groups.map((group) => group.toString(16));
  if (best < 0) return hex.join(':');
  return `${hex.slice(0, best).join(':')}::${hex.slice(best + bestLength).join(':')}`;
}

function addressText(address: SetAddress, cidr: number | undefined, options: PrintOptions): string {
  const family = options.family === 6 ? 6 : 4;
  let text = options.resolve ? options.names.hostByAddress(address, family) : null;
  if (text?.includes('-')) text = `[${text}]`;
  text ??= family === 4 ? ipv4Text(address[0]!) : ipv6Text(address);
  return cidr === undefined || cidr === (family === 4 ? 32 : 128) ? text : `${text}/${cidr}`;
}

function ipText(field: 'ip' | 'ip2' | 'bitmask', values: Values, options: PrintOptions): string {
  const cidr = field === 'ip' ? values.cidr : values.cidr2;
  const text = addressText(values[field]!, cidr, options);
  return values.ipTo === undefined ? text : `${text}-${addressText(values.ipTo, cidr, options)}`;
}

function portText(values: Values): string {
  return values.portTo === undefined ? String(values.port) : `${values.port}-${values.portTo}`;
}

function protoPortText(values: Values, options: PrintOptions): string {
  const proto = values.proto;
  if (proto === undefined) return portText(values);
  const name = options.names.protocolByNumber(proto) ?? String(proto);
  if (proto === 1) return `${name}:${icmpName(values.port!, 4)}`;
  if (proto === 58) return `${name}:${icmpName(values.port!, 6)}`;
  return `${name}:${portText(values)}`;
}

export function markText(mark: number): string {
  return `0x${mark.toString(16).padStart(8, '0')}`;
}

function partText(print: ElementPrinter, field: string, values: Values, options: PrintOptions): string {
  switch (print) {
    case 'ip':
      return ipText(field === 'ip2' ? 'ip2' : 'ip', values, options);
    case 'ether':
      return values.ether!.map((byte) => byte.toString(16).toUpperCase().padStart(2, '0')).join(':');
    case 'port':
      return portText(values);
    case 'protoPort':
      return protoPortText(values, options);
    case 'mark':
      return markText(values.mark!);
    case 'iface':
      return `${values.physdev ? 'physdev:' : ''}${values.iface}`;
    case 'name':
      return values.nameref === undefined ? values.name! : `${values.name} after ${values.nameref}`;
  }
}

/** The text of an element without its options. */
export function elementText(type: SetTypeSyntax, values: Values, options: PrintOptions): string {
  let text = '';
  for (let i = 0; i < type.elements.length; i++) {
    const { print, field } = type.elements[i]!;
    if (i > 0) {
      if (type.lastElementOptional && values[field as keyof Values] === undefined) break;
      text += ',';
    }
    text += partText(print, field, values, options);
  }
  return text;
}

/** Text of an option's value; null if the option is not set or not printed. */
export function optionText(keyword: Keyword, values: Values, options: PrintOptions): string | null {
  switch (keyword) {
    case 'family':
      return options.family === 4 ? 'inet' : options.family === 6 ? 'inet6' : 'any';
    case 'ipRange':
      return values.ip === undefined ? null : ipText('ip', values, options);
    case 'portRange':
      return values.port === undefined ? null : portText(values);
    case 'bitmask':
      return values.bitmask === undefined ? null : ipText('bitmask', values, options);
    case 'initval':
    case 'markmask':
      return values[keyword] === undefined ? null : markText(values[keyword]);
    case 'hashsize':
    case 'maxelem':
    case 'netmask':
    case 'timeout':
    case 'bucketsize':
    case 'size':
    case 'packets':
    case 'bytes':
    case 'skbqueue':
      return values[keyword] === undefined ? null : String(values[keyword]);
    case 'counters':
    case 'skbinfo':
    case 'nomatch':
    case 'wildcard':
      return values[keyword] ? '' : null;
    case 'comment':
      return values.createComment ? '' : null;
    case 'elementComment':
      return values.comment === undefined ? null : `"${values.comment}"`;
    case 'skbmark': {
      if (values.skbmark === undefined) return null;
      const [mark, mask] = values.skbmark;
      return mask === 0xffffffff ? `0x${mark.toString(16)}` : `0x${mark.toString(16)}/0x${mask.toString(16)}`;
    }
    case 'skbprio':
      if (values.skbprio === undefined) return null;
      return `${(values.skbprio >>> 16).toString(16)}:${(values.skbprio & 0xffff).toString(16)}`;
    default:
      return null;
  }
}

/** ` word value` for each option that is set, in the tool's order. */
export function optionsText(keywords: readonly Keyword[], values: Values, options: PrintOptions): string {
  let text = '';
  for (const keyword of keywords) {
    const value = optionText(keyword, values, options);
    if (value === null) continue;
    const { word, argument } = OPTIONS[keyword];
    text += argument ? ` ${word} ${value}` : ` ${word}`;
  }
  return text;
}

/** The same as XML elements. */
export function optionsXml(keywords: readonly Keyword[], values: Values, options: PrintOptions): string {
  let text = '';
  for (const keyword of keywords) {
    const value = optionText(keyword, values, options);
    if (value === null) continue;
    const { word, argument } = OPTIONS[keyword];
    text += argument ? `<${word}>${value}</${word}>` : `<${word}/>`;
  }
  return text;
}
