import { readUint16 } from '../../packet/bytes.ts';
import { jhash2 } from '../../packet/jhash.ts';
import type { Packet } from '../../packet/packet.ts';
import { Protocol, portsOffset } from '../../packet/protocol.ts';
import { HZ, jiffiesAt, millisecondsToJiffies } from '../jiffies.ts';

/** Bits of `HashlimitConfig.mode` (XT_HASHLIMIT_*). */
export const Mode = {
  destination: 1 << 0,
  destinationPort: 1 << 1,
  source: 1 << 2,
  sourcePort: 1 << 3,
  invert: 1 << 4,
  bytes: 1 << 5,
  rateMatch: 1 << 6,
} as const;
export const KEY_MODES = Mode.destination | Mode.destinationPort | Mode.source | Mode.sourcePort;

/** `struct hashlimit_cfg3`. */
export interface HashlimitConfig {
  mode: number;
  /** Time for one packet in microseconds; for bytes the cost of 16 of them. */
  average: number;
  burst: number;
  size: number;
  max: number;
  /** Milliseconds. */
  gcInterval: number;
  /** Milliseconds. */
  expire: number;
  sourceMask: number;
  destinationMask: number;
  /** Seconds. */
  interval: number;
}

/** XT_HASHLIMIT_SCALE_v2 */
export const SCALE = 1_000_000;
/** XT_HASHLIMIT_BYTE_SHIFT, as a factor. */
export const CHUNK = 16;
/** Credits of a tick: 2^39 when packets are counted, 2^24 when bytes are. */
const CREDITS_PER_JIFFY = 2 ** 39;
const CREDITS_PER_JIFFY_BYTES = 2 ** 24;
const BYTE_CAP = CREDITS_PER_JIFFY_BYTES * HZ;
/** What `user2credits` multiplies with. */
const CREDITS_PER_USER = Math.floor((HZ * CREDITS_PER_JIFFY) / SCALE);

/** `user2credits` overflows 64 bits for this rate and burst. */
export function overflows(average: number, burst: number): boolean {
  const wide = (user: bigint): bigint => BigInt.asUintN(64, user * BigInt(CREDITS_PER_USER));
  return wide(BigInt.asUintN(64, BigInt(average) * BigInt(burst))) < wide(BigInt(average));
}

/** `user2credits_byte`: the cost of 16 bytes. */
export function byteCost(average: number): number {
  return Number((BigInt(average) * BigInt(BYTE_CAP)) >> 32n);
}

/** `user2rate_bytes`: bytes a second. */
export function bytesPerSecond(cost: number): number {
  return ((cost === 0 ? 0xffffffff : Math.floor(0xffffffff / cost)) - 1) * CHUNK;
}

/** One group of packets (`struct dsthash_ent`). */
interface Entry {
  /** Source, destination (four words each), ports. */
  key: number[];
  /** Ticks. */
  expires: number;
  previous: number;
  /** Packet mode: whole packets that may pass, and credits towards the next. Byte mode: credits in `rest`, refills in `packets`. */
  packets: number;
  rest: number;
  /** Rate match: what came in this window, and whether the window before was over the rate. */
  current: number;
  overBefore: boolean;
}

/** A named table, shared by the rules of a family that give its name; the first rule's settings hold for all. Plain data. */
export interface HashlimitTable {
  config: HashlimitConfig;
  count: number;
  buckets: Map<number, Entry[]>;
}

/** What the kernel takes with more than 1 GiB of memory where no size is given. */
const DEFAULT_SIZE = 8192;

export function makeTable(config: HashlimitConfig): HashlimitTable {
  const size = config.size === 0 ? DEFAULT_SIZE : config.size;
  const max = config.max === 0 ? 8 * size : Math.max(config.max, size);
  return { config: { ...config, size, max }, count: 0, buckets: new Map() };
}

const key = new Uint32Array(9);

/** Puts the packet's group into `key`; false if it has none, because its ports are cut off. */
function fillKey(config: HashlimitConfig, packet: Packet): boolean {
  key.fill(0);
  const { mode } = config;
  if (mode & Mode.source) maskInto(packet.src, config.sourceMask, 0);
  if (mode & Mode.destination) maskInto(packet.dst, config.destinationMask, 4);
  if ((mode & (Mode.sourcePort | Mode.destinationPort)) === 0) return true;
  // ipv6_skip_exthdr finds nothing behind `no next header`.
  if (packet.protocol === -1 || (packet.family === 6 && packet.protocol === Protocol.noNextHeader)) return false;
  const offset = portsOffset(packet.protocol);
  if (offset < 0) return true;
  const at = packet.transport + offset;
  if (at + 4 > packet.bytes.length) return false;
  const source = mode & Mode.sourcePort ? readUint16(packet.bytes, at) : 0;
  const destination = mode & Mode.destinationPort ? readUint16(packet.bytes, at + 2) : 0;
  key[8] = source * 0x10000 + destination;
  return true;
}

function maskInto(address: Uint32Array, length: number, at: number): void {
  for (let i = 0; i < 4; i++) {
    const bits = length - 32 * i;
    if (bits <= 0) return;
    key[at + i] = bits >= 32 ? address[i]! : (address[i]! & (0xffffffff << (32 - bits))) >>> 0;
  }
}

/**
 * Whether the collector has taken the entry away. It runs every `gcInterval` from a moment that nobody knows, so an expired
 * entry lives on for up to that long: the whole of it is granted here.
 */
function isCollected(table: HashlimitTable, entry: Entry, now: number): boolean {
  return now >= entry.expires + millisecondsToJiffies(table.config.gcInterval);
}

function find(table: HashlimitTable, hash: number, now: number): Entry | null {
  const bucket = table.buckets.get(hash);
  if (bucket === undefined) return null;
  for (let i = 0; i < bucket.length; i++) {
    const entry = bucket[i]!;
    let j = 0;
    while (j < 9 && entry.key[j] === key[j]) j++;
    if (j < 9) continue;
    if (!isCollected(table, entry, now)) return entry;
    bucket.splice(i, 1);
    table.count--;
    return null;
  }
  return null;
}

function collect(table: HashlimitTable, now: number): void {
  for (const [hash, bucket] of table.buckets) {
    const kept = bucket.filter((entry) => !isCollected(table, entry, now));
    table.count -= bucket.length - kept.length;
    if (kept.length === 0) table.buckets.delete(hash);
    else if (kept.length < bucket.length) table.buckets.set(hash, kept);
  }
}

/** A new entry with all its credit; null when the table is full. */
function insert(table: HashlimitTable, hash: number, now: number): Entry | null {
  const { config } = table;
  if (table.count >= config.max) collect(table, now);
  if (table.count >= config.max) return null;
  const entry: Entry = { key: [...key], expires: 0, previous: now, packets: 0, rest: 0, current: 0, overBefore: false };
  if ((config.mode & Mode.rateMatch) === 0) {
    entry.packets = config.burst;
    if (config.mode & Mode.bytes) entry.rest = BYTE_CAP;
  }
  const bucket = table.buckets.get(hash);
  if (bucket === undefined) table.buckets.set(hash, [entry]);
  else bucket.push(entry);
  table.count++;
  return entry;
}

/** `rateinfo_recalc`: what has come together since the group's last packet. */
function refill(table: HashlimitTable, entry: Entry, now: number): void {
  const passed = now - entry.previous;
  if (passed <= 0) return;
  const { config } = table;
  if (config.mode & Mode.rateMatch) {
    const interval = config.interval * HZ;
    if (passed < interval) return;
    entry.overBefore = entry.current * interval > passed * rateOfTable(config);
    entry.current = 0;
  } else if (config.mode & Mode.bytes) {
    entry.rest = Math.min(entry.rest + CREDITS_PER_JIFFY_BYTES * passed, BYTE_CAP);
  } else {
    const cost = config.average * CREDITS_PER_USER;
    entry.rest += passed * CREDITS_PER_JIFFY;
    if (entry.rest >= cost) {
      const more = Math.floor(entry.rest / cost);
      entry.packets += more;
      entry.rest -= more * cost;
    }
    if (entry.packets >= config.burst) {
      entry.packets = config.burst;
      entry.rest = 0;
    }
  }
  entry.previous = now;
}

function rateOfTable(config: HashlimitConfig): number {
  return config.mode & Mode.bytes ? bytesPerSecond(config.average) : Math.floor(SCALE / config.average);
}

/** What a rate-match rule lets through in one window. */
function windowOf(config: HashlimitConfig): number {
  const rate = rateOfTable(config);
  if (config.mode & Mode.bytes) return config.burst === 0 ? rate : config.burst * rate;
  return config.burst + rate;
}

/**
 * Whether the packet is within its group's limit; counts it. Where the kernel drops it at once, why: ports cut off
 * (`no-group`), or the table `full`. `mode` is that of the rule (`hashlimit_mt_common` in net/netfilter/xt_hashlimit.c).
 */
export function withinLimit(
  table: HashlimitTable,
  mode: number,
  packet: Packet,
  microseconds: number,
): boolean | 'no-group' | 'full' {
  if (!fillKey(table.config, packet)) return 'no-group';
  const now = jiffiesAt(microseconds);
  const hash = jhash2(key, 9, 0);
  let entry = find(table, hash, now);
  if (entry === null) {
    entry = insert(table, hash, now);
    if (entry === null) return 'full';
  } else {
    refill(table, entry, now);
  }
  entry.expires = now + millisecondsToJiffies(table.config.expire);
  if (mode & Mode.rateMatch) {
    entry.current += mode & Mode.bytes ? packet.bytes.length : 1;
    return !entry.overBefore && entry.current <= windowOf(table.config);
  }
  if (mode & Mode.bytes) {
    const chunks = Math.floor(packet.bytes.length / CHUNK) + 1;
    const cost = Math.min(chunks * byteCost(table.config.average), BYTE_CAP);
    if (entry.rest < cost && entry.packets > 0) {
      entry.packets--;
      entry.rest = BYTE_CAP;
    }
    if (entry.rest < cost) return false;
    entry.rest -= cost;
    return true;
  }
  if (entry.packets === 0) return false;
  entry.packets--;
  return true;
}
