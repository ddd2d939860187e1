import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { toHex } from '../../src/packet/bytes.ts';
import { type PlayedFrame, type PlayedPacket, readPackets } from './imported.ts';

/** Sends frames out of `p-DEVICE` and tells what comes back at any: `DEVICE HEX` in, one JSON object a line out. Python 3. */
const WIRE = `
import json, select, socket, sys, time
sockets = {}
for name in sys.argv[1:]:
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.bind(('p-' + name, 0))
    sockets[s] = name
by_name = {name: s for s, name in sockets.items()}
def drain(wait):
    frames = []
    while True:
        ready, _, _ = select.select(list(sockets), [], [], wait)
        if not ready: return frames
        for s in ready:
            data, (_, _, kind, _, _) = s.recvfrom(65535)
            if kind != socket.PACKET_OUTGOING and data[12:14] in (b'\\x08\\x00', b'\\x86\\xdd'): frames.append([sockets[s], data.hex()])
drain(0.05)
print('ready', flush=True)
for line in sys.stdin:
    name, data = line.split()
    now = time.time()
    by_name[name].send(bytes.fromhex(data))
    print(json.dumps({'time': now, 'frames': drain(0.03)}), flush=True)
`;

/** The router of fixtures/imported-router, built anew in namespaces; what it does is asked of the kernel. */
export class LiveRouter {
  readonly #router = `iptsimr${process.pid}`;
  readonly #peers = `iptsimp${process.pid}`;
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'iptsim-router-'));
  /** What the collecting script made. */
  readonly collected = path.join(this.#folder, 'collected');

  constructor(root: string) {
    for (const name of [this.#router, this.#peers]) run('ip', ['netns', 'add', name]);
    const fixture = path.join(root, 'fixtures/imported-router');
    run('sh', [path.join(fixture, 'build.sh')], { R: this.#router, P: this.#peers });
    run('ip', [
      'netns',
      'exec',
      this.#router,
      'sh',
      path.join(root, 'adapters/collect/iptsim-collect.sh'),
      this.collected,
    ]);
  }

  /** Sends the packets of a file one after the other. */
  async play(text: string): Promise<PlayedPacket[]> {
    const packets = readPackets(text);
    const devices = [...new Set(packets.map(({ device }) => device))];
    const child = spawn('ip', ['netns', 'exec', this.#peers, 'python3', '-c', WIRE, ...devices]);
    let trouble = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      trouble += text;
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async (): Promise<string> => {
      const { value, done } = await lines.next();
      if (done) throw new Error(`the sending program ended: ${trouble}`);
      return value as string;
    };
    const played: PlayedPacket[] = [];
    try {
      await next();
      for (const { line, device, frame } of packets) {
        child.stdin.write(`${device} ${toHex(frame)}\n`);
        const { time, frames } = JSON.parse(await next()) as { time: number; frames: PlayedFrame[] };
        played.push({ packet: line, time: Math.round(time * 1e6), frames });
      }
    } finally {
      child.kill('SIGKILL');
    }
    return played;
  }

  /** `ip route get` with these words: device, gateway and source, as `routeGet` of imported.ts puts them. */
  routeGet(words: string): string {
    const six = words.includes(':');
    const { status, stdout } = spawnSync(
      'ip',
      ['-n', this.#router, ...(six ? ['-6'] : []), '-j', 'route', 'get', ...words.split(' ')],
      { encoding: 'utf8' },
    );
    if (status !== 0) return 'none';
    const [answer] = JSON.parse(stdout) as {
      type?: string;
      dev: string;
      gateway?: string;
      prefsrc?: string;
      via?: { host: string };
    }[];
    const { type, dev, gateway, prefsrc, via } = answer!;
    return `${type ?? 'unicast'} dev ${dev} via ${gateway ?? via?.host ?? '-'} src ${prefsrc ?? '-'}`;
  }

  stop(): void {
    for (const name of [this.#router, this.#peers]) spawnSync('ip', ['netns', 'del', name]);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function run(command: string, args: string[], env: Record<string, string> = {}): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, ...env } });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr.trim()}`);
}
