import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type HandlerAnswer, type HandlerPacket, type HandlerRelease, QueueError } from './handler.ts';
import { IS_LITTLE_ENDIAN, viewOf } from './netlink/message.ts';
import { QueueSubsystem } from './netlink/subsystem.ts';

/** Milliseconds without news after which a program that waits has set up its queues. */
const QUIET = 100;

const Frame = { datagram: 0, waiting: 1, name: 2, empty: 3 } as const;

/** Where the shim's source is and where it is built. */
export interface ShimPlaces {
  /** `adapters/nfqueue`: C files and their header. */
  source: string;
  /** Directory for what is built, made if it is missing; it is built anew when the source changes. */
  cache: string;
  /** C compiler, e.g. `cc`. */
  compiler: string;
}

/** Builds the shim unless it is there already; gives its path. Throws QueueError where there is no compiler. */
export function buildShim({ source, cache, compiler }: ShimPlaces): string {
  const files = readdirSync(source)
    .filter((name) => /\.[ch]$/.test(name))
    .sort()
    .map((name) => path.join(source, name));
  const hash = createHash('sha256').update(process.arch);
  for (const file of files) hash.update(readFileSync(file));
  const mark = hash.digest('hex').slice(0, 16);
  const built = path.join(cache, `nfqueue-${mark}.so`);
  if (existsSync(built)) return built;
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  const fresh = path.join(cache, `.nfqueue-${mark}.${process.pid}.so`);
  const sources = files.filter((file) => file.endsWith('.c'));
  const args = ['-shared', '-fPIC', '-O2', '-o', fresh, ...sources, '-ldl', '-lpthread'];
  const { error, status, stderr } = spawnSync(compiler, args, { encoding: 'utf8' });
  if (error !== undefined) {
    throw new QueueError(
      `programs of libnetfilter_queue need a C compiler: ${compiler} cannot be started (${error.message}). Install one, or name it in $CC`,
    );
  }
  if (status !== 0) throw new QueueError(`${compiler} could not build ${source}:\n${stderr}`);
  renameSync(fresh, built);
  return built;
}

/** A connection of the program: one of its netlink sockets. */
interface Link {
  socket: Socket;
  /** Datagrams sent to it. */
  sent: number;
  buffer: Buffer;
}

/**
 * A program that speaks nfnetlink_queue, run with the shim: `answer` gives it a packet and gives back what it decided.
 */
export class QueueProgram {
  readonly #server: Server;
  readonly #folder: string;
  readonly #child: ChildProcess;
  readonly #subsystem: QueueSubsystem<Link>;
  readonly #names = new Map<number, string>();
  /** Verdicts since the last answer, in order. */
  #verdicts: (HandlerRelease & { queue: number })[] = [];
  #current: { packet: HandlerPacket; link: Link; resolve(answer: HandlerAnswer): void } | null = null;
  #reject: ((error: Error) => void) | null = null;
  #ended: string | null = null;
  /** The program is no more, or never was. */
  #isGone = false;
  #ready: () => void = () => {};
  #isSettingUp = true;
  /** Runs from when the program waits for the first time, anew whenever something comes from it: other threads of it may be setting up theirs. */
  #quiet: NodeJS.Timeout | null = null;
  /** Resolves when the program has set up its queues, as far as can be seen: it waits, and nothing has come from it for a while. */
  readonly #isReady: Promise<void>;

  private constructor(server: Server, folder: string, shim: string, command: readonly string[]) {
    this.#server = server;
    this.#folder = folder;
    this.#isReady = new Promise((resolve) => {
      this.#ready = () => {
        this.#isSettingUp = false;
        resolve();
      };
    });
    this.#subsystem = new QueueSubsystem((queue, verdict) => this.#verdicts.push({ queue, ...verdict }));
    server.on('connection', (socket) => this.#connect(socket));
    const preload = [shim, process.env.LD_PRELOAD].filter((each) => (each ?? '') !== '').join(':');
    this.#child = spawn(command[0]!, command.slice(1), {
      // Its standard output would mix with the answers.
      stdio: ['ignore', 2, 'inherit'],
      env: { ...process.env, LD_PRELOAD: preload, IPTSIM_NFQUEUE: path.join(folder, 'nfqueue') },
    });
    for (const event of ['error', 'exit']) {
      this.#child.on(event, () => {
        this.#isGone = true;
      });
    }
    this.#child.on('error', (error) => this.#end(`${command[0]} cannot be started: ${error.message}`));
    this.#child.on('exit', (status, signal) =>
      this.#end(`${command[0]} ended (${signal === null ? `status ${status}` : `signal ${signal}`})`),
    );
  }

  /** Starts a program with the shim. */
  static async start(shim: string, command: readonly string[]): Promise<QueueProgram> {
    const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-nfqueue-'));
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path.join(folder, 'nfqueue'), resolve);
    });
    return new QueueProgram(server, folder, shim, command);
  }

  /** What the program decides about a packet. Throws QueueError if it has ended. */
  async answer(packet: HandlerPacket): Promise<HandlerAnswer> {
    for (const [name, index] of Object.entries(packet.ifindex)) this.#names.set(index, name);
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      if (this.#ended !== null) reject(new QueueError(this.#ended));
      this.#isReady.then(() => this.#give(packet, resolve)).catch(reject);
    });
  }

  /** Nobody waits for its decision any more. */
  abandon(): void {
    this.#end('the trace ended before the program had decided');
  }

  /** Ends the program as a system does that goes down; one that does not follow is killed. */
  async close(): Promise<void> {
    if (!this.#isGone) {
      const exited = new Promise((resolve) => this.#child.once('exit', resolve));
      this.#child.kill('SIGTERM');
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), 1000);
      await exited;
      clearTimeout(timer);
    }
    this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #end(reason: string): void {
    this.#ended ??= reason;
    this.#reject?.(new QueueError(reason));
  }

  #give(packet: HandlerPacket, resolve: (answer: HandlerAnswer) => void): void {
    const offer = this.#subsystem.offer(packet);
    if (typeof offer === 'string') {
      resolve(this.#withReleases({ verdict: offer === 'open' ? 'accept' : offer }));
      return;
    }
    this.#current = { packet, link: offer.socket, resolve };
    this.#send(offer.socket, offer.bytes);
  }

  #connect(socket: Socket): void {
    if (this.#isSettingUp) this.#quiet?.refresh();
    const link: Link = { socket, sent: 0, buffer: Buffer.alloc(0) };
    socket.on('data', (data: Buffer) => {
      link.buffer = link.buffer.length === 0 ? data : Buffer.concat([link.buffer, data]);
      this.#readFrames(link);
    });
    socket.on('close', () => {
      this.#subsystem.close(link);
      this.#settle(false);
    });
    // What is written to a program that has ended is lost; its exit says so.
    socket.on('error', () => {});
  }

  #readFrames(link: Link): void {
    while (link.buffer.length >= 8) {
      const view = viewOf(link.buffer, 0);
      const end = 8 + view.getUint32(4, IS_LITTLE_ENDIAN);
      if (link.buffer.length < end) return;
      const kind = view.getUint32(0, IS_LITTLE_ENDIAN);
      const body = link.buffer.subarray(8, end);
      link.buffer = link.buffer.subarray(end);
      this.#frame(link, kind, body);
    }
  }

  #frame(link: Link, kind: number, body: Uint8Array): void {
    switch (kind) {
      case Frame.datagram:
        if (this.#isSettingUp) this.#quiet?.refresh();
        for (const answer of this.#subsystem.receive(link, body)) this.#send(link, answer);
        // While others wait it may go on to decide about those too.
        if (this.#subsystem.waiting === 0) this.#settle(false);
        break;
      case Frame.waiting: {
        const received = viewOf(body, 0).getUint32(0, IS_LITTLE_ENDIAN);
        if (received !== link.sent) break;
        this.#quiet ??= setTimeout(this.#ready, QUIET);
        if (this.#current?.link === link) this.#settle(true);
        break;
      }
      case Frame.empty:
        this.#quiet ??= setTimeout(this.#ready, QUIET);
        break;
      case Frame.name: {
        const name = this.#names.get(viewOf(body, 0).getUint32(0, IS_LITTLE_ENDIAN)) ?? '';
        this.#write(link, Buffer.from(name));
      }
    }
  }

  /** Answers the packet at hand if it is decided, or if the program waits without having decided. */
  #settle(isWaiting: boolean): void {
    const current = this.#current;
    if (current === null) return;
    const { packet, resolve } = current;
    const own = this.#verdicts.findIndex(({ queue, id }) => queue === packet.queue && id === packet.id);
    if (own < 0 && !isWaiting) return;
    this.#current = null;
    if (own >= 0 && own === this.#verdicts.length - 1) {
      const { id: _, queue: __, ...answer } = this.#verdicts.pop()!;
      resolve(this.#withReleases(answer));
    } else resolve(this.#withReleases({ verdict: 'later' }));
  }

  #withReleases(answer: HandlerAnswer): HandlerAnswer {
    const release = this.#verdicts;
    this.#verdicts = [];
    return release.length === 0 ? answer : { ...answer, release };
  }

  #send(link: Link, bytes: Uint8Array): void {
    link.sent++;
    this.#write(link, bytes);
  }

  #write(link: Link, bytes: Uint8Array): void {
    const head = Buffer.alloc(4);
    viewOf(head, 0).setUint32(0, bytes.length, IS_LITTLE_ENDIAN);
    link.socket.write(Buffer.concat([head, bytes]));
  }
}
