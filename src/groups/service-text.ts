import { formatAddress } from '../packet/address-text.ts';
import type { Family } from '../packet/family.ts';
import { hasPorts } from '../packet/protocol.ts';
import type { GroupRule, Prefix, Remote, Service } from './model.ts';

/** Protocols by the names that iptables-save prints. */
export const PROTOCOL_NUMBERS: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  dccp: 33,
  gre: 47,
  esp: 50,
  ah: 51,
  'ipv6-icmp': 58,
  vrrp: 112,
  sctp: 132,
  udplite: 136,
};
/** Further names that OpenStack takes; rules have their numbers. */
export const OTHER_PROTOCOLS: Readonly<Record<string, number>> = {
  ipip: 4,
  egp: 8,
  'ipv6-encap': 41,
  'ipv6-route': 43,
  'ipv6-frag': 44,
  rsvp: 46,
  'ipv6-nonxt': 59,
  'ipv6-opts': 60,
  ospf: 89,
  pgm: 113,
};
const PROTOCOL_NAMES = new Map(Object.entries(PROTOCOL_NUMBERS).map(([name, number]) => [number, name]));

export function protocolText(protocol: number): string {
  return PROTOCOL_NAMES.get(protocol) ?? String(protocol);
}

export function takesPorts(protocol: number | null): boolean {
  return protocol !== null && hasPorts(protocol);
}

/** A port or a range; undefined if it is none. */
export function readPorts(value: unknown): [number, number] | undefined {
  const match = /^(\d+)(?:[-:](\d+))?$/.exec(String(value).trim());
  if (match === null) return undefined;
  const from = Number(match[1]);
  const to = Number(match[2] ?? match[1]);
  return from <= to && to <= 65535 ? [from, to] : undefined;
}

/** `8`, `3/4`; undefined if it is none. */
export function readIcmp(value: unknown): { type: number; code: number | null } | undefined {
  const match = /^(\d+)(?:\/(\d+))?$/.exec(String(value).trim());
  if (match === null) return undefined;
  const type = Number(match[1]);
  const code = match[2] === undefined ? null : Number(match[2]);
  return type <= 255 && (code ?? 0) <= 255 ? { type, code } : undefined;
}

/** What a user asks for: `tcp/3306`, `udp/53`, `icmp` (echo request), `icmp/3/4`, `gre`, `47`; null if it is none. */
export function readService(text: string, family: Family): Service | null {
  const [name, first, second] = text.toLowerCase().split('/');
  const number = PROTOCOL_NUMBERS[name!] ?? (/^\d+$/.test(name!) && Number(name) <= 255 ? Number(name) : null);
  if (number === null) return null;
  const isIcmp = number === 1 || number === 58;
  if (isIcmp) {
    const icmp = first === undefined ? { type: family === 4 ? 8 : 128, code: 0 } : readIcmp(`${first}/${second ?? 0}`);
    return icmp === undefined
      ? null
      : { protocol: family === 4 ? 1 : 58, port: null, icmp: { type: icmp.type, code: icmp.code ?? 0 } };
  }
  if (!takesPorts(number)) return first === undefined ? { protocol: number, port: null, icmp: null } : null;
  const ports = first === undefined ? undefined : readPorts(first);
  if (second !== undefined || ports === undefined || ports[0] !== ports[1]) return null;
  return { protocol: number, port: ports[0], icmp: null };
}

export function serviceText({ protocol, port, icmp }: Service): string {
  if (icmp !== null) return `${protocolText(protocol)} type ${icmp.type} code ${icmp.code}`;
  return port === null ? protocolText(protocol) : `${protocolText(protocol)}/${port}`;
}

export function prefixText({ family, address, length }: Prefix): string {
  return `${formatAddress(family, address)}/${length}`;
}

/** What a rule lets through: `tcp/8080`, `udp/5000-5010`, `icmp type 8`, `anything`. */
export function matterText({ protocol, ports, icmp }: Pick<GroupRule, 'protocol' | 'ports' | 'icmp'>): string {
  if (protocol === null) return 'anything';
  const name = protocolText(protocol);
  if (icmp !== null) return `${name} type ${icmp.type}${icmp.code === null ? '' : ` code ${icmp.code}`}`;
  if (ports === null) return name;
  return ports[0] === ports[1] ? `${name}/${ports[0]}` : `${name}/${ports[0]}-${ports[1]}`;
}

/** `10.0.0.0/8 but not 10.1.0.0/16`. */
export function remotePrefixText({ prefix, except }: Extract<Remote, { kind: 'prefix' }>): string {
  return prefixText(prefix) + (except.length === 0 ? '' : ` but not ${except.map(prefixText).join(', ')}`);
}

/** A rule in a few words: `group B, rule 1: ingress tcp/3306 from group A`. */
export function ruleText(rule: GroupRule): string {
  const { group, index, direction, remote, family } = rule;
  const which = index === 0 ? 'what it has without rules of its own' : `rule ${index}`;
  const side = direction === 'ingress' ? 'from' : 'to';
  const who =
    remote.kind === 'any'
      ? `any IPv${family} address`
      : remote.kind === 'prefix'
        ? remotePrefixText(remote)
        : remote.kind === 'group'
          ? `group ${remote.group}`
          : `prefix list ${remote.list}`;
  return `group ${group}, ${which}: ${direction} ${matterText(rule)} ${side} ${who}`;
}
