import type {
  MatchExtension,
  MatchFunction,
  TargetExtension,
  TargetFunction,
  Variant,
} from '../extensions/contract.ts';
import type { Device } from '../host/device.ts';
import type { Family } from '../packet/family.ts';
import type { InterfaceMatch, RuleSpec } from '../ruleset/rule.ts';
import type { MachineServices, RuleEnvironment } from './environment.ts';
import { HOOK_NAMES, type HookName, type TableName } from './hooks.ts';
import type { LoadedChain, LoadedTable } from './machine-contract.ts';
import { queueVerdict, Verdict } from './verdicts.ts';

/** What happens at a slot when its rule matches. */
export const Action = { next: 0, verdict: 1, return: 2, jump: 3, goto: 4, target: 5, policy: 6, chainEnd: 7 } as const;
export type Action = (typeof Action)[keyof typeof Action];

/** Where the extensions are found by name. */
export interface ExtensionLookup {
  match(name: string): MatchExtension | undefined;
  target(name: string): TargetExtension | undefined;
}

/** A rule made ready: its parts as functions. */
export interface CompiledRule {
  spec: RuleSpec;
  matches: readonly MatchFunction[];
  matchNames: readonly string[];
  target: TargetFunction | null;
}

/**
 * One table made ready to run. Rules lie one after the other in slots, chain after chain; each chain ends with one more slot:
 * its policy, or the return of a chain made by the user.
 */
export interface TableProgram {
  readonly family: Family;
  readonly name: TableName;
  readonly variant: Variant;
  readonly size: number;
  /** First slot of the base chain of each hook; -1 where the table has none. */
  readonly entry: Int32Array;
  readonly action: Uint8Array;
  /** Verdict, or slot to jump to, as the action needs it. */
  readonly argument: Float64Array;
  /** null for the slot that ends a chain. */
  readonly specs: readonly (RuleSpec | null)[];
  /** The rule of a slot as functions; null for the slot that ends a chain. Most are made when they are first asked for. */
  rule(slot: number): CompiledRule | null;
  readonly extensions: ExtensionLookup;
  readonly chainOf: readonly string[];
  /** From 1; 0 for the slot that ends a chain. */
  readonly numberOf: Int32Array;
  /** Counted since the program was made. */
  readonly packets: Float64Array;
  readonly bytes: Float64Array;
}

/** Devices for which an interface test holds, by index + 1 (0: there is no device), inversion included. */
export function interfaceTable(test: InterfaceMatch, devices: readonly Device[]): Uint8Array {
  let highest = 0;
  for (const device of devices) highest = Math.max(highest, device.index);
  const table = new Uint8Array(highest + 2);
  table[0] = interfaceFits(test, '') ? 1 : 0;
  for (const device of devices) table[device.index + 1] = interfaceFits(test, device.name) ? 1 : 0;
  return table;
}

/** `-i NAME`, `-i NAME+`, `! -i NAME` against a device name ('' where there is no device). */
export function interfaceFits(test: InterfaceMatch, name: string): boolean {
  const fits = test.name.endsWith('+') ? name.startsWith(test.name.slice(0, -1)) : name === test.name;
  return fits !== test.invert;
}

/** Makes the rules of a table ready. Throws if a rule names an extension or chain that does not exist. */
export function compileTable(
  table: LoadedTable,
  family: Family,
  variant: Variant,
  extensions: ExtensionLookup,
  machine: MachineServices,
  ruleState: <T>(key: string, make: () => T) => T,
): TableProgram {
  const size = table.chains.reduce((sum, chain) => sum + chain.rules.length + 1, 0);
  const entry = new Int32Array(HOOK_NAMES.length).fill(-1);
  const starts = new Map<string, number>();
  let slot = 0;
  for (const chain of table.chains) {
    starts.set(chain.name, slot);
    const hook = HOOK_NAMES.indexOf(chain.name as HookName);
    if (chain.policy !== null && hook >= 0) entry[hook] = slot;
    slot += chain.rules.length + 1;
  }

  const action = new Uint8Array(size);
  const argument = new Float64Array(size);
  const specs: (RuleSpec | null)[] = [];
  const rules: (CompiledRule | null)[] = [];
  const chainOf: string[] = [];
  const numberOf = new Int32Array(size);
  const compileSlot = (at: number): CompiledRule => {
    const spec = specs[at]!;
    const chain = chainOf[at]!;
    const number = numberOf[at]!;
    return compileRule(spec, extensions, {
      family,
      table: table.name,
      chain,
      rule: number,
      variant,
      machine,
      protocol: spec.protocol,
      protocolInvert: spec.protocolInvert,
      ruleState: (name, make) => ruleState(`${family} ${table.name} ${chain} ${number} ${name}`, make),
    });
  };
  for (const chain of table.chains) {
    chain.rules.forEach(({ spec }, index) => {
      const at = specs.length;
      specs.push(spec);
      chainOf.push(chain.name);
      numberOf[at] = index + 1;
      action[at] = actionOf(spec);
      argument[at] = argumentOf(spec, starts);
      rules.push(canWait(spec, extensions) ? null : compileSlot(at));
    });
    const end = specs.length;
    action[end] = chain.policy === null ? Action.chainEnd : Action.policy;
    argument[end] = policyVerdict(chain);
    specs.push(null);
    rules.push(null);
    chainOf.push(chain.name);
  }
  return {
    family,
    name: table.name,
    variant,
    size,
    entry,
    action,
    argument,
    specs,
    rule(slot) {
      const made = rules[slot]!;
      if (made !== null || specs[slot] === null) return made;
      const compiled = compileSlot(slot);
      rules[slot] = compiled;
      return compiled;
    },
    extensions,
    chainOf,
    numberOf,
    packets: new Float64Array(size),
    bytes: new Float64Array(size),
  };
}

function policyVerdict(chain: LoadedChain): number {
  return chain.policy === 'DROP' ? Verdict.drop : Verdict.accept;
}

function compileRule(spec: RuleSpec, extensions: ExtensionLookup, environment: RuleEnvironment): CompiledRule {
  const matches = spec.matches.map(({ name, data }, index) => {
    const extension = extensions.match(name);
    if (extension === undefined) throw new Error(`match ${name} is not known`);
    return extension.compile(data, slotted(environment, String(index)));
  });
  let target: TargetFunction | null = null;
  if (spec.target.kind === 'extension') {
    const extension = extensions.target(spec.target.name);
    if (extension === undefined) throw new Error(`target ${spec.target.name} is not known`);
    target = extension.compile(spec.target.data, slotted(environment, 'target'));
  }
  return { spec, matches, matchNames: spec.matches.map((use) => use.name), target };
}

/** Keeps the state of several matches of one rule apart: the place in the rule stands before the extension's own name for it. */
function slotted(environment: RuleEnvironment, place: string): RuleEnvironment {
  return {
    ...environment,
    ruleState: (name, make) => environment.ruleState(name === '' ? place : `${place}.${name}`, make),
  };
}

function actionOf({ target }: RuleSpec): Action {
  switch (target.kind) {
    case 'none':
      return Action.next;
    case 'verdict':
      return target.verdict === 'RETURN' ? Action.return : Action.verdict;
    case 'jump':
      return Action.jump;
    case 'goto':
      return Action.goto;
    case 'extension':
      return Action.target;
  }
}

function argumentOf({ target }: RuleSpec, starts: ReadonlyMap<string, number>): number {
  if (target.kind === 'verdict') {
    if (target.verdict === 'QUEUE') return queueVerdict(0, false);
    return target.verdict === 'DROP' ? Verdict.drop : Verdict.accept;
  }
  if (target.kind !== 'jump' && target.kind !== 'goto') return 0;
  const start = starts.get(target.chain);
  if (start === undefined) throw new Error(`chain ${target.chain} is not known`);
  return start;
}

/** Targets that keep no state and make nothing when they are compiled. */
const STATELESS_TARGETS = new Set([
  'CONNMARK',
  'DNAT',
  'LOG',
  'MARK',
  'MASQUERADE',
  'NETMAP',
  'REDIRECT',
  'REJECT',
  'SNAT',
]);

/** Whether it makes no difference when a rule is compiled: of most rules of a large set no packet ever comes to the tests behind the header. */
function canWait({ matches, target }: RuleSpec, extensions: ExtensionLookup): boolean {
  for (const { name, data } of matches) {
    const extension = extensions.match(name);
    if (extension === undefined || !isPure(extension, data)) return false;
  }
  return (
    target.kind !== 'extension' || (STATELESS_TARGETS.has(target.name) && extensions.target(target.name) !== undefined)
  );
}

/** Whether a use of the match depends on the packet alone. */
export function isPure(extension: MatchExtension, data: unknown): boolean {
  return typeof extension.pure === 'function' ? extension.pure(data) : extension.pure === true;
}
