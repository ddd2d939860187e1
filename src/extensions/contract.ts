import type { RuleEnvironment } from '../datapath/environment.ts';
import type { Hook, HookState, TableName } from '../datapath/hooks.ts';
import type { VerdictCode } from '../datapath/verdicts.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import type { Packet } from '../packet/packet.ts';
import type { RuleSpec } from '../ruleset/rule.ts';

/** The two implementations of iptables 1.8.9 that are imitated. */
export type Variant = 'legacy' | 'nft';

/**
 * What an option's argument may be. Each type has the reading and the error text of the libxtables type of
 * the same name (XTTYPE_*); `string` leaves the reading to the extension.
 */
export type OptionType =
  | 'none'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'uint8-range'
  | 'uint16-range'
  | 'uint32-range'
  | 'uint64-range'
  | 'double'
  | 'string'
  | 'tos-mask'
  | 'mark-mask'
  | 'syslog-level'
  | 'host'
  | 'host-mask'
  | 'protocol'
  | 'port'
  | 'port-range'
  | 'prefix-length'
  | 'prefix-mask'
  | 'ethernet';

/** One option of an extension, in the order of the real tool's table (the order decides abbreviations and errors). */
export interface OptionDeclaration {
  name: string;
  type: OptionType;
  /** `!` may stand before it (XTOPT_INVERT). */
  invert?: boolean;
  /** The extension cannot be used without it (XTOPT_MAND). */
  mandatory?: boolean;
  /** May be given more than once (XTOPT_MULTI). */
  multiple?: boolean;
  /** Least and greatest value; for strings, lengths. */
  min?: number;
  max?: number;
  /** Options that may not stand beside it (`excl`). */
  excludes?: readonly string[];
  /** Options that it needs (`also`). */
  requires?: readonly string[];
  /**
   * Another spelling of that option (same id in the real table, e.g. `sport` of `source-port`): the two count as one use,
   * `ParsedOption.name`, `seen`, `excludes` and error texts use the name given here.
   */
  synonymOf?: string;
  /** Takes the next word too, if there is one and it begins neither with `-` nor with `!` (`--tcp-flags`). */
  second?: boolean;
}

/** An option as it was met on the command line, its argument read according to the declared type. */
export interface ParsedOption {
  name: string;
  invert: boolean;
  /** The argument as written; '' for type `none`. */
  text: string;
  /** uint8, uint16, uint32, double, protocol, port, prefix-length, syslog-level. */
  number: number;
  /** uint64. */
  big: bigint;
  /** The one or two numbers of a `-range` type (`numbers.length` tells how many were given; an open end is filled in). */
  numbers: readonly number[];
  bigs: readonly bigint[];
  /** tos-mask, mark-mask: value and mask. */
  value: number;
  mask: number;
  /** host, host-mask, prefix-mask. */
  address: AddressWords;
  addressMask: AddressWords;
  /** host-mask, prefix-mask, where the mask is contiguous. */
  prefixLength: number;
  /** ethernet: six bytes. */
  mac: readonly number[];
  /** The second word of an option declared with `second`; null if there was none to take. */
  second?: string | null;
}

/** Names to numbers and back, from the machine's files or the built-in copies of them. */
export interface NameServices {
  serviceByName(name: string, protocol: string | null): number | null;
  serviceByPort(port: number, protocol: string | null): string | null;
  protocolByName(name: string): number | null;
  protocolByNumber(number: number): string | null;
  /** All addresses of a host name in that family; empty if unknown. */
  hostByName(name: string, family: Family): readonly AddressWords[];
  hostByAddress(address: AddressWords, family: Family): string | null;
  networkByName(name: string): number | null;
  networkByAddress(address: number): string | null;
  userByName(name: string): number | null;
  userById(id: number): string | null;
  groupByName(name: string): number | null;
  groupById(id: number): string | null;
  /** Text of a file that lists names for an extension, e.g. `/etc/iproute2/rt_realms`; null if there is none. */
  file(path: string): string | null;
}

/** Why a command line was refused: thrown, never returned. `status` is the exit status (2: usage). */
export class UsageError extends Error {
  readonly status: number;
  /** Whether the `Try ... -h` line follows. */
  readonly showTry: boolean;
  /** Whether `iptables vX (variant): ` stands before the message. */
  readonly showProgram: boolean;
  constructor(message: string, options: { status?: number; showTry?: boolean; showProgram?: boolean } = {}) {
    super(message);
    this.status = options.status ?? 2;
    this.showTry = options.showTry ?? this.status === 2;
    this.showProgram = options.showProgram ?? true;
  }
}

/** What an extension may ask while it reads its options. */
export interface ParseContext {
  family: Family;
  variant: Variant;
  table: string;
  names: NameServices;
  /** The rule as far as it has been read. Extensions may look at the protocol; `-p` always precedes them in effect at `finish`. */
  rule: RuleSpec;
  /** Options of this extension seen so far. */
  seen: ReadonlySet<string>;
  /** Writes a warning to stderr, exactly as given. */
  warn(text: string): void;
  /** What the kernel knows of sets, asked when a rule is made (`-m set`); undefined if there is no such set. */
  setByName(name: string): { name: string; dimension: number; family: Family | 0 } | undefined;
}

/** How a rule is to be printed. */
export interface PrintContext {
  family: Family;
  variant: Variant;
  /** `-n`. */
  numeric: boolean;
  names: NameServices;
  rule: RuleSpec;
  /** Writes a warning to stderr, exactly as given; absent where nobody reads it. */
  warn?(text: string): void;
}

/** Where a rule stands, for the checks that the kernel makes when it is added. */
export interface RuleSite {
  family: Family;
  variant: Variant;
  table: TableName;
  /** Base chains from which the rule's chain can be reached. */
  hooks: ReadonlySet<Hook>;
  rule: RuleSpec;
  /** Names of the rate estimators that RATEEST rules anywhere have made; absent where that is not known, then any is taken. */
  readonly rateEstimators?: ReadonlySet<string> | undefined;
  /** The machine's names and files; absent where nothing of a real machine is to count. */
  readonly names?: NameServices | undefined;
}

/** The kernel's answer to a rule that it does not take, by errno name. */
export type KernelError =
  | 'EINVAL'
  | 'ENOENT'
  | 'ERANGE'
  | 'EPROTONOSUPPORT'
  | 'EOPNOTSUPP'
  | 'ENOTSUPP'
  | 'EEXIST'
  | 'ELOOP'
  | 'EDOM'
  | 'ENOPROTOOPT'
  | 'ENOMEM';

export type MatchFunction = (packet: Packet, at: HookState) => boolean;
export type TargetFunction = (packet: Packet, at: HookState) => VerdictCode;

/**
 * What a use remembers from one packet to the next: at most things of the packet's own flow, which lie in its connection or under both its addresses
 * (`flow`), or something that packets of all flows share (`machine`).
 */
export type Memory = 'flow' | 'machine';

interface ExtensionDeclaration<Data> {
  name: string;
  /** Other names under which `-m` finds it; it is saved as `name` (`icmpv6` and `ipv6-icmp` for `icmp6`). */
  aliases?: readonly string[];
  /** The name in listings where it is another (`CT` for `NOTRACK`: libxtables' real_name). */
  listedName?: string;
  families: readonly Family[];
  /**
   * `declared` (default): the option engine makes all the general checks and words their errors (x6_options).
   * `classic`: the extension has a getopt-style parser of its own; the engine only finds the option, the `!` and the argument.
   */
  style?: 'declared' | 'classic';
  options: readonly OptionDeclaration[];
  /** Data before any option was read. */
  init(context: ParseContext): Data;
  /** Takes in one option; throws UsageError. */
  parse(data: Data, option: ParsedOption, context: ParseContext): void;
  /** After the last option (final_check); throws UsageError. */
  finish?(data: Data, context: ParseContext): void;
  /** Text for -S and -save, with a leading blank; '' if there is nothing to say. */
  save(data: Data, context: PrintContext): string;
  /**
   * Text that is kept of a use, where `save` cannot be read back or leaves something out that a listing shows; `printedText`
   * (syntax/rule-text.ts) turns it into what `save` gives.
   */
  store?(data: Data, context: PrintContext): string;
  /** Text for -L, blanks exactly as the real one prints them (after the blank that the listing itself puts in front of it). */
  print(data: Data, context: PrintContext): string;
  /** What `-m NAME -h` prints, ending in a newline. */
  help(family: Family, variant: Variant): string;
  /** The kernel that is imitated has no such module: no rule with it can be added. */
  absent?: boolean;
  /** What the kernel gives back of a use that was added, where that is not what it was given; -C and -D are compared with it. */
  added?(data: Data, variant: Variant): Data;
  /** What the kernel says when such a rule is added; null if it takes it. */
  check?(data: Data, site: RuleSite): KernelError | null;
  /** Whether -C and -D take two uses for the same; default: equal as JSON. */
  same?(a: Data, b: Data): boolean;
  /** One plain sentence fragment: "the packet is TCP to port 22"; '' of a match that asks for nothing. */
  explain(data: Data, context: PrintContext): string;
  /** What a use says to people only; shown behind the sentence. */
  remark?(data: Data): string;
  /** Absent: nothing for a pure match, else `machine`. Packets of different flows are handled at the same time only where all rules say `flow`. */
  memory?: Memory | ((data: Data) => Memory);
  /** What cannot be known in a simulation and where it comes from instead; shown at the rule. */
  unknown?(data: Data): string | null;
}

/** A test of one field of a packet. Ports are those of TCP and UDP; ranges include both ends. */
export type FieldTest =
  | { field: 'source-port' | 'destination-port'; ranges: readonly (readonly [number, number])[] }
  | { field: 'mark'; value: number; mask: number };

export interface MatchDeclaration<Data> extends ExtensionDeclaration<Data> {
  /** What it does to a packet. Called once per rule; the function it returns is the hot path. */
  compile(data: Data, environment: RuleEnvironment): MatchFunction;
  /**
   * True if the result depends on the packet alone (headers, devices, mark, connection) and testing changes nothing,
   * so that the classifier may test rules out of order.
   */
  pure?: boolean | ((data: Data) => boolean);
  /** It may read any byte of a packet, also those that nothing else looks at (the IPv4 identification). */
  looksAnywhere?: true;
  /**
   * Tests that a packet must pass, each of them, for a pure match to hold; `compile` may ask for more. The classifier files rules under them.
   * null or absent: nothing is known. With a list, the match must not set `hotdrop` for a packet that is no later fragment and
   * has its whole TCP or UDP header.
   */
  fields?(data: Data): readonly FieldTest[] | null;
}

export interface TargetDeclaration<Data> extends ExtensionDeclaration<Data> {
  compile(data: Data, environment: RuleEnvironment): TargetFunction;
}

/** A match whose data type is its own business. */
export type MatchExtension = MatchDeclaration<unknown> & { readonly kind: 'match' };
export type TargetExtension = TargetDeclaration<unknown> & { readonly kind: 'target' };
export type Extension = MatchExtension | TargetExtension;

export function defineMatch<Data>(declaration: MatchDeclaration<Data>): MatchExtension {
  return { ...(declaration as unknown as MatchDeclaration<unknown>), kind: 'match' };
}

export function defineTarget<Data>(declaration: TargetDeclaration<Data>): TargetExtension {
  return { ...(declaration as unknown as TargetDeclaration<unknown>), kind: 'target' };
}
