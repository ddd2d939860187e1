// A handler module of `iptsim trace --queue` in a thread of its own, so that iptsim can go on whatever the module does.
//
// workerData: `file`, the module's URL; `port`, over which questions come and messages go; `flag`, a shared Int32Array: set to 1, and
// whoever waits for it woken, with each message. Messages: { ready }, { answer, number } or { failure }.
import { writeSync } from 'node:fs';
import process from 'node:process';
import { workerData } from 'node:worker_threads';

const { file, port, flag } = workerData;

function tell(message) {
  port.postMessage(message);
  Atomics.store(flag, 0, 1);
  Atomics.notify(flag, 0);
}

/** The message of what was thrown, and where in the module. */
function describe(error) {
  if (!(error instanceof Error)) return `it threw ${String(error)}`;
  const at = error.stack?.split(`${file}:`)[1]?.match(/^\d+/)?.[0];
  return `${error.message}${at === undefined ? '' : ` (line ${at})`}`;
}

const fail = (error) => tell({ failure: describe(error) });

// Standard output is the trace's. Written at once: the thread that would pass it on waits for the answer.
for (const stream of [process.stdout, process.stderr]) {
  stream.write = (text, encoding, done) => {
    writeSync(2, text);
    (typeof encoding === 'function' ? encoding : done)?.();
    return true;
  };
}
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
process.exit = (status = 0) => {
  tell({ failure: `it called process.exit(${status})` });
  // Nothing after the call may run.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
};

let handler;

// From the beginning: it keeps the thread alive, so that what is told arrives.
port.on('message', async ({ number, packet }) => {
  try {
    tell({ number, answer: await handler(packet) });
  } catch (error) {
    fail(error);
  }
});

async function load() {
  const loaded = await import(file);
  // A CommonJS module compiled from `export default` holds it one level deeper.
  handler = typeof loaded.default === 'function' ? loaded.default : loaded.default?.default;
  if (typeof handler !== 'function') throw new Error('it has no default export that is a function');
  tell({ ready: true });
}

load().catch(fail);
