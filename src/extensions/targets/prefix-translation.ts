import { Hook } from '../../datapath/hooks.ts';
import { Verdict } from '../../datapath/verdicts.ts';
import { formatAddress6, inPrefix, prefixMask } from '../../packet/address-text.ts';
import { readUint32, writeUint32 } from '../../packet/bytes.ts';
import { foldSum } from '../../packet/checksum.ts';
import type { AddressWords } from '../../packet/family.ts';
import { Protocol } from '../../packet/protocol.ts';
import { type End, setAddressOnly } from '../../packet/rewrite.ts';
import { defineTarget, type TargetExtension } from '../contract.ts';
import { type Placement, refusePlacement } from './placement.ts';

/** A prefix; the address keeps the bits behind it as they were given. */
interface Prefix {
  address: AddressWords;
  length: number;
}

/** `struct ip6t_npt_tginfo`. */
interface PrefixTranslation {
  source: Prefix;
  destination: Prefix;
}

const HEADER = 40;
const ICMPV6_HEADER = 8;
const PARAMETER_PROBLEM = 4;

function prefixText({ address, length }: Prefix): string {
  return `${formatAddress6(address)}/${length}`;
}

function saved({ source, destination }: PrefixTranslation): string {
  return ` --src-pfx ${prefixText(source)} --dst-pfx ${prefixText(destination)}`;
}

function hasHostBits({ address, length }: Prefix): boolean {
  const mask = prefixMask(6, length);
  return address.some((word, i) => (word & ~mask[i]!) !== 0);
}

function sum(words: AddressWords): number {
  let total = 0;
  for (const word of words) total += (word >>> 16) + (word & 0xffff);
  return foldSum(total);
}

/**
 * Maps addresses from one prefix to another without changing any checksum over them (ip6t_npt_map_pfx; RFC 6296). Works in place on
 * the four words; false if there is no place for the difference.
 */
export function prefixMapper({ source, destination }: PrefixTranslation): (address: Uint32Array) => boolean {
  const adjustment = foldSum(sum(source.address) + (~sum(destination.address) & 0xffff));
  const length = Math.max(source.length, destination.length);
  const mask = prefixMask(6, length);
  return (address) => {
    for (let i = 0; i < 4; i++) address[i] = (address[i]! & ~mask[i]!) | (destination.address[i]! & mask[i]!);
    let word = 3;
    if (length > 48) {
      word = 4;
      while (word < 8 && group(address, word) === 0xffff) word++;
      if (word === 8) return false;
    }
    const mapped = foldSum(group(address, word) + adjustment);
    setGroup(address, word, mapped === 0xffff ? 0 : mapped);
    return true;
  };
}

function group(address: Uint32Array, index: number): number {
  const word = address[index >> 1]!;
  return index & 1 ? word & 0xffff : word >>> 16;
}

function setGroup(address: Uint32Array, index: number, value: number): void {
  const word = address[index >> 1]!;
  address[index >> 1] = index & 1 ? (word & 0xffff0000) | value : (word & 0xffff) | (value << 16);
}

/** SNPT and DNPT: the same target for either end of the packet. */
export function prefixTranslationTarget(name: 'SNPT' | 'DNPT'): TargetExtension {
  const end: End = name === 'SNPT' ? 'source' : 'destination';
  const placement: Placement = {
    table: 'mangle',
    hooks: name === 'SNPT' ? [Hook.input, Hook.postrouting] : [Hook.prerouting, Hook.output],
  };
  // Offset of the other end in the packet that an error quotes: that went the other way.
  const quotedOffset = name === 'SNPT' ? 24 : 8;
  return defineTarget<PrefixTranslation>({
    name,
    families: [6],
    options: [
      { name: 'src-pfx', type: 'host-mask', mandatory: true },
      { name: 'dst-pfx', type: 'host-mask', mandatory: true },
    ],
    init: () => ({ source: { address: [0, 0, 0, 0], length: 0 }, destination: { address: [0, 0, 0, 0], length: 0 } }),
    parse(data, option) {
      const prefix = { address: option.address, length: option.prefixLength };
      if (option.name === 'src-pfx') data.source = prefix;
      else data.destination = prefix;
    },
    // The real one leaves out ::/0, and cannot read back what it wrote then.
    save: (data) => saved(data).replace(/ --(?:src|dst)-pfx ::\/0/g, ''),
    store: saved,
    print: ({ source, destination }) => ` ${name} src-pfx ${prefixText(source)} dst-pfx ${prefixText(destination)}`,
    help: () => `${name} target options:
 --src-pfx prefix/length
 --dst-pfx prefix/length

`,
    check({ source, destination }, site) {
      const refused = refusePlacement(site, placement);
      if (refused !== null) return refused;
      if (source.length > 64 || destination.length > 64) return 'EINVAL';
      return hasHostBits(source) || hasHostBits(destination) ? 'EINVAL' : null;
    },
    explain: ({ source, destination }) => `the ${end} prefix ${prefixText(source)} becomes ${prefixText(destination)}`,
    memory: 'flow',
    compile(data, { machine }) {
      const map = prefixMapper(data);
      const { address, length } = data.source;
      const own = new Uint32Array(4);
      const quoted = new Uint32Array(4);
      return (packet) => {
        const before = end === 'source' ? packet.src : packet.dst;
        own.set(before);
        const { twin } = packet;
        const shares = twin?.sharesBytes === true && packet.sharesBytes;
        const mapped = map(own);
        // Written back even where there is no place for the difference: the prefix is replaced before that is found.
        setAddressOnly(packet, end, own);
        // The target does not ask whether the header is its own (ip6t_NPT.c).
        if (shares) setAddressOnly(twin, end, own);
        if (!mapped) {
          machine.sendIcmpv6Error(packet, PARAMETER_PROBLEM, 0, end === 'source' ? 8 : 24);
          return Verdict.drop;
        }
        const { bytes } = packet;
        const inner = HEADER + ICMPV6_HEADER;
        if (bytes[6] !== Protocol.icmpv6 || bytes.length < inner + HEADER) return Verdict.next;
        const type = bytes[HEADER]!;
        if (type < 1 || type > 4) return Verdict.next;
        for (let i = 0; i < 4; i++) quoted[i] = readUint32(bytes, inner + quotedOffset + 4 * i);
        if (!inPrefix(6, quoted, address, length)) return Verdict.next;
        map(quoted);
        for (let i = 0; i < 4; i++) writeUint32(bytes, inner + quotedOffset + 4 * i, quoted[i]!);
        return Verdict.next;
      };
    },
  });
}
