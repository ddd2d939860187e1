/** IPv4 options as a host and router treat them (`ip_options_compile`, `ip_options_forward`, net/ipv4/ip_options.c). */
import { readUint32, writeUint16, writeUint32 } from './bytes.ts';
import { internetChecksum } from './checksum.ts';

/** Bytes before the options. */
const HEADER = 20;
const END = 0;
const NOOP = 1;
const RECORD_ROUTE = 7;
const TIMESTAMP = 68;
const LOOSE_ROUTE = 131;
const COMMERCIAL_SECURITY = 134;
const STRICT_ROUTE = 137;
const ROUTER_ALERT = 148;

/** What the options of a packet are; offsets from the IP header, 0 for none. */
export interface Ipv4Options {
  /** Offset of the byte that is wrong (the pointer of ICMP 12/0), or -1. */
  errorPointer: number;
  sourceRoute: number;
  strict: boolean;
  /** Where the source route leads from here (`srr_is_hit`); null where it leads nowhere any more, or this machine is not on it. */
  nextHop: number | null;
  recordRoute: number;
  /** A router is to write its address there. */
  recordRouteNeedsAddress: boolean;
  timestamp: number;
  timestampNeedsAddress: boolean;
  timestampNeedsTime: boolean;
  routerAlert: number;
  /** CIPSO; always an error, which shows it. */
  security: number;
  /** Bytes of the header were changed; its checksum is made anew only when the packet is forwarded. */
  changed: boolean;
}

/** What a received packet's options need to know of the machine. */
export interface Ipv4OptionsHost {
  /** The machine's address for this packet (`fib_compute_spec_dst`): written where an address is wanted. */
  ownAddress: number;
  /** Milliseconds since midnight UT. */
  timestamp: number;
  /** True if the address is not one of this machine's (prespecified timestamps). */
  isForeign(address: number): boolean;
}

function noOptions(): Ipv4Options {
  return {
    errorPointer: -1,
    sourceRoute: 0,
    strict: false,
    nextHop: null,
    recordRoute: 0,
    recordRouteNeedsAddress: false,
    timestamp: 0,
    timestampNeedsAddress: false,
    timestampNeedsTime: false,
    routerAlert: 0,
    security: 0,
    changed: false,
  };
}

/**
 * Reads the options of the packet whose IPv4 header is at the beginning of `bytes`, writes this machine's address and time where record
 * route and timestamp ask for it, and moves their pointers on. With an error the bytes before it may have changed.
 */
export function compileOptions4(bytes: Uint8Array, host: Ipv4OptionsHost): Ipv4Options {
  const options = noOptions();
  const end = (bytes[0]! & 15) * 4;
  let at = 20;
  while (at < end) {
    const type = bytes[at]!;
    if (type === END) {
      for (at++; at < end; at++) {
        if (bytes[at] !== END) {
          bytes[at] = END;
          options.changed = true;
        }
      }
      break;
    }
    if (type === NOOP) {
      at++;
      continue;
    }
    const length = at + 1 < end ? bytes[at + 1]! : 0;
    const error = length < 2 || at + length > end ? at : readOption(bytes, at, type, length, options, host);
    if (error >= 0) {
      options.errorPointer = error;
      return options;
    }
    at += length;
  }
  return options;
}

/** Reads one option; gives the offset of what is wrong, or -1. */
function readOption(
  bytes: Uint8Array,
  at: number,
  type: number,
  length: number,
  options: Ipv4Options,
  host: Ipv4OptionsHost,
): number {
  const pointer = bytes[at + 2]!;
  switch (type) {
    case STRICT_ROUTE:
    case LOOSE_ROUTE:
      if (length < 3) return at + 1;
      if (pointer < 4) return at + 2;
      if (options.sourceRoute !== 0) return at;
      options.sourceRoute = at;
      options.strict = type === STRICT_ROUTE;
      return -1;
    case COMMERCIAL_SECURITY:
      // No domain of interpretation is known (cipso_v4_validate).
      options.security = at;
      return length < 8 ? at + 1 : at + 2;
    case RECORD_ROUTE:
      if (options.recordRoute !== 0) return at;
      if (length < 3) return at + 1;
      if (pointer < 4) return at + 2;
      if (pointer <= length) {
        if (pointer + 3 > length) return at + 2;
        writeUint32(bytes, at + pointer - 1, host.ownAddress);
        bytes[at + 2] = pointer + 4;
        options.recordRouteNeedsAddress = true;
        options.changed = true;
      }
      options.recordRoute = at;
      return -1;
    case TIMESTAMP:
      return readTimestamp(bytes, at, length, options, host);
    case ROUTER_ALERT:
      if (length < 4) return at + 1;
      if (bytes[at + 2] === 0 && bytes[at + 3] === 0) options.routerAlert = at;
      return -1;
    default:
      return -1;
  }
}

function readTimestamp(
  bytes: Uint8Array,
  at: number,
  length: number,
  options: Ipv4Options,
  host: Ipv4OptionsHost,
): number {
  const pointer = bytes[at + 2]!;
  if (options.timestamp !== 0) return at;
  if (length < 4) return at + 1;
  if (pointer < 5) return at + 2;
  const kind = bytes[at + 3]! & 15;
  if (pointer <= length) {
    if (pointer + 3 > length) return at + 2;
    let time = -1;
    if (kind === 0) {
      time = at + pointer - 1;
      bytes[at + 2] = pointer + 4;
    } else if (kind === 1) {
      if (pointer + 7 > length) return at + 2;
      writeUint32(bytes, at + pointer - 1, host.ownAddress);
      time = at + pointer + 3;
      options.timestampNeedsAddress = true;
      bytes[at + 2] = pointer + 8;
    } else if (kind === 3) {
      if (pointer + 7 > length) return at + 2;
      if (!host.isForeign(readUint32(bytes, at + pointer - 1))) {
        time = at + pointer + 3;
        bytes[at + 2] = pointer + 8;
      }
    }
    if (time >= 0) {
      writeUint32(bytes, time, host.timestamp);
      options.timestampNeedsTime = true;
      options.changed = true;
    }
  } else if (kind !== 3) {
    const overflow = bytes[at + 3]! >>> 4;
    if (overflow === 15) return at + 3;
    bytes[at + 3] = kind | ((overflow + 1) << 4);
    options.changed = true;
  }
  options.timestamp = at;
  return -1;
}

/**
 * What a router does with the options of a packet that it forwards: its outgoing address goes into a route that is recorded (a timestamp keeps that of
 * the way in) and in the place of the next hop of a source route, which becomes the destination; the checksum is made anew.
 */
export function forwardOptions4(bytes: Uint8Array, options: Ipv4Options, outgoingAddress: number): void {
  if (options.recordRouteNeedsAddress) {
    const at = options.recordRoute;
    writeUint32(bytes, at + bytes[at + 2]! - 5, outgoingAddress);
  }
  if (options.nextHop !== null) {
    leaveSourceRoute(bytes, options, options.nextHop, outgoingAddress);
    if (options.timestampNeedsAddress) {
      const at = options.timestamp;
      writeUint32(bytes, at + bytes[at + 2]! - 9, outgoingAddress);
    }
  }
  if (options.changed) {
    writeUint16(bytes, 10, 0);
    writeUint16(bytes, 10, internetChecksum(bytes, 0, (bytes[0]! & 15) * 4));
  }
}

function leaveSourceRoute(bytes: Uint8Array, options: Ipv4Options, nextHop: number, outgoingAddress: number): void {
  const at = options.sourceRoute;
  const length = bytes[at + 1]!;
  let pointer = bytes[at + 2]!;
  while (pointer + 3 <= length && readUint32(bytes, at + pointer - 1) !== nextHop) pointer += 4;
  if (pointer + 3 > length) return;
  writeUint32(bytes, 16, nextHop);
  writeUint32(bytes, at + pointer - 1, outgoingAddress);
  bytes[at + 2] = pointer + 4;
}

/** The options of an answer; `via`: to whom it goes first, where the packet came by a source route; `options`: what they are, of the answer. */
export interface EchoedOptions {
  bytes: Uint8Array;
  via: number | null;
  options: Ipv4Options | null;
}

/**
 * The options of an answer to the packet whose compiled options those are (`ip_options_echo`, `ip_options_build`): record route and
 * timestamp go on where they were, a source route is taken backwards, the rest is left out. `host.ownAddress` is the answer's source. Padded to
 * four bytes; empty if there is nothing to echo, null if no answer can be made.
 */
export function echoOptions4(bytes: Uint8Array, options: Ipv4Options, host: Ipv4OptionsHost): EchoedOptions | null {
  const echoed: number[] = [];
  const answer = noOptions();
  if (options.recordRoute !== 0) {
    const option = echoRecordRoute(bytes, options, host, answer);
    if (option === null) return null;
    answer.recordRoute = HEADER;
    echoed.push(...option);
  }
  if (options.timestamp !== 0) {
    const option = echoTimestamp(bytes, options, host, answer);
    if (option === null) return null;
    answer.timestamp = HEADER + echoed.length;
    echoed.push(...option);
  }
  const back = routeBack(bytes, options);
  if (back !== null) {
    answer.sourceRoute = HEADER + echoed.length;
    answer.strict = options.strict;
    echoed.push(...back.option);
  }
  if (options.security !== 0) {
    const at = options.security;
    answer.security = HEADER + echoed.length;
    echoed.push(...bytes.subarray(at, at + bytes[at + 1]!));
  }
  while (echoed.length % 4 !== 0) echoed.push(END);
  return { bytes: Uint8Array.from(echoed), via: back?.via ?? null, options: echoed.length === 0 ? null : answer };
}

/** The source route of an answer: the places that the packet has passed, the last one first, and at its end the packet's sender. */
export function routeBack(bytes: Uint8Array, options: Ipv4Options): { option: number[]; via: number } | null {
  const at = options.sourceRoute;
  if (at === 0) return null;
  const length = bytes[at + 1]!;
  let place = Math.min(bytes[at + 2]!, length + 1) - 4;
  if (place <= 3) return null;
  const via = readUint32(bytes, at + place - 1);
  const passed: number[] = [];
  for (place -= 4; place > 3; place -= 4) passed.push(...bytes.subarray(at + place - 1, at + place + 3));
  const sender = [...bytes.subarray(12, 16)];
  // A sender that stands first in the route too is not named twice (RFC 1812 5.3.13.4).
  const first = bytes.subarray(at + place + 3, at + place + 7);
  if (sender.every((octet, i) => octet === first[i])) {
    if (passed.length === 0) return null;
    passed.splice(-4);
  }
  return { option: [bytes[at]!, passed.length + 7, 4, ...passed, ...sender], via };
}

function echoRecordRoute(
  bytes: Uint8Array,
  options: Ipv4Options,
  host: Ipv4OptionsHost,
  answer: Ipv4Options,
): Uint8Array | null {
  const at = options.recordRoute;
  const length = bytes[at + 1]!;
  const pointer = bytes[at + 2]!;
  const echo = bytes.slice(at, at + length);
  if (options.recordRouteNeedsAddress && pointer <= length) {
    if (pointer + 3 > length) return null;
    echo[2] = pointer + 4;
    writeUint32(echo, pointer - 1, host.ownAddress);
    answer.recordRouteNeedsAddress = true;
  }
  return echo;
}

function echoTimestamp(
  bytes: Uint8Array,
  options: Ipv4Options,
  host: Ipv4OptionsHost,
  answer: Ipv4Options,
): Uint8Array | null {
  const at = options.timestamp;
  const length = bytes[at + 1]!;
  let pointer = bytes[at + 2]!;
  const echo = bytes.slice(at, at + length);
  if (pointer > length) return echo;
  let addressAt = -1;
  let timeAt = -1;
  if (options.timestampNeedsAddress) {
    if (pointer + 3 > length) return null;
    addressAt = pointer - 1;
    pointer += 4;
  }
  if (options.timestampNeedsTime) {
    if (pointer + 3 > length) return null;
    if ((echo[3]! & 15) !== 3) {
      timeAt = pointer - 1;
      pointer += 4;
    } else if (pointer + 7 <= length && !host.isForeign(readUint32(echo, pointer - 1))) {
      timeAt = pointer + 3;
      pointer += 8;
    }
  }
  echo[2] = pointer;
  answer.timestampNeedsAddress = addressAt >= 0;
  answer.timestampNeedsTime = timeAt >= 0;
  if (addressAt >= 0) writeUint32(echo, addressAt, host.ownAddress);
  if (timeAt >= 0) writeUint32(echo, timeAt, host.timestamp);
  return echo;
}
