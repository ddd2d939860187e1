import { realpathSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import type { Command as CliCommand } from '../io.ts';
import { readArguments } from '../own-command.ts';
import { TOOL_NAMES } from '../run/names.ts';
import { writeLinks } from '../run/private-directory.ts';

const EXAMPLES = `
Example:
  iptsim shims /tmp/shims
  PATH=/tmp/shims:$PATH iptables -A INPUT -p tcp --dport 22 -j ACCEPT

The rules go into $IPTSIM_DIR, or .iptsim in the directory of the call. Programs
that call /usr/sbin/iptables by its path do not find the links: see iptsim run.
`;

/** `iptsim shims DIR`: links to iptsim under all names of the emulated tools. */
export const shims: CliCommand = (_name, args, io) => {
  const command = new Command('iptsim shims')
    .usage('DIR')
    .description('Writes links to iptsim under all names of the emulated tools.')
    .argument('<dir>', 'directory of the links; made if missing')
    .addHelpText('after', EXAMPLES);
  const ended = readArguments(command, args, io);
  if (ended !== null) return ended;
  const directory = path.resolve(command.args[0]!);
  const wrong = writeLinks(directory, realpathSync(process.argv[1]!));
  if (wrong.length > 0) {
    io.err(`iptsim shims: ${directory} has files of these names, which are left alone: ${wrong.join(' ')}\n`);
    return 1;
  }
  io.out(`${TOOL_NAMES.length} names in ${directory}\n`);
  return 0;
};
