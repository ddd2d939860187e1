import { formatAddress, inPrefix } from '../packet/address-text.ts';
import type { Cloud, GroupRule, Remote, Service, VmPort } from './model.ts';
import {
  answerTo,
  CLIENT_PORTS,
  coverPorts,
  type Decision,
  decide,
  type End,
  type Miss,
  missOf,
  packetOf,
  type SideDecision,
} from './reach.ts';
import { matterText, prefixText, remotePrefixText, ruleText, serviceText } from './service-text.ts';

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
      if (missOf(rule, packetOf(service)) === null) outside.push(rule);
    }
  }
  const answered = to.port!.stateful ? outside : outside.filter((rule) => answersLeave(cloud, to.port!, rule, service));
  return { machines, outside: answered };
}

/** Whether rules of a stateless machine let the answers out to all whom a rule lets in. */
function answersLeave(cloud: Cloud, port: VmPort, { family, remote }: GroupRule, service: Service): boolean {
  const answer = answerTo(service, CLIENT_PORTS);
  if (answer === null) return true;
  const out = port.groups
    .flatMap((group) => cloud.groups.get(group)!.rules)
    .filter((rule) => rule.direction === 'egress' && rule.family === family && missOf(rule, answer) === null)
    .filter((rule) => namesAll(rule.remote, remote));
  return answer.ports === null ? out.length > 0 : coverPorts(out, answer.ports);
}

/** Whether a rule for `wide` is for all of `narrow`, as far as their words tell. */
function namesAll(wide: Remote, narrow: Remote): boolean {
  if (wide.kind === 'any') return true;
  if (wide.kind === 'list') return narrow.kind === 'list' && narrow.list === wide.list;
  if (wide.kind !== 'prefix' || narrow.kind !== 'prefix') return false;
  const [a, b] = [wide.prefix, narrow.prefix];
  const within = a.length <= b.length && inPrefix(a.family, b.address, a.address, a.length);
  return (
    within && wide.except.every((except) => narrow.except.some((other) => prefixText(other) === prefixText(except)))
  );
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
        ? remotePrefixText(remote)
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
  'some ports': (rule) => `is for ${matterText(rule)}, and answers go to any port from which clients ask`,
  type: (rule) => `is for ${matterText(rule)}`,
  remote: ({ direction }) => (direction === 'ingress' ? 'does not name the sender' : 'does not name the receiver'),
};

/** Which rule of which group allows a conversation, or what all of them miss. */
export function decisionText(from: End, to: End, service: Service, decision: Decision): string {
  const lines = [
    `${serviceText(service)} from ${endText(from)} to ${endText(to)}: ${decision.allowed ? 'allowed' : 'refused'}`,
  ];
  for (const side of [decision.egress, decision.ingress]) if (side !== null) lines.push(...sideLines(side, ''));
  for (const side of decision.answers) {
    lines.push(...sideLines(side, `answers (${matterText({ ...side.packet })}) `));
  }
  if (decision.egress === null) lines.push('  out: the sender is no machine of this cloud');
  if (decision.ingress === null) lines.push('  in: the receiver is no machine of this cloud');
  return `${lines.join('\n')}\n`;
}

function endText({ port, family, address }: End): string {
  const text = formatAddress(family, address);
  return port === null ? text : `${port.vm} (${text}, ${port.groups.join(', ') || 'in no group'})`;
}

function sideLines(side: SideDecision, what: string): string[] {
  const word = `${what}${side.direction === 'egress' ? 'out of' : 'into'}`;
  if (side.basic) return [`  ${word} ${side.vm}: ICMPv6 needs no rule`];
  if (side.allowedBy !== null) return [`  ${word} ${side.vm}: allowed by ${ruleText(side.allowedBy)}`];
  const lines = [`  ${word} ${side.vm}: no rule allows it`];
  for (const { rule, miss } of side.misses) lines.push(`    ${ruleText(rule)}: ${MISSES[miss](rule)}`);
  return lines;
}
