import type { CaptureReader } from '../../capture/reader.ts';
import type { Host } from '../../datapath/environment.ts';
import type { Share } from '../../datapath/share.ts';
import type { Device } from '../../host/device.ts';
import { describePacket } from '../../packet/notation/describe.ts';
import { NotationError } from '../../packet/notation/error.ts';
import type { InputPacket, PacketSource } from '../../trace/input.ts';
import type { Placement } from '../../trace/written.ts';
import { type CaptureNotes, CaptureSource, type Progress } from './capture-source.ts';

/**
 * A capture that is given without an interface: each packet arrives on the interface that the file names, if the host has it,
 * else where its source address is routed.
 */
export class PlacedCapture implements PacketSource, Progress {
  private readonly inner: CaptureSource;
  private readonly host: Host;
  private readonly placement: Placement;
  private readonly reader: CaptureReader;
  private name: string | null;
  private taken: string | null = null;

  constructor(options: {
    name: string;
    reader: CaptureReader;
    host: Host;
    placement: Placement;
    vlanDevice: (below: Device | null) => (vlan: number) => Device | null;
    start: number;
    notes: CaptureNotes;
    share: Share | null;
  }) {
    const { name, reader, host, placement, start, notes, share } = options;
    this.host = host;
    this.placement = placement;
    this.reader = reader;
    this.inner = new CaptureSource({
      name,
      reader,
      device: null,
      vlanDevice: () => null,
      hasOwnMac: () => true,
      start,
      notes,
      share,
    });
    this.name = reader.interfaceName;
  }

  get passed(): number {
    return this.inner.passed;
  }

  get first(): number {
    return this.inner.first;
  }

  get latest(): number {
    return this.inner.latest;
  }

  get nextTime(): number {
    return this.inner.nextTime;
  }

  take(into: InputPacket): void {
    this.taken = this.name;
    this.inner.take(into);
    // The reader stands at the following packet now.
    this.name = this.reader.interfaceName;
    if (into.refused !== null) return;
    const named = this.taken === null ? null : this.host.device(this.taken);
    try {
      into.device = named ?? this.placement(describePacket(into.bytes));
    } catch (error) {
      if (!(error instanceof NotationError)) throw error;
      into.refused = error.message;
    }
  }
}
