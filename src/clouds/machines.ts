import { parseAddress } from '../packet/address-text.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import type { Machine } from './imported.ts';

const BRIDGE = 'br0';
const UPLINK = 'uplink';

/**
 * Hosts, links and machines of a network.yaml: each host has one bridge, and all bridges are one segment, whatever the networks of the
 * cloud were. Groups do not depend on these.
 *
 * @param warn told of machines that are left out
 */
export function describeMachines(
  machines: readonly Machine[],
  warn: (text: string) => void,
): { hosts: Record<string, unknown>; links: Record<string, string[]>; vms: Record<string, unknown> } {
  const known = machines.filter(({ name, addresses }) => {
    const right = addresses.length > 0 && addresses.every((text) => parseAddress(text) !== null);
    if (!right) warn(`machine ${name} has no address: left out`);
    return right;
  });
  const hostNames = new Map<string, string>();
  const taken = new Set(['internet']);
  for (const { host } of known) if (!hostNames.has(host)) hostNames.set(host, free(host, taken));
  const several = hostNames.size > 1;
  const hosts: Record<string, unknown> = {};
  for (const name of hostNames.values()) {
    hosts[name] = several
      ? { interfaces: { [UPLINK]: {}, [BRIDGE]: { bridge: [UPLINK] } } }
      : { interfaces: { [BRIDGE]: { bridge: [] } } };
  }
  const lengths = { 4: segmentLength(known, 4), 6: segmentLength(known, 6) };
  const vms: Record<string, unknown> = {};
  known.forEach((machine, index) => {
    const { host, mac, addresses, groups, portSecurity, pairs, listen } = machine;
    vms[free(machine.name, taken)] = {
      on: hostNames.get(host)!,
      bridge: BRIDGE,
      // Names of interfaces are short, and rules' chains have ten characters of them.
      tap: `tap${String(index + 1).padStart(6, '0')}`,
      ...(mac === null ? {} : { mac: mac.toLowerCase() }),
      addresses: addresses.map((text) => `${text}/${lengths[text.includes(':') ? 6 : 4]}`),
      ...(portSecurity ? { groups } : { port_security: false }),
      ...(pairs.length > 0 ? { allowed_address_pairs: pairs } : {}),
      ...(listen.length > 0 ? { listen } : {}),
    };
  });
  const links: Record<string, string[]> = several
    ? { hosts: [...hostNames.values()].map((name) => `${name}:${UPLINK}`) }
    : {};
  return { hosts, links, vms };
}

function free(wanted: string, taken: Set<string>): string {
  const plain = wanted.replaceAll(/[^A-Za-z0-9_.-]+/g, '-') || 'machine';
  let name = plain;
  for (let number = 2; taken.has(name); number++) name = `${plain}-${number}`;
  taken.add(name);
  return name;
}

/** The length of a prefix that all addresses of a family share, none of which is its first or last. */
function segmentLength(machines: readonly Machine[], family: Family): number {
  const all = machines
    .flatMap(({ addresses }) => addresses.map((text) => parseAddress(text)!))
    .filter((found) => found.family === family)
    .map(({ words }) => words);
  const usual = family === 4 ? 24 : 64;
  let length = usual;
  for (const words of all) length = Math.min(length, commonLength(all[0]!, words) - (family === 4 ? 1 : 0));
  return Math.max(length, 1);
}

function commonLength(a: AddressWords, b: AddressWords): number {
  for (let i = 0; i < 4; i++) {
    const difference = (a[i]! ^ b[i]!) >>> 0;
    if (difference !== 0) return 32 * i + Math.clz32(difference);
  }
  return 128;
}
