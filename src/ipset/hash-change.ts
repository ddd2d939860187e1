import type { Entry } from './entry.ts';
import { netmask4, rangeToCidr, swapBytes } from './entry.ts';
import { SetError } from './errors.ts';
import { maskAddress } from './hash-layout.ts';
import type { HashSet } from './hash-set.ts';
import { hasPorts, icmpOf } from './packet-fields.ts';
import type { Change } from './set.ts';

const MAX = 0xffffffff;

/** Addresses to go through: single ones `step` apart, or the networks that make up the range. */
interface Span {
  from: number;
  to: number;
  /** 0: networks. */
  step: number;
}

/** A range given as two ends, in either order, or as a prefix; an error code if it is not allowed. */
function spanOf(from: number, to: number | undefined, cidr: number | undefined, step: number): Span | number {
  if (to !== undefined) {
    const span = to < from ? { from: to, to: from, step } : { from, to, step };
    if (step === 0 && span.from === 0 && span.to === MAX) return SetError.hashRange;
    return span;
  }
  if (cidr === undefined) return { from, to: from, step };
  const mask = netmask4(cidr);
  const low = (from & mask) >>> 0;
  return { from: low, to: (low | ~mask) >>> 0, step };
}

/**
 * A command's change of a hash set: one element, or all of a range (the types' `uadt` functions). 0 or an error code.
 */
export function changeHash(set: HashSet, change: Change, entry: Entry, exist: boolean): number {
  const { type, fields } = set;
  if (set.addressFamily === 6 && type.first !== null) {
    if (entry.ipTo !== undefined) return SetError.rangeUnsupported;
    if (type.first === 'ip' && entry.cidr !== undefined && entry.cidr !== 128) return SetError.invalidCidr;
    if (type.first === 'net' && type.second === 'net' && entry.ip2To !== undefined) return SetError.rangeUnsupported;
  }
  const refused = set.extensions.read(entry, set.given);
  if (refused !== 0) return refused;
  const error = readParts(set, change, entry);
  if (error !== 0) return error;
  const nomatch = entry.nomatch === true;
  const ports = type.port !== undefined && hasPorts(fields.proto);
  if (change === 'test' || !isRange(set, entry, ports)) {
    putSingle(set, entry);
    const zero = singleRefused(set, entry);
    return zero !== 0 ? zero : set.apply(change, exist, nomatch);
  }
  if (set.addressFamily === 6) {
    putSingle(set, entry);
    const zero = singleRefused(set, entry);
    if (zero !== 0) return zero;
    const [low, high] = portRange(fields.port, entry.portTo);
    for (let port = low; port <= high; port++) {
      fields.port = port;
      type.pack(set.element, set.tailAt, fields);
      const failed = set.apply(change, exist, nomatch);
      if (failed !== 0) return failed;
    }
    return 0;
  }
  return changeRange(set, change, entry, exist, nomatch, ports);
}

/** Reads everything but the addresses into `fields`. */
function readParts(set: HashSet, change: Change, entry: Entry): number {
  const { type, fields } = set;
  const host = set.hostPrefix;
  fields.cidr = host;
  fields.cidr2 = host;
  if (type.first === 'net' && entry.cidr !== undefined) {
    if ((entry.cidr === 0 && !type.zeroPrefix) || entry.cidr > host) return SetError.invalidCidr;
    fields.cidr = entry.cidr;
  }
  if (type.second === 'net' && entry.cidr2 !== undefined) {
    if ((entry.cidr2 === 0 && !type.zeroPrefix) || entry.cidr2 > host) return SetError.invalidCidr;
    fields.cidr2 = entry.cidr2;
  }
  if (type.zeroError !== undefined && !set.table.loading) {
    set.putAddress(0, entry.ip!);
    set.applyMask(0);
    if (set.isZero(0)) return type.zeroError;
  }
  if (type.port !== undefined) {
    if (entry.proto === undefined) return SetError.missingProtocol;
    if (entry.proto === 0) return SetError.invalidProtocol;
    fields.proto = entry.proto;
    fields.port = hasPorts(entry.proto) || entry.proto === icmpOf(set.addressFamily) ? (entry.port ?? 0) : 0;
  }
  if (type.mark !== undefined) {
    fields.mark = (entry.mark! & set.markMask) >>> 0;
    const zero = fields.mark === 0 && entry.ip![0] === 0;
    if (zero && set.addressFamily === 4 && !set.table.loading) return SetError.hashElement;
  }
  if (type.ether !== undefined) {
    fields.ether.set(entry.ether!);
    if (entry.ether!.every((byte) => byte === 0)) return SetError.hashElement;
  }
  if (type.iface !== undefined) {
    fields.physdev = entry.physdev ? 1 : 0;
    fields.iface = (set.ifaceNumber(entry.iface!) << 1) | (entry.wildcard && change !== 'test' ? 1 : 0);
  }
  return 0;
}

/** Whether the entry stands for several elements. */
function isRange(set: HashSet, entry: Entry, ports: boolean): boolean {
  const { type } = set;
  const portRangeGiven = entry.portTo !== undefined && ports;
  if (set.addressFamily === 6) return portRangeGiven;
  if (type.first === null) return false;
  if (type.ether !== undefined) return false;
  if (entry.ipTo !== undefined || portRangeGiven) return true;
  if (type.first === 'ip' && entry.cidr !== undefined) return true;
  return type.second === 'net' && entry.ip2To !== undefined;
}

/** Makes the element of an entry that stands for one. */
function putSingle(set: HashSet, entry: Entry): void {
  const { type, fields, element } = set;
  const length = set.addressFamily === 4 ? 1 : 4;
  if (type.first !== null) {
    set.putAddress(0, entry.ip!);
    if (fields.cidr !== set.hostPrefix) maskAddress(element, 0, set.addressFamily, fields.cidr);
    set.applyMask(0);
  }
  if (type.second !== null) {
    set.putAddress(length, entry.ip2!);
    if (fields.cidr2 !== set.hostPrefix) maskAddress(element, length, set.addressFamily, fields.cidr2);
    set.applyMask(length);
  }
  type.pack(element, set.tailAt, fields);
}

/** Elements that hash:net,net does not store in IPv6. */
function singleRefused(set: HashSet, entry: Entry): number {
  const twoNets = set.type.first === 'net' && set.type.second === 'net' && set.type.port === undefined;
  if (!twoNets || set.addressFamily === 4) return 0;
  return (entry.cidr ?? 128) === 128 && set.isZero(0) ? SetError.hashElement : 0;
}

function portRange(from: number, to: number | undefined): [number, number] {
  if (to === undefined) return [from, from];
  return to < from ? [to, from] : [from, to];
}

/** IPv4 ranges of addresses, ports and networks. */
function changeRange(
  set: HashSet,
  change: Change,
  entry: Entry,
  exist: boolean,
  nomatch: boolean,
  ports: boolean,
): number {
  const { type, fields, element } = set;
  if (type.first === 'ip' && entry.ipTo === undefined && entry.cidr !== undefined) {
    if (entry.cidr === 0 || entry.cidr > 32) return SetError.invalidCidr;
  }
  const start =
    set.addressMask !== null && type.first === 'ip' ? (entry.ip![0]! & set.addressMask[0]!) >>> 0 : entry.ip![0]!;
  const step = type.first === 'net' ? 0 : type.port === undefined && set.netmask !== null ? 2 ** (32 - set.netmask) : 1;
  const end = entry.ipTo?.[0];
  if (type.first === 'ip' && type.port === undefined && end !== undefined && end === 0 && start > end) {
    if (type.mark === undefined || fields.mark === 0) return SetError.hashElement;
  }
  const outer = spanOf(start, end, type.first === 'net' ? fields.cidr : entry.cidr, step);
  if (typeof outer === 'number') return outer;
  const [low, high] = ports ? portRange(fields.port, entry.portTo) : [fields.port, fields.port];
  let inner: Span | null = null;
  if (type.second === 'net') {
    const span = spanOf(entry.ip2![0]!, entry.ip2To?.[0], fields.cidr2, 0);
    if (typeof span === 'number') return span;
    inner = span;
  } else if (type.second === 'ip') {
    set.putAddress(1, entry.ip2!);
  }
  const part = { last: 0, cidr: 0 };
  for (let ip = outer.from; ip <= outer.to; ) {
    element[0] = swapBytes(ip);
    if (outer.step === 0) {
      rangeToCidr(ip, outer.to, part);
      fields.cidr = part.cidr;
      ip = part.last + 1;
    } else {
      ip += outer.step;
    }
    for (let port = low; port <= high; port++) {
      fields.port = port;
      for (let ip2 = inner?.from ?? 0; ip2 <= (inner?.to ?? 0); ) {
        if (inner !== null) {
          element[1] = swapBytes(ip2);
          rangeToCidr(ip2, inner.to, part);
          fields.cidr2 = part.cidr;
          ip2 = part.last + 1;
        } else {
          ip2++;
        }
        type.pack(element, set.tailAt, fields);
        const failed = set.apply(change, exist, nomatch);
        if (failed !== 0) return failed;
      }
    }
  }
  return 0;
}
