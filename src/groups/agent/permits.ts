import { formatAddress, inPrefix, parseAddress } from '../../packet/address-text.ts';
import type { Family } from '../../packet/family.ts';

/**
 * A rule that lets something through (`-j RETURN`), as conditions that must all hold. Those that rules of groups have are understood; any
 * other is its text, which only the same text implies.
 */
export interface Permit {
  source: Range | null;
  destination: Range | null;
  /** As written: `tcp`, `47`. */
  protocol: string | null;
  /** Destination ports, both included. */
  ports: readonly [number, number] | null;
  icmp: { type: number; code: number | null } | null;
  /** `--match-set NAME src` and all others. */
  others: readonly string[];
}

interface Range {
  family: Family;
  address: readonly [number, number, number, number];
  length: number;
}

const KNOWN = 'state --state RELATED,ESTABLISHED';

/** Reads a rule (what follows the chain's name); null if it is not one that lets something through. */
export function readPermit(rule: string): Permit | null {
  if (!/(?:^| )-j RETURN$/.test(rule)) return null;
  const permit = { ...anything(), others: [] as string[] };
  const words = rule.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
  for (let at = 0; at < words.length - 2; ) {
    const word = words[at]!;
    const value = words[at + 1]!;
    if (word === '-s') permit.source = readRange(value);
    else if (word === '-d') permit.destination = readRange(value);
    else if (word === '-p') permit.protocol = value;
    if (word === '-s' || word === '-d' || word === '-p') {
      at += 2;
      continue;
    }
    // `-m NAME` with its options, or anything not known: up to the next word of this kind.
    let end = at + 1;
    while (end < words.length - 2 && !/^-[a-z]$/.test(words[end]!)) end++;
    takeMatch(permit, words.slice(word === '-m' ? at + 1 : at, end));
    at = end;
  }
  return permit;
}

function anything(): Permit {
  return { source: null, destination: null, protocol: null, ports: null, icmp: null, others: [] };
}

function takeMatch(permit: Permit & { others: string[] }, words: readonly string[]): void {
  const [name, option, value = ''] = words;
  if (name === 'comment') return;
  // `-m tcp` alone, before `-m multiport`.
  if (words.length === 1 && name === permit.protocol) return;
  if (words.length === 3) {
    const ports = /^(\d+)(?::(\d+))?$/.exec(value);
    if ((option === '--dport' || (name === 'multiport' && option === '--dports')) && ports !== null) {
      permit.ports = [Number(ports[1]), Number(ports[2] ?? ports[1])];
      return;
    }
    const icmp = /^(\d+)(?:\/(\d+))?$/.exec(value);
    if ((option === '--icmp-type' || option === '--icmpv6-type') && icmp !== null) {
      permit.icmp = { type: Number(icmp[1]), code: icmp[2] === undefined ? null : Number(icmp[2]) };
      return;
    }
  }
  permit.others.push(words.join(' '));
}

function readRange(text: string): Range | null {
  const [address, length] = text.split('/');
  const found = parseAddress(address!);
  if (found === null) return null;
  return { family: found.family, address: found.words, length: Number(length ?? (found.family === 4 ? 32 : 128)) };
}

/** Lets packets of known connections through. */
export function isKnownRule(permit: Permit): boolean {
  return permit.others.includes(KNOWN);
}

/** Whether everything that `inner` lets through `outer` lets through too, whatever the sets hold. False where that cannot be told. */
export function covers(outer: Permit, inner: Permit): boolean {
  return (
    rangeCovers(outer.source, inner.source) &&
    rangeCovers(outer.destination, inner.destination) &&
    (outer.protocol === null || outer.protocol === inner.protocol) &&
    (outer.ports === null ||
      (inner.ports !== null && outer.ports[0] <= inner.ports[0] && outer.ports[1] >= inner.ports[1])) &&
    (outer.icmp === null || (inner.icmp !== null && icmpCovers(outer.icmp, inner.icmp))) &&
    outer.others.every((condition) => inner.others.includes(condition))
  );
}

function rangeCovers(outer: Range | null, inner: Range | null): boolean {
  if (outer === null) return true;
  if (inner === null || inner.family !== outer.family || inner.length < outer.length) return false;
  return inPrefix(outer.family, inner.address, outer.address, outer.length);
}

function icmpCovers(outer: NonNullable<Permit['icmp']>, inner: NonNullable<Permit['icmp']>): boolean {
  return outer.type === inner.type && (outer.code === null || outer.code === inner.code);
}

/** What both let through; null if that is nothing, or cannot be told. */
export function intersection(a: Permit, b: Permit): Permit | null {
  const source = narrower(a.source, b.source, rangeCovers);
  const destination = narrower(a.destination, b.destination, rangeCovers);
  const icmp = narrower(
    a.icmp,
    b.icmp,
    (outer, inner) => outer === null || (inner !== null && icmpCovers(outer, inner)),
  );
  if (source === undefined || destination === undefined || icmp === undefined) return null;
  if (a.protocol !== null && b.protocol !== null && a.protocol !== b.protocol) return null;
  let ports = a.ports ?? b.ports;
  if (a.ports !== null && b.ports !== null) {
    ports = [Math.max(a.ports[0], b.ports[0]), Math.min(a.ports[1], b.ports[1])];
    if (ports[0] > ports[1]) return null;
  }
  const others = [...new Set([...a.others, ...b.others])];
  return { source, destination, protocol: a.protocol ?? b.protocol, ports, icmp, others };
}

/** The narrower of two conditions of one kind; undefined if neither lies within the other. */
function narrower<T>(a: T, b: T, within: (outer: T, inner: T) => boolean): T | undefined {
  if (within(a, b)) return b;
  return within(b, a) ? a : undefined;
}

/** The permit as a rule (what follows the chain's name). */
export function permitRule({ source, destination, protocol, ports, icmp, others }: Permit): string {
  const words: string[] = [];
  if (source !== null) words.push('-s', `${formatAddress(source.family, source.address)}/${source.length}`);
  if (destination !== null) {
    words.push('-d', `${formatAddress(destination.family, destination.address)}/${destination.length}`);
  }
  if (protocol !== null) words.push('-p', protocol);
  if (ports !== null)
    words.push('-m', 'multiport', '--dports', ports[0] === ports[1] ? String(ports[0]) : ports.join(':'));
  if (icmp !== null) {
    const [match, option] = protocol === 'ipv6-icmp' ? ['icmp6', '--icmpv6-type'] : ['icmp', '--icmp-type'];
    words.push('-m', match!, option!, icmp.code === null ? String(icmp.type) : `${icmp.type}/${icmp.code}`);
  }
  for (const condition of others) words.push('-m', condition);
  return [...words, '-j', 'RETURN'].join(' ');
}

/** The same rule for one remote instead of all that a set holds; null if it does not name the set. */
export function forMember(permit: Permit, set: string): Permit | null {
  const condition = permit.others.find((text) => text.startsWith(`set --match-set ${set} `));
  if (condition === undefined) return null;
  return { ...permit, others: permit.others.filter((text) => text !== condition) };
}
