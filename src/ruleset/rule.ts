import type { AddressWords, Family } from '../packet/family.ts';

/** An address with its mask (not necessarily contiguous), as `-s`/`-d` take it. Host bits are already masked off. */
export interface AddressMatch {
  address: AddressWords;
  mask: AddressWords;
  invert: boolean;
}

/** `-i`/`-o`: a name; a trailing `+` stands for any rest. */
export interface InterfaceMatch {
  name: string;
  invert: boolean;
}

/** One `-m NAME` with its options as plain data, made and read only by the extension of that name. */
export interface MatchUse {
  name: string;
  data: unknown;
}

/** What a rule does with a packet that it matches. */
export type TargetUse =
  /** No `-j`: count and go on. */
  | { kind: 'none' }
  /** `-j ACCEPT|DROP|QUEUE|RETURN`. */
  | { kind: 'verdict'; verdict: 'ACCEPT' | 'DROP' | 'QUEUE' | 'RETURN' }
  /** `-j CHAIN`. */
  | { kind: 'jump'; chain: string }
  /** `-g CHAIN`. */
  | { kind: 'goto'; chain: string }
  /** `-j NAME` of a target extension. */
  | { kind: 'extension'; name: string; data: unknown };

/** Packets and bytes as unsigned 64-bit numbers. */
export interface Counters {
  packets: bigint;
  bytes: bigint;
}

/** A rule as plain data. Syntax makes it, the datapath compiles it, analysis encodes it. */
export interface RuleSpec {
  family: Family;
  /** 0: any. */
  protocol: number;
  protocolInvert: boolean;
  source: AddressMatch | null;
  destination: AddressMatch | null;
  inInterface: InterfaceMatch | null;
  outInterface: InterfaceMatch | null;
  /** `-f` (true), `! -f` (false), neither (null). IPv4 only. */
  fragment: boolean | null;
  matches: MatchUse[];
  target: TargetUse;
}

/** A rule that asks for nothing and only counts. */
export function emptyRule(family: Family): RuleSpec {
  return {
    family,
    protocol: 0,
    protocolInvert: false,
    source: null,
    destination: null,
    inInterface: null,
    outInterface: null,
    fragment: null,
    matches: [],
    target: { kind: 'none' },
  };
}
