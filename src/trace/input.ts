import type { Outcome } from '../datapath/machine-contract.ts';
import type { Device } from '../host/device.ts';
import type { SocketOwner } from '../packet/packet.ts';

/** One packet that is given to the machine. One object is reused for all packets of a trace. */
export class InputPacket {
  /** Microseconds since the epoch, as the input has it. */
  time = 0;
  /** What is left below the microsecond, 0..999; only written back into captures. */
  nanoseconds = 0;
  /** Where it arrives; null: a process of the machine sends it. */
  device: Device | null = null;
  /** Interface by which the description says it is to leave; null if it says nothing. */
  out: string | null = null;
  /** From its IP header. The machine owns it and writes into it. */
  bytes: Uint8Array = NOTHING;
  /** Destination MAC, source MAC, ethertype; null: as if addressed to the interface. */
  linkHeader: Uint8Array | null = null;
  owner: SocketOwner | null = null;
  mark = 0;
  /** The sending process has a connected socket for what comes back. */
  connected = false;
  /** What a description said beyond the bytes. */
  described: Readonly<Record<string, string>> | null = null;
  /** Why it never gets to the machine (a frame that is not IP, ...); null for all others. */
  refused: string | null = null;
  /** What the user wrote, for packets that were written by hand; null for captured ones. */
  label: string | null = null;
}

const NOTHING = new Uint8Array(0);

/** Packets in the order of their times. */
export interface PacketSource {
  /** Time of the next packet in microseconds; Infinity when there is none. */
  readonly nextTime: number;
  /** Hands out the next packet and moves on. */
  take(into: InputPacket): void;
  /** What became of the packet handed out last: a conversation answers to what really left. */
  settled?(outcome: Outcome): void;
}

/** Several sources as one, by time; at equal times in the order in which they are given. */
export function mergeSources(sources: readonly PacketSource[]): PacketSource {
  if (sources.length === 1) return sources[0]!;
  return new Merge(sources);
}

class Merge implements PacketSource {
  private readonly sources: readonly PacketSource[];
  private last: PacketSource | null = null;
  /** The source of the next packet. */
  private chosen: PacketSource | null = null;
  nextTime = Number.POSITIVE_INFINITY;

  constructor(sources: readonly PacketSource[]) {
    this.sources = sources;
    this.choose();
  }

  private choose(): void {
    this.nextTime = Number.POSITIVE_INFINITY;
    for (const source of this.sources) {
      if (source.nextTime >= this.nextTime) continue;
      this.chosen = source;
      this.nextTime = source.nextTime;
    }
  }

  take(into: InputPacket): void {
    this.last = this.chosen!;
    this.last.take(into);
    this.choose();
  }

  settled(outcome: Outcome): void {
    if (this.last?.settled === undefined) return;
    this.last.settled(outcome);
    this.choose();
  }
}
