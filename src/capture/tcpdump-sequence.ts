import type { PacketDescription } from '../packet/notation/description.ts';

interface Conversation {
  /** Which of the two directions is "forward": that of the first packet with ACK. */
  forward: string;
  /** What tcpdump takes off sequence numbers of the forward direction, and off its acknowledgements. */
  sequence: number;
  acknowledgement: number;
  /** Numbers are printed as they are (`-S`). */
  absolute: boolean | null;
}

/**
 * Puts back what tcpdump takes off: it prints sequence numbers relative to the beginning of a conversation (print-tcp.c), from the second
 * packet with ACK on. With `-S` it does not; that shows at the first acknowledgement after SYN+ACK, which otherwise is 1.
 */
export class SequenceNumbers {
  private readonly conversations = new Map<string, Conversation>();

  /** Makes the numbers of a segment absolute. `flags` are those of its header. */
  restore(packet: PacketDescription): void {
    const flags = packet.tcpFlags ?? 0;
    if ((flags & 0x10) === 0) return;
    const from = `${packet.source.join('.')}:${packet.sourcePort}`;
    const to = `${packet.destination.join('.')}:${packet.destinationPort}`;
    const key = from < to ? `${from} ${to}` : `${to} ${from}`;
    const known = this.conversations.get(key);
    const sequence = packet.sequence ?? 0;
    const acknowledgement = packet.acknowledgement ?? 0;
    if (known === undefined || flags & 2) {
      this.conversations.set(key, {
        forward: from,
        sequence,
        acknowledgement: (acknowledgement - 1) >>> 0,
        absolute: null,
      });
      return;
    }
    const forward = known.forward === from;
    const [base, ackBase] = forward ? [known.sequence, known.acknowledgement] : [known.acknowledgement, known.sequence];
    if (known.absolute === null) {
      // Nearer to where the conversation began than to 0; beginnings below the limit say nothing.
      known.absolute = ackBase > SMALL && Math.abs(acknowledgement - ackBase) < acknowledgement;
    }
    if (known.absolute) return;
    packet.acknowledgement = (acknowledgement + ackBase) >>> 0;
    // An empty segment is printed without its sequence number: it is the next one expected.
    if (packet.sequence !== undefined) packet.sequence = (sequence + base) >>> 0;
  }

  private readonly next = new Map<string, number>();

  /** Remembers what follows a segment, and gives one that was printed without sequence number the one expected. */
  follow(packet: PacketDescription): void {
    const direction = `${packet.source.join('.')}:${packet.sourcePort}>${packet.destination.join('.')}:${packet.destinationPort}`;
    const back = `${packet.destination.join('.')}:${packet.destinationPort}>${packet.source.join('.')}:${packet.sourcePort}`;
    if (packet.sequence === undefined) {
      const expected = this.next.get(direction);
      if (expected !== undefined) packet.sequence = expected;
      return;
    }
    const flags = packet.tcpFlags ?? 0;
    const length = (packet.payload?.length ?? 0) + (flags & 2 ? 1 : 0) + (flags & 1 ? 1 : 0);
    this.next.set(direction, (packet.sequence + length) >>> 0);
    if (packet.acknowledgement !== undefined && !this.next.has(back)) this.next.set(back, packet.acknowledgement);
  }
}

/** Conversations of hand-made captures begin at such numbers. */
const SMALL = 100_000;
