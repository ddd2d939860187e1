import type { Family } from '../../packet/family.ts';

/** What the agent of a host made, known by its names: everything else on the host belongs to somebody else and stays as it is. */

const OWN_CHAIN = /^neutron-(?:filter-top$|openvswi-)/;
const OWN_SET = /^[NPES]IPv[46]/;

export function isOwnChain(name: string): boolean {
  return OWN_CHAIN.test(name);
}

/** A chain that is there once, with jumps for each tap: without one, its tap is not filtered. */
export function isBaseChain(name: string): boolean {
  return /^neutron-(?:filter-top|openvswi-(?:FORWARD|INPUT|OUTPUT|PREROUTING|local|sg-chain|sg-fallback))$/.test(name);
}

export function isOwnSet(name: string): boolean {
  return OWN_SET.test(name);
}

/** Of the stateful machines' addresses: named by rules that say whose packets are not tracked (stateless.ts). */
export function isTrackingSet(name: string): boolean {
  return name.startsWith('SIPv');
}

/** A set that takes another's place by `ipset swap`. No group's name has a "+". */
export function spareSet(family: Family): string {
  return `NIPv${family}+spare`;
}

/** The chain that a rule (what follows the chain's name) jumps to, if it is one of the agent's; null otherwise. */
export function ownJump(rule: string): string | null {
  const match = /(?:^| )-[jg] (\S+)$/.exec(rule);
  return match !== null && isOwnChain(match[1]!) ? match[1]! : null;
}
