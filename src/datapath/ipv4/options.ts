import { readUint16, writeUint16, writeUint32 } from '../../packet/bytes.ts';
import { internetChecksum } from '../../packet/checksum.ts';
import { type Packet, PacketType } from '../../packet/packet.ts';
import { addressOf, type Kernel } from '../kernel.ts';

/** Option numbers (RFC 791, include/uapi/linux/ip.h). */
const Option = {
  end: 0,
  noop: 1,
  recordRoute: 7,
  timestamp: 68,
  looseRoute: 131,
  strictRoute: 137,
  routerAlert: 148,
} as const;

const DAY = 86_400_000;

/** Where the options lie that routing and forwarding have to do with; 0: there is none. */
export interface OptionPlaces {
  recordRoute: number;
  timestamp: number;
  /** The timestamp option records addresses, and this machine's turn was now. */
  timestampAddress: boolean;
  sourceRoute: number;
  strict: boolean;
}

/** The byte of the header that is wrong. */
export interface OptionProblem {
  pointer: number;
}

/**
 * Reads the options of a received, routed packet and fills in what the machine has to record, as `ip_options_compile` does:
 * the address of its own side in record-route and timestamp options, the time of day.
 */
export function readOptions(kernel: Kernel, packet: Packet): OptionPlaces | OptionProblem {
  const { bytes, headerLength } = packet;
  const places: OptionPlaces = { recordRoute: 0, timestamp: 0, timestampAddress: false, sourceRoute: 0, strict: false };
  let changed = false;
  let at = 20;
  while (at < headerLength) {
    const kind = bytes[at]!;
    if (kind === Option.end) {
      for (at++; at < headerLength; at++) {
        if (bytes[at] !== Option.end) {
          bytes[at] = Option.end;
          changed = true;
        }
      }
      break;
    }
    if (kind === Option.noop) {
      at++;
      continue;
    }
    const left = headerLength - at;
    if (left < 2) return { pointer: at };
    const length = bytes[at + 1]!;
    if (length < 2 || length > left) return { pointer: at };
    const next = bytes[at + 2]!;
    switch (kind) {
      case Option.looseRoute:
      case Option.strictRoute:
        if (length < 3) return { pointer: at + 1 };
        if (next < 4) return { pointer: at + 2 };
        if (places.sourceRoute !== 0) return { pointer: at };
        places.sourceRoute = at;
        places.strict = kind === Option.strictRoute;
        break;
      case Option.recordRoute:
        if (places.recordRoute !== 0) return { pointer: at };
        if (length < 3) return { pointer: at + 1 };
        if (next < 4) return { pointer: at + 2 };
        if (next <= length) {
          if (next + 3 > length) return { pointer: at + 2 };
          writeUint32(bytes, at + next - 1, ownAddress(kernel, packet));
          bytes[at + 2] = next + 4;
          changed = true;
          places.recordRoute = at;
        }
        break;
      case Option.timestamp: {
        if (places.timestamp !== 0) return { pointer: at };
        if (length < 4) return { pointer: at + 1 };
        if (next < 5) return { pointer: at + 2 };
        const wrong = stampTime(kernel, packet, at, places);
        if (wrong !== 0) return { pointer: at + wrong };
        changed = true;
        break;
      }
      case Option.routerAlert:
        if (length < 4) return { pointer: at + 1 };
        break;
    }
    at += length;
  }
  if (changed) sealHeader(packet);
  return places;
}

/** Fills in a timestamp option; the offset of the byte that is wrong, or 0. */
function stampTime(kernel: Kernel, packet: Packet, at: number, places: OptionPlaces): number {
  const { bytes } = packet;
  const length = bytes[at + 1]!;
  const next = bytes[at + 2]!;
  const flags = bytes[at + 3]! & 0xf;
  if (next > length) {
    const overflow = bytes[at + 3]! >>> 4;
    if (overflow === 15) return 3;
    bytes[at + 3] = flags | ((overflow + 1) << 4);
    return 0;
  }
  if (next + 3 > length) return 2;
  places.timestamp = at;
  let timeAt = -1;
  switch (flags) {
    case 0:
      timeAt = at + next - 1;
      bytes[at + 2] = next + 4;
      break;
    case 1:
      if (next + 7 > length) return 2;
      writeUint32(bytes, at + next - 1, ownAddress(kernel, packet));
      timeAt = at + next + 3;
      places.timestampAddress = true;
      bytes[at + 2] = next + 8;
      break;
    case 3: {
      if (next + 7 > length) return 2;
      const wanted = ((readUint16(bytes, at + next - 1) << 16) | readUint16(bytes, at + next + 1)) >>> 0;
      if (kernel.host.addressType(4, [wanted, 0, 0, 0]) === 'UNICAST') return 0;
      timeAt = at + next + 3;
      bytes[at + 2] = next + 8;
      break;
    }
  }
  if (timeAt >= 0) writeUint32(bytes, timeAt, Math.floor(kernel.clock.real / 1000) % DAY);
  return 0;
}

/** The address that this machine writes for the way in (fib_compute_spec_dst). */
function ownAddress(kernel: Kernel, packet: Packet): number {
  if (packet.route?.type === 'local' && packet.packetType === PacketType.host) return packet.dst[0]!;
  return kernel.host.sourceAddress(4, packet.inDevice!, addressOf(packet.src))?.[0] ?? 0;
}

/** A forwarded packet gets the address of the way out into the place that was filled on the way in (ip_forward_options). */
export function recordWayOut(kernel: Kernel, packet: Packet): void {
  const { bytes, headerLength } = packet;
  const route = packet.route!;
  let at = 20;
  while (at < headerLength) {
    const kind = bytes[at]!;
    if (kind === Option.end) break;
    if (kind === Option.noop) {
      at++;
      continue;
    }
    const length = bytes[at + 1]!;
    const next = bytes[at + 2]!;
    const back = kind === Option.recordRoute ? 5 : kind === Option.timestamp && (bytes[at + 3]! & 0xf) === 1 ? 9 : 0;
    if (back !== 0 && next - back >= 3) {
      const source =
        route.preferredSource ?? kernel.host.sourceAddress(4, route.device!, route.gateway ?? addressOf(packet.dst));
      if (source !== null) writeUint32(bytes, at + next - back, source[0]!);
    }
    at += length;
  }
  sealHeader(packet);
}

/** Whether a strict source route is among the options. */
export function isStrictlyRouted(packet: Packet): boolean {
  const { bytes, headerLength } = packet;
  for (let at = 20; at < headerLength; ) {
    const kind = bytes[at]!;
    if (kind === Option.end) return false;
    if (kind === Option.strictRoute) return true;
    at += kind === Option.noop ? 1 : Math.max(2, bytes[at + 1]!);
  }
  return false;
}

function sealHeader(packet: Packet): void {
  const { bytes, headerLength } = packet;
  writeUint16(bytes, 10, 0);
  writeUint16(bytes, 10, internetChecksum(bytes, 0, headerLength));
}
