import { scanUnsignedWithin } from '../../syntax/numbers.ts';
import { UsageError } from '../contract.ts';

/** A type name with its number and range of codes. */
export interface IcmpName {
  name: string;
  type: number;
  minCode: number;
  maxCode: number;
}

/** One use of `--icmp-type` or `--icmpv6-type` (`struct ipt_icmp`). */
export interface IcmpMatch {
  type: number;
  minCode: number;
  maxCode: number;
  invert: boolean;
}

const all = (name: string, type: number): IcmpName => ({ name, type, minCode: 0, maxCode: 0xff });
const one = (name: string, type: number, code: number): IcmpName => ({ name, type, minCode: code, maxCode: code });

/** extensions/libxt_icmp.h of iptables 1.8.9, in its order. */
export const ICMP_NAMES: readonly IcmpName[] = [
  all('any', 0xff),
  all('echo-reply', 0),
  all('pong', 0),
  all('destination-unreachable', 3),
  one('network-unreachable', 3, 0),
  one('host-unreachable', 3, 1),
  one('protocol-unreachable', 3, 2),
  one('port-unreachable', 3, 3),
  one('fragmentation-needed', 3, 4),
  one('source-route-failed', 3, 5),
  one('network-unknown', 3, 6),
  one('host-unknown', 3, 7),
  one('network-prohibited', 3, 9),
  one('host-prohibited', 3, 10),
  one('TOS-network-unreachable', 3, 11),
  one('TOS-host-unreachable', 3, 12),
  one('communication-prohibited', 3, 13),
  one('host-precedence-violation', 3, 14),
  one('precedence-cutoff', 3, 15),
  all('source-quench', 4),
  all('redirect', 5),
  one('network-redirect', 5, 0),
  one('host-redirect', 5, 1),
  one('TOS-network-redirect', 5, 2),
  one('TOS-host-redirect', 5, 3),
  all('echo-request', 8),
  all('ping', 8),
  all('router-advertisement', 9),
  all('router-solicitation', 10),
  all('time-exceeded', 11),
  all('ttl-exceeded', 11),
  one('ttl-zero-during-transit', 11, 0),
  one('ttl-zero-during-reassembly', 11, 1),
  all('parameter-problem', 12),
  one('ip-header-bad', 12, 0),
  one('required-option-missing', 12, 1),
  all('timestamp-request', 13),
  all('timestamp-reply', 14),
  all('address-mask-request', 17),
  all('address-mask-reply', 18),
];

export const ICMPV6_NAMES: readonly IcmpName[] = [
  all('destination-unreachable', 1),
  one('no-route', 1, 0),
  one('communication-prohibited', 1, 1),
  one('beyond-scope', 1, 2),
  one('address-unreachable', 1, 3),
  one('port-unreachable', 1, 4),
  one('failed-policy', 1, 5),
  one('reject-route', 1, 6),
  all('packet-too-big', 2),
  all('time-exceeded', 3),
  all('ttl-exceeded', 3),
  one('ttl-zero-during-transit', 3, 0),
  one('ttl-zero-during-reassembly', 3, 1),
  all('parameter-problem', 4),
  one('bad-header', 4, 0),
  one('unknown-header-type', 4, 1),
  one('unknown-option', 4, 2),
  all('echo-request', 128),
  all('ping', 128),
  all('echo-reply', 129),
  all('pong', 129),
  all('router-solicitation', 133),
  all('router-advertisement', 134),
  all('neighbour-solicitation', 135),
  all('neighbor-solicitation', 135),
  all('neighbour-advertisement', 136),
  all('neighbor-advertisement', 136),
  all('redirect', 137),
];

/** `N` or `N:M`, each at most 255; null if it does not start with one. */
function parseRange(text: string): { low: number; high: number; rest: string } | null {
  const low = scanUnsignedWithin(text, 0, 255);
  if (low === null) return null;
  const rest = text.slice(low.end);
  if (!rest.startsWith(':')) return { low: low.value, high: low.value, rest };
  const high = scanUnsignedWithin(rest.slice(1), 0, 255);
  return high === null ? null : { low: low.value, high: high.value, rest: rest.slice(1 + high.end) };
}

/** Type name (abbreviated as long as it is unique), `type` or `type/code[:code]`; `what` is `ICMP` or `ICMPv6`. */
export function parseIcmpType(text: string, names: readonly IcmpName[], what: string): Omit<IcmpMatch, 'invert'> {
  const wanted = text.toLowerCase();
  const found = names.filter(({ name }) => name.toLowerCase().startsWith(wanted));
  const [first, second] = found;
  if (first !== undefined && second !== undefined)
    throw new UsageError(`Ambiguous ${what} type \`${text}': \`${first.name}' or \`${second.name}'?`);
  if (first !== undefined) return { type: first.type, minCode: first.minCode, maxCode: first.maxCode };
  const types = parseRange(text);
  if (types === null) throw new UsageError(`Unknown ${what} type \`${text}'`);
  let codes = { low: 0, high: 255, rest: types.rest };
  if (types.rest.startsWith('/')) {
    const read = parseRange(types.rest.slice(1));
    if (read === null) throw new UsageError(`Unknown ${what} code \`${text}'`);
    codes = read;
  }
  if (codes.rest !== '') throw new UsageError(`unknown character ${codes.rest[0]}`);
  if (types.low !== types.high) throw new UsageError(`${what} type range not supported`);
  return { type: types.low, minCode: codes.low, maxCode: codes.high };
}

/** The type for `-L`, without the blank before it where the real one has none (`icmp !type 8`). */
export function listIcmpType(data: IcmpMatch, names: readonly IcmpName[], numeric: boolean): string {
  if (!numeric) {
    const known = names.find(
      ({ type, minCode, maxCode }) => type === data.type && minCode === data.minCode && maxCode === data.maxCode,
    );
    if (known !== undefined) return ` ${data.invert ? '!' : ''}${known.name}`;
  }
  let text = `${data.invert ? ' !' : ''}type ${data.type}`;
  if (data.minCode === data.maxCode) text += ` code ${data.minCode}`;
  else if (data.minCode !== 0 || data.maxCode !== 0xff) text += ` codes ${data.minCode}-${data.maxCode}`;
  return text;
}

/** `8`, `3/1`; a range of codes is saved by its first only, as the real tool does. */
export function saveIcmpType(data: IcmpMatch): string {
  return data.minCode !== 0 || data.maxCode !== 0xff ? `${data.type}/${data.minCode}` : String(data.type);
}

/** "echo-request (type 8)" and the like, for people. */
export function describeIcmpType(data: IcmpMatch, names: readonly IcmpName[]): string {
  const known = names.find(
    ({ type, minCode, maxCode }) => type === data.type && minCode === data.minCode && maxCode === data.maxCode,
  );
  const code =
    data.minCode === 0 && data.maxCode === 0xff
      ? ''
      : data.minCode === data.maxCode
        ? ` code ${data.minCode}`
        : ` code ${data.minCode} to ${data.maxCode}`;
  const number = `type ${data.type}${code}`;
  return known === undefined ? number : `${known.name} (${number})`;
}
