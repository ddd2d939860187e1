import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { answerTo } from './answer.ts';
import { addressBytes } from './frames.ts';
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

let wireProgram: string | null = null;

/** Builds wire.c once per run. */
function wire(source: string): string {
  if (wireProgram === null) {
    wireProgram = path.join(mkdtempSync(path.join(tmpdir(), 'iptsim-wire-')), 'wire');
    execFileSync('gcc', ['-O1', '-o', wireProgram, source]);
  }
  return wireProgram;
}

const ROUTER = `ksim-r${process.pid}`;
const PEERS = `ksim-p${process.pid}`;

/** Text for `ip -batch` that builds the router's devices, addresses and routes. */
function linkBatch(host: HostDescription): { router: string; peers: string[]; bridges: string } {
  const lines: string[] = [];
  const late: string[] = [];
  const peers: string[] = [];
  for (const [name, device] of Object.entries(host.interfaces)) {
    if (name === 'lo') continue;
    if (device.bridge) {
      lines.push(`link add ${name} address ${device.mac} type bridge forward_delay 0 stp_state 0 mcast_snooping 0`);
    } else {
      lines.push(`link add ${name} address ${device.mac} type veth peer name p-${name} netns ${PEERS}`);
      peers.push(name);
    }
    if (device.mtu !== undefined && device.mtu !== 1500) lines.push(`link set ${name} mtu ${device.mtu}`);
    for (const address of device.addresses ?? []) {
      late.push(`addr add ${address} dev ${name} ${address.includes(':') ? 'nodad' : 'brd +'}`);
    }
  }
  for (const [name, device] of Object.entries(host.interfaces)) {
    for (const port of device.bridge ?? []) lines.push(`link set ${port} master ${name}`);
    lines.push(`link set ${name} up`);
  }
  for (const [address, mac] of Object.entries(host.neighbours)) {
    const device = deviceOf(host, address);
    if (device !== null) late.push(`neigh replace ${address} lladdr ${mac} dev ${device} nud permanent`);
  }
  const routes = host.routes.map((route) => (route.includes(':') ? `-6 route add ${route}` : `route add ${route}`));
  const rules = (host.rules ?? []).flatMap((rule) => [
    `rule add ${rule}`,
    ...(/(from|to) \d/.test(rule) ? [] : [`-6 rule add ${rule}`]),
  ]);
  return { router: [...lines, ...late].join('\n'), peers, bridges: [...routes, ...rules].join('\n') };
}

/** The interface on whose prefix (/24, /64) an address lies. */
function deviceOf(host: HostDescription, address: string): string | null {
  const network = (text: string): string =>
    addressBytes(text)
      .subarray(0, text.includes(':') ? 8 : 3)
      .toString('hex');
  for (const [name, device] of Object.entries(host.interfaces)) {
    for (const prefix of device.addresses ?? []) {
      const [own = ''] = prefix.split('/');
      if (own.includes(':') === address.includes(':') && network(own) === network(address)) return name;
    }
  }
  return null;
}

function inRouter(args: string[], input?: string): string {
  const done = spawnSync('ip', ['netns', 'exec', ROUTER, ...args], { input, encoding: 'utf8', maxBuffer: 1 << 26 });
  if (done.status !== 0) throw new Error(`${args.join(' ')}: ${done.stderr.trim()}`);
  return done.stdout;
}

/** Shell lines that carry out `ip` commands; those of `ip -6` have that before them. */
function batch(text: string): string {
  const lines = text.split('\n').filter((line) => line !== '');
  const six = lines.filter((line) => line.startsWith('-6 ')).map((line) => line.slice(3));
  const four = lines.filter((line) => !line.startsWith('-6 '));
  const call = (family: string, own: string[]): string[] =>
    own.length === 0 ? [] : [`ip ${family}-batch - <<'LINES'`, ...own, 'LINES'];
  return [...call('', four), ...call('-6 ', six)].join('\n');
}

function removeNamespaces(): void {
  for (const name of [ROUTER, PEERS]) if (existsSync(`/run/netns/${name}`)) spawnSync('ip', ['netns', 'del', name]);
}

/** A program in the router's namespace; `ready` is what it writes to stderr when packets may come. */
export interface Companion {
  command: readonly string[];
  ready: string;
}

/**
 * Plays a scenario in the real kernel; also gives the packets as they were sent, for the other side, and what the companion wrote to stderr.
 */
export async function runKernel(
  scenario: Scenario,
  variant: 'legacy' | 'nft',
  wireSource: string,
  companion: Companion | null = null,
): Promise<{ sent: SentPacket[]; outcome: Outcome; told: string }> {
  removeNamespaces();
  let program: { child: ChildProcess; told(): string } | null = null;
  try {
    const peers = buildRouter(scenario.host);
    if (scenario.ipsets !== '') inRouter(['ipset', 'restore'], scenario.ipsets);
    if (scenario.rulesV4 !== '') inRouter([`iptables-${variant}-restore`], scenario.rulesV4);
    if (scenario.rulesV6 !== '') inRouter([`ip6tables-${variant}-restore`], scenario.rulesV6);
    if (companion !== null) program = await startInRouter(companion);
    const { sent, outputs } = await play(
      scenario,
      peers,
      wireSource,
      companion === null ? settle(scenario) : COMPANION_SETTLE,
    );
    const tool = (command: string, ...args: string[]): string => inRouter([command, ...args]);
    const outcome: Outcome = {
      outputs,
      saveV4: scenario.rulesV4 === '' ? '' : tool(`iptables-${variant}-save`, '-c'),
      saveV6: scenario.rulesV6 === '' ? '' : tool(`ip6tables-${variant}-save`, '-c'),
      ipset: scenario.ipsets === '' ? '' : tool('ipset', 'save'),
      conntrack: tool(
        'sh',
        '-c',
        'for family in ipv4 ipv6; do conntrack -L -f $family -o extended 2>/dev/null; done; true',
      ),
    };
    return { sent, outcome, told: program?.told() ?? '' };
  } finally {
    program?.child.kill('SIGKILL');
    removeNamespaces();
  }
}

async function startInRouter({ command, ready }: Companion): Promise<{ child: ChildProcess; told(): string }> {
  const child = spawn('ip', ['netns', 'exec', ROUTER, ...command], { stdio: ['ignore', 'ignore', 'pipe'] });
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

/**
 * What the router is made with beside the scenario: it must send nothing on its own account. Reports of group memberships
 * (MLD) are due at once and after this interval; the rules come after the first ones.
 */
const QUIET = {
  'net.ipv6.conf.default.accept_dad': 0,
  'net.ipv6.conf.default.addr_gen_mode': 1,
  'net.ipv6.conf.default.router_solicitations': 0,
  'net.ipv6.conf.default.accept_ra': 0,
  'net.ipv6.conf.default.mldv2_unsolicited_report_interval': 86_400_000,
};
const FIRST_REPORTS = '0.08';

/** Makes both namespaces with all devices; gives the devices that have a peer. */
function buildRouter(host: HostDescription): string[] {
  const links = linkBatch(host);
  const sysctls = Object.entries(host.sysctl).map(([name, value]) => `${name}=${value}`);
  const device = new RegExp(`\\.conf\\.(${Object.keys(host.interfaces).join('|')})\\.`);
  const quiet = Object.entries(QUIET).map(([name, value]) => `${name}=${value}`);
  const early = [...sysctls.filter((setting) => !device.test(setting) && !setting.startsWith('net.bridge')), ...quiet];
  const plain = (name: string): string => `ethtool -K ${name} tx off rx off tso off gso off gro off >/dev/null`;
  const inside = (name: string, ...lines: string[]): string =>
    `ip netns exec ${name} sh -e <<'END'\n${lines.join('\n')}\nEND`;
  const script = [
    `ip netns add ${ROUTER}`,
    `ip netns add ${PEERS}`,
    inside(PEERS, 'sysctl -qw net.ipv6.conf.default.disable_ipv6=1'),
    inside(
      ROUTER,
      'ip link set lo up',
      `sysctl -qw ${early.join(' ')}`,
      batch(links.router),
      ...links.peers.map(plain),
    ),
    inside(PEERS, ...links.peers.flatMap((name) => [`ip link set p-${name} mtu 9000 up`, plain(`p-${name}`)])),
    // Devices take what is set for `default` when they are made; what is set for all or one of them, afterwards.
    inside(
      ROUTER,
      batch(links.bridges),
      ...(sysctls.length > 0 ? [`sysctl -qw ${sysctls.join(' ')}`] : []),
      `sleep ${FIRST_REPORTS}`,
    ),
  ];
  const done = spawnSync('sh', ['-e'], { input: `${script.join('\n')}\n`, encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`building the router: ${done.stderr.trim()}`);
  return links.peers;
}

async function play(
  scenario: Scenario,
  peers: string[],
  wireSource: string,
  quiet: string,
): Promise<{ sent: SentPacket[]; outputs: Outcome['outputs'] }> {
  const child = spawn(wire(wireSource), [ROUTER, PEERS, quiet, ...peers.map((name) => `p-${name}`)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const sent: SentPacket[] = [];
  const outputs: Outcome['outputs'] = [];
  /** What each planned packet led to; answers refer to these. */
  const became: { dev: string; hex: string }[][] = [];
  const ask = async (command: string): Promise<{ outs: { dev: string; hex: string }[]; time: number }> => {
    child.stdin.write(`${command}\n`);
    const outs: { dev: string; hex: string }[] = [];
    for (;;) {
      const next = await lines.next();
      if (next.done) throw new Error('wire ended early');
      const words = String(next.value).split(' ');
      if (words[0] === 'out') outs.push({ dev: words[1].slice(2), hex: words[2].slice(28) });
      else if (words[0] === 'in') outs.push({ dev: 'local', hex: words[1] });
      else if (words[0] === 'done') return { outs, time: Number(words[1]) };
    }
  };
  try {
    for (const planned of scenario.packets) {
      const concrete = concretise(planned, became, scenario.host);
      // A veth drops what is much longer than its MTU, as no wire could carry it.
      if (concrete === null || concrete.hex.length / 2 > (scenario.host.interfaces[concrete.dev]?.mtu ?? 1500)) {
        became.push([]);
        continue;
      }
      if (planned.gap) await ask(`wait ${planned.gap}`);
      const { outs, time } = await ask(command(concrete, scenario.host));
      sent.push({ ...concrete, time });
      outputs.push(outs);
      became.push(outs);
    }
  } finally {
    child.stdin.end();
    await new Promise((resolve) => child.once('close', resolve));
  }
  return { sent, outputs };
}

/**
 * Microseconds without news after which a packet is done. connlimit looks for closed connections once in a tick (4 ms where
 * CONFIG_HZ is 250): each packet comes in a tick of its own.
 */
function settle(scenario: Scenario): string {
  return /connlimit/.test(scenario.rulesV4 + scenario.rulesV6) ? '5000' : '2500';
}

/** The same where a program has its say about packets. */
const COMPANION_SETTLE = '60000';

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
