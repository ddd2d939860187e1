import { readUint16, readUint32 } from '../packet/bytes.ts';
import { findHeader6, isExtensionHeader } from '../packet/decode.ts';
import { Protocol } from '../packet/protocol.ts';

/** A packet that no part can be told for: an ICMP error in fragments, of which only one has what it quotes. */
export const NO_PART = -1;

const IPV4_ADDRESSES = 12;
const IPV6_ADDRESSES = 8;
const ICMP_HEADER = 8;
/** ICMPv6. */
const REDIRECT = 137;
const REDIRECT_LENGTH = 40;
const REDIRECTED_HEADER = 4;
const FIRST_INFORMATIONAL = 128;

/**
 * Which of `parts` parts a packet belongs to, from 0; NO_PART if that cannot be told.
 *
 * All packets between the same two addresses are of one part, whatever their direction, protocol and ports, fragments included. So are the ICMP errors
 * that quote one of them. A connection that is not translated, and a datagram in fragments, are therefore met by one part alone.
 *
 * @param bytes hold the packet from its IP header at `at` up to `end`; it may be anything
 */
export function partOf(bytes: Uint8Array, parts: number, at = 0, end = bytes.length): number {
  if (bytes[at]! >>> 4 === 6) {
    let quote = at;
    if (mayQuote(bytes, at)) {
      const found = quoteIn6(bytes.subarray(at, end));
      if (found < 0) return NO_PART;
      quote += found;
    }
    const first = quote + IPV6_ADDRESSES;
    return choose(address6(bytes, first), address6(bytes, first + 16), parts);
  }
  const quote = mayQuote(bytes, at) ? quoteIn4(bytes, at, end) : at;
  if (quote < 0) return NO_PART;
  const first = quote + IPV4_ADDRESSES;
  return choose(readUint32(bytes, first), readUint32(bytes, first + 4), parts);
}

/** Whether more than the addresses of the packet at `at` counts for its part. */
export function mayQuote(bytes: Uint8Array, at: number): boolean {
  if (bytes[at]! >>> 4 !== 6) return bytes[at + 9] === Protocol.icmp;
  const next = bytes[at + 6]!;
  return next === Protocol.icmpv6 || isExtensionHeader(next);
}

/** Whether an IPv4 packet is a fragment. */
export function isFragment4(bytes: Uint8Array, at: number): boolean {
  return bytes[at]! >>> 4 !== 6 && (readUint16(bytes, at + 6) & 0x3fff) !== 0;
}

/** The two addresses count alike. */
function choose(a: number, b: number, parts: number): number {
  let hash = Math.imul(a ^ b, 0x9e3779b1) ^ Math.imul((a + b) | 0, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2ae35);
  return ((hash ^ (hash >>> 15)) >>> 0) % parts;
}

function address6(bytes: Uint8Array, at: number): number {
  return (
    Math.imul(readUint32(bytes, at), 0x27d4eb2f) ^
    Math.imul(readUint32(bytes, at + 4), 0x165667b1) ^
    Math.imul(readUint32(bytes, at + 8), 0x2c1b3c6d) ^
    readUint32(bytes, at + 12)
  );
}

/** Where the packet that an ICMP error quotes begins; `at` for all other packets and for quotes without addresses; NO_PART. */
function quoteIn4(bytes: Uint8Array, at: number, end: number): number {
  const fragment = readUint16(bytes, at + 6);
  const transport = at + ((bytes[at]! & 15) << 2);
  if ((fragment & 0x1fff) !== 0 || transport >= end) return at;
  switch (bytes[transport]) {
    case 3:
    case 4:
    case 5:
    case 11:
    case 12:
      break;
    default:
      return at;
  }
  if ((fragment & 0x2000) !== 0) return NO_PART;
  const quote = transport + ICMP_HEADER;
  return quote + 20 > end ? at : quote;
}

/** The same for an IPv6 packet that begins with `bytes`. */
function quoteIn6(bytes: Uint8Array): number {
  const fragment = findHeader6(bytes, Protocol.fragment);
  const field = fragment < 0 ? 0 : readUint16(bytes, fragment + 2);
  const isHead = fragment >= 0 && (field & 0xfff8) === 0;
  // These headers may go on in other fragments, or say again that it is one.
  if (isHead && isExtensionHeader(bytes[fragment]!)) return NO_PART;
  const transport = findHeader6(bytes, Protocol.icmpv6);
  if (transport < 0) return 0;
  const type = bytes[transport]!;
  if (type >= FIRST_INFORMATIONAL && type !== REDIRECT) return 0;
  if (isHead && (field & 1) !== 0) return NO_PART;
  const redirected = transport + REDIRECT_LENGTH;
  if (type === REDIRECT && bytes[redirected] !== REDIRECTED_HEADER) return 0;
  const quote = (type === REDIRECT ? redirected : transport) + ICMP_HEADER;
  return quote + 40 > bytes.length ? 0 : quote;
}
