import { readUint32 } from '../packet/bytes.ts';
import { extensionHeaderLength, isExtensionHeader } from '../packet/decode.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import { Protocol } from '../packet/protocol.ts';
import type { Tuple } from './connection.ts';

/**
 * A tuple as ten 32-bit words: source (4), destination (4), `sourcePort << 16 | destinationPort`, `family << 8 | protocol`.
 * This is how the table keeps them, so that comparing and hashing need no objects.
 */
export const TUPLE_WORDS = 10;
const PORTS = 8;
const KIND = 9;

export function newTupleWords(): Uint32Array {
  return new Uint32Array(TUPLE_WORDS);
}

export function wordsToTuple(words: Uint32Array, at: number): Tuple {
  const ports = words[at + PORTS]!;
  const kind = words[at + KIND]!;
  return {
    family: (kind >>> 8) as Family,
    protocol: kind & 0xff,
    source: [words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!],
    destination: [words[at + 4]!, words[at + 5]!, words[at + 6]!, words[at + 7]!],
    sourcePort: ports >>> 16,
    destinationPort: ports & 0xffff,
  };
}

export function tupleToWords(tuple: Tuple, words: Uint32Array, at = 0): void {
  for (let i = 0; i < 4; i++) {
    words[at + i] = tuple.source[i]!;
    words[at + 4 + i] = tuple.destination[i]!;
  }
  words[at + PORTS] = ((tuple.sourcePort << 16) | tuple.destinationPort) >>> 0;
  words[at + KIND] = (tuple.family << 8) | tuple.protocol;
}

export function sameTuple(a: Uint32Array, i: number, b: Uint32Array, j: number): boolean {
  return (
    a[i + PORTS] === b[j + PORTS] &&
    a[i] === b[j] &&
    a[i + 4] === b[j + 4] &&
    a[i + KIND] === b[j + KIND] &&
    a[i + 1] === b[j + 1] &&
    a[i + 2] === b[j + 2] &&
    a[i + 3] === b[j + 3] &&
    a[i + 5] === b[j + 5] &&
    a[i + 6] === b[j + 6] &&
    a[i + 7] === b[j + 7]
  );
}

/** As `to.set(from.subarray(...))`, which takes several times as long for ten words. */
export function copyTuple(from: Uint32Array, i: number, to: Uint32Array, j: number): void {
  for (let word = 0; word < TUPLE_WORDS; word++) to[j + word] = from[i + word]!;
}

/** Unsigned 32-bit hash of a tuple; its upper bits choose the bucket. */
export function hashTuple(words: Uint32Array, at: number): number {
  let hash = mix(words[at + KIND]! ^ 0x9e3779b9, words[at]!);
  hash = mix(hash, words[at + 4]!);
  hash = mix(hash, words[at + PORTS]!);
  if (words[at + KIND]! >>> 8 === 6) {
    hash = mix(hash, words[at + 1]!);
    hash = mix(hash, words[at + 2]!);
    hash = mix(hash, words[at + 3]!);
    hash = mix(hash, words[at + 5]!);
    hash = mix(hash, words[at + 6]!);
    hash = mix(hash, words[at + 7]!);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const h = hash ^ k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

/** Types of ICMP that come in pairs (`invmap`, nf_conntrack_proto_icmp.c): echo, timestamp, information, address mask. */
const ICMP_PARTNER: Readonly<Record<number, number>> = { 0: 8, 8: 0, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17 };
/** ICMPv6: echo, node information. */
const ICMP6_PARTNER: Readonly<Record<number, number>> = { 128: 129, 129: 128, 139: 140, 140: 139 };

/** Turns a tuple round (nf_ct_invert_tuple); false for ICMP types that have no answer. `to` may not be `from`. */
export function invertTuple(from: Uint32Array, i: number, to: Uint32Array, j: number): boolean {
  for (let word = 0; word < 4; word++) {
    to[j + word] = from[i + 4 + word]!;
    to[j + 4 + word] = from[i + word]!;
  }
  const kind = from[i + KIND]!;
  const ports = from[i + PORTS]!;
  const protocol = kind & 0xff;
  to[j + KIND] = kind;
  if (protocol === Protocol.icmp || protocol === Protocol.icmpv6) {
    const partner = (protocol === Protocol.icmp ? ICMP_PARTNER : ICMP6_PARTNER)[(ports >>> 8) & 0xff];
    if (partner === undefined) return false;
    to[j + PORTS] = ((ports & 0xffff00ff) | (partner << 8)) >>> 0;
    return true;
  }
  to[j + PORTS] = ((ports << 16) | (ports >>> 16)) >>> 0;
  return true;
}

/** The source key of a PPTP call, by the tuple seen so far (nf_ct_gre_keymap); 0 if unknown. */
export type GreKeyLookup = (tuple: Uint32Array) => number;

/**
 * Fills `words` with the tuple of the packet whose IP header is at `ipOffset`, whose transport header is at `transport`
 * (nf_ct_get_tuple). False if the bytes that identify it are not there.
 */
export function readTuple(
  bytes: Uint8Array,
  family: Family,
  ipOffset: number,
  protocol: number,
  transport: number,
  words: Uint32Array,
  greKey: GreKeyLookup,
): boolean {
  const end = bytes.length;
  if (family === 4) {
    if (ipOffset + 20 > end) return false;
    words[0] = readUint32(bytes, ipOffset + 12);
    words[4] = readUint32(bytes, ipOffset + 16);
    words[1] = words[2] = words[3] = 0;
    words[5] = words[6] = words[7] = 0;
  } else {
    if (ipOffset + 40 > end) return false;
    for (let i = 0; i < 8; i++) words[i] = readUint32(bytes, ipOffset + 8 + 4 * i);
  }
  words[KIND] = (family << 8) | protocol;
  switch (protocol) {
    case Protocol.tcp:
    case Protocol.udp:
    case Protocol.udplite:
    case Protocol.sctp:
      if (transport + 4 > end) return false;
      words[PORTS] = readUint32(bytes, transport);
      return true;
    case Protocol.icmp:
    case Protocol.icmpv6:
      if (transport + 8 > end) return false;
      words[PORTS] =
        ((bytes[transport + 4]! << 24) |
          (bytes[transport + 5]! << 16) |
          (bytes[transport]! << 8) |
          bytes[transport + 1]!) >>>
        0;
      return true;
    case Protocol.gre:
      return readGreKey(bytes, transport, words, greKey);
    default:
      words[PORTS] = 0;
      return true;
  }
}

/** PPTP's enhanced GRE (version 1) is told apart by its call id; any other GRE by addresses alone. */
function readGreKey(bytes: Uint8Array, transport: number, words: Uint32Array, greKey: GreKeyLookup): boolean {
  words[PORTS] = 0;
  if (transport + 4 > bytes.length || (bytes[transport + 1]! & 7) !== 1) return true;
  if (transport + 8 > bytes.length) return true;
  if (bytes[transport + 2] !== 0x88 || bytes[transport + 3] !== 0x0b) return false;
  words[PORTS] = (bytes[transport + 6]! << 8) | bytes[transport + 7]!;
  words[PORTS] = ((greKey(words) << 16) | words[PORTS]!) >>> 0;
  return true;
}

/** Where the transport header of a packet quoted at `ipOffset` begins and what it is; null if that cannot be told (get_l4proto). */
export function locateTransport(
  bytes: Uint8Array,
  family: Family,
  ipOffset: number,
): { protocol: number; transport: number } | null {
  const end = bytes.length;
  if (family === 4) {
    if (ipOffset + 20 > end) return null;
    if ((((bytes[ipOffset + 6]! & 0x1f) << 8) | bytes[ipOffset + 7]!) !== 0) return null;
    const transport = ipOffset + ((bytes[ipOffset]! & 15) << 2);
    return transport > end ? null : { protocol: bytes[ipOffset + 9]!, transport };
  }
  if (ipOffset + 40 > end) return null;
  let next = bytes[ipOffset + 6]!;
  let offset = ipOffset + 40;
  while (isExtensionHeader(next)) {
    if (next === Protocol.noNextHeader || offset + 2 > end) return null;
    if (next === Protocol.fragment) {
      if (offset + 4 > end) return null;
      if ((((bytes[offset + 2]! << 8) | bytes[offset + 3]!) & 0xfff8) !== 0) return null;
    }
    const length = extensionHeaderLength(bytes, offset, next);
    next = bytes[offset]!;
    offset += length;
  }
  return { protocol: next, transport: offset };
}

export function addressOf(words: Uint32Array, at: number): AddressWords {
  return [words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!];
}
