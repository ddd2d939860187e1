import { readFileSync } from 'node:fs';
import type { NameServices } from '../extensions/contract.ts';
import { addressEquals, parseAddress6 } from '../packet/address-text.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import { parseIpv4Loose } from '../ruleset/addresses.ts';
import { NETWORKS, PROTOCOLS, SERVICES } from '../syntax/well-known-names.ts';

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}

/** Fields of each line of a file in the style of /etc/services, comments left out. */
function rows(text: string): string[][] {
  const result: string[][] = [];
  for (const line of text.split('\n')) {
    const hash = line.indexOf('#');
    const fields = (hash < 0 ? line : line.slice(0, hash)).split(/[ \t\r]+/).filter((field) => field !== '');
    if (fields.length > 1) result.push(fields);
  }
  return result;
}

/** First value for each key. */
class Names<Key, Value> {
  private readonly map = new Map<Key, Value>();
  add(key: Key, value: Value): void {
    if (!this.map.has(key)) this.map.set(key, value);
  }
  get(key: Key): Value | null {
    return this.map.get(key) ?? null;
  }
}

interface Services {
  byName: Names<string, number>;
  byPort: Names<string, string>;
}

/** The machine's file first, then the built-in copy for what it does not name. */
function loadServices(): Services {
  const byName = new Names<string, number>();
  const byPort = new Names<string, string>();
  for (const text of [readText('/etc/services') ?? '', SERVICES]) {
    for (const [name, where, ...aliases] of rows(text)) {
      const [port, protocol] = (where as string).split('/');
      if (protocol === undefined) continue;
      const number = Number(port);
      for (const each of [name as string, ...aliases]) {
        byName.add(`${each}/${protocol}`, number);
        byName.add(each, number);
      }
      byPort.add(`${number}/${protocol}`, name as string);
      byPort.add(String(number), name as string);
    }
  }
  return { byName, byPort };
}

interface NumberedNames {
  byName: Names<string, number>;
  byNumber: Names<number, string>;
}

function loadProtocols(): NumberedNames {
  const names: NumberedNames = { byName: new Names(), byNumber: new Names() };
  for (const text of [readText('/etc/protocols') ?? '', PROTOCOLS]) {
    for (const [name, number, ...aliases] of rows(text)) {
      for (const each of [name as string, ...aliases]) names.byName.add(each, Number(number));
      names.byNumber.add(Number(number), name as string);
    }
  }
  return names;
}

/** /etc/networks: addresses with missing parts on the left, as `inet_network` reads them. */
function loadNetworks(): NumberedNames {
  const names: NumberedNames = { byName: new Names(), byNumber: new Names() };
  for (const text of [readText('/etc/networks') ?? NETWORKS]) {
    for (const [name, address, ...aliases] of rows(text)) {
      const parts = (address as string).split('.').map(Number);
      // glibc fills short networks up on the right before it reads them.
      while (parts.length < 4) parts.push(0);
      const number = parts.reduce((word, part) => word * 256 + part, 0);
      for (const each of [name as string, ...aliases]) names.byName.add(each, number);
      names.byNumber.add(number, name as string);
    }
  }
  return names;
}

interface HostRow {
  family: Family;
  address: AddressWords;
  names: string[];
}

function loadHosts(): HostRow[] {
  const hosts: HostRow[] = [];
  for (const [address, ...names] of rows(readText('/etc/hosts') ?? '127.0.0.1 localhost\n::1 localhost\n')) {
    const word = parseIpv4Loose(address as string);
    if (word !== null) {
      hosts.push({ family: 4, address: [word, 0, 0, 0], names });
      continue;
    }
    const words = parseAddress6(address as string);
    if (words !== null) hosts.push({ family: 6, address: words, names });
  }
  return hosts;
}

/** Names of /etc/passwd or /etc/group (name in field 0, id in field 2). */
function loadAccounts(path: string): NumberedNames {
  const names: NumberedNames = { byName: new Names(), byNumber: new Names() };
  for (const line of (readText(path) ?? 'root:x:0:\n').split('\n')) {
    const [name, , id] = line.split(':');
    if (name === undefined || id === undefined || !/^\d+$/.test(id)) continue;
    names.byName.add(name, Number(id));
    names.byNumber.add(Number(id), name);
  }
  return names;
}

function once<T>(make: () => T): () => T {
  let value: T | undefined;
  return () => {
    value ??= make();
    return value;
  };
}

/** Names from the files under /etc of this machine, each read when it is first needed. No DNS. */
export function systemNames(): NameServices {
  const services = once(loadServices);
  const protocols = once(loadProtocols);
  const networks = once(loadNetworks);
  const hosts = once(loadHosts);
  const users = once(() => loadAccounts('/etc/passwd'));
  const groups = once(() => loadAccounts('/etc/group'));
  const key = (what: string, protocol: string | null): string => (protocol === null ? what : `${what}/${protocol}`);
  return {
    serviceByName: (name, protocol) => services().byName.get(key(name, protocol)),
    serviceByPort: (port, protocol) => services().byPort.get(key(String(port), protocol)),
    protocolByName: (name) => protocols().byName.get(name),
    protocolByNumber: (number) => protocols().byNumber.get(number),
    hostByName: (name, family) => {
      const wanted = name.toLowerCase();
      return hosts()
        .filter((host) => host.family === family && host.names.some((each) => each.toLowerCase() === wanted))
        .map((host) => host.address);
    },
    hostByAddress: (address, family) =>
      hosts().find((host) => host.family === family && addressEquals(host.address, address))?.names[0] ?? null,
    networkByName: (name) => networks().byName.get(name),
    networkByAddress: (address) => networks().byNumber.get(address),
    userByName: (name) => users().byName.get(name),
    userById: (id) => users().byNumber.get(id),
    groupByName: (name) => groups().byName.get(name),
    groupById: (id) => groups().byNumber.get(id),
    file: readText,
  };
}
