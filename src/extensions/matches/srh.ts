import { formatAddress6 } from '../../packet/address-text.ts';
import { readUint32 } from '../../packet/bytes.ts';
import { Protocol } from '../../packet/protocol.ts';
import { prefixLength } from '../../ruleset/addresses.ts';
import { equalUnderMask, type MaskedAddress } from '../addresses.ts';
import { defineMatch, type MatchFunction } from '../contract.ts';
import { findExtensionHeader } from '../header-search.ts';
import { not } from '../words.ts';

/** Fields of which one number is kept for all its comparisons, as in the real tool. */
type Field = 'next-hdr' | 'hdr-len' | 'segs-left' | 'last-entry' | 'tag';
type Sid = 'psid' | 'nsid' | 'lsid';
type Comparison = 'eq' | 'gt' | 'lt';

const NUMBERS: readonly [option: string, field: Field, comparison: Comparison][] = [
  ['next-hdr', 'next-hdr', 'eq'],
  ['hdr-len-eq', 'hdr-len', 'eq'],
  ['hdr-len-gt', 'hdr-len', 'gt'],
  ['hdr-len-lt', 'hdr-len', 'lt'],
  ['segs-left-eq', 'segs-left', 'eq'],
  ['segs-left-gt', 'segs-left', 'gt'],
  ['segs-left-lt', 'segs-left', 'lt'],
  ['last-entry-eq', 'last-entry', 'eq'],
  ['last-entry-gt', 'last-entry', 'gt'],
  ['last-entry-lt', 'last-entry', 'lt'],
  ['tag', 'tag', 'eq'],
];
const SIDS: readonly Sid[] = ['psid', 'nsid', 'lsid'];

/** `struct ip6t_srh1`. */
interface SrhMatch {
  values: Record<Field, number>;
  sids: Partial<Record<Sid, MaskedAddress>>;
  /** Options given (without `srh-`), and those inverted. */
  given: string[];
  inverted: string[];
}

function sidText({ address, mask }: MaskedAddress): string {
  return `${formatAddress6(address)}/${prefixLength(mask, 6) >>> 0}`;
}

const HELP = `srh match options:
[!] --srh-next-hdr		next-hdr        Next Header value of SRH
[!] --srh-hdr-len-eq		hdr_len         Hdr Ext Len value of SRH
[!] --srh-hdr-len-gt		hdr_len         Hdr Ext Len value of SRH
[!] --srh-hdr-len-lt		hdr_len         Hdr Ext Len value of SRH
[!] --srh-segs-left-eq		segs_left       Segments Left value of SRH
[!] --srh-segs-left-gt		segs_left       Segments Left value of SRH
[!] --srh-segs-left-lt		segs_left       Segments Left value of SRH
[!] --srh-last-entry-eq 	last_entry      Last Entry value of SRH
[!] --srh-last-entry-gt 	last_entry      Last Entry value of SRH
[!] --srh-last-entry-lt 	last_entry      Last Entry value of SRH
[!] --srh-tag			tag             Tag value of SRH
[!] --srh-psid			addr[/mask]	SRH previous SID
[!] --srh-nsid			addr[/mask]	SRH next SID
[!] --srh-lsid			addr[/mask]	SRH Last SID
`;

export const srh = defineMatch<SrhMatch>({
  name: 'srh',
  families: [6],
  options: [
    ...NUMBERS.map(([option]) => ({
      name: `srh-${option}`,
      type: option === 'tag' ? ('uint16' as const) : ('uint8' as const),
      invert: true,
    })),
    ...SIDS.map((sid) => ({ name: `srh-${sid}`, type: 'host-mask' as const, invert: true })),
  ],
  init: () => ({
    values: { 'next-hdr': 0, 'hdr-len': 0, 'segs-left': 0, 'last-entry': 0, tag: 0 },
    sids: {},
    given: [],
    inverted: [],
  }),
  parse(data, option) {
    const name = option.name.slice('srh-'.length);
    data.given.push(name);
    if (option.invert) data.inverted.push(name);
    const number = NUMBERS.find(([known]) => known === name);
    if (number !== undefined) data.values[number[1]] = option.number;
    else data.sids[name as Sid] = { address: option.address, mask: option.addressMask };
  },
  finish(data) {
    data.given.sort();
    data.inverted.sort();
  },
  save(data) {
    let text = '';
    const given = (name: string) => data.given.includes(name);
    const inverted = (name: string) => not(data.inverted.includes(name));
    for (const [name, field] of NUMBERS)
      if (given(name)) text += `${inverted(name)} --srh-${name} ${data.values[field]}`;
    for (const sid of SIDS) if (given(sid)) text += `${inverted(sid)} --srh-${sid} ${sidText(data.sids[sid]!)}`;
    return text;
  },
  print(data) {
    let text = ' srh';
    const inverted = (name: string) => (data.inverted.includes(name) ? '!' : '');
    for (const [name, field] of NUMBERS)
      if (data.given.includes(name)) text += ` ${name}:${inverted(name)}${data.values[field]}`;
    for (const sid of SIDS)
      if (data.given.includes(sid)) text += ` ${sid} ${inverted(sid)} ${sidText(data.sids[sid]!)}`;
    return text;
  },
  help: () => HELP,
  explain(data) {
    const words = { eq: '', gt: 'above ', lt: 'below ' } as const;
    const parts = NUMBERS.filter(([name]) => data.given.includes(name)).map(
      ([name, field, comparison]) =>
        `${field} ${data.inverted.includes(name) ? 'not ' : ''}${words[comparison]}${data.values[field]}`,
    );
    for (const sid of SIDS)
      if (data.given.includes(sid))
        parts.push(`${sid} ${data.inverted.includes(sid) ? 'not ' : ''}${sidText(data.sids[sid]!)}`);
    return `the packet has a segment routing header${parts.length > 0 ? ` with ${parts.join(', ')}` : ''}`;
  },
  pure: true,
  compile: compileSegmentRouting,
});

/** Type of a segment routing header. */
const SEGMENT_ROUTING = 4;
const FIXED = 8;

/** `srh1_mt6` (net/ipv6/netfilter/ip6t_srh.c). */
function compileSegmentRouting(data: SrhMatch): MatchFunction {
  const numbers = NUMBERS.filter(([name]) => data.given.includes(name)).map(([name, field, comparison]) => ({
    field,
    comparison,
    value: data.values[field],
    invert: data.inverted.includes(name),
  }));
  const sids = SIDS.filter((sid) => data.given.includes(sid)).map((sid) => ({
    sid,
    wanted: data.sids[sid]!,
    invert: data.inverted.includes(sid),
  }));
  const words = new Uint32Array(4);
  return ({ bytes }) => {
    const start = findExtensionHeader(bytes, Protocol.routing);
    if (start < 0 || start + FIXED > bytes.length) return false;
    if (bytes.length - start < (bytes[start + 1]! + 1) * 8) return false;
    const segmentsLeft = bytes[start + 3]!;
    const lastEntry = bytes[start + 4]!;
    if (bytes[start + 2] !== SEGMENT_ROUTING || segmentsLeft > lastEntry) return false;
    for (let i = 0; i < numbers.length; i++) {
      const { field, comparison, value, invert } = numbers[i]!;
      const own = fieldOf(bytes, start, field);
      const holds = comparison === 'eq' ? own === value : comparison === 'gt' ? own > value : own < value;
      if (holds === invert) return false;
    }
    for (let i = 0; i < sids.length; i++) {
      const { sid, wanted, invert } = sids[i]!;
      if (sid === 'psid' && segmentsLeft === lastEntry) return false;
      if (sid === 'nsid' && segmentsLeft === 0) return false;
      const index = sid === 'psid' ? segmentsLeft + 1 : sid === 'nsid' ? segmentsLeft - 1 : 0;
      const at = start + FIXED + 16 * index;
      if (at + 16 > bytes.length) return false;
      for (let j = 0; j < 4; j++) words[j] = readUint32(bytes, at + 4 * j);
      if (equalUnderMask(words, wanted.address, wanted.mask) === invert) return false;
    }
    return true;
  };
}

function fieldOf(bytes: Uint8Array, start: number, field: Field): number {
  switch (field) {
    case 'next-hdr':
      return bytes[start]!;
    case 'hdr-len':
      return bytes[start + 1]!;
    case 'segs-left':
      return bytes[start + 3]!;
    case 'last-entry':
      return bytes[start + 4]!;
    case 'tag':
      // The kernel compares the field as it lies in memory with a number of the machine (little-endian).
      return bytes[start + 6]! | (bytes[start + 7]! << 8);
  }
}
