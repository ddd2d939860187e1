import { readUint32 } from '../packet/bytes.ts';
import { RandomGenerator } from './clock.ts';
import { isFragment4, NO_PART, partOf } from './parts.ts';

/** A machine that handles only a part of the packets has come to something that the others may have changed. The message says to what. */
export class ShareConflict extends Error {}

/** Fragments of several parts. */
const SEVERAL = -2;

/**
 * One of several equal machines that share out the packets of one. Each handles those of its part (`partOf`), at the time that it is when they come.
 * Together they come to what one machine would come to, as long as no packet's fate depends on what packets of another part have left behind.
 * Which rules remember nothing of the kind is known beforehand (`tiedRule`); this watches over the rest: what would depend on other parts ends in a
 * ShareConflict, and one machine has to handle all packets.
 */
export class Share {
  readonly part: number;
  readonly parts: number;
  /** Whether what the machine remembers is kept for later: then nothing of it may be left behind by parts. */
  readonly keeps: boolean;
  /** Whether rules look at bytes that depend on how many packets the machine has made (IPv4 identifications). */
  readonly looksAnywhere: boolean;
  /** By IPv4 sender, how many fragments came and of which part. */
  readonly #senders = new Map<number, { fragments: number; part: number }>();

  constructor(options: { part: number; parts: number; keeps: boolean; looksAnywhere: boolean }) {
    this.part = options.part;
    this.parts = options.parts;
    this.keeps = options.keeps;
    this.looksAnywhere = options.looksAnywhere;
  }

  conflict(what: string): never {
    throw new ShareConflict(what);
  }

  /** Whether a packet that comes is this machine's; has to be asked of all. It lies in `bytes` from its IP header at `at` up to `end`. */
  takes(bytes: Uint8Array, at: number, end: number): boolean {
    const part = partOf(bytes, this.parts, at, end);
    if (part === NO_PART) this.conflict('an ICMP error came in fragments');
    if (isFragment4(bytes, at)) this.#noteFragment(readUint32(bytes, at + 12), part);
    return part === this.part;
  }

  #noteFragment(sender: number, part: number): void {
    const known = this.#senders.get(sender);
    if (known === undefined) {
      this.#senders.set(sender, { fragments: 1, part });
      return;
    }
    known.fragments++;
    if (known.part !== part) known.part = SEVERAL;
  }

  /** A fragment of this sender is put together with others: more than `maxDistance` others in between would end that (net.ipv4.ipfrag_max_dist). */
  checkSender(sender: number, maxDistance: number): void {
    const known = this.#senders.get(sender);
    if (maxDistance === 0 || known === undefined || known.part !== SEVERAL || known.fragments <= maxDistance) return;
    this.conflict('a sender has sent many fragments to several receivers');
  }

  /** The machine sends a packet of its own: it must be for connections of this part. */
  checkSent(bytes: Uint8Array): void {
    if (partOf(bytes, this.parts) === this.part) return;
    this.conflict('the machine sent a packet between other addresses than those of the packet that caused it');
  }
}

/** The random generator of one of several machines: their numbers would come in another order than those of one. */
export class SharedRandom extends RandomGenerator {
  readonly #share: Share;

  constructor(original: RandomGenerator, share: Share) {
    super(0, [...original.state]);
    this.#share = share;
  }

  override next(): number {
    return this.#share.conflict('the machine took a random number');
  }

  override identification(): number {
    if (this.#share.keeps) this.#share.conflict('the machine took a random number for a packet of its own');
    if (this.#share.looksAnywhere)
      this.#share.conflict('the machine sent a packet whose identification a rule may read');
    return super.next();
  }
}
