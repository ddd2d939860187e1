import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { makeDevices } from '../../src/host/devices.ts';
import { formatMac } from '../../src/packet/address-text.ts';
import { buildPacket } from '../../src/packet/notation/build.ts';
import { parsePacket } from '../../src/packet/notation/parse.ts';
import type { HostDescription, PlannedPacket, Scenario } from './scenario.ts';

interface WrittenCase {
  name: string;
  before?: string[];
  packet?: string;
  packets?: string[];
  flow?: string;
  continue?: boolean;
}

/** Rules whose outcome is a matter of chance in the kernel: only where packets go is compared, not their bytes. */
const BY_CHANCE = /--mode random|-j MASQUERADE/;

/** The scenarios under fixtures/ as they can be played in the kernel: one for each case, with those that it continues. */
export function fixtureScenarios(root: string): Scenario[] {
  const folder = path.join(root, 'fixtures');
  return readdirSync(folder)
    .filter(
      (name) => existsSync(path.join(folder, name, 'check.yaml')) && existsSync(path.join(folder, name, 'rules.v4')),
    )
    .flatMap((name) => scenariosOf(path.join(folder, name), name));
}

function scenariosOf(folder: string, name: string): Scenario[] {
  const read = (file: string): string =>
    existsSync(path.join(folder, file)) ? readFileSync(path.join(folder, file), 'utf8') : '';
  const cases = (parse(read('check.yaml')) as { cases: WrittenCase[] }).cases;
  const rules = read('rules.v4');
  const scenarios: Scenario[] = [];
  let packets: PlannedPacket[] = [];
  cases.forEach((one, index) => {
    packets = one.continue ? [...packets] : [];
    const host = completeHost(parse(read('host.yaml')) as Partial<HostDescription>);
    const lines = [
      ...(one.before ?? []),
      ...(one.packets ?? []),
      ...(one.packet ? [one.packet] : []),
      ...(one.flow ? [`flow ${one.flow}`] : []),
    ];
    for (const line of lines) packets.push(...planned(line, packets.length, host));
    if (packets.length === 0) return;
    neighboursFor(host, packets, rules);
    scenarios.push({
      name: `${name}-${index + 1}`,
      profile: BY_CHANCE.test(rules) ? 'fixtures-by-chance' : 'fixtures',
      seed: 1,
      host,
      rulesV4: rules,
      rulesV6: read('rules.v6'),
      ipsets: read('ipsets'),
      packets,
    });
  });
  return scenarios;
}

/** MACs as iptsim makes them up; sockets are left out on both sides (the namespace has no programs). */
function completeHost(host: Partial<HostDescription>): HostDescription {
  const interfaces = Object.fromEntries(
    makeDevices(host.interfaces ?? {})
      .filter((device) => device.name !== 'lo')
      .map((device) => [device.name, { ...host.interfaces?.[device.name], mac: formatMac(device.mac) }]),
  );
  const sysctl = {
    'net.ipv4.icmp_ratelimit': 0,
    'net.ipv4.conf.all.send_redirects': 0,
    'net.ipv4.conf.default.send_redirects': 0,
    ...host.sysctl,
  };
  return { interfaces, routes: host.routes ?? [], neighbours: { ...host.neighbours }, sysctl };
}

/** A packet of the notation, or the first packet of a flow and its first answer. */
function planned(line: string, at: number, host: HostDescription): PlannedPacket[] {
  const flow = /^flow /.test(line);
  const packet = parsePacket(line.replace(/^flow /, '').replace(/ (close|rounds|reply)=\S+/g, ''));
  const dev = packet.in ?? 'local';
  const one: PlannedPacket = { dev, hex: Buffer.from(buildPacket(packet)).toString('hex') };
  const words = Object.fromEntries([...line.matchAll(/(srcmac|dstmac)=(\S+)/g)].map((match) => [match[1], match[2]]));
  if (words.srcmac !== undefined) one.sourceMac = words.srcmac;
  if (words.dstmac !== undefined) one.destinationMac = words.dstmac;
  if (!(dev in host.interfaces) && dev !== 'local') throw new Error(`${line}: no interface ${dev}`);
  return flow ? [one, { dev: '', answer: { to: at, kind: packet.protocol === 6 ? 'SA' : 'reply' } }] : [one];
}

/** All addresses that packets and rules name, and the next hops, get a neighbour: the namespace has nobody who answers ARP. */
function neighboursFor(host: HostDescription, packets: PlannedPacket[], rules: string): void {
  const named = new Set<string>(`${rules} ${host.routes.join(' ')}`.match(/\d+\.\d+\.\d+\.\d+/g) ?? []);
  for (const { hex } of packets) {
    if (hex === undefined) continue;
    for (const at of [24, 32]) named.add([...Buffer.from(hex.slice(at, at + 8), 'hex')].join('.'));
  }
  let n = 0;
  for (const address of named)
    host.neighbours[address] ??= `02:00:00:00:05:${(n++ & 0xff).toString(16).padStart(2, '0')}`;
}
