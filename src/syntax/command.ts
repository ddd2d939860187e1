import type { Extension, NameServices, ParseContext, Variant } from '../extensions/contract.ts';
import type { Family } from '../packet/family.ts';
import { type Counters, emptyRule, type RuleSpec } from '../ruleset/rule.ts';
import type { MaskedAddress } from './addresses.ts';

/** What a command line is read with. */
export interface CommandLineSettings {
  family: Family;
  variant: Variant;
  /** Name in messages: `iptables`, or that of the restore command. */
  program: string;
  /** `1.8.9 (legacy)`, as `-V` prints it. */
  version: string;
  names: NameServices;
  /** A line of iptables-restore: no second `-t`, no `-w`. */
  restore: boolean;
  /** Chain names that hide a target of the same name. */
  announced: ReadonlySet<string>;
  warn(text: string): void;
  setByName: ParseContext['setByName'];
}

/** A command line as data, before the ruleset is looked at. */
export interface CommandLine {
  /** Bits of `Cmd`; 0: the line is for the other family. */
  command: number;
  /** Bits of `Opt`. */
  options: number;
  table: string;
  chain: string | null;
  /** From 1; 0 if none was given. */
  ruleNumber: number;
  newName: string | null;
  policy: string | null;
  /** How often `-v` was given. */
  verbose: number;
  /** The rule; `source`, `destination` and a jump to a chain are still open. */
  rule: RuleSpec;
  sources: MaskedAddress[];
  destinations: MaskedAddress[];
  sourceInvert: boolean;
  destinationInvert: boolean;
  /** Name after `-j` or `-g`, '' if there was none. */
  jumpTo: string;
  goto: boolean;
  target: Extension | null;
  counters: Counters;
  /** `-w`: seconds, -1 for ever, null if not given. */
  wait: number | null;
}

/** Shared; replaced as a whole where there are others. */
const NO_COUNTERS = { packets: 0n, bytes: 0n };

/** A command line of which nothing has been read. */
export function emptyCommandLine(family: Family, table: string): CommandLine {
  return {
    command: 0,
    options: 0,
    table,
    chain: null,
    ruleNumber: 0,
    newName: null,
    policy: null,
    verbose: 0,
    rule: emptyRule(family),
    sources: [],
    destinations: [],
    sourceInvert: false,
    destinationInvert: false,
    jumpTo: '',
    goto: false,
    target: null,
    counters: NO_COUNTERS,
    wait: null,
  };
}
