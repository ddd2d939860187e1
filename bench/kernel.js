// The real kernel and the real tools, in network namespaces of their own. Needs root, Linux, iptables and a C compiler.
import { execFileSync, spawnSync } from 'node:child_process';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const LIMIT = 120_000;
let serial = 0;

const ip = (...args) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
const within = (name, argv, input = '') => {
  const done = spawnSync('ip', ['netns', 'exec', name, ...argv], { input, timeout: LIMIT, maxBuffer: 1 << 28 });
  if (done.status !== 0) throw new Error(`${argv.join(' ')}: ${done.stderr}`);
  return done.stdout;
};

/** Why nothing real can be measured here; null if it can. */
export function missing() {
  if (process.platform !== 'linux') return 'not Linux';
  if (process.getuid() !== 0) return 'not root';
  for (const [tool, option] of [
    ['ip', '-V'],
    ['iptables-legacy', '-V'],
    ['iptables-nft', '-V'],
    ['ipset', '-v'],
    ['gcc', '--version'],
  ]) {
    if (spawnSync(tool, [option]).status !== 0) return `no ${tool}`;
  }
  return null;
}

/** Calls `use` with the name of a fresh namespace. */
export function inNamespace(use) {
  const name = `iptsim-bench-${process.pid}-${serial++}`;
  ip('netns', 'add', name);
  try {
    return use(name);
  } finally {
    ip('netns', 'del', name);
  }
}

/** Seconds that a command takes in a namespace, without the start of `ip netns exec`. */
export function timed(name, argv, input) {
  const script = 's=$(date +%s%N); "$@" >/dev/null || exit 1; e=$(date +%s%N); echo $((e - s)) >&2';
  const done = spawnSync('ip', ['netns', 'exec', name, 'sh', '-c', script, 'sh', ...argv], {
    input,
    timeout: LIMIT,
    encoding: 'utf8',
  });
  if (done.status !== 0) throw new Error(`${argv.join(' ')}: ${done.stderr}`);
  return Number(done.stderr.trim().split('\n').at(-1)) / 1e9;
}

/** Compiles the sender; the path of the program. */
export function buildSender(directory) {
  const program = path.join(directory, 'send');
  execFileSync('gcc', ['-O2', '-o', program, fileURLToPath(new URL('send.c', import.meta.url))]);
  return program;
}

/** Packets/s of the kernel as a router with these rules and sets (`ipset restore` text), and the share of them that it forwards. The sender is on CPU 0, the router on CPU 1. */
export function route(sender, variant, rules, sets, files, seconds) {
  return inNamespace((router) =>
    inNamespace((peer) => {
      for (const d of [0, 1]) {
        ip(
          'link',
          'add',
          `eth${d}`,
          'netns',
          router,
          'address',
          `02:00:00:00:00:0${d + 1}`,
          'type',
          'veth',
          'peer',
          'name',
          `p${d}`,
          'netns',
          peer,
        );
      }
      within(peer, [
        'sh',
        '-ec',
        'for d in 0 1; do echo 1 > /proc/sys/net/ipv6/conf/p$d/disable_ipv6; ip link set p$d arp off up; done',
      ]);
      within(router, [
        'sh',
        '-ec',
        `for d in 0 1; do
           echo 1 > /proc/sys/net/ipv6/conf/eth$d/disable_ipv6
           ip addr add 10.0.$((d + 1)).1/24 dev eth$d
           ip link set eth$d arp off up
           ip route add 10.$((d + 1)).0.0/16 via 10.0.$((d + 1)).2
           echo 2 > /sys/class/net/eth$d/queues/rx-0/rps_cpus
         done
         echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter
         for d in 0 1; do echo 0 > /proc/sys/net/ipv4/conf/eth$d/rp_filter; done
         echo 1 > /proc/sys/net/ipv4/ip_forward`,
      ]);
      if (sets !== '') within(router, ['ipset', 'restore'], sets);
      within(router, [`iptables-${variant}-restore`], rules);
      const text = execFileSync(sender, [`/run/netns/${router}`, `/run/netns/${peer}`, ...files, String(seconds)], {
        encoding: 'utf8',
        timeout: LIMIT,
      });
      const [received, took, forwarded] = text.trim().split(' ').map(Number);
      return { rate: received / took, received, forwarded: forwarded / received };
    }),
  );
}
