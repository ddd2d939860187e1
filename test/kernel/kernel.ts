import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { answerTo } from './answer.ts';
import { watchEvents } from './events.ts';
import { FINGERPRINTS } from './generate/fingerprints.ts';
import { buildRouter, inRouter, type Namespaces, namespacesAt, removeNamespaces } from './router.ts';
import type { HostDescription, Outcome, PlannedPacket, Scenario, SentPacket } from './scenario.ts';

/** Why the real kernel cannot be asked here, or null if it can. */
export function kernelUnavailable(): string | null {
  if (process.getuid?.() !== 0) return 'not root';
  for (const tool of ['ip', 'iptables-legacy', 'iptables-nft', 'ipset', 'conntrack', 'gcc', 'ethtool']) {
    if (spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0) return `${tool} is not installed`;
  }
  const name = `ksim-probe-${process.pid}`;
  if (spawnSync('ip', ['netns', 'add', name]).status !== 0) return 'network namespaces cannot be made';
  spawnSync('ip', ['netns', 'del', name]);
  return null;
}

/** Whether this kernel writes log lines of namespaces; it is a setting of the whole machine and left as it is. */
export function kernelLogs(): boolean {
  try {
    return readFileSync('/proc/sys/net/netfilter/nf_log_all_netns', 'utf8').trim() !== '0';
  } catch {
    return false;
  }
}

/** Puts fingerprints for `-m osf` into the kernel's list, or takes them out of it. */
export function changeFingerprints(text: string, change: 'add' | 'remove'): void {
  const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-fingerprints-'));
  const file = path.join(folder, 'pf.os');
  writeFileSync(file, text);
  spawnSync('nfnl_osf', ['-f', file, ...(change === 'remove' ? ['-d'] : [])]);
  rmSync(folder, { recursive: true });
}

let wireProgram: string | null = null;

/** Builds wire.c once per run. */
function wire(source: string): string {
  if (wireProgram === null) {
    wireProgram = path.join(mkdtempSync(path.join(tmpdir(), 'iptsim-wire-')), 'wire');
    execFileSync('gcc', ['-O1', '-o', wireProgram, source]);
  }
  return wireProgram;
}

/** A program in the router's namespace; `ready` is what it writes to stderr when packets may come. */
export interface Companion {
  command: readonly string[];
  ready: string;
}

/** How a scenario is played, beside what it says itself. */
export interface Playing {
  companion?: Companion;
  /** Microseconds without news after which a packet is done, with a companion; absent: long enough for a busy machine. */
  quiet?: number;
  /** Whether `conntrack -E` listens. */
  events?: boolean;
  /** Scenarios that play at the same time have different places. */
  place?: number;
  /** Whether lines of LOG are heard; they do not say which namespace they are from, so nothing else may play at the same time. */
  log?: boolean;
}

/** The table of each family is listed by itself; a family without entries is no error. */
const CONNECTIONS = [
  'for table in "" expect; do',
  'echo "%%"',
  'for family in ipv4 ipv6; do conntrack -L $table -f $family -o extended 2>/dev/null; done',
  'done; true',
].join('\n');

/**
 * Plays a scenario in the real kernel; also gives the packets as they were sent, for the other side, and what the companion wrote to stderr.
 */
export async function runKernel(
  scenario: Scenario,
  variant: 'legacy' | 'nft',
  wireSource: string,
  { companion, place = 0, quiet = COMPANION_SETTLE, events = false, log = false }: Playing = {},
): Promise<{ sent: SentPacket[]; outcome: Outcome; told: string }> {
  const namespaces = namespacesAt(place);
  await removeNamespaces(namespaces);
  let program: { child: ChildProcess; told(): string } | null = null;
  try {
    const peers = await buildRouter(scenario.host, namespaces);
    const restore = async (tool: string, text: string): Promise<void> => {
      if (text !== '') await inRouter(namespaces, [tool, ...(tool === 'ipset' ? ['restore'] : [])], text);
    };
    // Another run may have taken them away.
    if (scenario.rulesV4.includes('-m osf')) changeFingerprints(FINGERPRINTS, 'add');
    await restore('ipset', scenario.ipsets);
    await restore(`iptables-${variant}-restore`, scenario.rulesV4);
    await restore(`ip6tables-${variant}-restore`, scenario.rulesV6);
    for (const words of scenario.entries ?? []) {
      // One that clashes with another is refused, on both sides.
      const quoted = words.map((word) => `'${word}'`).join(' ');
      await inRouter(namespaces, ['sh'], `conntrack ${quoted} 2>/dev/null || true\n`);
    }
    if (companion !== undefined) program = await startInRouter(namespaces, companion);
    const settled = companion === undefined ? settle(scenario) : String(quiet);
    const watched = events ? await watchEvents(namespaces.router) : null;
    const played = await play(scenario, namespaces, peers, [wire(wireSource), settled, log ? 'log' : 'no-log']);
    const heard = await watched?.stop();
    const save = [
      scenario.rulesV4 === '' ? '' : `iptables-${variant}-save -c`,
      'echo "%%"',
      scenario.rulesV6 === '' ? '' : `ip6tables-${variant}-save -c`,
      'echo "%%"',
      scenario.ipsets === '' ? '' : 'ipset save',
      CONNECTIONS,
    ];
    const texts = (await inRouter(namespaces, ['sh', '-e'], `${save.join('\n')}\n`)).split('%%\n');
    const [saveV4 = '', saveV6 = '', ipset = '', conntrack = '', expectations = ''] = texts;
    const { sent, ...outputs } = played;
    const outcome: Outcome = { ...outputs, saveV4, saveV6, ipset, conntrack, expectations };
    if (heard !== undefined) outcome.events = heard;
    return { sent, outcome, told: program?.told() ?? '' };
  } finally {
    program?.child.kill('SIGKILL');
    await removeNamespaces(namespaces);
  }
}

async function startInRouter(
  { router }: Namespaces,
  { command, ready }: Companion,
): Promise<{ child: ChildProcess; told(): string }> {
  const child = spawn('ip', ['netns', 'exec', router, ...command], { stdio: ['ignore', 'ignore', 'pipe'] });
  let told = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      told += text;
      if (told.includes(ready)) resolve();
    });
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`${command.join(' ')} ended early: ${told}`)));
  });
  return { child, told: () => told };
}

/** The text of a record of /dev/kmsg, which writes bytes that cannot be printed as `\\x0a`. */
function unescaped(text: string): string {
  return text.replace(/\\x([0-9a-f]{2})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16)));
}

interface Answered {
  outs: { dev: string; hex: string }[];
  shown: string[];
  logged: string[];
  time: number;
}

/** Some scenario has packets go round in the kernel without end. */
export const ENDLESS = 'the kernel does not come to rest';

type PlayedPackets = Pick<Outcome, 'outputs' | 'nflog' | 'log'> & { sent: SentPacket[] };

async function play(
  scenario: Scenario,
  { router, peers: far }: Namespaces,
  peers: string[],
  [program, quiet, log]: [string, string, 'log' | 'no-log'],
): Promise<PlayedPackets> {
  const child = spawn(program, [router, far, quiet, log, ...peers.map((name) => `p-${name}`)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (command: string): Promise<Answered> => {
    child.stdin.write(`${command}\n`);
    const answer: Answered = { outs: [], shown: [], logged: [], time: 0 };
    for (;;) {
      const next = await lines.next();
      if (next.done) throw new Error('wire ended early');
      const text = String(next.value);
      const words = text.split(' ');
      if (words[0] === 'out') answer.outs.push({ dev: words[1].slice(2), hex: words[2].slice(28) });
      else if (words[0] === 'in') answer.outs.push({ dev: 'local', hex: words[1] });
      else if (words[0] === 'nflog') answer.shown.push(text.slice(6));
      else if (words[0] === 'log') answer.logged.push(unescaped(text.slice(4)));
      else if (words[0] === 'endless') throw new Error(ENDLESS);
      else if (words[0] === 'done') return { ...answer, time: Number(words[1]) };
    }
  };
  const played: PlayedPackets = { sent: [], outputs: [], nflog: [], ...(log === 'log' ? { log: [] } : {}) };
  /** What each planned packet led to; answers refer to these. */
  const became: { dev: string; hex: string }[][] = [];
  try {
    // What runs on which CPU must be known to `-m cpu`.
    if (/-m cpu/.test(scenario.rulesV4 + scenario.rulesV6)) await ask('pin');
    for (const socket of scenario.host.listen ?? []) await ask(`listen ${socket.replace('/', ' ')}`);
    for (const planned of scenario.packets) {
      const concrete = concretise(planned, became, scenario.host);
      // A veth drops what is much longer than its MTU, as no wire could carry it.
      if (concrete === null || concrete.hex.length / 2 > (scenario.host.interfaces[concrete.dev]?.mtu ?? 1500)) {
        became.push([]);
        continue;
      }
      if (planned.gap) await ask(`wait ${planned.gap}`);
      const { outs, shown, logged, time } = await ask(command(concrete, scenario.host));
      played.sent.push({ ...concrete, time });
      played.outputs.push(outs);
      played.nflog?.push(shown);
      played.log?.push(logged);
      became.push(outs);
    }
  } finally {
    child.stdin.end();
    await new Promise((resolve) => child.once('close', resolve));
  }
  return played;
}

/**
 * Microseconds without news after which a packet is done. connlimit looks for closed connections once in a tick (4 ms where
 * CONFIG_HZ is 250): each packet comes in a tick of its own.
 */
function settle(scenario: Scenario): string {
  return /connlimit/.test(scenario.rulesV4 + scenario.rulesV6) ? '5000' : '2500';
}

/** The same where a program has its say about packets. */
const COMPANION_SETTLE = 60_000;

type Concrete = Omit<SentPacket, 'time'>;

function concretise(
  planned: PlannedPacket,
  became: { dev: string; hex: string }[][],
  host: HostDescription,
): Concrete | null {
  const { dev, hex, sourceMac, destinationMac } = planned;
  if (planned.answer === undefined) return { dev, hex: hex ?? '', sourceMac, destinationMac };
  const left = became[planned.answer.to]?.find(
    (out) => out.dev in host.interfaces && (planned.answer?.dev ?? out.dev) === out.dev,
  );
  if (left === undefined) return null;
  const answer = answerTo(left.hex, planned.answer);
  return answer === null ? null : { dev: left.dev, hex: answer, sourceMac, destinationMac };
}

export const DEFAULT_SOURCE_MAC = '02:00:00:00:ff:01';

function command(packet: Concrete, host: HostDescription): string {
  if (packet.dev === 'local') return `local ${packet.hex}`;
  const to = packet.destinationMac ?? host.interfaces[packet.dev].mac;
  const from = packet.sourceMac ?? DEFAULT_SOURCE_MAC;
  const type = packet.hex.startsWith('6') ? '86dd' : '0800';
  return `send p-${packet.dev} ${to.replaceAll(':', '')}${from.replaceAll(':', '')}${type}${packet.hex}`;
}
