import type { Host } from '../datapath/environment.ts';
import type { Outcome } from '../datapath/machine-contract.ts';
import type { Device } from '../host/device.ts';
import { formatAddress } from '../packet/address-text.ts';
import { buildPacket } from '../packet/notation/build.ts';
import type { PacketDescription } from '../packet/notation/description.ts';
import { NotationError, nearest } from '../packet/notation/error.ts';
import type { Line } from '../packet/notation/flow.ts';
import { formatPacket } from '../packet/notation/format.ts';
import type { SocketOwner } from '../packet/packet.ts';
import { converse, type Reached, reachedBy, type Turn } from './conversation.ts';
import { frameOf } from './framing.ts';
import type { InputPacket, PacketSource } from './input.ts';

/** A packet or flow that somebody wrote. */
export interface WrittenItem {
  line: Line;
  /** As it was written. */
  label: string;
}

/** Microseconds between packets that have no time of their own. */
const SPACING = 1000;

/** Where a packet comes in; null: the machine itself sends it. Throws NotationError where that cannot be known. */
export type Placement = (packet: PacketDescription) => Device | null;

/** Places packets by what they say, else by the host's addresses and routes. */
export function placementOn(host: Host): Placement {
  return (packet) => {
    const wanted = packet.in ?? (packet.out !== undefined ? 'local' : null);
    if (wanted === 'local') return null;
    if (wanted !== null) {
      const device = host.device(wanted);
      if (device !== null) return device;
      const names = host.devices.map(({ name }) => name);
      const near = nearest(wanted, names);
      throw new NotationError(
        `the host has no interface ${wanted}${near === null ? ` (it has ${names.join(', ')})` : `: did you mean ${near}?`}`,
      );
    }
    if (packet.raw === undefined) {
      if (host.addressType(packet.family, packet.source) === 'LOCAL') return null;
      const route = host.route({ family: packet.family, destination: packet.source });
      if (route.type === 'unicast' && route.device !== null && route.device.kind !== 'bridge') return route.device;
    }
    const source =
      packet.raw === undefined ? `no route leads to ${formatAddress(packet.family, packet.source)}` : 'raw';
    throw new NotationError(`where does it come in? Say in=IFACE, or in=local if the machine sends it (${source})`);
  };
}

/**
 * Packets and flows in the order in which they were written. One without a time comes 1 ms after the one before it, the first at
 * `start`; one with a time of its own starts there, and those that follow it go on from there.
 */
export function writtenSources(
  items: readonly WrittenItem[],
  host: Host,
  placement: Placement,
  start: number,
): PacketSource[] {
  const chains: WrittenItem[][] = [];
  // Where the chain at hand has got to; a flow's end is not known beforehand.
  let reached = Number.NaN;
  for (const item of items) {
    const time = firstPacket(item.line).time;
    const at = time !== undefined && 'at' in time ? time.at : null;
    if (chains.length === 0 || (at !== null && !(at >= reached))) {
      chains.push([]);
      reached = start - SPACING;
    }
    chains.at(-1)!.push(item);
    if (item.line.kind === 'flow') reached = Number.NaN;
    else reached = at ?? reached + (time !== undefined && 'after' in time ? time.after : SPACING);
  }
  return chains.map((chain) => new WrittenSource(chain, host, placement, start));
}

function firstPacket(line: Line): PacketDescription {
  return line.kind === 'packet' ? line.packet : line.flow.first;
}

class WrittenSource implements PacketSource {
  nextTime: number;
  private readonly items: readonly WrittenItem[];
  private readonly host: Host;
  private readonly placement: Placement;
  private index = 0;
  /** The flow under way, its next packet, and what became of the last one. */
  private flow: Flow | null = null;

  constructor(items: readonly WrittenItem[], host: Host, placement: Placement, start: number) {
    this.items = items;
    this.host = host;
    this.placement = placement;
    this.nextTime = this.timeOf(start - SPACING);
    this.begin();
  }

  take(into: InputPacket): void {
    const item = this.items[this.index]!;
    into.time = this.nextTime;
    into.nanoseconds = 0;
    into.refused = null;
    if (this.flow === null) {
      this.fill(into, (item.line as Line & { kind: 'packet' }).packet, item.label);
      this.toNext();
      return;
    }
    const { turn } = this.flow;
    this.flow.sent = true;
    if (turn.from === 'client') this.fill(into, turn.packet, `${item.label}: client`);
    else this.fillAnswer(into, turn, `${item.label}: far end`);
    this.flow.local = turn.from === 'client' ? into.device === null : this.flow.local;
  }

  settled(outcome: Outcome): void {
    const { flow } = this;
    if (flow === null || !flow.sent) return;
    flow.sent = false;
    const reached = reachedBy(outcome, flow.first, flow.local);
    const next = flow.turns.next(reached);
    if (next.done) this.toNext();
    else {
      flow.turn = next.value;
      this.nextTime += flow.gap;
    }
  }

  private toNext(): void {
    this.index++;
    this.flow = null;
    if (this.index === this.items.length) this.nextTime = Number.POSITIVE_INFINITY;
    else {
      this.nextTime = this.timeOf(this.nextTime);
      this.begin();
    }
  }

  private timeOf(last: number): number {
    const { time } = firstPacket(this.items[this.index]!.line);
    if (time === undefined) return last + SPACING;
    return 'at' in time ? time.at : last + time.after;
  }

  private begin(): void {
    const { line } = this.items[this.index]!;
    if (line.kind !== 'flow') return;
    const turns = converse(line.flow);
    const first = turns.next();
    // A flow of no rounds over UDP or ICMP has nothing to send.
    if (first.done) {
      this.toNext();
      return;
    }
    this.flow = { turns, turn: first.value, first: line.flow.first, gap: line.flow.gap, local: false, sent: false };
  }

  private fill(into: InputPacket, packet: PacketDescription, label: string): void {
    let device: Device | null;
    try {
      device = this.placement(packet);
    } catch (error) {
      if (error instanceof NotationError) throw new NotationError(`${label}: ${error.message}`, error.column);
      throw error;
    }
    into.device = device;
    into.out = packet.out ?? null;
    into.bytes = buildPacket(packet);
    into.linkHeader = device === null ? null : frameOf(packet, device, this.host);
    into.owner = device === null ? ownerOf(packet) : null;
    into.mark = packet.mark ?? 0;
    into.connected = this.flow !== null && device === null;
    into.described = packet.described ?? null;
    into.label = label === '' ? formatPacket(packet) : label;
  }

  /** The far end's packet comes back where the one that it answers left. */
  private fillAnswer(into: InputPacket, turn: Turn, label: string): void {
    const { device, linkHeader } = turn.answers!;
    const client = this.flow!.first;
    into.device = device;
    // Back to the client: it leaves where the client is, unless the machine itself is the client.
    into.out = this.flow!.local ? null : (client.in ?? null);
    into.bytes = buildPacket(turn.packet);
    into.linkHeader = null;
    if (linkHeader !== null) {
      into.linkHeader = linkHeader.slice();
      into.linkHeader.set(linkHeader.subarray(6, 12), 0);
      into.linkHeader.set(linkHeader.subarray(0, 6), 6);
    }
    into.owner = null;
    into.mark = 0;
    into.connected = false;
    into.described = null;
    into.label = label;
  }
}

interface Flow {
  turns: Generator<Turn, void, Reached>;
  turn: Turn;
  first: PacketDescription;
  gap: number;
  /** The machine itself is the client. */
  local: boolean;
  /** Its packet is under way. */
  sent: boolean;
}

function ownerOf(packet: PacketDescription): SocketOwner | null {
  const { uid, gid, pid, cgroup, groups, classId } = packet;
  if ([uid, gid, pid, cgroup, groups, classId].every((part) => part === undefined)) return null;
  const owner: SocketOwner = { uid: uid ?? 0, gid: gid ?? 0 };
  if (pid !== undefined) owner.pid = pid;
  if (cgroup !== undefined) owner.cgroup = cgroup;
  if (groups !== undefined) owner.groups = groups;
  if (classId !== undefined) owner.classId = classId;
  return owner;
}
