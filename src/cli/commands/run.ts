import { spawn } from 'node:child_process';
import { realpathSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { makeDirectory } from '../../state/files.ts';
import type { Command as CliCommand, Io } from '../io.ts';
import { readArguments } from '../own-command.ts';
import { interfacesOf } from '../run/interfaces.ts';
import { findIsolation, type Isolation } from '../run/namespaces.ts';
import { companion, makeRunDirectory } from '../run/private-directory.ts';
import { startResident } from '../run/resident.ts';

const EXAMPLES = `
Examples:
  iptsim run -- sh -c 'iptables -A INPUT -p tcp --dport 22 -j ACCEPT; /usr/sbin/iptables -S'
  iptsim run --dir /tmp/fw -- sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward; iptables -P FORWARD DROP'
  iptsim --dir /tmp/fw trace 'in=eth0 out=eth1 tcp 198.51.100.7:40000 > 10.0.0.5:22'

The command sees a network namespace of its own, with the interfaces of
host.yaml, and the emulated tools in place of the real ones. Its exit status is
that of iptsim run.
`;

interface RunOptions {
  dir?: string;
  net?: boolean;
}

/** `iptsim run [--dir D] [--net] -- COMMAND ...` */
export const run: CliCommand = async (_name, args, io) => {
  const command = new Command('iptsim run')
    .usage('[--dir DIR] [--net] -- COMMAND [ARGS...]')
    .description('Runs a command that finds iptsim where it expects iptables, ipset and conntrack.')
    .argument('<command...>', 'the command and its arguments')
    .option('--dir <dir>', 'state directory')
    .option('--net', "leave it in the machine's network, with no right to change that")
    .passThroughOptions()
    .addHelpText('after', EXAMPLES);
  const ended = readArguments(command, args, io);
  if (ended !== null) return ended;
  const options = command.opts<RunOptions>();
  const state = path.resolve(options.dir ?? io.directory);
  makeDirectory(state);
  return await runIn(state, options.net !== true, command.args, io);
};

async function runIn(state: string, ownNetwork: boolean, words: readonly string[], io: Io): Promise<number> {
  const iptsim = realpathSync(process.argv[1]!);
  const interfaces = ownNetwork ? interfacesOf(state) : '';
  const isolation = findIsolation(ownNetwork);
  sayWhatIsMissing(isolation, ownNetwork, io);
  const directory = makeRunDirectory({ iptsim, state, passOn: isolation.network });
  try {
    writeFileSync(path.join(directory.path, 'interfaces'), interfaces);
    const resident = await startResident(directory.socket, state);
    try {
      const enter = ['/bin/sh', companion(iptsim, 'enter.sh'), directory.path, ...surroundings(isolation), ...words];
      return await runCommand(
        isolation.flags.length > 0 ? ['unshare', ...isolation.flags, ...enter] : enter,
        state,
        io,
      );
    } finally {
      resident.close();
    }
  } finally {
    directory.remove();
  }
}

function sayWhatIsMissing({ mounts, network, reason }: Isolation, ownNetwork: boolean, io: Io): void {
  const why = reason === '' ? '' : ` (${reason})`;
  if (!mounts) {
    io.err(
      `iptsim run: no private mounts here${why}: the tools answer by PATH only; /usr/sbin/iptables is the real one\n`,
    );
  }
  if (ownNetwork && !network) {
    io.err(
      "iptsim run: no network namespace of its own here: the command sees the machine's network, without the right to change it\n",
    );
  }
}

/** Arguments of enter.sh. Root in the machine's own network has to lose a right; anybody else has none. */
function surroundings({ mounts, network, user }: Isolation): string[] {
  const root = process.geteuid?.() === 0 && !user;
  return [mounts ? '1' : '0', network ? 'own' : root ? 'drop' : 'keep'];
}

/** Runs a command with this process's standard input and outputs; returns its status, 128 and the signal if one ended it. */
async function runCommand(words: readonly string[], state: string, io: Io): Promise<number> {
  const [program, ...rest] = words;
  const child = spawn(program!, rest, { stdio: 'inherit', env: { ...process.env, IPTSIM_DIR: state } });
  // The terminal sends its signals to the command too; what comes from elsewhere is passed on.
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
  const pass = (signal: NodeJS.Signals): void => {
    if (signal === 'SIGTERM' || signal === 'SIGHUP') child.kill(signal);
  };
  for (const signal of signals) process.on(signal, pass);
  try {
    return await new Promise<number>((resolve) => {
      child.on('error', (error) => {
        io.err(`iptsim run: ${error.message}\n`);
        resolve(1);
      });
      child.on('exit', (code, signal) => {
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
      });
    });
  } finally {
    for (const signal of signals) process.off(signal, pass);
  }
}
