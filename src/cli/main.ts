import packageJson from '../../package.json' with { type: 'json' };
import { nearest } from '../packet/notation/error.ts';
import type { Command, Io } from './io.ts';

/** One of iptsim's own commands; its code is loaded when it is called, or null for those that another entry serves. */
interface OwnCommand {
  name: string;
  summary: string;
  load: (() => Promise<Command>) | null;
}

const COMMANDS: readonly OwnCommand[] = [
  {
    name: 'trace',
    summary: 'send packets through the machine and see what becomes of them',
    load: async () => (await import('./commands/trace.ts')).trace,
  },
  {
    name: 'check',
    summary: 'check expectations: packets, and what should become of them',
    load: async () => (await import('./commands/check.ts')).check,
  },
  {
    name: 'explain',
    summary: 'say in one sentence what a rule does',
    load: async () => (await import('./commands/explain.ts')).explain,
  },
  {
    name: 'fmt',
    summary: 'print a file of rules in its canonical form',
    load: async () => (await import('./commands/fmt.ts')).fmt,
  },
  {
    name: 'run',
    summary: 'run a command that finds iptsim where it expects iptables',
    load: null,
  },
  {
    name: 'shims',
    summary: 'write links to iptsim under all names of the emulated tools',
    load: null,
  },
  {
    name: 'import',
    summary: 'make a state directory of what was collected on a live machine',
    load: async () => (await import('./commands/import.ts')).importMachine,
  },
  {
    name: 'net',
    summary: 'follow conversations through networks of hosts',
    load: async () => (await import('./commands/net.ts')).net,
  },
  {
    name: 'group',
    summary: 'security groups: the rules of every host, and who reaches whom',
    load: async () => (await import('./commands/group.ts')).group,
  },
  {
    name: 'kube',
    summary: "Kubernetes Services as the rules of kube-proxy's iptables mode",
    load: async () => (await import('./commands/kube.ts')).kube,
  },
  {
    name: 'queue',
    summary: 'see how NFQUEUE spreads connections; run programs of libnetfilter_queue',
    load: async () => (await import('./commands/queue.ts')).queue,
  },
  {
    name: 'help',
    summary: 'help about a command, or about `packets`',
    load: async () => (await import('./commands/help.ts')).help,
  },
];

/** Names that other entries serve; listed here for the help only. */
const EMULATED = 'iptables, ip6tables, iptables-save, iptables-restore, ipset, conntrack, ...';

/** `iptsim` with its own commands; the emulated tools have entries of their own. Returns the exit status. */
export async function main(args: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = args;
  if (name === '--version' || name === '-V') {
    io.out(`iptsim ${packageJson.version}\n`);
    return 0;
  }
  if (name === undefined || name === '--help' || name === '-h' || (name === 'help' && rest.length === 0)) {
    (name === undefined ? io.err : io.out)(overview());
    return name === undefined ? 2 : 0;
  }
  if (name === 'help' && COMMANDS.some((command) => command.name === rest[0] && rest[0] !== 'help')) {
    return main([rest[0]!, '--help'], io);
  }
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined || command.load === null) {
    const near = nearest(name, [...COMMANDS.map((candidate) => candidate.name), ...KNOWN_ELSEWHERE]);
    io.err(
      `iptsim: unknown command "${name}"${near === null ? '' : `: did you mean ${near}?`}\nTry \`iptsim --help'.\n`,
    );
    return 2;
  }
  return (await command.load())(name, rest, io);
}

const KNOWN_ELSEWHERE = [
  'iptables',
  'ip6tables',
  'iptables-save',
  'iptables-restore',
  'ip6tables-save',
  'ip6tables-restore',
  'iptables-xml',
  'iptables-apply',
  'ipset',
  'conntrack',
  'save',
  'restore',
];

function overview(): string {
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(10)}${summary}`);
  return `Usage: iptsim [--dir DIR] [--no-color] COMMAND [ARGS...]
       iptsim [--dir DIR] -A INPUT -p tcp --dport 22 -j ACCEPT

Linux netfilter and iptables in userspace: rules without root, packets without a
kernel. Rules, sets and connections live in the state directory (--dir,
$IPTSIM_DIR, or .iptsim here).

Commands:
${lines.join('\n')}

The tools themselves, as \`iptsim NAME ARGS...\` or through links of their names:
  ${EMULATED}

Try:
  iptsim -A INPUT -p tcp --dport 22 -j ACCEPT
  iptsim -P INPUT DROP
  iptsim trace 'in=eth0 tcp 198.51.100.7:40000 > 203.0.113.10:80'
`;
}
