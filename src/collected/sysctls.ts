import { INTERFACE_SYSCTLS, MACHINE_SYSCTLS, Sysctls } from '../host/sysctl.ts';
import type { Collection } from './collection.ts';

const LINE = /^(net[./]\S+)\s*=\s*(.*)$/;

/** Lines of `sysctl -a` (or of files under /proc/sys, with slashes) by name with dots; a dot within a part is a slash. */
function readLines(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = LINE.exec(line);
    if (match === null) continue;
    const [, name, value] = match;
    const parts = name!.startsWith('net/') ? name!.split('/').map((part) => part.replaceAll('.', '/')) : [name!];
    values.set(parts.join('.'), value!.trim().replace(/\s+/g, ' '));
  }
  return values;
}

/**
 * The settings that differ from what iptsim takes without them, in an order in which they can be made: those of all interfaces first.
 * Of the rest of `sysctl -a` nothing is looked at in a simulation.
 */
export function readSysctls(collection: Collection, devices: readonly string[]): Record<string, string | number> {
  const text = collection.text('sysctl');
  if (text === null) {
    collection.noteFile('sysctl', 'no such file: forwarding and all else has the defaults of Linux');
    return {};
  }
  const values = readLines(text);
  const settings: Record<string, string | number> = {};
  // br_netfilter is not there: iptables sees nothing of what goes over a bridge.
  if (![...values.keys()].some((name) => name.startsWith('net.bridge.'))) {
    for (const tool of ['iptables', 'ip6tables', 'arptables']) settings[`net.bridge.bridge-nf-call-${tool}`] = 0;
  }
  const take = (names: readonly string[]): void => {
    const before = new Sysctls(settings);
    for (const name of names) {
      const value = values.get(name);
      if (value === undefined || !/^-?\d/.test(value)) continue;
      if (before.value(name) !== Number.parseInt(value, 10))
        settings[name] = value.includes(' ') ? value : Number(value);
    }
  };
  take(MACHINE_SYSCTLS);
  for (const device of ['all', 'default']) take(interfaceNames(device));
  // What was written to `all` or `default` later does not show at an interface: each tells its own.
  take(devices.flatMap((device) => interfaceNames(device.replaceAll('.', '/'))));
  tellDisabled6(collection, values, devices);
  for (const [name, usual] of Object.entries(NOT_SIMULATED)) {
    const value = values.get(name);
    if (value !== undefined && value !== usual) {
      collection.noteFile('sysctl', `is not simulated: packets fare as with ${usual}`, `${name} = ${value}`);
    }
  }
  return settings;
}

/** Settings that could change what becomes of a packet, with the values of Linux that a simulation keeps to. */
const NOT_SIMULATED: Readonly<Record<string, string>> = {
  'net.bridge.bridge-nf-filter-pppoe-tagged': '0',
  'net.bridge.bridge-nf-filter-vlan-tagged': '0',
  'net.bridge.bridge-nf-pass-vlan-input-dev': '0',
  'net.ipv4.icmp_echo_enable_probe': '0',
  'net.ipv4.icmp_errors_use_inbound_ifaddr': '0',
  'net.ipv4.ip_default_ttl': '64',
  'net.ipv4.ip_forward_update_priority': '1',
  'net.ipv4.ip_forward_use_pmtu': '0',
  'net.ipv4.ip_nonlocal_bind': '0',
  'net.ipv6.conf.all.hop_limit': '64',
  'net.ipv6.conf.default.hop_limit': '64',
  'net.ipv6.icmp.echo_ignore_anycast': '0',
  'net.ipv6.icmp.error_anycast_as_unicast': '0',
  'net.ipv6.max_dst_opts_length': '2147483647',
  'net.ipv6.max_hbh_length': '2147483647',
};

function interfaceNames(device: string): string[] {
  return ([4, 6] as const).flatMap((family) =>
    INTERFACE_SYSCTLS[family].map((setting) => `net.ipv${family}.conf.${device}.${setting}`),
  );
}

function tellDisabled6(collection: Collection, values: ReadonlyMap<string, string>, devices: readonly string[]): void {
  const disabled = devices.filter(
    (device) => values.get(`net.ipv6.conf.${device.replaceAll('.', '/')}.disable_ipv6`) === '1',
  );
  if (disabled.length === 0) return;
  const which = disabled.length === devices.length ? 'all interfaces' : disabled.join(', ');
  collection.noteFile(
    'sysctl',
    `IPv6 packets that come in there are dropped on the machine before any rule; iptsim takes them`,
    `disable_ipv6 of ${which}`,
  );
}
