import type { Packet } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import type { HookState } from '../hooks.ts';
import type { SlotLists } from './lists.ts';
import type { MaskedLists } from './masked.ts';
import type { RangedLists } from './ranged.ts';

/** The rules of a chain, each filed under one field that it tests; what no rule is filed under is null. */
export interface FiledRules {
  source: MaskedLists | null;
  destination: MaskedLists | null;
  mark: MaskedLists | null;
  tcpSource: RangedLists | null;
  tcpDestination: RangedLists | null;
  udpSource: RangedLists | null;
  udpDestination: RangedLists | null;
  protocol: RangedLists | null;
  inDevice: SlotLists | null;
  outDevice: SlotLists | null;
  /** One list of the rules that could not be filed: they are always met. */
  unfiled: SlotLists | null;
  /** Most lists that a packet can find. */
  mostLists: number;
}

/**
 * The rules of one chain that can match a packet, in their order: for each field the list of the rules filed under the packet's value, merged.
 * Every candidate has to be tested in full; a rule that is no candidate would fail the test it is filed under.
 */
export class Classifier {
  readonly #filed: FiledRules;
  /** Slot of the chain's end. */
  readonly #end: number;
  /** The lists found, without those that are used up: slots[i][positions[i]..ends[i]). */
  readonly #slots: Int32Array[];
  readonly #positions: Int32Array;
  readonly #ends: Int32Array;
  #count = 0;
  /** The packet's mark at the last `seek`; one word. */
  readonly #mark = new Uint32Array(1);

  constructor(filed: FiledRules, end: number) {
    this.#filed = filed;
    this.#end = end;
    this.#slots = new Array<Int32Array>(filed.mostLists).fill(new Int32Array(0));
    this.#positions = new Int32Array(filed.mostLists);
    this.#ends = new Int32Array(filed.mostLists);
  }

  /** The first candidate from slot `from` on; the slot of the chain's end if there is none. The packet must be plain. */
  seek(packet: Packet, at: HookState, from: number): number {
    const filed = this.#filed;
    this.#count = 0;
    this.#mark[0] = packet.mark;
    if (filed.source !== null) this.#masked(filed.source, packet.src, from);
    if (filed.destination !== null) this.#masked(filed.destination, packet.dst, from);
    if (filed.mark !== null) this.#masked(filed.mark, this.#mark, from);
    const { protocol, bytes, transport } = packet;
    if (protocol === Protocol.tcp) {
      if (filed.tcpSource !== null) this.#ranged(filed.tcpSource, port(bytes, transport), from);
      if (filed.tcpDestination !== null) this.#ranged(filed.tcpDestination, port(bytes, transport + 2), from);
    } else if (protocol === Protocol.udp) {
      if (filed.udpSource !== null) this.#ranged(filed.udpSource, port(bytes, transport), from);
      if (filed.udpDestination !== null) this.#ranged(filed.udpDestination, port(bytes, transport + 2), from);
    }
    if (filed.protocol !== null) this.#ranged(filed.protocol, protocol, from);
    if (filed.inDevice !== null) this.#push(filed.inDevice, at.inDevice === null ? 0 : at.inDevice.index + 1, from);
    if (filed.outDevice !== null) this.#push(filed.outDevice, at.outDevice === null ? 0 : at.outDevice.index + 1, from);
    if (filed.unfiled !== null) this.#push(filed.unfiled, 0, from);
    return this.#pull();
  }

  /** The candidate behind `slot`, which was tested in vain or had no target. */
  next(packet: Packet, at: HookState, slot: number): number {
    // A match may give the packet a socket's mark.
    return packet.mark === this.#mark[0] ? this.#pull() : this.seek(packet, at, slot + 1);
  }

  #pull(): number {
    const count = this.#count;
    if (count === 0) return this.#end;
    const slots = this.#slots;
    const positions = this.#positions;
    let which = 0;
    let least = slots[0]![positions[0]!]!;
    for (let i = 1; i < count; i++) {
      const slot = slots[i]![positions[i]!]!;
      if (slot < least) {
        least = slot;
        which = i;
      }
    }
    const position = positions[which]! + 1;
    if (position < this.#ends[which]!) {
      positions[which] = position;
    } else {
      const last = count - 1;
      slots[which] = slots[last]!;
      positions[which] = positions[last]!;
      this.#ends[which] = this.#ends[last]!;
      this.#count = last;
    }
    return least;
  }

  #masked(field: MaskedLists, value: Uint32Array, from: number): void {
    const masks = field.numbers.length;
    for (let i = 0; i < masks; i++) {
      const list = field.find(value, i);
      if (list >= 0) this.#push(field.lists, list, from);
    }
  }

  #ranged(field: RangedLists, value: number, from: number): void {
    this.#push(field.lists, field.find(value), from);
  }

  #push(lists: SlotLists, list: number, from: number): void {
    const { slots } = lists;
    const end = lists.starts[list + 1]!;
    let low = lists.starts[list]!;
    if (low === end || slots[end - 1]! < from) return;
    if (slots[low]! < from) {
      let high = end - 1;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (slots[middle]! < from) low = middle + 1;
        else high = middle;
      }
    }
    const at = this.#count++;
    this.#slots[at] = slots;
    this.#positions[at] = low;
    this.#ends[at] = end;
  }
}

function port(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

/**
 * Whether all that rules are filed under can be read from the packet. Where a header is cut off or hidden, or the packet is a later fragment, tests have side
 * effects (`hotdrop`) and depend on the variant: such packets meet every rule.
 */
export function isPlain(packet: Packet): boolean {
  if (packet.fragmentOffset !== 0 || packet.authHeader !== 0 || packet.protocol < 0) return false;
  const rest = packet.bytes.length - packet.transport;
  if (packet.protocol === Protocol.tcp) return rest >= 20;
  return packet.protocol !== Protocol.udp || rest >= 8;
}
