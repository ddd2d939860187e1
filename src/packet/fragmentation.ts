/** Cutting packets into fragments: `ip_do_fragment` (net/ipv4/ip_output.c) and `ip6_fragment` (net/ipv6/ip6_output.c). Pure. */
import { readUint16, writeUint16, writeUint32 } from './bytes.ts';
import { internetChecksum } from './checksum.ts';
import type { Packet } from './packet.ts';
import { Protocol } from './protocol.ts';

const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;

/** Smallest IPv6 MTU; reassembled packets are never cut smaller because of small fragments. */
const IPV6_MINIMUM_MTU = 1280;

/** Whether a packet on its way out over a link of that MTU is cut (again): it is too large, or it was put together from fragments. */
export function needsFragmenting(packet: Packet, mtu: number): boolean {
  const { length } = packet.bytes;
  if (length > mtu) return true;
  return packet.family === 4
    ? packet.fragmentMaxSize > 0
    : packet.fragmentMaxSize > 0 && length > packet.fragmentMaxSize;
}

/**
 * Brings the first `length` bytes of the transport header into one piece, as whoever reads or writes it does (pskb_may_pull): a datagram that came in
 * smaller fragments has other boundaries then.
 */
export function pullHeader(packet: Packet, length: number): void {
  const { fragmentSizes, family, headerLength, fragmentHeaderWas, transport } = packet;
  if (fragmentSizes === null) return;
  const [first = 0, ...rest] = fragmentSizes;
  let missing = length + transport - (family === 4 ? headerLength : fragmentHeaderWas) - first;
  if (missing <= 0 || transport + length > packet.bytes.length) return;
  const sizes = [first + missing];
  for (const size of rest) {
    if (size > missing) sizes.push(size - missing);
    missing = Math.max(0, missing - size);
  }
  packet.fragmentSizes = sizes;
}

/** True if pieces of those sizes may leave as they came: each fits, each but the last is a multiple of 8. */
function keepsBoundaries(sizes: readonly number[] | null, payload: number, room: number): sizes is readonly number[] {
  if (sizes === null) return false;
  let sum = 0;
  for (let i = 0; i < sizes.length; i++) {
    const size = sizes[i]!;
    if (size > room || (i < sizes.length - 1 && size % 8 !== 0)) return false;
    sum += size;
  }
  return sum === payload;
}

/**
 * The fragments of an IPv4 packet for a link of that MTU: at the boundaries at which it came where all pieces fit (DF is then not set on them, but
 * see `fragmentDontFragment`), else anew. Null if DF forbids it or an original fragment with DF was larger than the MTU: ICMP 3/4 is due.
 * `ignoreDontFragment`: a socket of this machine that leaves it to IP (IP_PMTUDISC_DONT).
 */
export function fragment4(packet: Packet, mtu: number, ignoreDontFragment = false): Uint8Array[] | null {
  const { bytes, fragmentMaxSize } = packet;
  const flags = readUint16(bytes, 6);
  if ((flags & DONT_FRAGMENT) !== 0) {
    const ignored = ignoreDontFragment || packet.ignoreDontFragment || fragmentMaxSize > 0;
    if (!ignored || fragmentMaxSize > mtu) return null;
  }
  const header = (bytes[0]! & 15) * 4;
  const payload = bytes.length - header;
  const room = (fragmentMaxSize > 0 ? Math.min(mtu, fragmentMaxSize) : mtu) - header;
  const start = (flags & 0x1fff) * 8;
  const notLast = flags & MORE_FRAGMENTS;
  const whole = start === 0 && notLast === 0;
  const kept = whole && keepsBoundaries(packet.fragmentSizes, payload, room) ? packet.fragmentSizes : null;
  const dontFragment = kept === null && packet.fragmentDontFragment ? DONT_FRAGMENT : 0;
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < payload; ) {
    const left = payload - offset;
    const size = kept !== null ? kept[pieces.length]! : left > room ? room & ~7 : left;
    if (size <= 0) return null;
    const piece = new Uint8Array(header + size);
    piece.set(bytes.subarray(0, header));
    piece.set(bytes.subarray(header + offset, header + offset + size), header);
    if (start + offset > 0 && pieces.length > 0) dropUncopiedOptions(piece, header);
    const more = offset + size < payload ? MORE_FRAGMENTS : notLast;
    writeUint16(piece, 2, piece.length);
    writeUint16(piece, 6, dontFragment | more | ((start + offset) >> 3));
    writeUint16(piece, 10, 0);
    writeUint16(piece, 10, internetChecksum(piece, 0, header));
    pieces.push(piece);
    offset += size;
  }
  return pieces;
}

/** Options that stand only in the first fragment (no `copied` bit) become NOPs in the others (`ip_options_fragment`). */
function dropUncopiedOptions(bytes: Uint8Array, header: number): void {
  for (let at = 20; at < header; ) {
    const type = bytes[at]!;
    if (type === 0) return;
    if (type === 1) {
      at++;
      continue;
    }
    const length = at + 1 < header ? bytes[at + 1]! : 0;
    if (length < 2 || at + length > header) return;
    if ((type & 0x80) === 0) bytes.fill(1, at, at + length);
    at += length;
  }
}

/**
 * Where the fragment header of an IPv6 packet goes (`ip6_find_1stfragopt`): behind hop-by-hop and routing headers, and
 * destination options before a routing header. `field` is the offset of the next-header field before it; null if the chain is broken.
 */
export function unfragmentablePart(bytes: Uint8Array): { length: number; field: number } | null {
  let field = 6;
  let offset = 40;
  let routing = false;
  while (offset <= bytes.length) {
    const next = bytes[field]!;
    if (next === Protocol.routing) routing = true;
    else if (next === Protocol.destinationOptions) {
      if (routing) return { length: offset, field };
    } else if (next !== Protocol.hopByHop) return { length: offset, field };
    if (offset + 2 > bytes.length) return null;
    field = offset;
    offset += (bytes[offset + 1]! + 1) << 3;
  }
  return null;
}

/** Headers may have stood in the first fragment that now stand before the fragment header, or the other way round. */
function withFirstFitted(sizes: readonly number[] | null, payload: number): readonly number[] | null {
  if (sizes === null) return null;
  const rest = sizes.slice(1);
  const first = payload - rest.reduce((sum, size) => sum + size, 0);
  return first > 0 ? [first, ...rest] : null;
}

/**
 * The fragments of an IPv6 packet with identification `id`. Null if it may not be cut (a forwarded packet that did not come in
 * fragments, or one that came in larger ones): ICMPv6 2/0 is due. `local`: a packet of this machine may be cut.
 */
export function fragment6(packet: Packet, mtu: number, id: number, local = false): Uint8Array[] | null {
  const { bytes, fragmentMaxSize } = packet;
  if (bytes.length > mtu && !local && !packet.ignoreDontFragment && fragmentMaxSize === 0) return null;
  if (fragmentMaxSize > mtu) return null;
  const fixed = unfragmentablePart(bytes);
  if (fixed === null) return null;
  const limit = fragmentMaxSize > 0 ? Math.max(fragmentMaxSize, IPV6_MINIMUM_MTU) : mtu;
  const room = limit - fixed.length - 8;
  if (room < 8) return null;
  const payload = bytes.length - fixed.length;
  const sizes = withFirstFitted(packet.fragmentSizes, payload);
  const kept = keepsBoundaries(sizes, payload, room) ? sizes : null;
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < payload; ) {
    const left = payload - offset;
    const size = kept !== null ? kept[pieces.length]! : left > room ? room & ~7 : left;
    const piece = new Uint8Array(fixed.length + 8 + size);
    piece.set(bytes.subarray(0, fixed.length));
    piece[fixed.length] = bytes[fixed.field]!;
    piece[fixed.field] = Protocol.fragment;
    writeUint16(piece, fixed.length + 2, offset | (offset + size < payload ? 1 : 0));
    writeUint32(piece, fixed.length + 4, id);
    piece.set(bytes.subarray(fixed.length + offset, fixed.length + offset + size), fixed.length + 8);
    writeUint16(piece, 4, piece.length - 40);
    pieces.push(piece);
    offset += size;
  }
  return pieces;
}
