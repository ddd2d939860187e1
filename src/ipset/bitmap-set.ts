import type { HookState } from '../datapath/hooks.ts';
import type { Packet } from '../packet/packet.ts';
import type { CreateOptions, Entry } from './entry.ts';
import { netmask4 } from './entry.ts';
import { SetError } from './errors.ts';
import type { PacketTest, SetClock } from './extensions.ts';
import { ExtensionStore, newExtensions } from './extensions.ts';
import { packetMac, packetPort } from './packet-fields.ts';
import type { Change, IpSet, PacketChange, SetFamily, SetHeader } from './set.ts';
import { Feature, packetExtensions } from './set.ts';

export type BitmapKind = 'bitmap:ip' | 'bitmap:ip,mac' | 'bitmap:port';

const MAX_ELEMENTS = 65536;
const PORT = { port: 0, protocol: 0 };

/** Bytes of the kernel's structure of the set. */
const STRUCTURE_SIZE: Readonly<Record<BitmapKind, number>> = {
  'bitmap:ip': 88,
  'bitmap:ip,mac': 80,
  'bitmap:port': 72,
};

/** Where a bitmap begins and ends and what one bit stands for. */
interface BitmapRange {
  first: number;
  last: number;
  elements: number;
  /** Addresses for each bit. */
  hosts: number;
  netmask: number;
}

/** Reads the range of `create`; an error code if it cannot be (bitmap_*_create). */
export function bitmapRange(kind: BitmapKind, options: CreateOptions): BitmapRange | number {
  if (kind === 'bitmap:port') {
    const a = options.port!;
    const b = options.portTo!;
    const first = Math.min(a, b);
    const last = Math.max(a, b);
    return { first, last, elements: last - first + 1, hosts: 1, netmask: 32 };
  }
  let first = options.ip![0]!;
  let last: number;
  if (options.ipTo !== undefined) {
    last = options.ipTo[0]!;
    if (first > last) [first, last] = [last, first];
  } else if (options.cidr !== undefined) {
    if (options.cidr >= 32) return SetError.invalidCidr;
    const mask = netmask4(options.cidr);
    first = (first & mask) >>> 0;
    last = (first | ~mask) >>> 0;
  } else {
    return SetError.protocol;
  }
  const netmask = options.netmask ?? 32;
  let hosts = 1;
  let elements = last - first + 1;
  if (netmask !== 32) {
    const mask = netmask4(netmask);
    first = (first & mask) >>> 0;
    last = (last | ~mask) >>> 0;
    const bits = rangePrefix(first, last);
    if (bits === null || netmask <= bits) return SetError.bitmapRange;
    hosts = 2 ** (32 - netmask);
    elements = 2 ** (netmask - bits);
  }
  if (elements > MAX_ELEMENTS) return SetError.bitmapRangeSize;
  return { first, last, elements, hosts, netmask };
}

/** The prefix of the network that a range is; null if it is none (range_to_mask). */
function rangePrefix(first: number, last: number): number | null {
  let mask = 0xfffffffe;
  let bits = 32;
  while (--bits > 0 && mask !== 0 && (last & mask) >>> 0 !== first) mask = (mask << 1) >>> 0;
  return mask === 0 && (first !== 0 || last !== 0xffffffff) ? null : bits;
}

/** bitmap:ip, bitmap:ip,mac and bitmap:port (net/netfilter/ipset/ip_set_bitmap_*.c). */
export class BitmapSet implements IpSet {
  name: string;
  readonly kind: BitmapKind;
  readonly range: BitmapRange;
  readonly extensions: ExtensionStore;
  memberOf = 0;
  private readonly members: Uint8Array;
  /** bitmap:ip,mac: seven bytes each, the address and whether there is one. */
  private readonly macs: Uint8Array;
  private elements = 0;
  private readonly given = newExtensions();

  constructor(kind: BitmapKind, name: string, range: BitmapRange, options: CreateOptions, clock: SetClock) {
    this.kind = kind;
    this.name = name;
    this.range = range;
    this.extensions = new ExtensionStore(options, clock, range.elements);
    this.members = new Uint8Array(range.elements);
    this.macs = new Uint8Array(kind === 'bitmap:ip,mac' ? 7 * range.elements : 0);
  }

  get typeName(): string {
    return this.kind;
  }

  get family(): SetFamily {
    return this.kind === 'bitmap:port' ? 0 : 4;
  }

  get dimension(): number {
    return this.kind === 'bitmap:ip,mac' ? 2 : 1;
  }

  get features(): number {
    if (this.kind === 'bitmap:port') return Feature.port;
    return this.kind === 'bitmap:ip' ? Feature.ip : Feature.ip | Feature.mac;
  }

  change(change: Change, entry: Entry, exist: boolean): number {
    return this.kind === 'bitmap:port'
      ? this.changePorts(change, entry, exist)
      : this.changeAddresses(change, entry, exist);
  }

  testPacket(packet: Packet, _at: HookState, directions: readonly boolean[], test: PacketTest): number {
    const id = this.packetId(packet, directions);
    if (id < 0) return id;
    const state = this.stateOf(id, this.packetMacOf(packet, directions));
    if (state !== 1) return state;
    return this.extensions.match(id, test) ? 1 : 0;
  }

  addPacket(packet: Packet, _at: HookState, change: PacketChange): number {
    const id = this.packetId(packet, change.directions);
    if (id < 0) return -id;
    packetExtensions(this.extensions, packet, change, this.given);
    return this.add(id, this.packetMacOf(packet, change.directions), change.exist);
  }

  deletePacket(packet: Packet, _at: HookState, change: PacketChange): number {
    const id = this.packetId(packet, change.directions);
    return id < 0 ? -id : this.remove(id);
  }

  flush(): void {
    for (let id = 0; id < this.members.length; id++) if (this.members[id]) this.extensions.drop(id);
    this.members.fill(0);
    this.elements = 0;
    this.extensions.commentBytes = 0;
  }

  header(): SetHeader {
    const { range, extensions } = this;
    const header: SetHeader = {
      counters: extensions.hasCounters,
      comment: extensions.hasComment,
      skbinfo: extensions.hasSkbinfo,
      elements: this.elements,
      memory:
        STRUCTURE_SIZE[this.kind] +
        8 * Math.ceil(range.elements / 64) +
        range.elements *
          extensions.elementSize(this.kind === 'bitmap:ip,mac' ? 8 : 0, this.kind === 'bitmap:ip,mac' ? 8 : 1) +
        extensions.commentBytes,
    };
    if (extensions.timeout !== null) header.timeout = extensions.timeout;
    if (this.kind === 'bitmap:port') {
      header.port = range.first;
      header.portTo = range.last;
    } else {
      header.ip = [range.first];
      header.ipTo = [range.last];
      if (range.netmask !== 32) header.netmask = range.netmask;
    }
    return header;
  }

  forEach(visit: (entry: Entry) => void): void {
    for (let id = 0; id < this.members.length; id++) {
      if (!this.members[id]) continue;
      const filled = this.kind !== 'bitmap:ip,mac' || this.macs[7 * id + 6] === 1;
      if (filled && this.extensions.expired(id)) continue;
      const entry: Entry = {};
      if (this.kind === 'bitmap:port') entry.port = this.range.first + id;
      else entry.ip = [this.range.first + id * this.range.hosts];
      if (this.kind === 'bitmap:ip,mac' && filled) entry.ether = [...this.macs.subarray(7 * id, 7 * id + 6)];
      this.extensions.list(id, entry, !filled);
      visit(entry);
    }
  }

  sameAs(other: IpSet): boolean {
    return (
      other instanceof BitmapSet &&
      this.range.first === other.range.first &&
      this.range.last === other.range.last &&
      this.range.netmask === other.range.netmask &&
      this.extensions.sameAs(other.extensions)
    );
  }

  private changeAddresses(change: Change, entry: Entry, exist: boolean): number {
    const { range } = this;
    let ip = entry.ip![0]!;
    const error = this.extensions.read(entry, this.given);
    if (error !== 0) return error;
    if (ip < range.first || ip > range.last) return SetError.bitmapRange;
    const mac = this.kind === 'bitmap:ip,mac' ? (entry.ether ?? null) : null;
    if (change === 'test')
      return this.stateOf(this.idOf(ip), mac) !== 0 && !this.gone(this.idOf(ip)) ? 0 : SetError.elementExists;
    let to = ip;
    if (this.kind === 'bitmap:ip' && entry.ipTo !== undefined) {
      to = entry.ipTo[0]!;
      if (ip > to) {
        [ip, to] = [to, ip];
        if (ip < range.first) return SetError.bitmapRange;
      }
    } else if (this.kind === 'bitmap:ip' && entry.cidr !== undefined) {
      if (entry.cidr === 0 || entry.cidr > 32) return SetError.invalidCidr;
      const mask = netmask4(entry.cidr);
      ip = (ip & mask) >>> 0;
      to = (ip | ~mask) >>> 0;
      if (ip < range.first) return SetError.bitmapRange;
    }
    if (to > range.last) return SetError.bitmapRange;
    for (; ip <= to; ip += range.hosts) {
      const failed = this.changeOne(change, this.idOf(ip), mac, exist);
      if (failed !== 0) return failed;
    }
    return 0;
  }

  private changePorts(change: Change, entry: Entry, exist: boolean): number {
    const { range } = this;
    let port = entry.port!;
    if (port < range.first || port > range.last) return SetError.bitmapRange;
    const error = this.extensions.read(entry, this.given);
    if (error !== 0) return error;
    if (change === 'test') {
      const id = port - range.first;
      return this.stateOf(id, null) !== 0 && !this.gone(id) ? 0 : SetError.elementExists;
    }
    let to = entry.portTo ?? port;
    if (port > to) {
      [port, to] = [to, port];
      if (port < range.first) return SetError.bitmapRange;
    }
    if (to > range.last) return SetError.bitmapRange;
    for (; port <= to; port++) {
      const failed = this.changeOne(change, port - range.first, null, exist);
      if (failed !== 0) return failed;
    }
    return 0;
  }

  private changeOne(change: Change, id: number, mac: ArrayLike<number> | null, exist: boolean): number {
    const error = change === 'add' ? this.add(id, mac, exist) : this.remove(id);
    return error === SetError.elementExists && exist ? 0 : error;
  }

  private idOf(ip: number): number {
    return Math.floor(((ip & netmask4(this.range.netmask)) >>> 0) - this.range.first) / this.range.hosts;
  }

  private gone(id: number): boolean {
    const filled = this.kind !== 'bitmap:ip,mac' || this.macs[7 * id + 6] === 1;
    return filled && this.extensions.expired(id);
  }

  /** 1: there, 0: not, -EAGAIN: there, but the MAC address is open. */
  private stateOf(id: number, mac: ArrayLike<number> | null): number {
    if (!this.members[id]) return 0;
    if (this.kind !== 'bitmap:ip,mac') return 1;
    if (mac !== null && this.macs[7 * id + 6] === 1) return this.hasMac(id, mac) ? 1 : 0;
    return -SetError.again;
  }

  private hasMac(id: number, mac: ArrayLike<number>): boolean {
    for (let i = 0; i < 6; i++) if (this.macs[7 * id + i] !== mac[i]) return false;
    return true;
  }

  private putMac(id: number, mac: ArrayLike<number>): void {
    for (let i = 0; i < 6; i++) this.macs[7 * id + i] = mac[i]!;
    this.macs[7 * id + 6] = 1;
  }

  private add(id: number, mac: ArrayLike<number> | null, exist: boolean): number {
    const store = this.extensions;
    const present = this.members[id] === 1;
    const withMac = this.kind === 'bitmap:ip,mac';
    const filled = withMac && present && this.macs[7 * id + 6] === 1;
    // An address whose MAC was open gets one now: its stored timeout starts.
    const completes = withMac && present && !filled && mac !== null;
    if (filled && mac !== null && exist && !this.hasMac(id, mac)) this.putMac(id, mac);
    let expired = false;
    if (present && !completes) {
      expired = store.timeout !== null && store.expired(id);
      if (!expired && !exist) return SetError.elementExists;
      store.drop(id);
    }
    if (withMac && mac !== null && (!present || completes)) this.putMac(id, mac);
    if (withMac && mac === null && !present) this.macs[7 * id + 6] = 0;
    if (!present) this.elements++;
    if (store.timeout !== null) {
      const seconds = this.given.timeout;
      if (completes) store.setTimeout(id, seconds === store.timeout ? store.expiries[id]! : seconds);
      else if (!withMac || mac !== null) store.setTimeout(id, seconds);
      else store.expiries[id] = seconds;
    }
    store.write(id, this.given);
    this.members[id] = 1;
    return 0;
  }

  private remove(id: number): number {
    if (!this.members[id]) return SetError.elementExists;
    this.members[id] = 0;
    this.extensions.drop(id);
    this.elements--;
    return this.extensions.timeout !== null && this.extensions.expired(id) ? SetError.elementExists : 0;
  }

  /** The bit that a packet stands for, or a negative error code. */
  private packetId(packet: Packet, directions: readonly boolean[]): number {
    const { range } = this;
    if (this.kind === 'bitmap:port') {
      if (!packetPort(packet, directions[0]!, PORT)) return -SetError.invalid;
      if (PORT.protocol !== 6 && PORT.protocol !== 17) return -SetError.invalid;
      if (PORT.port < range.first || PORT.port > range.last) return -SetError.bitmapRange;
      return PORT.port - range.first;
    }
    const ip = directions[0]! ? packet.src[0]! : packet.dst[0]!;
    if (ip < range.first || ip > range.last) return -SetError.bitmapRange;
    if (this.kind === 'bitmap:ip,mac' && packetMac(packet, directions[1]!) < 0) return -SetError.invalid;
    return this.idOf(ip);
  }

  private packetMacOf(packet: Packet, directions: readonly boolean[]): Uint8Array | null {
    if (this.kind !== 'bitmap:ip,mac') return null;
    const offset = packetMac(packet, directions[1]!);
    return packet.linkHeader!.subarray(offset, offset + 6);
  }
}
