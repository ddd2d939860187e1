import { BUILTIN_CHAINS, HOOK_NAMES, type Hook, type HookName, type TableName } from '../datapath/hooks.ts';
import type { KernelError, RuleSite, Variant } from '../extensions/contract.ts';
import { findMatch, findTarget } from '../extensions/registry.ts';
import type { AddedRule } from '../ruleset/draft.ts';
import { hooksOf, JumpGraph } from '../ruleset/reachability.ts';
import type { RuleSpec } from '../ruleset/rule.ts';
import { chainTarget, isBuiltin, type Table } from '../ruleset/ruleset.ts';
import type { RuleTextSettings } from './rule-text.ts';
import { ruleSpecOf } from './save-format.ts';

const NO_HOOKS: ReadonlySet<Hook> = new Set();
const NO_NAMES: ReadonlySet<string> = new Set();
/** NFT_JUMP_STACK_SIZE, the base chain's place included. */
const NFT_DEPTH = 16;

/** What the kernel knows besides the rule that it checks. */
type KernelView = Pick<RuleSite, 'variant' | 'rateEstimators' | 'names'>;

/** Estimators that RATEEST makes, and those that a match holds. */
const ESTIMATOR = /(?: -j RATEEST --rateest-name| --rateest[12]?) (?:"((?:[^"\\]|\\.)*)"|(\S+))/g;

/** Names of the rate estimators that save text of rules names. */
export function rateEstimatorsIn(text: string): string[] {
  if (!text.includes(' --rateest')) return [];
  return Array.from(text.matchAll(ESTIMATOR), ([, quoted, plain]) => plain ?? quoted?.replace(/\\(.)/g, '$1') ?? '');
}

/** What the kernel knows while rules go into a table. */
export function kernelView(table: Table, { variant, kernel }: RuleTextSettings): KernelView {
  if (kernel === undefined) return { variant };
  let estimators: ReadonlySet<string> | null = null;
  return {
    variant,
    names: kernel.names,
    get rateEstimators() {
      if (estimators === null) {
        const made = [...table.chains.values()].flatMap(({ rules }) =>
          rules.flatMap(({ text }) => (text.includes(' -j RATEEST ') ? rateEstimatorsIn(text) : [])),
        );
        estimators = new Set([...kernel.rateEstimators(), ...made]);
      }
      return estimators;
    },
  };
}
const hookSets = new Map<string, ReadonlySet<Hook>>();

/** Hooks of one base chain, or of all of a table's. */
function hookSet(table: TableName, chain: string | null): ReadonlySet<Hook> {
  const key = `${table} ${chain ?? ''}`;
  let set = hookSets.get(key);
  if (set === undefined) {
    const names: readonly HookName[] = chain === null ? BUILTIN_CHAINS[table] : [chain as HookName];
    set = new Set(names.map((name) => HOOK_NAMES.indexOf(name) as Hook));
    hookSets.set(key, set);
  }
  return set;
}

/**
 * The rule if the kernel may refuse it, depending on where its chain is reached from; null if it takes it in any case.
 * (In a base chain that is known at once; a rule that passes both unreachable and reached from everywhere passes.)
 */
export function needsCheck(spec: RuleSpec, chain: string, table: TableName, variant: Variant): RuleSpec | null {
  const { target, family } = spec;
  if (target.kind === 'jump' || target.kind === 'goto') return spec;
  if (isAbsent(spec)) return spec;
  const checked =
    (target.kind === 'extension' && findTarget(target.name, family)?.check !== undefined) ||
    spec.matches.some((match) => findMatch(match.name, family)?.check !== undefined);
  if (!checked) return null;
  const view: KernelView = { variant, rateEstimators: NO_NAMES };
  // Control groups come and go.
  if (spec.matches.some(({ name }) => name === 'cgroup')) return spec;
  if (isBuiltin(table, chain)) return checkRule(spec, table, view, hookSet(table, chain)) === null ? null : spec;
  const anywhere = checkRule(spec, table, view, hookSet(table, null));
  return anywhere === null && checkRule(spec, table, view, NO_HOOKS) === null ? null : spec;
}

/** Whether a rule uses what the kernel has no module for. */
function isAbsent({ matches, target, family }: RuleSpec): boolean {
  return (
    matches.some(({ name }) => findMatch(name, family)?.absent === true) ||
    (target.kind === 'extension' && findTarget(target.name, family)?.absent === true)
  );
}

/** A place for a rule; what is seldom asked for is found when it is. */
class Site implements RuleSite {
  readonly family;
  readonly variant;
  readonly rule: RuleSpec;
  readonly table: TableName;
  readonly hooks: ReadonlySet<Hook>;
  private readonly view: KernelView;
  constructor(rule: RuleSpec, table: TableName, hooks: ReadonlySet<Hook>, view: KernelView) {
    this.family = rule.family;
    this.variant = view.variant;
    this.rule = rule;
    this.table = table;
    this.hooks = hooks;
    this.view = view;
  }
  get rateEstimators(): RuleSite['rateEstimators'] {
    return this.view.rateEstimators;
  }
  get names(): RuleSite['names'] {
    return this.view.names;
  }
}

/** What the kernel answers to one rule that is reached from `hooks`. */
export function checkRule(
  spec: RuleSpec,
  table: TableName,
  view: KernelView,
  hooks: ReadonlySet<Hook>,
): KernelError | null {
  const { family, target } = spec;
  const site = new Site(spec, table, hooks, view);
  // nftables finds all modules before it looks at what is asked of them.
  if (view.variant === 'nft' && isAbsent(spec)) return 'ENOENT';
  for (const match of spec.matches) {
    const extension = findMatch(match.name, family);
    if (extension?.absent === true) return 'ENOENT';
    const error = extension?.check?.(match.data, site) ?? null;
    if (error !== null) return error;
  }
  if (target.kind !== 'extension') return null;
  const extension = findTarget(target.name, family);
  if (extension?.absent === true) return 'ENOENT';
  return extension?.check?.(target.data, site) ?? null;
}

const isJump = (added: AddedRule): boolean => added.spec.target.kind === 'jump' || added.spec.target.kind === 'goto';

function isEmpty({ chains }: Table): boolean {
  for (const { rules } of chains.values()) if (rules.length > 0) return false;
  return true;
}

/** Whether jumps follow each other for longer than nftables keeps track of them; the graph has no loop. */
export function isTooDeep(graph: JumpGraph): boolean {
  return graph.depth() > NFT_DEPTH;
}

/**
 * What the kernel answers to a table as a transaction leaves it: null, ELOOP where packets could go round, or the first
 * error of a rule. `added` are the rules of the transaction that need checking; `before` is the table as it was; `revived`: a rule is gone that
 * kept packets from what stands behind it.
 */
export function checkTable(
  table: Table,
  before: Table,
  added: readonly AddedRule[],
  settings: RuleTextSettings,
  revived = false,
): KernelError | null {
  if (added.length === 0 && !revived) return null;
  const legacy = settings.variant === 'legacy';
  const graph = new JumpGraph(table, legacy);
  const jumps = revived || added.some(isJump);
  if (jumps && (graph.hasLoop() || (!legacy && isTooDeep(graph)))) return 'ELOOP';
  const view = kernelView(table, settings);
  const hooks = graph.hooks();
  for (const { chain, rule, spec } of added) {
    const reached = graph.isBehindEnd(rule) ? NO_HOOKS : hooksOf(hooks, chain);
    const error = checkRule(spec, table.name, view, reached);
    if (error !== null) return error;
  }
  // Older rules that can now be reached from more hooks.
  if (!jumps || isEmpty(before)) return null;
  const newRules = new Set(added.map(({ rule }) => rule));
  const oldGraph = new JumpGraph(before, legacy);
  const oldHooks = oldGraph.hooks();
  for (const chain of table.chains.values()) {
    const reached = hooksOf(hooks, chain.name);
    const isNew = reached.size !== hooksOf(oldHooks, chain.name).size;
    if (!isNew && !revived) continue;
    for (const rule of chain.rules) {
      if (newRules.has(rule) || graph.isBehindEnd(rule) || !(isNew || oldGraph.isBehindEnd(rule))) continue;
      if (chainTarget(table, rule) !== null || !/ -[mj] /.test(rule.text)) continue;
      const error = checkRule(ruleSpecOf(rule, table, settings), table.name, view, reached);
      if (error !== null) return error;
    }
  }
  return null;
}
