import { Protocol } from '../protocol.ts';

/** Protocol words of the notation; any other is a number. The first word of a number is the one that is printed. */
const WORDS: readonly (readonly [string, number])[] = [
  ['tcp', Protocol.tcp],
  ['udp', Protocol.udp],
  ['icmp', Protocol.icmp],
  ['icmpv6', Protocol.icmpv6],
  ['icmp6', Protocol.icmpv6],
  ['ipv6-icmp', Protocol.icmpv6],
  ['udplite', Protocol.udplite],
  ['sctp', Protocol.sctp],
  ['dccp', Protocol.dccp],
  ['igmp', Protocol.igmp],
  ['ipip', Protocol.ipip],
  ['ipv6', Protocol.ipv6],
  ['gre', Protocol.gre],
  ['esp', Protocol.esp],
  ['ah', Protocol.ah],
  ['ospf', 89],
  ['pim', 103],
  ['vrrp', 112],
  ['l2tp', 115],
];

const BY_WORD: ReadonlyMap<string, number> = new Map(WORDS);
const BY_NUMBER: ReadonlyMap<number, string> = new Map([...WORDS].reverse().map(([word, number]) => [number, word]));

/** Number of a protocol word; -1 if it is none. */
export function protocolNumber(word: string): number {
  const known = BY_WORD.get(word.toLowerCase());
  if (known !== undefined) return known;
  const number = /^(?:proto-?)?(\d{1,3})$/i.exec(word);
  return number !== null && Number(number[1]) <= 255 ? Number(number[1]) : -1;
}

export function protocolWord(number: number): string {
  return BY_NUMBER.get(number) ?? String(number);
}

export function protocolWords(): string[] {
  return [...BY_WORD.keys()];
}
