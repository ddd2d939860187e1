import type { MatchFunction } from '../extensions/contract.ts';
import type { Device } from '../host/device.ts';
import type { Packet } from '../packet/packet.ts';
import { Protocol } from '../packet/protocol.ts';
import type { AddressMatch } from '../ruleset/rule.ts';
import { buildClassifier } from './classify/build.ts';
import { type Classifier, isPlain } from './classify/classifier.ts';
import type { TableEvaluator } from './evaluator.ts';
import type { HookState } from './hooks.ts';
import { Action, interfaceTable, type TableProgram } from './program.ts';
import { Verdict, type VerdictCode } from './verdicts.ts';

/** Which parts of the header test a slot has. */
const Part = {
  source: 1,
  sourceInvert: 2,
  destination: 4,
  destinationInvert: 8,
  in: 16,
  out: 32,
  protocol: 64,
  protocolInvert: 128,
  fragment: 256,
  notFragment: 512,
  /** There are matches behind the header. */
  matches: 1024,
  header: 1023,
} as const;

/** Chains of that many rules have a classifier; shorter ones are walked. */
const CLASSIFIED_FROM = 16;

/** A comment is a match only by its form. */
function canFail({ name }: { name: string }): boolean {
  return name !== 'comment';
}

/** Most jumps under way at once; nested runs (answers made inside a target) share it. */
const STACK_SIZE = 4096;

/** The fast evaluator: header tests as numbers in flat arrays, no allocation for a packet. */
export class ProgramEvaluator implements TableEvaluator {
  decided = 0;
  readonly #program: TableProgram;
  readonly #parts: Uint16Array;
  /** Four words a slot for IPv6, one for IPv4. */
  readonly #width: number;
  readonly #source: Uint32Array;
  readonly #sourceMask: Uint32Array;
  readonly #destination: Uint32Array;
  readonly #destinationMask: Uint32Array;
  readonly #protocol: Uint8Array;
  readonly #in: (Uint8Array | null)[] = [];
  readonly #out: (Uint8Array | null)[] = [];
  /** By hook: slot of the policy of its base chain. */
  readonly #policy: Int32Array;
  /** By slot: number of its chain. */
  readonly #chainOf: Int32Array;
  /** By chain: its first slot, and that of the one behind it. */
  readonly #starts: number[] = [0];
  /** By chain, made when the first packet comes in; null for short ones. */
  readonly #classifiers: (Classifier | null | undefined)[] = [];
  readonly #devices: readonly Device[];
  /** By slot: the matches that can fail, once a packet came to them. */
  readonly #matches: (readonly MatchFunction[] | undefined)[];
  readonly #stack = new Int32Array(STACK_SIZE);
  #depth = 0;
  /** All matches of the rule held although one of them has set `hotdrop`. */
  #heldAnyway = false;

  constructor(program: TableProgram, devices: readonly Device[]) {
    this.#program = program;
    const { size } = program;
    const width = program.family === 4 ? 1 : 4;
    this.#width = width;
    this.#parts = new Uint16Array(size);
    this.#matches = new Array<readonly MatchFunction[] | undefined>(size).fill(undefined);
    this.#source = new Uint32Array(size * width);
    this.#sourceMask = new Uint32Array(size * width);
    this.#destination = new Uint32Array(size * width);
    this.#destinationMask = new Uint32Array(size * width);
    this.#protocol = new Uint8Array(size);
    this.#policy = program.entry.map((entry) => (entry < 0 ? -1 : program.action.indexOf(Action.policy, entry)));
    this.#devices = devices;
    this.#chainOf = new Int32Array(size);
    for (let slot = 0; slot < size; slot++) {
      this.#chainOf[slot] = this.#starts.length - 1;
      if (program.specs[slot] !== null) continue;
      const rules = slot - this.#starts.at(-1)!;
      this.#classifiers.push(rules < CLASSIFIED_FROM ? null : undefined);
      this.#starts.push(slot + 1);
    }
    const tables = new Map<string, Uint8Array>();
    const tableOf = (test: { name: string; invert: boolean }): Uint8Array => {
      const key = `${test.invert} ${test.name}`;
      let table = tables.get(key);
      if (table === undefined) {
        table = interfaceTable(test, devices);
        tables.set(key, table);
      }
      return table;
    };
    for (let slot = 0; slot < size; slot++) {
      const spec = program.specs[slot]!;
      this.#in.push(spec?.inInterface ? tableOf(spec.inInterface) : null);
      this.#out.push(spec?.outInterface ? tableOf(spec.outInterface) : null);
      if (spec === null) continue;
      let parts = 0;
      if (spec.source !== null) {
        parts |= Part.source | (spec.source.invert ? Part.sourceInvert : 0);
        this.#fill(this.#source, this.#sourceMask, slot, spec.source);
      }
      if (spec.destination !== null) {
        parts |= Part.destination | (spec.destination.invert ? Part.destinationInvert : 0);
        this.#fill(this.#destination, this.#destinationMask, slot, spec.destination);
      }
      if (spec.inInterface !== null) parts |= Part.in;
      if (spec.outInterface !== null) parts |= Part.out;
      if (spec.protocol !== 0) {
        parts |= Part.protocol | (spec.protocolInvert ? Part.protocolInvert : 0);
        this.#protocol[slot] = spec.protocol;
      }
      if (spec.fragment !== null) parts |= spec.fragment ? Part.fragment : Part.notFragment;
      if (spec.matches.some(canFail)) parts |= Part.matches;
      this.#parts[slot] = parts;
    }
  }

  #fill(addresses: Uint32Array, masks: Uint32Array, slot: number, match: AddressMatch): void {
    for (let i = 0; i < this.#width; i++) {
      masks[slot * this.#width + i] = match.mask[i]!;
      addresses[slot * this.#width + i] = (match.address[i]! & match.mask[i]!) >>> 0;
    }
  }

  run(packet: Packet, at: HookState): VerdictCode {
    const program = this.#program;
    const { action, argument, packets, bytes } = program;
    const parts = this.#parts;
    const base = this.#depth;
    const policy = this.#policy[at.hook]!;
    const plain = isPlain(packet);
    let slot = program.entry[at.hook]!;
    if (slot < 0) return Verdict.accept;
    packet.hotdrop = false;
    /** Gives the candidates of the chain the packet is in; null where it meets all its rules. */
    let classifier = plain ? this.#classifierAt(slot) : null;
    if (classifier !== null) slot = classifier.seek(packet, at, slot);
    for (;;) {
      if (parts[slot] !== 0 && !this.#fits(slot, packet, at)) {
        if (packet.hotdrop) {
          if (this.#heldAnyway) this.#hit(slot, packet, at);
          return this.#finish(slot, base, Verdict.drop);
        }
        slot = classifier === null ? slot + 1 : classifier.next(packet, at, slot);
        continue;
      }
      packets[slot]! += 1;
      bytes[slot]! += packet.bytes.length;
      switch (action[slot]) {
        case Action.next:
          slot = classifier === null ? slot + 1 : classifier.next(packet, at, slot);
          continue;
        case Action.verdict:
        case Action.policy:
          return this.#finish(slot, base, argument[slot]!);
        case Action.return:
        case Action.chainEnd:
          slot = this.#depth > base ? this.#stack[--this.#depth]! : policy;
          break;
        case Action.jump:
          this.#stack[this.#depth++] = slot + 1;
          slot = argument[slot]!;
          break;
        case Action.goto:
          slot = argument[slot]!;
          break;
        default: {
          const verdict = program.rule(slot)!.target!(packet, at);
          if (verdict === Verdict.next) {
            slot++;
          } else if (verdict === Verdict.return) {
            slot = this.#depth > base ? this.#stack[--this.#depth]! : policy;
          } else {
            return this.#finish(slot, base, verdict);
          }
        }
      }
      // Another chain, or the target may have changed the packet or sent another one through here.
      classifier = plain ? this.#classifierAt(slot) : null;
      if (classifier !== null) slot = classifier.seek(packet, at, slot);
    }
  }

  #classifierAt(slot: number): Classifier | null {
    const chain = this.#chainOf[slot]!;
    const known = this.#classifiers[chain];
    if (known !== undefined) return known;
    const end = this.#starts[chain + 1]! - 1;
    const made = buildClassifier(this.#program, this.#starts[chain]!, end, this.#devices);
    this.#classifiers[chain] = made;
    return made;
  }

  /** Whether all tests of the rule hold. Not so either where a test has set `hotdrop`, though they may then have held all the same. */
  #fits(slot: number, packet: Packet, at: HookState): boolean {
    const parts = this.#parts[slot]!;
    if (parts & Part.header && !this.#headerFits(slot, packet, at)) return false;
    if (!(parts & Part.matches)) return true;
    const matches = this.#matches[slot] ?? this.#matchesAt(slot);
    for (let i = 0; i < matches.length; i++) {
      if (!matches[i]!(packet, at)) return false;
      if (packet.hotdrop && this.#program.variant === 'nft') return false;
    }
    this.#heldAnyway = packet.hotdrop;
    return !packet.hotdrop;
  }

  /** ipt_do_table looks at `hotdrop` when it is done with a rule, so the rule counts and its target acts; nft_match_eval looks at once. */
  #hit(slot: number, packet: Packet, at: HookState): void {
    const { packets, bytes, action } = this.#program;
    this.#heldAnyway = false;
    packets[slot]! += 1;
    bytes[slot]! += packet.bytes.length;
    if (action[slot] === Action.target) this.#program.rule(slot)!.target!(packet, at);
  }

  #matchesAt(slot: number): readonly MatchFunction[] {
    const { matches, matchNames } = this.#program.rule(slot)!;
    const made = matches.filter((_, i) => canFail({ name: matchNames[i]! }));
    this.#matches[slot] = made;
    return made;
  }

  #finish(slot: number, base: number, verdict: VerdictCode): VerdictCode {
    this.decided = slot;
    this.#depth = base;
    return verdict;
  }

  #headerFits(slot: number, packet: Packet, at: HookState): boolean {
    const parts = this.#parts[slot]!;
    if (parts & Part.source) {
      const same = this.#addressFits(packet.src, this.#source, this.#sourceMask, slot);
      if (same === ((parts & Part.sourceInvert) !== 0)) return false;
    }
    if (parts & Part.destination) {
      const same = this.#addressFits(packet.dst, this.#destination, this.#destinationMask, slot);
      if (same === ((parts & Part.destinationInvert) !== 0)) return false;
    }
    if (parts & Part.in && this.#in[slot]![at.inDevice === null ? 0 : at.inDevice.index + 1] === 0) return false;
    if (parts & Part.out && this.#out[slot]![at.outDevice === null ? 0 : at.outDevice.index + 1] === 0) return false;
    if (parts & Part.protocol) {
      const protocol = protocolOf(packet, this.#program);
      if (protocol < 0) return false;
      if ((protocol === this.#protocol[slot]) === ((parts & Part.protocolInvert) !== 0)) return false;
    }
    if (parts & Part.fragment && packet.fragmentOffset === 0) return false;
    return !(parts & Part.notFragment && packet.fragmentOffset !== 0);
  }

  #addressFits(address: Uint32Array, wanted: Uint32Array, mask: Uint32Array, slot: number): boolean {
    if (this.#width === 1) return ((address[0]! & mask[slot]!) ^ wanted[slot]!) === 0;
    const at = slot * 4;
    return (
      ((address[0]! & mask[at]!) ^ wanted[at]!) === 0 &&
      ((address[1]! & mask[at + 1]!) ^ wanted[at + 1]!) === 0 &&
      ((address[2]! & mask[at + 2]!) ^ wanted[at + 2]!) === 0 &&
      ((address[3]! & mask[at + 3]!) ^ wanted[at + 3]!) === 0
    );
  }
}

/**
 * What `-p` compares; below 0 if the rule cannot match. legacy looks behind an AH header, nft stops at it; where the headers cannot be
 * followed legacy drops the packet (ip6_packet_match), nft goes on with the next rule.
 */
export function protocolOf(packet: Packet, program: TableProgram): number {
  if (packet.family === 4) return packet.protocol;
  if (program.variant === 'nft') return packet.authHeader !== 0 ? Protocol.ah : packet.protocol;
  if (packet.protocol < 0) packet.hotdrop = true;
  return packet.protocol;
}
