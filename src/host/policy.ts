import type { RouteAnswer } from '../datapath/environment.ts';
import { inPrefix } from '../packet/address-text.ts';
import type { Family } from '../packet/family.ts';
import type { Device } from './device.ts';
import type { Route, RoutingTable } from './routing-table.ts';
import type { PolicyRule } from './rule-text.ts';

/** What the kernel keys a lookup with besides what `RouteQuery` has (`ipproto`, `sport`, `dport` of rules). */
export interface FlowPorts {
  sourcePort: number;
  destinationPort: number;
}

/** A place for the flow of a lookup, reused. Addresses are live views of the packet's. */
export interface Flow extends FlowPorts {
  destination: ArrayLike<number>;
  source: ArrayLike<number>;
  inName: string;
  outName: string | null;
  mark: number;
  tos: number;
  uid: number;
  protocol: number;
  /** The realm of a received packet's source, once that was looked up. */
  sourceRealm: number;
}

/** A rule of an action other than a table ended the search. */
const RULE_ERRORS = { blackhole: 'blackhole', unreachable: 'unreachable', prohibit: 'prohibit' } as const;

/** Why a lookup ended: a route, or a rule that refuses. */
export interface LookupResult {
  route: Route | null;
  /** Set where a rule (not a route) refused. */
  refusedBy: PolicyRule | null;
}

/** The policy rules of one family over its tables (`fib_rules_lookup`). */
export class PolicyRules {
  readonly family: Family;
  readonly #rules: readonly PolicyRule[];
  readonly #tables: ReadonlyMap<number, RoutingTable>;
  /** True if there is any rule but local, main and default. */
  readonly custom: boolean;
  readonly #result: LookupResult = { route: null, refusedBy: null };

  constructor(
    family: Family,
    rules: readonly PolicyRule[],
    tables: ReadonlyMap<number, RoutingTable>,
    custom: boolean,
  ) {
    this.family = family;
    this.#rules = rules;
    this.#tables = tables;
    this.custom = custom;
  }

  /** The result is reused by the next lookup. */
  lookup(flow: Flow, device: Device | null, prefer: Device | null = null): LookupResult {
    const result = this.#result;
    result.route = null;
    result.refusedBy = null;
    const rules = this.#rules;
    for (let i = 0; i < rules.length; i++) {
      const rule = rules[i]!;
      if (this.#matches(rule, flow) === rule.invert) continue;
      if (rule.action === 'nop') continue;
      if (rule.action === 'goto') {
        const target = rules.findIndex((each) => each.priority === rule.target);
        // A goto without target is skipped; it can only lead onwards.
        if (target > i) i = target - 1;
        continue;
      }
      if (rule.action !== 'table') {
        result.refusedBy = rule;
        return result;
      }
      const table = this.#tables.get(rule.table);
      if (table === undefined) continue;
      const route = table.lookup(flow.destination, flow.tos, device, rule.suppressPrefixLength, prefer);
      if (route === null || route.type === 'throw') continue;
      if (rule.suppressGroup >= 0 && route.device !== null && route.device.group === rule.suppressGroup) continue;
      result.route = route;
      return result;
    }
    return result;
  }

  #matches(rule: PolicyRule, flow: Flow): boolean {
    if (rule.iif !== null && rule.iif !== flow.inName) return false;
    if (rule.oif !== null && rule.oif !== flow.outName) return false;
    if (((flow.mark ^ rule.mark) & rule.markMask) !== 0) return false;
    if (rule.uids !== null && (flow.uid < rule.uids[0] || flow.uid > rule.uids[1])) return false;
    if (rule.fromLength > 0 && !inPrefix(this.family, flow.source, rule.from, rule.fromLength)) return false;
    if (rule.toLength > 0 && !inPrefix(this.family, flow.destination, rule.to, rule.toLength)) return false;
    if (rule.tos !== 0 && rule.tos !== (this.family === 4 ? flow.tos & 0x1c : flow.tos & 0xfc)) return false;
    if (rule.dscp >= 0 && rule.dscp !== flow.tos >>> 2) return false;
    if (rule.ipProtocol !== 0 && rule.ipProtocol !== flow.protocol) return false;
    if (rule.sourcePorts !== null && !within(flow.sourcePort, rule.sourcePorts)) return false;
    if (rule.destinationPorts !== null && !within(flow.destinationPort, rule.destinationPorts)) return false;
    return true;
  }
}

function within(value: number, range: readonly [number, number]): boolean {
  return value >= range[0] && value <= range[1];
}

/** The answer of a rule that refuses. */
export function refusal(rule: PolicyRule): RouteAnswer {
  const type = RULE_ERRORS[rule.action as keyof typeof RULE_ERRORS];
  return {
    type,
    device: null,
    gateway: null,
    preferredSource: null,
    mtu: 0,
    realm: 0,
    table: 0,
    text: `rule ${rule.priority}: ${rule.text}`,
  };
}
