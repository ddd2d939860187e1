import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { HostDescription } from '../../host/description.ts';
import { parseHostYaml } from '../../host/yaml.ts';

/**
 * Lines for `ip -batch` that give a network namespace the interfaces, addresses and routes of the state directory's
 * host.yaml, so that programs which look at them see the machine that is simulated. Throws a HostFileError.
 */
export function interfacesOf(directory: string): string {
  const file = path.join(directory, 'host.yaml');
  const description = existsSync(file) ? parseHostYaml(readFileSync(file, 'utf8'), file) : {};
  return interfaceLines(description)
    .map((line) => `${line}\n`)
    .join('');
}

/** Devices that carry nothing: dummies, bridges, VLAN devices (ip-link(8)). */
export function interfaceLines(description: HostDescription): string[] {
  const interfaces = Object.entries(description.interfaces ?? {});
  const lines = ['link set lo up'];
  for (const [name, device] of interfaces) {
    if (name === 'lo') continue;
    const mac = device?.mac ? ` address ${device.mac}` : '';
    if (device?.bridge) lines.push(`link add name ${name}${mac} type bridge`);
    else if (device?.link)
      lines.push(`link add link ${device.link} name ${name}${mac} type vlan id ${device.vlan ?? 0}`);
    else lines.push(`link add name ${name}${mac} type dummy`);
    if (device?.mtu) lines.push(`link set ${name} mtu ${device.mtu}`);
    if (device?.group) lines.push(`link set ${name} group ${device.group}`);
  }
  for (const [name, device] of interfaces) {
    for (const port of device?.bridge ?? []) lines.push(`link set ${port} master ${name}`);
    for (const address of device?.addresses ?? []) {
      lines.push(`address add ${address} dev ${name}${address.includes(':') ? ' nodad' : ''}`);
    }
    lines.push(`link set ${name} up`);
  }
  for (const route of description.routes ?? []) {
    const six = route.startsWith('-6 ') || route.includes(':');
    lines.push(`${six ? '-6 ' : ''}route add ${route.replace(/^-[46] /, '')}`);
  }
  return lines;
}
