import type { EntryLine } from '../../conntrack/store.ts';
import { formatAddress, inPrefix, parseAddress } from '../../packet/address-text.ts';
import type { Family } from '../../packet/family.ts';
import { linkLocal } from '../link-local.ts';
import type { Cloud, Prefix, Service, VmPort } from '../model.ts';
import { decide, type End } from '../reach.ts';
import { takesPorts } from '../service-text.ts';

/** Known connections of one host, judged by what its machines' groups allow now. */
export interface ConnectionJudge {
  /** The lines of a conntrack table (src/conntrack/store.ts) that are connections no longer allowed. */
  stale(lines: readonly string[]): EntryLine[];
}

const ICMP = 1;
const ICMPV6 = 58;
/** Source and destination port of what needs no group: DHCP and DHCPv6, asked by machines and answered. */
const DHCP: Readonly<Record<Family, readonly [number, number]>> = { 4: [68, 67], 6: [546, 547] };

/**
 * Judges the connections of a host.
 *
 * @param ports its machines
 * @param own the host's own addresses, as text: what it sends itself passes no group
 */
export function connectionJudge(cloud: Cloud, ports: readonly VmPort[], own: ReadonlySet<string>): ConnectionJudge {
  const local = localPorts(ports);
  const isStale = (entry: EntryLine): boolean => {
    const [from, to] = [endOf(entry.original[0], local), endOf(entry.reply[0], local)];
    const isOut = from.ports.length > 0;
    const isIn = to.ports.length > 0 && !own.has(entry.original[0]);
    if (!isOut && !isIn) return false;
    const allows = (port: VmPort, side: 'egress' | 'ingress'): boolean => {
      if (!port.stateful || isBasic(entry, side)) return true;
      const at = (end: LocalEnd): End => ({ port: null, family: entry.family, address: end.address });
      const sender = side === 'egress' ? { ...at(from), port } : at(from);
      const receiver = side === 'ingress' ? { ...at(to), port } : at(to);
      const answer = decide(cloud, sender, receiver, serviceOf(entry))[side]!;
      return answer.basic || answer.allowedBy !== null;
    };
    if (isOut && !from.ports.some((port) => allows(port, 'egress'))) return true;
    return isIn && !to.ports.some((port) => allows(port, 'ingress'));
  };
  return {
    stale(lines) {
      const entries = lines.flatMap(readEntry);
      const byId = new Map(entries.map((entry) => [entry.id, entry]));
      // What was expected by another connection is allowed as long as that is.
      const deciding = (entry: EntryLine): EntryLine => {
        const master = entry.master === undefined ? undefined : byId.get(entry.master);
        return master === undefined || master.dead === true ? entry : deciding(master);
      };
      return entries.filter((entry) => entry.dead !== true && isStale(deciding(entry)));
    },
  };
}

/** A line of the table, if it is a connection. */
function readEntry(line: string): EntryLine[] {
  if (!line.startsWith('{"id":')) return [];
  return [JSON.parse(line) as EntryLine];
}

interface LocalEnd {
  address: End['address'];
  ports: readonly VmPort[];
}

interface LocalPorts {
  exact: ReadonlyMap<string, readonly VmPort[]>;
  ranges: readonly { prefix: Prefix; port: VmPort }[];
}

function localPorts(ports: readonly VmPort[]): LocalPorts {
  const exact = new Map<string, VmPort[]>();
  const ranges: { prefix: Prefix; port: VmPort }[] = [];
  for (const port of ports) {
    const prefixes = [...port.pairs.map(({ prefix }) => prefix), ...port.pairs.map(({ mac }) => linkLocal(mac))];
    for (const prefix of prefixes) {
      if (prefix.length !== (prefix.family === 4 ? 32 : 128)) {
        ranges.push({ prefix, port });
        continue;
      }
      const text = formatAddress(prefix.family, prefix.address);
      const known = exact.get(text);
      if (known === undefined) exact.set(text, [port]);
      else if (!known.includes(port)) known.push(port);
    }
  }
  return { exact, ranges };
}

function endOf(text: string, { exact, ranges }: LocalPorts): LocalEnd {
  const { family, words } = parseAddress(text)!;
  const within = ranges.filter(
    ({ prefix }) => prefix.family === family && inPrefix(family, words, prefix.address, prefix.length),
  );
  return { address: words, ports: [...(exact.get(text) ?? []), ...within.map(({ port }) => port)] };
}

function isBasic({ family, protocol, original, reply }: EntryLine, side: 'egress' | 'ingress'): boolean {
  if (protocol !== 17) return false;
  const [asks, answers] = DHCP[family];
  const [source, destination] = side === 'egress' ? [asks, answers] : [answers, asks];
  return original[2] === source && reply[2] === destination;
}

/** What the first packet asked for, behind any translation of its destination. */
function serviceOf({ protocol, original, reply }: EntryLine): Service {
  if (protocol === ICMP || protocol === ICMPV6) {
    return { protocol, port: null, icmp: { type: original[3] >> 8, code: original[3] & 255 } };
  }
  return { protocol, port: takesPorts(protocol) ? reply[2] : null, icmp: null };
}

/** Arguments of `conntrack` that delete just this connection. */
export function deletionOf(entry: EntryLine): string[] {
  const { family, protocol, original, zone } = entry;
  const [source, destination, first, second] = original;
  const words = ['-D', '-f', family === 4 ? 'ipv4' : 'ipv6', '-p', NAMES[protocol] ?? String(protocol)];
  words.push('-s', source, '-d', destination);
  if (protocol === ICMP || protocol === ICMPV6) {
    const option = protocol === ICMP ? '--icmp' : '--icmpv6';
    words.push(
      `${option}-type`,
      String(second >> 8),
      `${option}-code`,
      String(second & 255),
      `${option}-id`,
      String(first),
    );
  } else if (takesPorts(protocol)) words.push('--sport', String(first), '--dport', String(second));
  if (zone !== undefined) words.push('-w', String(zone[0]));
  return words;
}

/** Protocols that have options of their own in conntrack(8). */
const NAMES: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  33: 'dccp',
  58: 'icmpv6',
  132: 'sctp',
  136: 'udplite',
};
