import type { NameServices } from '../extensions/contract.ts';
import { NO_NAMES } from '../extensions/no-names.ts';
import { PROTOCOLS, SERVICES } from '../syntax/well-known-names.ts';

/** Fields of the lines of a list in the style of /etc/services. */
function rows(text: string): string[][] {
  return text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').split(/\s+/).filter(Boolean))
    .filter((fields) => fields.length > 1);
}

/** Names that are the same on every machine: services and protocols. There are no users, hosts or files. */
export function wellKnownNames(): NameServices {
  const serviceByName = new Map<string, number>();
  const serviceByPort = new Map<string, string>();
  const protocolByName = new Map<string, number>();
  const protocolByNumber = new Map<number, string>();
  const add = <K, V>(map: Map<K, V>, key: K, value: V): void => {
    if (!map.has(key)) map.set(key, value);
  };
  for (const [name, where, ...aliases] of rows(SERVICES)) {
    const [port, protocol] = where!.split('/');
    for (const each of [name!, ...aliases]) {
      add(serviceByName, `${each}/${protocol}`, Number(port));
      add(serviceByName, each, Number(port));
    }
    add(serviceByPort, where!, name!);
    add(serviceByPort, port!, name!);
  }
  for (const [name, number, ...aliases] of rows(PROTOCOLS)) {
    for (const each of [name!, ...aliases]) add(protocolByName, each, Number(number));
    add(protocolByNumber, Number(number), name!);
  }
  const key = (what: string | number, protocol: string | null): string =>
    protocol === null ? String(what) : `${what}/${protocol}`;
  return {
    ...NO_NAMES,
    serviceByName: (name, protocol) => serviceByName.get(key(name, protocol)) ?? null,
    serviceByPort: (port, protocol) => serviceByPort.get(key(port, protocol)) ?? null,
    protocolByName: (name) => protocolByName.get(name) ?? null,
    protocolByNumber: (number) => protocolByNumber.get(number) ?? null,
  };
}
