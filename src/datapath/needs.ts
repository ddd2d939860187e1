import type { LoadedRuleset } from './machine-contract.ts';

/** Matches that have conntrack switched on in their family (nf_ct_netns_get in their checkentry). */
const TRACKING_MATCHES = new Set([
  'conntrack',
  'state',
  'connmark',
  'connbytes',
  'connlimit',
  'connlabel',
  'cluster',
  'helper',
]);

const TRACKING_TARGETS = new Set([
  'CONNMARK',
  'CONNSECMARK',
  'SNAT',
  'DNAT',
  'MASQUERADE',
  'REDIRECT',
  'NETMAP',
  'SYNPROXY',
]);

/** Uses that have fragments put together, without tracking connections. */
const DEFRAGMENTING_MATCHES = new Set(['socket']);
const DEFRAGMENTING_TARGETS = new Set(['TPROXY']);

/** What a family's rules have the kernel switch on. */
export interface Needs {
  conntrack: boolean;
  defragmentation: boolean;
  synproxy: boolean;
  /** Packets and bytes of connections are counted, whatever nf_conntrack_acct says (xt_connbytes switches it on). */
  accounting: boolean;
  /** A rule may set the trace flag. */
  trace: boolean;
}

/** Conntrack and defragmentation stay off in a family until one of its rules needs them. */
export function needsOf(ruleset: LoadedRuleset): Needs {
  const needs: Needs = { conntrack: false, defragmentation: false, synproxy: false, accounting: false, trace: false };
  for (const table of ruleset.tables) {
    for (const chain of table.chains) {
      for (const { spec } of chain.rules) {
        for (const { name } of spec.matches) {
          if (TRACKING_MATCHES.has(name)) needs.conntrack = true;
          if (DEFRAGMENTING_MATCHES.has(name)) needs.defragmentation = true;
          if (name === 'connbytes') needs.accounting = true;
        }
        const { target } = spec;
        if (target.kind !== 'extension') continue;
        if (TRACKING_TARGETS.has(target.name) || (target.name === 'CT' && !isNotrack(target.data)))
          needs.conntrack = true;
        if (DEFRAGMENTING_TARGETS.has(target.name)) needs.defragmentation = true;
        if (target.name === 'SYNPROXY') needs.synproxy = true;
        if (target.name === 'TRACE') needs.trace = true;
      }
    }
  }
  needs.defragmentation ||= needs.conntrack;
  return needs;
}

/** `-j CT --notrack` alone needs no connection tracking. */
function isNotrack(data: unknown): boolean {
  return typeof data === 'object' && data !== null && 'notrack' in data && data.notrack === true;
}
