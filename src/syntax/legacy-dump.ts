import { HOOK_NAMES } from '../datapath/hooks.ts';
import { formatAddress } from '../packet/address-text.ts';
import type { Family } from '../packet/family.ts';
import { ANY_ADDRESS, prefixLength } from '../ruleset/addresses.ts';
import type { AddressMatch, InterfaceMatch, RuleSpec } from '../ruleset/rule.ts';
import type { Chain, Table } from '../ruleset/ruleset.ts';
import type { RuleTextSettings } from './rule-text.ts';
import { ruleSpecOf } from './save-format.ts';

/** Bytes of `struct ipt_entry` and `struct ip6t_entry`. */
const ENTRY_SIZE = { 4: 112, 6: 168 } as const;
/** Bytes of a standard target, and of the ERROR target that holds the name of a chain. */
const STANDARD_SIZE = 40;
const ERROR_SIZE = 64;

/** Bytes of a match in a rule of x86-64, its header included, by size. Matches that the kernel lacks are in no rule. */
const MATCH_SIZES = sizes({
  40: 'addrtype connlabel dscp ttl pkttype cpu ecn icmp length rpfilter socket tcpmss tos eui64 ipv6header hl icmp6 mh',
  48: 'ah cluster mac connmark dccp esp ipcomp mark realm tcp udp frag',
  56: 'quota connbytes devgroup owner statistic time',
  64: 'connlimit',
  72: 'helper limit dst hbh',
  80: 'multiport osf set',
  104: 'iprange physdev rateest',
  144: 'srh',
  192: 'string',
  200: 'conntrack',
  264: 'recent',
  288: 'comment',
  312: 'rt',
  328: 'sctp',
  344: 'hashlimit policy',
  560: 'cgroup bpf',
  2016: 'u32',
});

/** Bytes of a target, its header included; `NAME6` is that of IPv6 where it is another. */
const TARGET_SIZES = sizes({
  32: 'TRACE',
  40: 'MARK REJECT AUDIT CHECKSUM CLASSIFY CONNSECMARK DSCP ECN NFQUEUE SYNPROXY TOS TTL HL TCPMSS',
  48: 'CONNMARK',
  56: 'SNAT SET MASQUERADE NETMAP REDIRECT',
  64: 'LOG RATEEST TCPOPTSTRIP TPROXY',
  72: 'TEE SNPT DNPT SNAT6 MASQUERADE6 NETMAP6 REDIRECT6',
  80: 'IDLETIMER DNAT',
  96: 'HMARK',
  104: 'CT',
  112: 'NFLOG',
});

/** Names under which the kernel has what iptables calls otherwise. */
const KERNEL_NAMES: Readonly<Record<string, string>> = { state: 'conntrack', NOTRACK: 'CT' };

function sizes(bySize: Readonly<Record<number, string>>): ReadonlyMap<string, number> {
  return new Map(
    Object.entries(bySize).flatMap(([size, names]) => names.split(' ').map((name) => [name, Number(size)] as const)),
  );
}

/** Something that stands in the table: a rule, a policy, the head or the end of a chain. */
interface Entry {
  offset: number;
  size: number;
  spec: RuleSpec | null;
  packets: bigint;
  bytes: bigint;
  /** `verdict=...` or `error=...`; '' after a target that is neither. */
  end: string;
  targetName: string;
  targetSize: number;
}

/**
 * What `-vv` makes libiptc print of a table as it was opened (`dump_entries` of libiptc/libip4tc.c and libip6tc.c; sizes and
 * texts as iptables-legacy 1.8.9 prints them on x86-64).
 */
export function dumpTable(table: Table, family: Family, settings: RuleTextSettings): string {
  const { entries, starts, ends } = layOut(table, family, settings);
  const last = entries.at(-1)!;
  const hooks = (of: ReadonlyMap<string, number>): string =>
    HOOK_NAMES.map((name) => (of.get(name) ?? 0xffffffff).toString(16)).join('/');
  const head =
    `libiptc vlibxtables.so.12. ${last.offset + last.size} bytes.\n` +
    `Table \`${table.name}'\n` +
    `Hooks: pre/in/fwd/out/post = ${hooks(starts)}\n` +
    `Underflows: pre/in/fwd/out/post = ${hooks(ends)}\n`;
  return head + entries.map((entry, i) => entryText(entry, i, family)).join('');
}

function layOut(table: Table, family: Family, settings: RuleTextSettings) {
  const entries: Entry[] = [];
  /** Offset of the first rule of each chain, and of the policy of each built-in one. */
  const starts = new Map<string, number>();
  const ends = new Map<string, number>();
  let offset = 0;
  const add = (
    spec: RuleSpec | null,
    counters: Pick<Chain, 'packets' | 'bytes'> | null,
    name: string,
    end: string,
  ): void => {
    let targetSize = STANDARD_SIZE;
    if (name === 'ERROR') targetSize = ERROR_SIZE;
    else if (name !== '')
      targetSize = TARGET_SIZES.get(family === 6 ? `${name}6` : name) ?? TARGET_SIZES.get(name) ?? 0;
    let size = ENTRY_SIZE[family] + targetSize;
    for (const match of spec?.matches ?? []) size += MATCH_SIZES.get(KERNEL_NAMES[match.name] ?? match.name) ?? 0;
    const { packets = 0n, bytes = 0n } = counters ?? {};
    entries.push({ offset, size, spec, packets, bytes, end, targetName: name, targetSize });
    offset += size;
  };
  for (const chain of table.chains.values()) {
    if (chain.policy === null) add(null, null, 'ERROR', `error=\`${chain.name}'\n`);
    starts.set(chain.name, offset);
    for (const rule of chain.rules) {
      const spec = ruleSpecOf(rule, table, settings);
      const { target } = spec;
      const name = target.kind === 'extension' ? (KERNEL_NAMES[target.name] ?? target.name) : '';
      add(spec, rule, name, target.kind === 'verdict' ? verdictText(target.verdict) : '');
    }
    ends.set(chain.name, offset);
    add(null, chain, '', chain.policy === null ? verdictText('RETURN') : verdictText(chain.policy));
  }
  add(null, null, 'ERROR', "error=`ERROR'\n");
  // Jumps are offsets, which are known only now.
  for (const entry of entries) {
    const target = entry.spec?.target;
    if (target?.kind === 'none') entry.end = `verdict=${entry.offset + entry.size}\n`;
    if (target?.kind === 'jump' || target?.kind === 'goto') entry.end = `verdict=${starts.get(target.chain)}\n`;
  }
  return { entries, starts, ends };
}

const verdictText = (verdict: string): string => `verdict=${verdict === 'RETURN' ? verdict : `NF_${verdict}`}\n`;

function entryText(
  { offset, spec, packets, bytes, end, targetName, targetSize }: Entry,
  index: number,
  family: Family,
): string {
  const matches = (spec?.matches ?? []).map(({ name }) => `Match name: \`${KERNEL_NAMES[name] ?? name}'\n`).join('');
  return (
    `Entry ${index} (${offset}):\n` +
    `SRC IP: ${addressText(spec?.source ?? null, family)}` +
    `DST IP: ${addressText(spec?.destination ?? null, family)}` +
    `Interface: ${interfaceText(spec?.inInterface ?? null)}to ${interfaceText(spec?.outInterface ?? null)}\n` +
    `Protocol: ${spec?.protocol ?? 0}\n` +
    `Flags: ${hex2(flags(spec, family))}\n` +
    `Invflags: ${hex2(inversions(spec))}\n` +
    `Counters: ${packets} packets, ${bytes} bytes\n` +
    `Cache: 00000000\n${matches}` +
    `Target name: \`${targetName}' [${targetSize}]\n${end}\n`
  );
}

const hex2 = (value: number): string => value.toString(16).toUpperCase().padStart(2, '0');

function addressText(match: AddressMatch | null, family: Family): string {
  const { address, mask } = match ?? { address: ANY_ADDRESS, mask: ANY_ADDRESS };
  if (family === 4) return `${formatAddress(4, address)}/${formatAddress(4, mask)}\n`;
  const length = prefixLength(mask, 6);
  // A mask without a length comes with an empty line.
  return `\n${formatAddress(6, address)}\n/${length < 0 ? `${formatAddress(6, mask)}\n` : length}\n`;
}

function interfaceText(match: InterfaceMatch | null): string {
  const name = match?.name ?? '';
  // The final zero is compared too, unless any rest will do.
  const compared = name === '' ? 0 : name.endsWith('+') ? name.length - 1 : name.length + 1;
  return `\`${name}'/${'X'.repeat(compared)}${'.'.repeat(16 - compared)}`;
}

function flags(spec: RuleSpec | null, family: Family): number {
  if (spec === null) return 0;
  const goto = spec.target.kind === 'goto';
  if (family === 4) return (spec.fragment === null ? 0 : 1) | (goto ? 2 : 0);
  return (spec.protocol === 0 ? 0 : 1) | (goto ? 4 : 0);
}

function inversions(spec: RuleSpec | null): number {
  if (spec === null) return 0;
  const { inInterface, outInterface, source, destination, fragment, protocolInvert } = spec;
  return (
    (inInterface?.invert === true ? 1 : 0) |
    (outInterface?.invert === true ? 2 : 0) |
    (source?.invert === true ? 8 : 0) |
    (destination?.invert === true ? 16 : 0) |
    (fragment === false ? 32 : 0) |
    (protocolInvert ? 64 : 0)
  );
}
