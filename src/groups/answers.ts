import { formatAddress } from '../packet/address-text.ts';
import type { Cloud, GroupRule, Service, VmPort } from './model.ts';
import { type Decision, decide, type End, type Miss, type SideDecision } from './reach.ts';
import { matterText, prefixText, ruleText, serviceText } from './service-text.ts';

/** Who reaches a service of a machine. */
export interface Reachers {
  /** Machines, each with the rule of the receiver that lets it in. */
  machines: { port: VmPort; allowedBy: GroupRule | null }[];
  /** Rules that let addresses outside in. */
  outside: GroupRule[];
}

/** Asks of every machine whether it may start the service at `to`, from its first address of the family. */
export function whoCanReach(cloud: Cloud, to: End, service: Service): Reachers {
  const machines: Reachers['machines'] = [];
  for (const port of cloud.ports) {
    const address = port.addresses.find(({ family }) => family === to.family);
    if (address === undefined || port === to.port) continue;
    const decision = decide(cloud, { port, family: to.family, address: address.address }, to, service);
    if (decision.allowed) machines.push({ port, allowedBy: decision.ingress?.allowedBy ?? null });
  }
  const outside: GroupRule[] = [];
  for (const group of to.port!.groups) {
    for (const rule of cloud.groups.get(group)!.rules) {
      if (rule.direction !== 'ingress' || rule.family !== to.family || rule.remote.kind === 'group') continue;
      // Asked without an address: only what the rule lets through counts.
      const anyone: GroupRule = { ...rule, remote: { kind: 'any' } };
      const open = new Map([[group, { name: group, rules: [anyone] }]]);
      const asked: Cloud = { ...cloud, groups: open };
      const here = { ...to.port!, groups: [group] };
      const from: End = { port: null, family: to.family, address: [0, 0, 0, 0] };
      if (decide(asked, from, { ...to, port: here }, service).allowed) outside.push(rule);
    }
  }
  return { machines, outside };
}

export function whoCanReachText(to: End, service: Service, { machines, outside }: Reachers): string {
  const lines = [`${serviceText(service)} of ${to.port!.vm} (${formatAddress(to.family, to.address)}) is reached by`];
  for (const { port, allowedBy } of machines) {
    lines.push(
      `  ${port.vm} (${port.groups.join(', ')} on ${port.host})${allowedBy === null ? '' : `  ${ruleText(allowedBy)}`}`,
    );
  }
  for (const rule of outside) {
    const { remote, family } = rule;
    const who =
      remote.kind === 'prefix'
        ? prefixText(remote.prefix)
        : remote.kind === 'list'
          ? `prefix list ${remote.list}`
          : family === 4
            ? '0.0.0.0/0'
            : '::/0';
    lines.push(`  outside: ${who}  ${ruleText(rule)}`);
  }
  if (machines.length + outside.length === 0) lines.push('  nobody');
  return `${lines.join('\n')}\n`;
}

const MISSES: Readonly<Record<Miss, (rule: GroupRule) => string>> = {
  protocol: (rule) => `is for ${matterText(rule)}`,
  port: (rule) => `is for ${matterText(rule)}`,
  type: (rule) => `is for ${matterText(rule)}`,
  remote: ({ direction }) => (direction === 'ingress' ? 'does not name the sender' : 'does not name the receiver'),
};

/** Which rule of which group allows a conversation, or what all of them miss. */
export function decisionText(from: End, to: End, service: Service, decision: Decision): string {
  const lines = [
    `${serviceText(service)} from ${endText(from)} to ${endText(to)}: ${decision.allowed ? 'allowed' : 'refused'}`,
  ];
  for (const side of [decision.egress, decision.ingress]) if (side !== null) lines.push(...sideLines(side));
  if (decision.egress === null) lines.push('  out: the sender is no machine of this cloud');
  if (decision.ingress === null) lines.push('  in: the receiver is no machine of this cloud');
  return `${lines.join('\n')}\n`;
}

function endText({ port, family, address }: End): string {
  const text = formatAddress(family, address);
  return port === null ? text : `${port.vm} (${text}, ${port.groups.join(', ') || 'in no group'})`;
}

function sideLines(side: SideDecision): string[] {
  const word = side.direction === 'egress' ? 'out of' : 'into';
  if (side.basic) return [`  ${word} ${side.vm}: ICMPv6 needs no rule`];
  if (side.allowedBy !== null) return [`  ${word} ${side.vm}: allowed by ${ruleText(side.allowedBy)}`];
  const lines = [`  ${word} ${side.vm}: no rule allows it`];
  for (const { rule, miss } of side.misses) lines.push(`    ${ruleText(rule)}: ${MISSES[miss](rule)}`);
  return lines;
}
