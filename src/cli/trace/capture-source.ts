import { CapturedFrame } from '../../capture/arrivals.ts';
import { fillUp } from '../../capture/cut.ts';
import { EtherType, linkTypeName } from '../../capture/linktype.ts';
import type { CaptureReader } from '../../capture/reader.ts';
import { CaptureError } from '../../capture/source.ts';
import { mayQuote } from '../../datapath/parts.ts';
import type { Share } from '../../datapath/share.ts';
import type { Device } from '../../host/device.ts';
import type { InputPacket, PacketSource } from '../../trace/input.ts';

/** Microseconds between packets that have no time of their own. */
export const SPACING = 1000;

/** What a capture says besides its packets, counted for one line on stderr at the end. */
export interface CaptureNotes {
  /** Packets that the capture cut short (snap length). */
  cut: number;
}

/** How far a source of packets of one part has come in its capture, packets of other parts included. */
export interface Progress {
  /** Packets of other parts before the next one. */
  readonly passed: number;
  /** Times, in microseconds: of the first packet (Infinity if there is none), and the latest up to the next one. */
  readonly first: number;
  readonly latest: number;
}

/**
 * The packets of a capture as they arrive on one interface.
 *
 * @param device where they arrive; null for packets that the machine itself sends
 * @param vlanDevice the VLAN interface on `device` with a tag; null if there is none
 */
export class CaptureSource implements PacketSource, Progress {
  nextTime = 0;
  passed = 0;
  first = Number.POSITIVE_INFINITY;
  latest = Number.NEGATIVE_INFINITY;
  private last = 0;
  private readonly share: Share | null;
  private nanoseconds = 0;
  private readonly frame = new CapturedFrame();
  private readonly name: string;
  private readonly reader: CaptureReader;
  private readonly device: Device | null;
  private readonly vlanDevice: (vlan: number) => Device | null;
  private readonly notes: CaptureNotes;
  /** Where the machine's MAC is made up, frames for one host are for this one. */
  private readonly adopts: (device: Device) => boolean;
  private readonly adopting: boolean;

  constructor(options: {
    /** Of the file, for messages. */
    name: string;
    reader: CaptureReader;
    device: Device | null;
    vlanDevice: (vlan: number) => Device | null;
    /** Whether the host's description gives a device its MAC. */
    hasOwnMac: (device: Device) => boolean;
    /** Time of the first packet if it has none. */
    start: number;
    notes: CaptureNotes;
    /** Where only packets of one part are wanted. */
    share: Share | null;
  }) {
    this.share = options.share;
    this.name = options.name;
    this.reader = options.reader;
    this.device = options.device;
    this.vlanDevice = options.vlanDevice;
    this.notes = options.notes;
    this.adopts = (device) => device.bridge === null && !options.hasOwnMac(device);
    this.adopting = this.device !== null && this.adopts(this.device);
    this.last = options.start - SPACING;
    this.advance();
  }

  take(into: InputPacket): void {
    const { frame, device } = this;
    into.time = this.nextTime;
    into.nanoseconds = this.nanoseconds;
    into.device = device;
    into.out = null;
    into.bytes = frame.bytes;
    into.linkHeader = device === null ? null : frame.linkHeader;
    into.owner = null;
    into.connected = false;
    into.mark = 0;
    into.described = null;
    into.label = null;
    into.refused = null;
    if (this.adopting && into.linkHeader !== null) adopt(into.linkHeader, device!);
    if (frame.refusal !== null || frame.vlan !== 0 || frame.packetType >= 0 || frame.missing > 0) this.special(into);
    this.advance();
  }

  private advance(): void {
    while (this.next()) {
      const { reader, share } = this;
      const time = Number.isNaN(reader.time) ? this.last + SPACING : reader.time;
      this.last = time;
      this.nextTime = time;
      if (share !== null) {
        if (this.latest < time) this.latest = time;
        if (this.first === Number.POSITIVE_INFINITY) this.first = time;
        if (!this.isShared(share)) {
          this.passed++;
          continue;
        }
        // No packet comes before one that stands in front of it, and time does not go backwards.
        this.nextTime = this.latest;
      }
      this.nanoseconds = reader.nanoseconds;
      this.frame.take(reader);
      if (this.frame.refusal === 'unsupported-link-type') {
        throw new CaptureError(
          `${this.name}: ${linkTypeName(reader.linkType)} cannot be read: expected Ethernet, raw IP or a Linux cooked capture`,
        );
      }
      return;
    }
    this.nextTime = Number.POSITIVE_INFINITY;
  }

  private next(): boolean {
    try {
      return this.reader.next();
    } catch (error) {
      if (error instanceof CaptureError) throw new CaptureError(`${this.name}: ${error.message}`);
      throw error;
    }
  }

  /** Whether the packet that the reader stands at is of the part that is wanted; what is no packet is of the first. */
  private isShared(share: Share): boolean {
    const { reader, frame } = this;
    const at = frame.find(reader);
    if (at < 0) return share.part === 0;
    const { buffer, end, start, originalLength } = reader;
    const missing = originalLength - (end - start);
    const whole = missing > 0 && mayQuote(buffer, at) ? fillUp(buffer.subarray(at, end), missing) : null;
    return whole === null ? share.takes(buffer, at, end) : share.takes(whole, 0, whole.length);
  }

  /** What is not a plain IP packet: other protocols, VLAN tags, cooked captures, packets that were cut. */
  private special(into: InputPacket): void {
    const { frame, device } = this;
    if (frame.refusal !== null) {
      into.refused = frame.refusal === 'short' ? 'the frame is shorter than its link layer' : notIp(frame.etherType);
      return;
    }
    const whole = frame.missing > 0 ? fillUp(frame.bytes, frame.missing) : null;
    if (whole !== null) {
      into.bytes = whole;
      this.notes.cut++;
    }
    if (device === null) return;
    if (frame.vlan !== 0) {
      const outer = this.vlanDevice(frame.vlan);
      if (outer === null || frame.innerVlan !== 0) {
        const tags = frame.innerVlan === 0 ? `${frame.vlan}` : `${frame.vlan} and ${frame.innerVlan}`;
        into.refused = `${device.name} has no interface for VLAN ${tags}`;
        return;
      }
      into.device = outer;
      if (frame.linkHeader !== null && this.adopts(outer)) adopt(frame.linkHeader, outer);
    }
    // Cooked captures leave the receiver's address out where it is the machine's own.
    if (frame.linkHeader !== null && (frame.packetType === 0 || frame.packetType === 4)) {
      frame.linkHeader.set(into.device!.mac, 0);
    }
  }
}

/** Makes a frame that is for one host (no broadcast, no group) one for the device. */
function adopt(linkHeader: Uint8Array, device: Device): void {
  if ((linkHeader[0]! & 1) === 0) linkHeader.set(device.mac, 0);
}

const ETHER_TYPES: ReadonlyMap<number, string> = new Map([
  [EtherType.arp, 'ARP'],
  [0x88cc, 'LLDP'],
  [0x8863, 'PPPoE discovery'],
  [0x8864, 'PPPoE'],
  [0x888e, '802.1X'],
  [0x8847, 'MPLS'],
]);

function notIp(etherType: number): string {
  if (etherType < 0x0600) return 'an 802.3 frame, not IP';
  return `${ETHER_TYPES.get(etherType) ?? `ethertype 0x${etherType.toString(16).padStart(4, '0')}`}, not IP`;
}
