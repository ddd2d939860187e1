/** One datagram's fragments in order (`inet_frag_queue_insert`, net/ipv4/inet_fragment.c). */
import type { FirstFragment } from './first-fragment.ts';

/** A waiting fragment: its whole packet, and where its part of the datagram lies. */
export interface Fragment {
  /** From the IP header. */
  bytes: Uint8Array;
  /** Where its payload begins in `bytes` (behind the IPv6 fragment header). */
  payload: number;
  /** Offset in the datagram, and behind its last byte. */
  start: number;
  end: number;
  /** Of the first one, what the whole datagram has from it. */
  first?: FirstFragment;
}

/** Fragments that came one directly after the other: within a run a repetition is a duplicate, across runs it is an overlap. */
export interface Run {
  start: number;
  end: number;
  fragments: Fragment[];
}

export interface FragmentQueue {
  /** Microseconds: when it is given up. */
  deadline: number;
  /** In order of their offsets. */
  runs: Run[];
  /** Length of the datagram as far as it is known. */
  length: number;
  /** Bytes that are there. */
  meat: number;
  firstIn: boolean;
  lastIn: boolean;
  /** Largest fragment (IPv4: with its header; IPv6: payload length), and largest with DF. */
  maxSize: number;
  maxDfSize: number;
  /** Which ECN code points came: bit n for code point n. */
  ecn: number;
  /** IPv4: how many fragments of this sender had come when the last of this datagram came. */
  lastSeen: number;
  /** Index of the device over which the last fragment came; 0 for packets of this machine. */
  device: number;
  /** Memory it takes, about as the kernel counts it. */
  memory: number;
}

export function emptyQueue(deadline: number): FragmentQueue {
  return {
    deadline,
    runs: [],
    length: 0,
    meat: 0,
    firstIn: false,
    lastIn: false,
    maxSize: 0,
    maxDfSize: 0,
    ecn: 0,
    lastSeen: 0,
    device: 0,
    memory: 0,
  };
}

/** Puts the fragment in its place. A duplicate lies within what has come, an overlap partly; neither is put in. */
export function insertFragment(queue: FragmentQueue, fragment: Fragment): 'inserted' | 'duplicate' | 'overlap' {
  const { runs } = queue;
  const { start, end } = fragment;
  const last = runs[runs.length - 1];
  if (last === undefined) {
    runs.push({ start, end, fragments: [fragment] });
    return 'inserted';
  }
  if (last.end < end) {
    if (start < last.end) return 'overlap';
    if (start === last.end) {
      last.fragments.push(fragment);
      last.end = end;
    } else runs.push({ start, end, fragments: [fragment] });
    return 'inserted';
  }
  let at = 0;
  while (at < runs.length && runs[at]!.end <= start) at++;
  const next = runs[at]!;
  if (end > next.start) return start >= next.start && end <= next.end ? 'duplicate' : 'overlap';
  runs.splice(at, 0, { start, end, fragments: [fragment] });
  return 'inserted';
}

export function fragmentsOf(queue: FragmentQueue): Fragment[] {
  return queue.runs.flatMap((run) => run.fragments);
}

/**
 * The ECN bits to be added to a reassembled header (`ip_frag_ecn_table`, RFC 3168 5.3): CE (3) if a fragment had it and the others could
 * carry it; -1 if the combination cannot be, and the datagram is dropped.
 */
export function combinedEcn(ecn: number): number {
  const notEct = (ecn & 1) !== 0;
  const others = ecn & 0b1110;
  if (notEct) return others === 0 ? 0 : -1;
  const ce = (ecn & 0b1000) !== 0;
  return ce && (ecn & 0b0110) !== 0 ? 3 : 0;
}
