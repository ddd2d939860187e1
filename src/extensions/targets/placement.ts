import { Hook, type TableName } from '../../datapath/hooks.ts';
import { Protocol } from '../../packet/protocol.ts';
import type { KernelError, RuleSite } from '../contract.ts';

/** Where the kernel lets a target be used (`struct xt_target`, checked by xt_check_target). */
export interface Placement {
  /** The only table; absent: any. */
  table?: TableName;
  hooks?: readonly Hook[];
  /** The rule must have this `-p`, not inverted. */
  protocol?: number;
}

/** EINVAL for a rule that stands elsewhere, else null. */
export function refusePlacement(site: RuleSite, { table, hooks, protocol }: Placement): KernelError | null {
  if (table !== undefined && site.table !== table) return 'EINVAL';
  if (hooks !== undefined) {
    for (const hook of site.hooks) if (!hooks.includes(hook)) return 'EINVAL';
  }
  return protocol === undefined || hasProtocol(site, protocol) ? null : 'EINVAL';
}

/** Whether the rule has that `-p`, not inverted. */
export function hasProtocol({ rule }: RuleSite, protocol: number): boolean {
  return rule.protocol === protocol && !rule.protocolInvert;
}

export const MANGLE: Placement = { table: 'mangle' };
export const RAW: Placement = { table: 'raw' };
export const MANGLE_TCP: Placement = { table: 'mangle', protocol: Protocol.tcp };
export const SOURCE_NAT: Placement = { table: 'nat', hooks: [Hook.postrouting, Hook.input] };
export const DESTINATION_NAT: Placement = { table: 'nat', hooks: [Hook.prerouting, Hook.output] };
