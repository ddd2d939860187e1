import type { Family } from '../packet/family.ts';
import type { Cloud, Direction, GroupRule, VmPort } from './model.ts';
import {
  answerTo,
  CLIENT_PORTS,
  coverPorts,
  type End,
  matchesRemote,
  membersOf,
  missOf,
  type PacketKind,
} from './reach.ts';
import { matterText, remotePrefixText, takesPorts } from './service-text.ts';

/** What members of one group may start towards members of another. */
export interface MatrixCell {
  /** Such as `tcp/8080`. */
  matter: string;
  /** Not for all members: a rule names addresses that only some have. */
  partly: boolean;
  /** What is sent arrives, but the answers do not come back: a stateless group has no rules that let them through. */
  oneWay: boolean;
}

export interface GroupMatrix {
  groups: string[];
  /** By sender, then by receiver. */
  cells: ReadonlyMap<string, ReadonlyMap<string, MatrixCell[]>>;
  /** By receiver: what addresses outside may start. */
  outside: ReadonlyMap<string, string[]>;
}

/**
 * Which group reaches which, on which ports, by the rules of these two groups alone; a machine in several groups may do what any of them
 * allows. Groups without members are left out.
 */
export function groupMatrix(cloud: Cloud): GroupMatrix {
  const groups = [...cloud.groups.keys()].filter((name) => membersOf(cloud, name).length > 0);
  const cells = new Map(
    groups.map((from) => [from, new Map(groups.map((to) => [to, cellsOf(cloud, from, to)]))] as const),
  );
  const outside = new Map(groups.map((to) => [to, outsideOf(cloud, to)]));
  return { groups, cells, outside };
}

function ends(ports: readonly VmPort[]): End[] {
  return ports.flatMap((port) => port.addresses.map(({ family, address }) => ({ port, family, address })));
}

function cellsOf(cloud: Cloud, from: string, to: string): MatrixCell[] {
  const senders = ends(membersOf(cloud, from));
  const receivers = ends(membersOf(cloud, to));
  const found = new Map<string, MatrixCell>();
  for (const out of cloud.groups.get(from)!.rules) {
    if (out.direction !== 'egress') continue;
    for (const into of cloud.groups.get(to)!.rules) {
      if (into.direction !== 'ingress' || into.family !== out.family) continue;
      const both = common(out, into);
      if (both === null) continue;
      const of = (all: End[]): End[] => all.filter(({ family }) => family === out.family);
      const allowedSenders = of(senders).filter((end) => matchesRemote(into, cloud, end));
      const allowedReceivers = of(receivers).filter((end) => matchesRemote(out, cloud, end));
      if (allowedSenders.length === 0 || allowedReceivers.length === 0) continue;
      const matter = matterText(both);
      const partly = allowedSenders.length < of(senders).length || allowedReceivers.length < of(receivers).length;
      const oneWay =
        !answersPass(cloud, to, 'egress', into.family, both, allowedSenders) ||
        !answersPass(cloud, from, 'ingress', into.family, both, allowedReceivers);
      const known = found.get(matter);
      found.set(matter, {
        matter,
        partly: partly && (known?.partly ?? true),
        oneWay: oneWay && (known?.oneWay ?? true),
      });
    }
  }
  return [...found.values()];
}

type Matter = Pick<GroupRule, 'protocol' | 'ports' | 'icmp'>;

/** Whether the rules of a group let the answers to something through, to or from all of `others`; a stateful group always does. */
function answersPass(
  cloud: Cloud,
  name: string,
  direction: Direction,
  family: Family,
  matter: Matter,
  others: readonly End[],
): boolean {
  const group = cloud.groups.get(name)!;
  const answer = group.stateful ? null : answersTo(matter);
  if (answer === null) return true;
  const open = group.rules.filter(
    (rule) => rule.direction === direction && rule.family === family && missOf(rule, answer) === null,
  );
  return others.every((other) => {
    const rules = open.filter((rule) => matchesRemote(rule, cloud, other));
    return answer.ports === null ? rules.length > 0 : coverPorts(rules, answer.ports);
  });
}

/** No protocol, no type: only rules for all of them let it through. */
const ANY = -1;

/** The answers to all that a rule lets through; null if there are none. */
function answersTo({ protocol, icmp }: Matter): PacketKind | null {
  if (protocol === null) return { protocol: ANY, ports: null, icmp: null };
  if (icmp !== null) return answerTo({ protocol, port: null, icmp: { ...icmp, code: icmp.code ?? 0 } }, CLIENT_PORTS);
  return { protocol, ports: takesPorts(protocol) ? CLIENT_PORTS : null, icmp: { type: ANY, code: ANY } };
}

/** What both rules let through; null if nothing. */
function common(a: Matter, b: Matter): Matter | null {
  if (a.protocol !== null && b.protocol !== null && a.protocol !== b.protocol) return null;
  const protocol = a.protocol ?? b.protocol;
  let ports = a.ports ?? b.ports;
  if (a.ports !== null && b.ports !== null) {
    const [low, high] = [Math.max(a.ports[0], b.ports[0]), Math.min(a.ports[1], b.ports[1])];
    if (low > high) return null;
    ports = [low, high];
  }
  let icmp = a.icmp ?? b.icmp;
  if (a.icmp !== null && b.icmp !== null) {
    if (a.icmp.type !== b.icmp.type) return null;
    if (a.icmp.code !== null && b.icmp.code !== null && a.icmp.code !== b.icmp.code) return null;
    icmp = { type: a.icmp.type, code: a.icmp.code ?? b.icmp.code };
  }
  return { protocol, ports, icmp };
}

function outsideOf(cloud: Cloud, to: string): string[] {
  const found = new Set<string>();
  for (const rule of cloud.groups.get(to)!.rules) {
    if (rule.direction !== 'ingress') continue;
    const { remote, family } = rule;
    if (remote.kind === 'any') found.add(`${matterText(rule)} from ${family === 4 ? '0.0.0.0/0' : '::/0'}`);
    if (remote.kind === 'prefix') found.add(`${matterText(rule)} from ${remotePrefixText(remote)}`);
    if (remote.kind === 'list') found.add(`${matterText(rule)} from prefix list ${remote.list}`);
  }
  return [...found];
}

/** The matrix as lines of text: for each receiver who may start what. */
export function matrixText({ groups, cells, outside }: GroupMatrix): string {
  const lines: string[] = [];
  const all = [...cells.values()].flatMap((row) => [...row.values()].flat());
  for (const to of groups) {
    lines.push(`to ${to}`);
    for (const from of groups) {
      const reached = cells.get(from)!.get(to)!;
      const marked = (cell: MatrixCell): string => cell.matter + (cell.partly ? '*' : '') + (cell.oneWay ? '!' : '');
      const text = reached.map(marked).join(', ') || '-';
      lines.push(`  from ${from.padEnd(Math.max(...groups.map((name) => name.length)))}  ${text}`);
    }
    for (const text of outside.get(to)!) lines.push(`  outside  ${text}`);
  }
  const notes: string[] = [];
  if (all.some((cell) => cell.partly)) notes.push('* for some of the members only');
  if (all.some((cell) => cell.oneWay)) notes.push('! without its answers: a stateless group lets none through');
  if (notes.length > 0) lines.push('', ...notes);
  return `${lines.join('\n')}\n`;
}
