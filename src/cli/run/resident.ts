import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { readStateFile } from '../../state/files.ts';
import { rulesFileName } from '../../state/rules-file.ts';
import { runCall } from './call.ts';
import { type CallRequest, frame, parseRequest, takeMessage } from './frames.ts';

/** Answers the shims of one run, one call after the other, until it is closed. */
export interface Resident {
  close(): void;
}

/** Longest request, standard input included, that is taken. */
const LONGEST = 1 << 30;

/**
 * Listens on `socket`, in a directory that nobody else can enter. `directory` is the state of the run's own network
 * namespace; every other namespace gets one of its own below it, empty when the run first meets it.
 */
export async function startResident(socket: string, directory: string): Promise<Resident> {
  const calls = new Calls(directory);
  const connections = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (connection) => {
    connections.add(connection);
    connection.on('close', () => connections.delete(connection));
    // A caller that has been killed: its call has been done or is not wanted any more.
    connection.on('error', () => connection.destroy());
    serve(connection, calls);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, resolve);
  });
  return {
    close() {
      server.close();
      for (const connection of connections) connection.destroy();
    },
  };
}

function serve(connection: Socket, calls: Calls): void {
  let collected: Buffer[] = [];
  let length = 0;
  let request: CallRequest | null = null;
  connection.on('data', (bytes: Buffer) => {
    collected.push(bytes);
    length += bytes.length;
    const first = collected[0] as Buffer;
    if (first.length >= 4 && first.readUInt32BE(0) > LONGEST) {
      connection.destroy();
      return;
    }
    if (first.length >= 4 && length < 4 + first.readUInt32BE(0)) return;
    const taken = takeMessage(Buffer.concat(collected));
    if (taken === null) return;
    collected = taken.rest.length > 0 ? [taken.rest] : [];
    length = taken.rest.length;
    let stdin: string | null = null;
    if (request === null) request = parseRequest(taken.message);
    else stdin = taken.message.toString('latin1');
    if (request === null) {
      connection.destroy();
      return;
    }
    void calls.answer(request, stdin).then((answer) => connection.write(answer));
  });
  connection.on('end', () => connection.end());
}

/** Calls in the order in which they came; a command that waits for something does not let another one in. */
class Calls {
  private readonly directory: string;
  private last: Promise<unknown> = Promise.resolve();
  private readonly namespaces = new Set<string>();
  /** Legacy tables that callers have heard of, by namespace. */
  private readonly announced = new Map<string, Set<string>>();

  constructor(directory: string) {
    this.directory = directory;
  }

  answer(request: CallRequest, stdin: string | null): Promise<Buffer> {
    const answer = this.last.then(() =>
      this.run(request, stdin).catch((error: unknown) =>
        Buffer.concat([frame('E', `iptsim run: ${(error as Error).message}\n`), frame('X', '\x01')]),
      ),
    );
    this.last = answer;
    return answer;
  }

  private async run(request: CallRequest, stdin: string | null): Promise<Buffer> {
    const directory = this.directoryOf(request);
    if (!path.isAbsolute(directory)) return frame('L', '');
    setTimeZone(request.env.TZ);
    const result = await runCall(request, directory, stdin);
    if (result.kind === 'input') return frame('I');
    if (result.kind === 'local') return frame('L', Buffer.from(directory, 'utf8').toString('latin1'));
    const { frames, status } = result;
    const tables = this.newLegacyTables(request, directory);
    if (tables.length > 0) frames.push(frame('T', tables.join(' ')));
    return Buffer.concat([...frames, frame('X', String.fromCharCode(status & 255))]);
  }

  private directoryOf({ namespace, env }: CallRequest): string {
    const named = env.IPTSIM_DIR;
    if (named !== undefined && named !== '' && named !== this.directory) return named;
    if (namespace === '') return this.directory;
    const directory = path.join(this.directory, 'netns', namespace);
    if (!this.namespaces.has(namespace)) {
      this.namespaces.add(namespace);
      // A namespace of an earlier run that had the same number.
      rmSync(directory, { recursive: true, force: true });
    }
    return directory;
  }

  /** Tables that a call of the legacy variant has brought into being, as `PROGRAM/TABLE`. */
  private newLegacyTables({ name, env, namespace }: CallRequest, directory: string): string[] {
    const legacy = /-legacy/.test(name) || (!/-nft/.test(name) && env.IPTSIM_VARIANT === 'legacy');
    const [base] = /^ip6?tables/.exec(name) ?? [];
    if (!legacy || base === undefined) return [];
    const known = this.announced.get(namespace) ?? new Set<string>();
    this.announced.set(namespace, known);
    const fresh: string[] = [];
    const text = readStateFile(directory, rulesFileName(base === 'iptables' ? 4 : 6)) ?? '';
    for (const [, table] of text.matchAll(/^\*(\w+)$/gm)) {
      const word = `${base}/${table}`;
      if (known.has(word)) continue;
      known.add(word);
      fresh.push(word);
    }
    return fresh;
  }
}

/** Dates are printed in the time zone of the caller. */
function setTimeZone(zone: string | undefined): void {
  if (process.env.TZ === zone) return;
  if (zone === undefined) delete process.env.TZ;
  else process.env.TZ = zone;
}
