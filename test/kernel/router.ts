import { spawn } from 'node:child_process';
import { addressBytes } from './frames.ts';
import type { HostDescription } from './scenario.ts';

/** The two namespaces of a scenario: the router, and the far ends of its cables. */
export interface Namespaces {
  router: string;
  peers: string;
}

/** Names for the namespaces of one place among those that play at the same time. */
export function namespacesAt(place: number): Namespaces {
  return { router: `ksim-r${process.pid}-${place}`, peers: `ksim-p${process.pid}-${place}` };
}

/** Runs a program with `input`; its output. Throws with what it wrote to stderr if it fails. */
export async function run(program: string, args: readonly string[], input = ''): Promise<string> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let [out, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  // A program that ends early does not read all of it; its status says what is to be known.
  child.stdin.on('error', () => undefined).end(input);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (status !== 0) throw new Error(`${[program, ...args].join(' ')}: ${errors.trim()}`);
  return out;
}

/** Runs a program in the router's namespace. */
export function inRouter({ router }: Namespaces, args: readonly string[], input?: string): Promise<string> {
  return run('ip', ['netns', 'exec', router, ...args], input);
}

/** Texts for `ip -batch`: first devices and addresses, then `late` routes and rules. */
function linkBatch(
  host: HostDescription,
  { peers: far }: Namespaces,
): { links: string; peers: string[]; late: string } {
  const lines: string[] = [];
  const addresses: string[] = [];
  const peers: string[] = [];
  for (const [name, device] of Object.entries(host.interfaces)) {
    if (name === 'lo') continue;
    if (device.bridge) {
      lines.push(`link add ${name} address ${device.mac} type bridge forward_delay 0 stp_state 0 mcast_snooping 0`);
    } else {
      lines.push(`link add ${name} address ${device.mac} type veth peer name p-${name} netns ${far}`);
      peers.push(name);
    }
    if (device.mtu !== undefined && device.mtu !== 1500) lines.push(`link set ${name} mtu ${device.mtu}`);
    if (device.group !== undefined) lines.push(`link set ${name} group ${device.group}`);
    for (const address of device.addresses ?? []) {
      addresses.push(`addr add ${address} dev ${name} ${address.includes(':') ? 'nodad' : 'brd +'}`);
    }
  }
  const isBridged = Object.values(host.interfaces).some(({ bridge }) => bridge !== undefined);
  for (const [name, device] of Object.entries(host.interfaces)) {
    for (const port of device.bridge ?? []) lines.push(`link set ${port} master ${name}`);
    // Next hops need no answer where nothing but IP is compared: frames go out with whatever address.
    lines.push(`link set ${name} up${isBridged ? '' : ' arp off'}`);
  }
  for (const [address, mac] of Object.entries(host.neighbours)) {
    const device = deviceOf(host, address);
    if (device !== null) addresses.push(`neigh replace ${address} lladdr ${mac} dev ${device} nud permanent`);
  }
  const routes = host.routes.map((route) => (route.includes(':') ? `-6 route add ${route}` : `route add ${route}`));
  const rules = (host.rules ?? []).flatMap((rule) => [
    `rule add ${rule}`,
    ...(/(from|to) \d/.test(rule) ? [] : [`-6 rule add ${rule}`]),
  ]);
  return { links: [...lines, ...addresses].join('\n'), peers, late: [...routes, ...rules].join('\n') };
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

/** Shell lines that carry out `ip` commands; those of `ip -6` have that before them. */
function batch(text: string): string {
  const lines = text.split('\n').filter((line) => line !== '');
  const six = lines.filter((line) => line.startsWith('-6 ')).map((line) => line.slice(3));
  const four = lines.filter((line) => !line.startsWith('-6 '));
  const call = (family: string, own: string[]): string[] =>
    own.length === 0 ? [] : [`ip ${family}-batch - <<'LINES'`, ...own, 'LINES'];
  return [...call('', four), ...call('-6 ', six)].join('\n');
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
export async function buildRouter(host: HostDescription, namespaces: Namespaces): Promise<string[]> {
  const { router, peers } = namespaces;
  const links = linkBatch(host, namespaces);
  const sysctls = Object.entries(host.sysctl).map(([name, value]) => `${name}=${value}`);
  const device = new RegExp(`\\.conf\\.(${Object.keys(host.interfaces).join('|')})\\.`);
  const quiet = Object.entries(QUIET).map(([name, value]) => `${name}=${value}`);
  const early = [...sysctls.filter((setting) => !device.test(setting) && !setting.startsWith('net.bridge')), ...quiet];
  const plain = (name: string): string => `ethtool -K ${name} tx off rx off tso off gso off gro off >/dev/null`;
  const inside = (name: string, ...lines: string[]): string =>
    `ip netns exec ${name} sh -e <<'END'\n${lines.join('\n')}\nEND`;
  const script = [
    `ip netns add ${router}`,
    `ip netns add ${peers}`,
    inside(peers, 'sysctl -qw net.ipv6.conf.default.disable_ipv6=1'),
    inside(router, 'ip link set lo up', `sysctl -qw ${early.join(' ')}`, batch(links.links), ...links.peers.map(plain)),
    inside(peers, ...links.peers.flatMap((name) => [`ip link set p-${name} mtu 9000 up`, plain(`p-${name}`)])),
    // Devices take what is set for `default` when they are made; what is set for all or one of them, afterwards.
    inside(
      router,
      batch(links.late),
      ...(sysctls.length > 0 ? [`sysctl -qw ${sysctls.join(' ')}`] : []),
      `sleep ${FIRST_REPORTS}`,
    ),
  ];
  await run('sh', ['-e'], `${script.join('\n')}\n`);
  return links.peers;
}

/** Removes what `buildRouter` made, if it is there. */
export async function removeNamespaces({ router, peers }: Namespaces): Promise<void> {
  await run('sh', ['-c', `for n in ${router} ${peers}; do [ ! -e /run/netns/$n ] || ip netns del $n; done`]);
}
