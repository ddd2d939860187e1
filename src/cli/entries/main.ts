import process from 'node:process';
import { main } from '../main.ts';
import { mainIo } from '../main-io.ts';

const { io, args, flush } = mainIo(process.argv.slice(2));
main(args, io)
  .catch((error: unknown) => {
    const { message, stack } = error as Error;
    io.err(`iptsim: ${io.env.IPTSIM_DEBUG === undefined ? message : stack}\n`);
    return 1;
  })
  .then((status) => {
    flush();
    // A handler module may have left timers or sockets open: nothing waits for them.
    process.exit(status);
  });
