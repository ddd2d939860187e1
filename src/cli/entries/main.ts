import process from 'node:process';
import { main } from '../main.ts';
import { mainIo } from '../main-io.ts';

const { io, args, flush } = mainIo(process.argv.slice(2));
main(args, io)
  .then((status) => {
    process.exitCode = status;
  })
  .finally(flush);
