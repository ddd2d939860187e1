import process from 'node:process';
import { run } from '../commands/run.ts';
import { shims } from '../commands/shims.ts';
import { mainIo } from '../main-io.ts';

const { io, args, flush } = mainIo(process.argv.slice(2));
const [name, ...rest] = args[0] === 'help' ? [args[1], '--help'] : args;

async function start(): Promise<number> {
  return name === 'shims' ? shims(name, rest, io) : run('run', rest, io);
}

start()
  .catch((error: unknown) => {
    const { message, stack } = error as Error;
    io.err(`iptsim: ${io.env.IPTSIM_DEBUG === undefined ? message : stack}\n`);
    return 1;
  })
  .then((status) => {
    flush();
    process.exit(status);
  });
