import { formatAddress } from '../../packet/address-text.ts';
import type { Family } from '../../packet/family.ts';
import { Direction } from '../connection.ts';
import type { Sighting } from './application.ts';
import { isTranslated } from './expecting.ts';
import { latin1, replacePayload } from './payload.ts';
import type { Span } from './sip-text.ts';

/** `struct nf_ct_sip_master`. */
export interface SipMemory {
  registerSequence?: number;
  inviteSequence?: number;
  /** The port on which a phone listens that sends from another one. */
  forcedPort?: number;
}

/** One message in a packet; it follows the changes that NAT makes to it. */
export class SipMessage {
  readonly sighting: Sighting;
  readonly memory: SipMemory;
  readonly family: Family;
  text: string;
  /** Offset in the packet. */
  readonly #start: number;

  constructor(sighting: Sighting, start: number, length: number) {
    this.sighting = sighting;
    this.memory = sighting.memory as SipMemory;
    this.family = sighting.entry.family;
    this.#start = start;
    this.text = latin1(sighting.packet.bytes, start, start + length);
  }

  /** Puts text in place of a part; false if the packet would be too large. TCP's sequence numbers are seen to when all messages are done. */
  replace({ at, length }: Span, text: string): boolean {
    if (!replacePayload(this.sighting, this.#start + at, length, text, false)) return false;
    this.text = this.text.slice(0, at) + text + this.text.slice(at + length);
    return true;
  }

  get translated(): boolean {
    return isTranslated(this.sighting);
  }

  get protocol(): number {
    return this.sighting.entry.protocol;
  }

  #tuple(opposite: boolean): number {
    const { entry, direction } = this.sighting;
    const other = direction === Direction.original ? Direction.reply : Direction.original;
    return entry.tupleAt(opposite ? other : direction);
  }

  /** Where the addresses of the connection stand in its words: as the packet came (`own`), and as the other side sees them (`seen`). */
  get offsets(): { ownSource: number; ownDestination: number; seenSource: number; seenDestination: number } {
    const own = this.#tuple(false);
    const seen = this.#tuple(true);
    return { ownSource: own, ownDestination: own + 4, seenSource: seen, seenDestination: seen + 4 };
  }

  /** The ports likewise. */
  get ports(): { ownSource: number; ownDestination: number; seenSource: number; seenDestination: number } {
    const { words } = this.sighting.entry;
    const own = words[this.#tuple(false) + 8]!;
    const seen = words[this.#tuple(true) + 8]!;
    return {
      ownSource: own >>> 16,
      ownDestination: own & 0xffff,
      seenSource: seen >>> 16,
      seenDestination: seen & 0xffff,
    };
  }

  /** Four words of the connection from `at` on. */
  address(at: number): readonly number[] {
    return [...this.sighting.entry.words.subarray(at, at + 4)];
  }

  isAt(address: ArrayLike<number>, at: number): boolean {
    return isSame(address, this.sighting.entry.words.subarray(at, at + 4));
  }

  /** An address as a message has it: IPv6 in brackets where that is asked for. */
  addressText(address: ArrayLike<number>, bracketed: boolean): string {
    const text = formatAddress(this.family, address);
    return this.family === 6 && bracketed ? `[${text}]` : text;
  }

  endText(address: ArrayLike<number>, port: number): string {
    return `${this.addressText(address, true)}:${port}`;
  }
}

export function isSame(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  for (let i = 0; i < 4; i++) if (a[i]! >>> 0 !== b[i]! >>> 0) return false;
  return true;
}
