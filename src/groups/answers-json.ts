import { formatAddress } from '../packet/address-text.ts';
import type { Reachers } from './answers.ts';
import type { GroupMatrix } from './matrix.ts';
import type { GroupRule, Service } from './model.ts';
import type { Decision, End, SideDecision } from './reach.ts';
import { remotePrefixText, ruleText, serviceText } from './service-text.ts';

/** Answers for scripts: what the texts say, as plain data. */

export function matrixObject({ groups, cells, outside }: GroupMatrix): object {
  const pairs = groups.flatMap((from) => groups.map((to) => ({ from, to, may: cells.get(from)!.get(to)! })));
  return { groups, pairs: pairs.filter(({ may }) => may.length > 0), outside: Object.fromEntries(outside) };
}

export function reachersObject(to: End, service: Service, { machines, outside }: Reachers): object {
  return {
    service: serviceText(service),
    to: endObject(to),
    machines: machines.map(({ port, allowedBy }) => ({
      vm: port.vm,
      host: port.host,
      groups: port.groups,
      allowedBy: allowedBy === null ? null : ruleObject(allowedBy),
    })),
    outside: outside.map(ruleObject),
  };
}

export function decisionObject(from: End, to: End, service: Service, decision: Decision): object {
  const { allowed, egress, ingress, answers } = decision;
  return {
    service: serviceText(service),
    from: endObject(from),
    to: endObject(to),
    allowed,
    egress: egress === null ? null : sideObject(egress),
    ingress: ingress === null ? null : sideObject(ingress),
    answers: answers.map(sideObject),
  };
}

function endObject({ port, family, address }: End): object {
  return { vm: port?.vm ?? null, address: formatAddress(family, address), groups: port?.groups ?? [] };
}

function sideObject({ vm, direction, basic, allowedBy, misses }: SideDecision): object {
  return {
    vm,
    direction,
    allowed: basic || allowedBy !== null,
    allowedBy: allowedBy === null ? null : ruleObject(allowedBy),
    misses: misses.map(({ rule, miss }) => ({ ...ruleObject(rule), miss })),
  };
}

/** `index` is 0 for what a group has without rules of its own. */
function ruleObject(rule: GroupRule): { group: string; index: number; remote: string; text: string } {
  const { group, index, remote } = rule;
  const who =
    remote.kind === 'prefix'
      ? remotePrefixText(remote)
      : remote.kind === 'group'
        ? `group ${remote.group}`
        : remote.kind === 'list'
          ? `prefix list ${remote.list}`
          : 'any';
  return { group, index, remote: who, text: ruleText(rule) };
}
