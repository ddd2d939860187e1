import type { HookState } from '../datapath/hooks.ts';
import type { Packet } from '../packet/packet.ts';
import type { CreateOptions, Entry, SetAddress } from './entry.ts';
import { netmask4, netmask6, swapBytes } from './entry.ts';
import { SetError } from './errors.ts';
import type { ElementExtensions, ExtensionStore, PacketTest, SetClock } from './extensions.ts';
import { commandTest, newExtensions } from './extensions.ts';
import { changeHash } from './hash-change.ts';
import { layoutOf, maskAddress } from './hash-layout.ts';
import { HashTable } from './hash-table.ts';
import type { ElementFields, HashType } from './hash-type.ts';
import { newFields } from './hash-type.ts';
import { packetMac, packetPort } from './packet-fields.ts';
import type { Change, IpSet, PacketChange, SetFamily, SetHeader } from './set.ts';
import { packetExtensions } from './set.ts';

const ONES = 0xffffffff;
const PORT = { port: 0, protocol: 0 };

/** Checks options that only hash types have; 0 or an error code. */
export function checkHashOptions(type: HashType, options: CreateOptions): number {
  if (options.markmask === 0 && type.mark !== undefined) return SetError.invalidMarkmask;
  if (options.netmask === 0) return SetError.invalidNetmask;
  if (options.bitmask !== undefined) {
    if (options.netmask !== undefined) return SetError.bitmaskNetmask;
    if (options.bitmask.every((word) => word === 0)) return SetError.invalidNetmask;
  }
  return 0;
}

/** A set of any hash type. */
export class HashSet implements IpSet {
  name: string;
  readonly type: HashType;
  readonly family: SetFamily;
  readonly table: HashTable;
  memberOf = 0;
  /** Words that addresses are cut with, host order; null: none. */
  readonly addressMask: readonly number[] | null;
  readonly netmask: number | null;
  readonly bitmask: SetAddress | null;
  readonly markMask: number;
  /** The element at work, its parts and extensions. */
  readonly element: Uint32Array;
  readonly fields: ElementFields = newFields();
  readonly given: ElementExtensions = newExtensions();
  /** 4 also for family-neutral types. */
  readonly addressFamily: 4 | 6;
  /** First word after the addresses. */
  readonly tailAt: number;
  private readonly ifaceNames: string[] = [];
  private readonly ifaceNumbers = new Map<string, number>();
  private readonly quietTest: PacketTest = commandTest();

  /** Hears that there was no room for a packet's entry. */
  onFull: ((name: string, maxElements: number) => void) | null = null;

  constructor(
    type: HashType,
    name: string,
    family: SetFamily,
    options: CreateOptions,
    initval: number,
    clock: SetClock,
  ) {
    this.type = type;
    this.name = name;
    this.family = type.neutral ? 0 : family;
    this.addressFamily = family === 6 ? 6 : 4;
    const layout = layoutOf(
      type,
      this.addressFamily,
      type.iface !== undefined ? (words, stored, probe) => this.sameIface(words, stored, probe) : undefined,
    );
    this.table = new HashTable(layout, options, initval, clock);
    this.element = new Uint32Array(layout.width);
    this.tailAt = layout.width - type.tail[this.addressFamily].words;
    this.netmask = options.netmask !== undefined && options.netmask !== this.hostPrefix ? options.netmask : null;
    this.bitmask =
      options.bitmask !== undefined && !options.bitmask.every((word) => word === ONES) ? options.bitmask : null;
    const length = this.addressFamily === 4 ? 1 : 4;
    this.addressMask =
      this.bitmask ??
      (this.netmask !== null
        ? Array.from({ length }, (_, i) => (length === 1 ? netmask4(this.netmask!) : netmask6(this.netmask!, i)))
        : null);
    this.markMask = options.markmask ?? ONES;
  }

  get typeName(): string {
    return this.type.name;
  }

  get dimension(): number {
    return this.type.dimension;
  }

  get features(): number {
    return this.type.features;
  }

  get extensions(): ExtensionStore {
    return this.table.extensions;
  }

  get hostPrefix(): number {
    return this.addressFamily === 4 ? 32 : 128;
  }

  change(change: Change, entry: Entry, exist: boolean): number {
    return changeHash(this, change, entry, exist);
  }

  /** Does what is asked for to `element`. For a test 0 means that the element is there. */
  apply(change: Change, exist: boolean, nomatch: boolean): number {
    if (change === 'add') {
      const error = this.table.add(this.element, this.given, exist, nomatch, true);
      return error === SetError.elementExists && exist ? 0 : error;
    }
    if (change === 'del') {
      const error = this.table.remove(this.element);
      return error === SetError.elementExists && exist ? 0 : error;
    }
    const found = this.table.test(this.element, this.quietTest);
    if (found > 0) return 0;
    const excepted = found === -SetError.notEmpty && nomatch && this.type.prefixes !== undefined;
    return excepted ? 0 : SetError.elementExists;
  }

  testPacket(packet: Packet, at: HookState, directions: readonly boolean[], test: PacketTest): number {
    const error = this.fillFromPacket(packet, at, directions, true);
    return error !== 0 ? -error : this.table.test(this.element, test);
  }

  addPacket(packet: Packet, at: HookState, change: PacketChange): number {
    const error = this.fillFromPacket(packet, at, change.directions, false);
    if (error !== 0) return error;
    packetExtensions(this.extensions, packet, change, this.given);
    const added = this.table.add(this.element, this.given, change.exist, false, false);
    if (added === SetError.hashFull) this.onFull?.(this.name, this.table.maxElements);
    return added;
  }

  deletePacket(packet: Packet, at: HookState, change: PacketChange): number {
    const error = this.fillFromPacket(packet, at, change.directions, false);
    return error !== 0 ? error : this.table.remove(this.element);
  }

  flush(): void {
    this.table.flush();
  }

  header(): SetHeader {
    const { table, extensions } = this;
    const header: SetHeader = {
      hashsize: 2 ** table.bits,
      maxelem: table.maxElements,
      bucketsize: table.bucketSize,
      initval: table.initval,
      counters: extensions.hasCounters,
      comment: extensions.hasComment,
      skbinfo: extensions.hasSkbinfo,
      forceadd: table.forceAdd,
      elements: table.count(),
      memory: table.memorySize(),
    };
    if (extensions.timeout !== null) header.timeout = extensions.timeout;
    if (this.netmask !== null) header.netmask = this.netmask;
    else if (this.bitmask !== null) header.bitmask = this.bitmask;
    if (this.type.mark !== undefined) header.markmask = this.markMask;
    return header;
  }

  forEach(visit: (entry: Entry) => void): void {
    const { type, table, fields } = this;
    const length = this.addressFamily === 4 ? 1 : 4;
    table.forEach((slot) => {
      const { words, width } = table.slots;
      const base = slot * width;
      type.unpack(words, base + this.tailAt, fields);
      const entry: Entry = {};
      if (type.first !== null) entry.ip = this.addressAt(words, base);
      if (type.second !== null) entry.ip2 = this.addressAt(words, base + length);
      if (type.first === 'net') entry.cidr = fields.cidr;
      if (type.second === 'net') entry.cidr2 = fields.cidr2;
      if (type.port !== undefined) {
        entry.port = fields.port;
        entry.proto = fields.proto;
      }
      if (type.mark !== undefined) entry.mark = fields.mark;
      if (type.ether !== undefined) entry.ether = [...fields.ether];
      if (type.iface !== undefined) {
        entry.iface = this.ifaceNames[fields.iface >>> 1]!;
        if (fields.physdev) entry.physdev = true;
        if (fields.iface & 1) entry.wildcard = true;
      }
      if (table.isNomatch(slot)) entry.nomatch = true;
      table.extensions.list(slot, entry);
      visit(entry);
    });
  }

  sameAs(other: IpSet): boolean {
    return (
      other instanceof HashSet &&
      this.table.maxElements === other.table.maxElements &&
      this.markMask === other.markMask &&
      String(this.addressMask) === String(other.addressMask) &&
      this.extensions.sameAs(other.extensions)
    );
  }

  /** Writes an address (host order) into the element, in network order. */
  putAddress(at: number, address: SetAddress): void {
    for (let i = 0; i < address.length; i++) this.element[at + i] = swapBytes(address[i]!);
  }

  /** The number that stands for an interface name in elements. */
  ifaceNumber(name: string): number {
    let number = this.ifaceNumbers.get(name);
    if (number === undefined) {
      number = this.ifaceNames.length;
      this.ifaceNames.push(name);
      this.ifaceNumbers.set(name, number);
    }
    return number;
  }

  private addressAt(words: Uint32Array, at: number): SetAddress {
    if (this.addressFamily === 4) return [swapBytes(words[at]!)];
    return [swapBytes(words[at]!), swapBytes(words[at + 1]!), swapBytes(words[at + 2]!), swapBytes(words[at + 3]!)];
  }

  private sameIface(words: Uint32Array, stored: number, probe: Uint32Array): boolean {
    const own = words[stored + this.tailAt + 1]!;
    const other = probe[this.tailAt + 1]!;
    const name = this.ifaceNames[own >>> 1]!;
    const wanted = this.ifaceNames[other >>> 1]!;
    return (own & 1) === 1 ? wanted.startsWith(name) : name === wanted;
  }

  /** Makes the element that a packet stands for; 0 or an error code (the types' `kadt` functions). */
  private fillFromPacket(packet: Packet, at: HookState, directions: readonly boolean[], test: boolean): number {
    const { type, fields, element } = this;
    const length = this.addressFamily === 4 ? 1 : 4;
    if (type.port !== undefined) {
      if (!packetPort(packet, directions[type.port]!, PORT)) return SetError.invalid;
      fields.port = PORT.port;
      fields.proto = PORT.protocol;
    }
    if (type.ether !== undefined) {
      const offset = packetMac(packet, directions[type.ether]!);
      if (offset < 0) return SetError.invalid;
      fields.ether.set(packet.linkHeader!.subarray(offset, offset + 6));
    }
    if (type.mark !== undefined) fields.mark = (packet.mark & this.markMask) >>> 0;
    if (type.iface !== undefined) {
      const device = directions[type.iface]! ? at.inDevice : at.outDevice;
      if (device === null) return SetError.invalid;
      fields.physdev = 0;
      fields.iface = this.ifaceNumber(device.name) << 1;
    }
    // Tests try all prefixes from the whole address; changes use the longest prefix in use.
    const { prefixes } = this.table;
    const host = this.hostPrefix;
    const first = type.first === 'net' ? 0 : -1;
    const second = type.second === 'net' ? first + 1 : -1;
    fields.cidr = test || first < 0 ? host : (prefixes[first]!.lengths[0] ?? host);
    fields.cidr2 = test || second < 0 ? host : (prefixes[second]!.lengths[0] ?? host);
    if (type.first !== null) {
      const source = directions[0]! ? packet.src : packet.dst;
      for (let i = 0; i < length; i++) element[i] = swapBytes(source[i]!);
      if (fields.cidr !== host) maskAddress(element, 0, this.addressFamily, fields.cidr);
      this.applyMask(0);
      if (type.zeroError !== undefined && this.isZero(0)) return SetError.invalid;
    }
    if (type.second !== null) {
      const source = directions[type.dimension - 1]! ? packet.src : packet.dst;
      for (let i = 0; i < length; i++) element[length + i] = swapBytes(source[i]!);
      if (fields.cidr2 !== host) maskAddress(element, length, this.addressFamily, fields.cidr2);
      this.applyMask(length);
    }
    if (type.first !== null || type.tail[this.addressFamily].words > 0) type.pack(element, this.tailAt, fields);
    return 0;
  }

  /** Cuts the address at `at` with the set's netmask or bitmask. */
  applyMask(at: number): void {
    if (this.addressMask === null) return;
    for (let i = 0; i < this.addressMask.length; i++) {
      this.element[at + i] = this.element[at + i]! & swapBytes(this.addressMask[i]!);
    }
  }

  isZero(at: number): boolean {
    const length = this.addressFamily === 4 ? 1 : 4;
    for (let i = 0; i < length; i++) if (this.element[at + i] !== 0) return false;
    return true;
  }
}
