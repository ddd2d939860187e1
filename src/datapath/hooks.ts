import type { Device } from '../host/device.ts';
import type { Family } from '../packet/family.ts';

/**
 * The five hooks (`enum nf_inet_hooks`) and the way of a packet through them:
 *
 *            in                                                        out
 *             |                                                         ^
 *       [PREROUTING] --> (routing) --> [FORWARD] ---------------> [POSTROUTING]
 *                            |                                          ^
 *                            v                                          |
 *                         [INPUT] --> local process --> (routing) --> [OUTPUT]
 */
export const Hook = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;
export type Hook = (typeof Hook)[keyof typeof Hook];

export const HOOK_NAMES = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'] as const;
export type HookName = (typeof HOOK_NAMES)[number];

export const TABLE_NAMES = ['raw', 'mangle', 'nat', 'filter', 'security'] as const;
export type TableName = (typeof TABLE_NAMES)[number];

/** Built-in chains of each table, in the order in which the real tools print them. */
export const BUILTIN_CHAINS: Readonly<Record<TableName, readonly HookName[]>> = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  security: ['INPUT', 'FORWARD', 'OUTPUT'],
};

/**
 * What is called at each hook, in order of priority (include/uapi/linux/netfilter_ipv4.h): defragmentation
 * at -400, raw -300, conntrack -200, mangle -150, destination NAT -100, filter 0, security 50, source NAT 100,
 * helpers 300, confirmation at the end. The nat table is reached through `nat-destination` and `nat-source`.
 */
export type HookEntry =
  | 'defrag'
  | 'raw'
  | 'conntrack'
  | 'mangle'
  | 'nat-destination'
  | 'filter'
  | 'security'
  | 'nat-source'
  | 'helper'
  | 'synproxy'
  | 'confirm';

const HOOK_ENTRIES: Readonly<Record<HookName, readonly HookEntry[]>> = {
  PREROUTING: ['defrag', 'raw', 'conntrack', 'mangle', 'nat-destination'],
  INPUT: ['mangle', 'filter', 'security', 'nat-source', 'helper', 'synproxy', 'confirm'],
  FORWARD: ['mangle', 'filter', 'security'],
  OUTPUT: ['defrag', 'raw', 'conntrack', 'mangle', 'nat-destination', 'filter', 'security'],
  POSTROUTING: ['mangle', 'nat-source', 'helper', 'synproxy', 'confirm'],
};

/** iptables-nft registers the table security at 150: behind source NAT. */
const NFT_INPUT: readonly HookEntry[] = ['mangle', 'filter', 'nat-source', 'security', 'helper', 'synproxy', 'confirm'];

/** What is called at a hook under that variant. */
export function hookEntries(hook: HookName, variant: 'legacy' | 'nft'): readonly HookEntry[] {
  return variant === 'nft' && hook === 'INPUT' ? NFT_INPUT : HOOK_ENTRIES[hook];
}

/** Where a packet is when a rule looks at it (`struct nf_hook_state`). One object is reused for a whole hook. */
export interface HookState {
  hook: Hook;
  family: Family;
  /** Devices as rules of this hook see them; null where the hook has none. */
  inDevice: Device | null;
  outDevice: Device | null;
}
