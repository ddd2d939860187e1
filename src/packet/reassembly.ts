/**
 * Putting fragments together: `ip_defrag` (net/ipv4/ip_fragment.c), `nf_ct_frag6_gather` (net/ipv6/netfilter/nf_conntrack_reasm.c) for
 * connection tracking and `ipv6_frag_rcv` (net/ipv6/reassembly.c) for what is delivered to this machine.
 */
import { readUint16, readUint32, writeUint16 } from './bytes.ts';
import { internetChecksum } from './checksum.ts';
import { decode, extensionHeaderLength, isExtensionHeader } from './decode.ts';
import type { Family } from './family.ts';
import { firstFragment } from './first-fragment.ts';
import {
  combinedEcn,
  emptyQueue,
  type Fragment,
  type FragmentQueue,
  fragmentsOf,
  insertFragment,
} from './fragment-queue.ts';
import type { Packet } from './packet.ts';
import { Protocol } from './protocol.ts';
import { loadedQueue, type ReassemblyMemory, storedQueue } from './reassembly-memory.ts';
import { tosOf } from './rewrite.ts';

/** Who gathers (`enum ip_defrag_users`); each keeps queues of its own. Connection tracking's are kept apart by zone. */
export type DefragUser = 'local' | 'conntrack-in' | 'conntrack-out' | 'conntrack-bridge';

/** What became of a fragment. */
export interface Gathering {
  /**
   * `waiting`: kept back until the others come; `complete`: the packet is now the whole datagram; `unchanged`: not to be gathered, it goes on as it is;
   * `refused`: dropped; `oversized`: dropped as well, an IPv4 datagram that is longer than one can be.
   */
  result: 'waiting' | 'complete' | 'unchanged' | 'refused' | 'oversized';
  /** Why it was refused, for people. */
  reason: string;
  /** ICMPv6 parameter problem that goes back for it. */
  parameterProblem: { code: number; pointer: number } | null;
}

/** A datagram that never became complete. */
export interface ExpiredDatagram {
  family: Family;
  user: DefragUser;
  /** Its first fragment as it came; null if that never came (then nothing is sent). */
  first: Uint8Array | null;
  /** Index of the device. */
  device: number;
}

export interface ReassemblySettings {
  /** Microseconds that a datagram may wait, by family and kind. */
  timeout4: number;
  timeout6: number;
  conntrackTimeout6: number;
  /** Bytes of waiting fragments of a family above which no datagram is taken up (ipfrag_high_thresh). */
  highThreshold4: number;
  highThreshold6: number;
  /** Fragments of the same sender that may come between two of one datagram (net.ipv4.ipfrag_max_dist); 0 for any number. */
  maxDistance: number;
  /** Called before a datagram is refused because of these thresholds. */
  onFull?: () => void;
}

export const DEFAULT_REASSEMBLY: ReassemblySettings = {
  timeout4: 30e6,
  timeout6: 60e6,
  conntrackTimeout6: 60e6,
  highThreshold4: 4194304,
  highThreshold6: 4194304,
  maxDistance: 64,
};

const MAXIMUM = 65535;
/** About what an sk_buff costs besides its data. */
const OVERHEAD = 768;

/** All datagrams that wait for fragments. */
export class Reassembly {
  readonly #settings: ReassemblySettings;
  readonly #queues = new Map<string, FragmentQueue>();
  readonly #senders = new Map<string, number>();
  readonly #memory: Record<Family, number> = { 4: 0, 6: 0 };
  readonly #gathering: Gathering = { result: 'waiting', reason: '', parameterProblem: null };

  constructor(settings: ReassemblySettings = DEFAULT_REASSEMBLY) {
    this.#settings = settings;
  }

  /** Number of datagrams that wait. */
  get size(): number {
    return this.#queues.size;
  }

  /**
   * Takes a decoded fragment. When the last missing one has come, `packet` becomes the whole datagram: bytes, decoded
   * fields and what refragmentation needs. The answer is reused by the next call. `device` is the index of the interface that it came over (0 for none); it
   * separates datagrams only where the kernel does (IPv6 link-local and multicast).
   */
  gather(packet: Packet, user: DefragUser, zone: number, device: number, now: number): Gathering {
    return packet.family === 4
      ? this.#gather4(packet, user, zone, device, now)
      : this.#gather6(packet, user, zone, device, now);
  }

  #answer(result: Gathering['result'], reason = '', parameterProblem: Gathering['parameterProblem'] = null): Gathering {
    const gathering = this.#gathering;
    gathering.result = result;
    gathering.reason = reason;
    gathering.parameterProblem = parameterProblem;
    return gathering;
  }

  #find(family: Family, key: string, timeout: number, now: number): FragmentQueue | null {
    const limit = family === 4 ? this.#settings.highThreshold4 : this.#settings.highThreshold6;
    if (this.#memory[family] > limit) {
      this.#settings.onFull?.();
      return null;
    }
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      queue = emptyQueue(now + timeout);
      this.#queues.set(key, queue);
    }
    return queue;
  }

  #kill(family: Family, key: string, queue: FragmentQueue): void {
    this.#memory[family] -= queue.memory;
    this.#queues.delete(key);
  }

  #account(family: Family, queue: FragmentQueue, bytes: number): void {
    queue.memory += bytes + OVERHEAD;
    this.#memory[family] += bytes + OVERHEAD;
  }

  #gather4(packet: Packet, user: DefragUser, zone: number, device: number, now: number): Gathering {
    const { bytes, src, dst, headerLength } = packet;
    const ids = `${packet.protocol} ${readUint16(bytes, 4)}`;
    const key = `4 ${user} ${zone} ${src[0]} ${dst[0]} ${ids}`;
    const queue = this.#find(4, key, this.#settings.timeout4, now);
    if (queue === null) return this.#answer('refused', 'too many fragments wait');
    this.#checkDistance(queue, String(src[0]), now);

    const start = packet.fragmentOffset;
    let end = start + bytes.length - headerLength;
    const discard = (reason: string): Gathering => {
      this.#kill(4, key, queue);
      return this.#answer('refused', reason);
    };
    if (!packet.moreFragments) {
      if (end < queue.length || (queue.lastIn && end !== queue.length)) return discard('fragments beyond the last one');
      queue.lastIn = true;
      queue.length = end;
    } else {
      end &= ~7;
      if (end > queue.length) {
        if (queue.lastIn) return discard('a fragment beyond the last one');
        queue.length = end;
      }
    }
    if (end === start) return discard('an empty fragment');
    const inserted = insertFragment(queue, pieceOf(packet, headerLength, start, end));
    if (inserted === 'duplicate') return this.#answer('refused', 'a fragment that has come before');
    if (inserted === 'overlap') return discard('overlapping fragments');
    this.#account(4, queue, bytes.length);
    queue.device = device;
    queue.meat += end - start;
    queue.ecn |= 1 << (bytes[1]! & 3);
    if (start === 0) queue.firstIn = true;
    const size = end - start + headerLength;
    if (size > queue.maxSize) queue.maxSize = size;
    if ((bytes[6]! & 0x40) !== 0 && size > queue.maxDfSize) queue.maxDfSize = size;
    if (!queue.firstIn || !queue.lastIn || queue.meat !== queue.length) return this.#answer('waiting');
    this.#kill(4, key, queue);
    return this.#reassemble4(packet, queue);
  }

  /** A sender that has sent too many other fragments in between may have used the identification again: what is there is given up. */
  #checkDistance(queue: FragmentQueue, sender: string, now: number): void {
    const { maxDistance, timeout4 } = this.#settings;
    if (maxDistance === 0) return;
    const seen = (this.#senders.get(sender) ?? 0) + 1;
    this.#senders.set(sender, seen);
    const before = queue.lastSeen;
    queue.lastSeen = seen;
    if (queue.runs.length === 0 || seen - before <= maxDistance) return;
    this.#memory[4] -= queue.memory;
    Object.assign(queue, emptyQueue(now + timeout4), { lastSeen: seen });
  }

  #reassemble4(packet: Packet, queue: FragmentQueue): Gathering {
    const ecn = combinedEcn(queue.ecn);
    if (ecn < 0) return this.#answer('refused', 'fragments whose ECN bits contradict each other');
    const fragments = fragmentsOf(queue);
    const header = fragments[0]!.payload;
    if (header + queue.length > MAXIMUM) return this.#answer('oversized', 'longer than 65535 bytes');
    const bytes = joined(fragments, header, queue.length);
    bytes[1] = bytes[1]! | ecn;
    const dontFragment = queue.maxDfSize === queue.maxSize;
    writeUint16(bytes, 2, bytes.length);
    writeUint16(bytes, 6, dontFragment ? 0x4000 : 0);
    writeUint16(bytes, 10, 0);
    writeUint16(bytes, 10, internetChecksum(bytes, 0, header));
    packet.bytes = bytes;
    Object.assign(packet, fragments[0]!.first);
    decode(packet);
    packet.fragmentMaxSize = Math.max(queue.maxDfSize, queue.maxSize);
    packet.fragmentDontFragment = dontFragment;
    packet.fragmentSizes = fragments.map((fragment) => fragment.end - fragment.start);
    return this.#answer('complete');
  }

  #gather6(packet: Packet, user: DefragUser, zone: number, device: number, now: number): Gathering {
    const { bytes, src, dst } = packet;
    const header = packet.fragmentHeader;
    const local = user === 'local';
    const payloadLength = readUint16(bytes, 4);
    if (payloadLength === 0 || header + 8 > bytes.length) {
      if (!local)
        return this.#answer(payloadLength === 0 ? 'unchanged' : 'refused', 'a fragment header that is cut short');
      return this.#answer('refused', 'a broken fragment header', { code: 0, pointer: header });
    }
    // Of this header, not of one that is in the fragment.
    const field = readUint16(bytes, header + 2);
    const start = field & 0xfff8;
    const more = (field & 1) !== 0;
    if (local && start === 0 && !more) return this.#answer('unchanged');
    if (start === 0 && isTransportTruncated(bytes, header)) {
      if (!local) return this.#answer('unchanged');
      return this.#answer('refused', 'a first fragment without the whole transport header', { code: 3, pointer: 0 });
    }
    const strict = dst[0]! >>> 24 === 0xff || (dst[0]! & 0xffc00000) >>> 0 === 0xfe800000;
    const key = `6 ${user} ${zone} ${src.join()} ${dst.join()} ${readUint32(bytes, header + 4)} ${strict ? device : 0}`;
    const timeout = local ? this.#settings.timeout6 : this.#settings.conntrackTimeout6;
    const queue = this.#find(6, key, timeout, now);
    if (queue === null) return this.#answer('refused', 'too many fragments wait');
    const discard = (reason: string): Gathering => {
      this.#kill(6, key, queue);
      return this.#answer('refused', reason);
    };
    // What contradicts the end that is known costs the whole datagram only on delivery.
    const contradict = (reason: string): Gathering => (local ? discard(reason) : this.#answer('refused', reason));

    const end = start + payloadLength - (header + 8 - 40);
    if (end > MAXIMUM) {
      return this.#answer('refused', 'longer than 65535 bytes', local ? { code: 0, pointer: header + 2 } : null);
    }
    if (!more) {
      if (end < queue.length || (queue.lastIn && end !== queue.length))
        return contradict('fragments beyond the last one');
      queue.lastIn = true;
      queue.length = end;
    } else {
      if ((end & 7) !== 0) {
        if (local) return this.#answer('refused', 'a fragment of odd length', { code: 0, pointer: 4 });
        this.#kill(6, key, queue);
        return this.#answer('unchanged');
      }
      if (end > queue.length) {
        if (queue.lastIn) return contradict('a fragment beyond the last one');
        queue.length = end;
      }
    }
    if (end === start) return contradict('an empty fragment');
    const inserted = insertFragment(queue, pieceOf(packet, header + 8, start, end));
    if (inserted === 'duplicate') {
      return local ? this.#answer('refused', 'a fragment that has come before') : this.#answer('waiting');
    }
    if (inserted === 'overlap') return discard('overlapping fragments');
    this.#account(6, queue, bytes.length);
    queue.device = device;
    queue.meat += end - start;
    queue.ecn |= 1 << (tosOf(packet) & 3);
    if (start === 0) queue.firstIn = true;
    if (payloadLength > queue.maxSize) queue.maxSize = payloadLength;
    if (!queue.firstIn || !queue.lastIn || queue.meat !== queue.length) return this.#answer('waiting');
    this.#kill(6, key, queue);
    return this.#reassemble6(packet, queue, local);
  }

  #reassemble6(packet: Packet, queue: FragmentQueue, local: boolean): Gathering {
    const ecn = combinedEcn(queue.ecn);
    if (ecn < 0) return this.#answer('refused', 'fragments whose ECN bits contradict each other');
    const fragments = fragmentsOf(queue);
    const fixed = fragments[0]!.payload - 8;
    if (fixed - 40 + queue.length > MAXIMUM) return this.#answer('refused', 'longer than 65535 bytes');
    const field = precedingField(fragments[0]!.bytes, fixed);
    const bytes = joined(fragments, fixed, queue.length);
    bytes[field] = fragments[0]!.bytes[fixed]!;
    writeUint16(bytes, 4, bytes.length - 40);
    bytes[1] = bytes[1]! | (ecn << 4);
    packet.bytes = bytes;
    Object.assign(packet, fragments[0]!.first);
    decode(packet);
    packet.fragmentMaxSize = 40 + queue.maxSize;
    packet.fragmentHeaderWas = local ? 0 : fixed;
    packet.fragmentSizes = fragments.map((fragment) => fragment.end - fragment.start);
    return this.#answer('complete');
  }

  /** Gives up the datagrams whose time is over at `now`, in the order of their deadlines. */
  expire(now: number): ExpiredDatagram[] {
    if (this.#queues.size === 0) return [];
    const over = [...this.#queues].filter(([, queue]) => queue.deadline <= now);
    over.sort(([, a], [, b]) => a.deadline - b.deadline);
    return over.map(([key, queue]) => {
      const [version, user] = key.split(' ');
      const family: Family = version === '4' ? 4 : 6;
      this.#kill(family, key, queue);
      return {
        family,
        user: user as DefragUser,
        first: queue.firstIn ? queue.runs[0]!.fragments[0]!.bytes : null,
        device: queue.device,
      };
    });
  }

  save(): ReassemblyMemory {
    return {
      queues: [...this.#queues].map(([key, queue]) => [key, storedQueue(queue)]),
      senders: [...this.#senders],
    };
  }

  load(memory: ReassemblyMemory): void {
    for (const [key, stored] of memory.queues) {
      const queue = loadedQueue(stored);
      this.#queues.set(key, queue);
      this.#memory[key.startsWith('4') ? 4 : 6] += queue.memory;
    }
    for (const [sender, fragments] of memory.senders) this.#senders.set(sender, fragments);
  }
}

function pieceOf(packet: Packet, payload: number, start: number, end: number): Fragment {
  const { bytes } = packet;
  return start === 0 ? { bytes, payload, start, end, first: firstFragment(packet) } : { bytes, payload, start, end };
}

/** The header (`fixed` bytes of the first fragment) and all payloads behind it. */
function joined(fragments: readonly Fragment[], fixed: number, length: number): Uint8Array {
  const bytes = new Uint8Array(fixed + length);
  bytes.set(fragments[0]!.bytes.subarray(0, fixed));
  for (const { bytes: piece, payload, start, end } of fragments) {
    bytes.set(piece.subarray(payload, payload + end - start), fixed + start);
  }
  return bytes;
}

/** Offset of the next-header field that names the header at `offset`. */
function precedingField(bytes: Uint8Array, offset: number): number {
  let field = 6;
  let at = 40;
  while (at < offset) {
    const length = extensionHeaderLength(bytes, at, bytes[field]!);
    field = at;
    at += length;
  }
  return field;
}

/** Whether a first fragment ends before its transport header does (`ipv6frag_thdr_truncated`, RFC 8200 4.5). */
function isTransportTruncated(bytes: Uint8Array, fragmentHeader: number): boolean {
  let next = bytes[fragmentHeader]!;
  let offset = fragmentHeader + 8;
  while (isExtensionHeader(next) && next !== Protocol.noNextHeader) {
    if (offset + 2 > bytes.length) return false;
    const length = extensionHeaderLength(bytes, offset, next);
    next = bytes[offset]!;
    offset += length;
  }
  // Where nothing follows nothing is missing (ipv6_skip_exthdr gives up there).
  if (next === Protocol.noNextHeader) return false;
  const needed = next === Protocol.tcp ? 20 : next === Protocol.udp || next === Protocol.icmpv6 ? 8 : 1;
  return offset + needed > bytes.length;
}
