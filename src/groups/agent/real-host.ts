import type { Family } from '../../packet/family.ts';
import type { HostRules } from '../compile.ts';
import { linkLocal } from '../link-local.ts';
import type { Cloud, GroupRule, VmPort } from '../model.ts';
import { prefixText, protocolText } from '../service-text.ts';
import { inSet, setName } from '../sets.ts';
import { type AgentCommand, restoreInput } from './plan.ts';
import { STAGES, type Stage } from './stages.ts';

/** Files by name for the agent of a real host: what it would run, in order, and `apply.sh` that runs it. */
export function changeFiles(host: string, stages: Record<Stage, readonly AgentCommand[]>): Map<string, string> {
  const files = new Map<string, string>();
  const script = [
    '#!/bin/sh',
    `# Brings ${host} from the rules that it had to those that its groups declare. As root:`,
    '#   sh apply.sh close     on all hosts first: what is no longer allowed goes',
    '#   sh apply.sh open      then on all: what is newly allowed comes',
    '#   sh apply.sh clean     at last: chains and sets of machines that are gone',
    '#   sh apply.sh           all three, for a host alone',
    'set -e',
    'cd "$(dirname "$0")"',
  ];
  let number = 0;
  for (const stage of STAGES) {
    script.push('', `${stage}() {`);
    if (stages[stage].length === 0) script.push('  :');
    for (const command of stages[stage]) {
      if (command.tool === 'conntrack') {
        script.push('  sh forget.sh');
        continue;
      }
      const name = `${String(++number).padStart(2, '0')}-${stage}.${fileKind(command)}`;
      files.set(name, command.tool === 'ipset' ? `${command.lines.join('\n')}\n` : restoreInput(command));
      const tool =
        command.tool === 'ipset'
          ? 'ipset restore'
          : `${command.family === 4 ? 'iptables' : 'ip6tables'}-restore --noflush`;
      script.push(`  ${tool} < ${name}`);
    }
    script.push('}');
  }
  script.push('', 'case "$1" in', "  '') close; open; clean ;;", '  close|open|clean) "$1" ;;');
  script.push('  *) echo "usage: apply.sh [close|open|clean]" >&2; exit 2 ;;', 'esac', '');
  files.set('apply.sh', script.join('\n'));
  files.set('forget.sh', FORGET.join('\n'));
  return files;
}

function fileKind(command: Exclude<AgentCommand, { tool: 'conntrack' }>): string {
  if (command.tool === 'ipset') return 'ipset';
  return `${command.table}.v${command.family}`;
}

/** Connections that no group allows any more are forgotten: their next packet is a new one, which the rules refuse. */
const FORGET = [
  '#!/bin/sh',
  '# Connections that no group allows any more are deleted one by one.',
  'for family in ipv4 ipv6; do conntrack -L -f "$family" 2>/dev/null; done |',
  '  awk -f stale.awk allowed - |',
  '  while read -r words; do conntrack $words >/dev/null 2>&1 || :; done',
  '',
];

/**
 * What the machines of a host are allowed, for stale.awk: a line for each of their addresses, for each thing that their groups (or no group at
 * all) let start, for each member of a set.
 *
 * @param own the host's own addresses: what it sends itself passes no group
 */
export function allowedText(
  ports: readonly VmPort[],
  cloud: Cloud,
  rules: Pick<HostRules, 'sets'>,
  own: Iterable<string>,
): string {
  const lines: string[] = [];
  for (const address of own) lines.push(`own ${address}`);
  for (const line of rules.sets.split('\n')) if (line.startsWith('add ')) lines.push(`member ${line.slice(4)}`);
  for (const port of ports) {
    if (!port.stateful) continue;
    const prefixes = [...port.pairs.map(({ prefix }) => prefix), ...port.pairs.map(({ mac }) => linkLocal(mac))];
    for (const text of new Set(prefixes.map(prefixText))) lines.push(`port ${port.tap} ${text}`);
    lines.push(...BASICS.map((text) => text.replace('TAP', port.tap)));
    const permits = port.groups.flatMap((group) =>
      cloud.groups.get(group)!.rules.map((rule) => permitLine(port.tap, rule)),
    );
    lines.push(...new Set(permits));
  }
  return `${lines.join('\n')}\n`;
}

/** `permit TAP DIRECTION FAMILY PROTOCOL SOURCE_PORT FIRST_PORT LAST_PORT TYPE CODE REMOTE`, a dash for any. */
const BASICS = [
  'permit TAP egress 4 udp 68 67 67 - - -',
  'permit TAP ingress 4 udp 67 68 68 - - -',
  'permit TAP egress 6 udp 546 547 547 - - -',
  'permit TAP ingress 6 udp 547 546 546 - - -',
  // Router advertisements are no connections: conntrack does not know them.
  'permit TAP egress 6 icmpv6 - - - - - -',
];

function permitLine(tap: string, rule: GroupRule): string {
  const { direction, family, protocol, ports, icmp, remote } = rule;
  const named = inSet(remote);
  const who =
    named !== null ? `@${setName(named, family)}` : remote.kind === 'prefix' ? prefixText(remote.prefix) : '-';
  const name = protocol === null ? '-' : conntrackName(protocol, family);
  const words = ['permit', tap, direction, family, name, '-', ports?.[0] ?? '-', ports?.[1] ?? '-'];
  return [...words, icmp?.type ?? '-', icmp?.code ?? '-', who].join(' ');
}

/** Protocols that conntrack(8) calls by their names. */
const CONNTRACK_NAMES: ReadonlySet<string> = new Set(['icmp', 'tcp', 'udp', 'dccp', 'gre', 'sctp', 'udplite']);

function conntrackName(protocol: number, family: Family): string {
  if (protocol === 58 && family === 6) return 'icmpv6';
  const name = protocolText(protocol);
  return CONNTRACK_NAMES.has(name) ? name : String(protocol);
}

/**
 * Reads "allowed" and then the lines of `conntrack -L`; prints for each connection that is no longer allowed the words with which
 * conntrack deletes it. POSIX awk.
 */
export const STALE_AWK = `# Connections that the groups of this host's machines do not allow: awk -f stale.awk allowed connections
# An address as 8 (IPv4) or 32 hexadecimal digits.
function digits(text,    part, n, i, left, right, a, b, out) {
  if (index(text, ":") == 0) {
    split(text, part, ".")
    return sprintf("%02x%02x%02x%02x", part[1], part[2], part[3], part[4])
  }
  out = ""; i = index(text, "::")
  if (i == 0) { n = split(text, part, ":"); for (i = 1; i <= n; i++) out = out word(part[i]); return out }
  left = substr(text, 1, i - 1); right = substr(text, i + 2)
  a = left == "" ? 0 : split(left, part, ":")
  for (i = 1; i <= a; i++) out = out word(part[i])
  b = right == "" ? 0 : split(right, part, ":")
  for (i = a + b; i < 8; i++) out = out "0000"
  for (i = 1; i <= b; i++) out = out word(part[i])
  return out
}
function word(text) { return substr("0000" text, length(text) + 1) }
# Whether a prefix "DIGITS/LENGTH" covers the digits of an address.
function covers(prefix, address,    part, whole, rest, step) {
  split(prefix, part, "/")
  if (length(part[1]) != length(address)) return 0
  whole = int(part[2] / 4); rest = part[2] % 4
  if (substr(part[1], 1, whole) != substr(address, 1, whole)) return 0
  if (rest == 0) return 1
  step = rest == 1 ? 8 : rest == 2 ? 4 : 2
  return int(nibble(part[1], whole) / step) == int(nibble(address, whole) / step)
}
function nibble(text, at) { return index("0123456789abcdef", substr(text, at + 1, 1)) - 1 }
function prefix(text,    part) {
  if (split(text, part, "/") == 1) part[2] = index(text, ":") ? 128 : 32
  return digits(part[1]) "/" part[2]
}
# The longest member that covers an address decides.
function holds(set, address,    i, part, longest, found) {
  longest = -1; found = 0
  for (i = 1; i <= members[set]; i++) if (covers(member[set, i], address)) {
    split(member[set, i], part, "/")
    if (part[2] + 0 > longest) { longest = part[2] + 0; found = !excepted[set, i] }
  }
  return found
}
function fits(want, have) { return want == "-" || want == have }
function allows(tap, side, remote,    i, p) {
  for (i = 1; i <= permits[tap]; i++) {
    split(permit[tap, i], p, " ")
    if (p[3] != side || p[4] != family || !fits(p[5], protocol) || !fits(p[6], sport)) continue
    if (p[7] != "-" && (dport + 0 < p[7] + 0 || dport + 0 > p[8] + 0)) continue
    if (!fits(p[9], type) || !fits(p[10], code)) continue
    if (p[11] == "-") return 1
    if (substr(p[11], 1, 1) == "@") { if (holds(substr(p[11], 2), remote)) return 1 }
    else if (covers(prefix(p[11]), remote)) return 1
  }
  return 0
}
# 0: no machine of this host has the address; 1: one that has it may; -1: none may.
function judged(address, side, remote,    i, result) {
  result = 0
  for (i = 1; i <= ports; i++) if (covers(port[i], address)) {
    if (allows(tapOf[i], side, remote)) return 1
    result = -1
  }
  return result
}
FILENAME == "allowed" {
  if ($1 == "own") own[digits($2)] = 1
  else if ($1 == "member") { member[$2, ++members[$2]] = prefix($3); excepted[$2, members[$2]] = $4 == "nomatch" }
  else if ($1 == "port") { port[++ports] = prefix($3); tapOf[ports] = $2 }
  else if ($1 == "permit") permit[$2, ++permits[$2]] = $0
  next
}
{
  split("", first); split("", second)
  for (i = 1; i <= NF; i++) {
    at = index($i, "=")
    if (at == 0) continue
    key = substr($i, 1, at - 1)
    if (key in first) second[key] = substr($i, at + 1)
    else first[key] = substr($i, at + 1)
  }
  if (!("src" in second)) next
  family = index(first["src"], ":") ? 6 : 4
  protocol = $1 == "unknown" ? $2 : $1
  sport = first["sport"]; dport = second["sport"]; type = first["type"]; code = first["code"]
  from = digits(first["src"]); to = digits(second["src"])
  out = judged(from, "egress", to)
  into = (from in own) ? 0 : judged(to, "ingress", from)
  if (out != -1 && into != -1) next
  words = "-D -f ipv" family " -p " ($1 == "unknown" ? $2 : $1) " -s " first["src"] " -d " first["dst"]
  if (type != "") {
    option = $1 == "icmpv6" ? "icmpv6" : "icmp"
    words = words " --" option "-type " type " --" option "-code " code " --" option "-id " first["id"]
  } else if (sport != "") words = words " --sport " sport " --dport " first["dport"]
  if ("zone" in first) words = words " -w " first["zone"]
  print words
}
`;
