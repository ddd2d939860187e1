import { type NameServices, UsageError } from '../extensions/contract.ts';
import { MAX_8, parseUnsigned } from './numbers.ts';

/** Protocol names that iptables knows by itself, in the order in which they are looked up (`xtables_chain_protos`). */
const KNOWN: readonly (readonly [string, number])[] = [
  ['tcp', 6],
  ['sctp', 132],
  ['udp', 17],
  ['udplite', 136],
  ['icmp', 1],
  ['ipv6-icmp', 58],
  ['icmpv6', 58],
  ['esp', 50],
  ['ah', 51],
  ['mobility-header', 135],
  ['ipv6-mh', 135],
  ['mh', 135],
  ['all', 0],
];

const NUMBERS: ReadonlyMap<string, number> = new Map(KNOWN);
const NAMES: ReadonlyMap<number, string> = new Map([...KNOWN].reverse().map(([name, number]) => [number, name]));

/** `-p`: a number, a name that iptables knows, or one of /etc/protocols. Throws UsageError. */
export function parseProtocol(text: string, names: NameServices): number {
  const known = NUMBERS.get(text);
  if (known !== undefined) return known;
  const number = parseUnsigned(text, 0, MAX_8) ?? names.protocolByName(text);
  if (number === null) throw new UsageError(`unknown protocol "${text}" specified`);
  return number;
}

/** Name of a protocol number; with `lookup` false only the names that iptables knows by itself. Null if there is none. */
export function protocolName(number: number, names: NameServices, lookup = true): string | null {
  const known = NAMES.get(number);
  if (known !== undefined) return known;
  return number !== 0 && lookup ? names.protocolByNumber(number) : null;
}
