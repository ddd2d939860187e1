/** `ip rule` and its words (ip-rule(8)) as data. */
import type { AddressWords, Family } from '../packet/family.ts';
import { Protocol } from '../packet/protocol.ts';
import { parseNumber, parsePrefix, parseTable, TABLE_MAIN } from './route-text.ts';

export type RuleAction = 'table' | 'goto' | 'nop' | 'blackhole' | 'unreachable' | 'prohibit';

/** A policy rule. */
export interface PolicyRule {
  /** 0: holds in both families. */
  family: Family | 0;
  invert: boolean;
  from: AddressWords;
  fromLength: number;
  to: AddressWords;
  toLength: number;
  iif: string | null;
  oif: string | null;
  mark: number;
  markMask: number;
  /** DSCP and ECN octet as `tos` gives it; 0 for any. */
  tos: number;
  /** DSCP as `dscp` gives it; -1 for any. */
  dscp: number;
  ipProtocol: number;
  sourcePorts: readonly [number, number] | null;
  destinationPorts: readonly [number, number] | null;
  uids: readonly [number, number] | null;
  action: RuleAction;
  table: number;
  /** Target preference of `goto`. */
  target: number;
  realm: number;
  /** Routes of the table with at most this prefix length do not count; -1: all do. */
  suppressPrefixLength: number;
  suppressGroup: number;
  /** -1: none given; one below the lowest so far. */
  priority: number;
  text: string;
}

const PROTOCOL_NAMES: Readonly<Record<string, number>> = {
  tcp: Protocol.tcp,
  udp: Protocol.udp,
  icmp: Protocol.icmp,
  sctp: Protocol.sctp,
  dccp: Protocol.dccp,
  udplite: Protocol.udplite,
  'ipv6-icmp': Protocol.icmpv6,
  gre: Protocol.gre,
  esp: Protocol.esp,
  ah: Protocol.ah,
};

/** A rule that leads to a table whatever the packet is. */
export function tableRule(table: number, priority: number): PolicyRule {
  return {
    family: 0,
    invert: false,
    from: [0, 0, 0, 0],
    fromLength: 0,
    to: [0, 0, 0, 0],
    toLength: 0,
    iif: null,
    oif: null,
    mark: 0,
    markMask: 0,
    tos: 0,
    dscp: -1,
    ipProtocol: 0,
    sourcePorts: null,
    destinationPorts: null,
    uids: null,
    action: 'table',
    table,
    target: 0,
    realm: 0,
    suppressPrefixLength: -1,
    suppressGroup: -1,
    priority,
    text: '',
  };
}

/** Reads one rule. Throws an Error whose message says what is wrong and what would be right. */
export function parseRule(text: string): PolicyRule {
  const words = text.trim().split(/\s+/);
  const rule = tableRule(-1, -1);
  rule.text = text.trim();
  let at = 0;
  if (words[at] === 'ip') at++;
  if (words[at] === '-4' || words[at] === '-6') rule.family = words[at++] === '-4' ? 4 : 6;
  if (words[at] === 'rule') at++;
  if (words[at] === 'add') at++;

  const argument = (): string => {
    const word = words[++at];
    if (word === undefined) throw new Error(`"${words[at - 1]}" needs an argument`);
    return word;
  };
  const number = (min: number, max: number): number => {
    const name = words[at]!;
    const word = argument();
    const value = parseNumber(word, min, max);
    if (value < 0) throw new Error(`"${name} ${word}": a number from ${min} to ${max} is needed`);
    return value;
  };
  const range = (max: number): [number, number] => {
    const name = words[at]!;
    const word = argument();
    const parts = word.split('-').map((part) => parseNumber(part, 0, max));
    const low = parts[0]!;
    const high = parts[1] ?? low;
    if (parts.length > 2 || parts.includes(-1) || high < low) {
      throw new Error(`"${name} ${word}": a number or a range such as 1000-2000 is needed`);
    }
    return [low, high];
  };
  const prefix = (): { words: AddressWords; length: number } => {
    const word = argument();
    const found = parsePrefix(word);
    if (found === null) throw new Error(`"${word}" is no address or prefix`);
    if (found.family !== 0) {
      if (rule.family !== 0 && rule.family !== found.family)
        throw new Error(`"${word}" is of the other address family than the rest`);
      rule.family = found.family;
    }
    return found;
  };

  for (; at < words.length; at++) {
    const word = words[at]!;
    switch (word) {
      case 'not':
        rule.invert = true;
        break;
      case 'from': {
        const found = prefix();
        rule.from = found.words;
        rule.fromLength = found.length;
        break;
      }
      case 'to': {
        const found = prefix();
        rule.to = found.words;
        rule.toLength = found.length;
        break;
      }
      case 'preference':
      case 'pref':
      case 'priority':
      case 'order':
        rule.priority = number(0, 0xffffffff);
        break;
      case 'tos':
      case 'dsfield': {
        const name = argument();
        const value = /^[0-9a-fA-F]{1,2}$/.test(name) ? Number.parseInt(name, 16) : parseNumber(name, 0, 255);
        if (value < 0) throw new Error(`"${word} ${name}": a number from 0 to 0xff is needed`);
        rule.tos = value;
        break;
      }
      case 'dscp':
        rule.dscp = number(0, 63);
        break;
      case 'fwmark': {
        const value = argument();
        const parts = value.split('/').map((part) => parseNumber(part, 0, 0xffffffff));
        if (parts.length > 2 || parts.includes(-1))
          throw new Error(`"fwmark ${value}": MARK or MARK/MASK is needed, such as 0x1/0xff`);
        rule.mark = parts[0]!;
        rule.markMask = parts[1] ?? 0xffffffff;
        break;
      }
      case 'iif':
      case 'dev':
        rule.iif = argument();
        break;
      case 'oif':
        rule.oif = argument();
        break;
      case 'uidrange':
        rule.uids = range(0xffffffff);
        break;
      case 'ipproto': {
        const name = argument();
        const value = PROTOCOL_NAMES[name] ?? parseNumber(name, 1, 255);
        if (value < 0) throw new Error(`"ipproto ${name}": a protocol such as tcp, udp or a number is needed`);
        rule.ipProtocol = value;
        break;
      }
      case 'sport':
        rule.sourcePorts = range(0xffff);
        break;
      case 'dport':
        rule.destinationPorts = range(0xffff);
        break;
      case 'realm':
      case 'realms': {
        const value = argument();
        const parts = value.split('/').map((part) => parseNumber(part, 0, 0xffff));
        if (parts.length > 2 || parts.includes(-1))
          throw new Error(`"${word} ${value}": numbers from 0 to 65535 are needed`);
        rule.realm = parts.length === 2 ? parts[0]! * 0x10000 + parts[1]! : parts[0]!;
        break;
      }
      case 'table':
      case 'lookup': {
        const table = parseTable(argument());
        if (table < 0) throw new Error(`"${word} ${words[at]}": a number or one of local, main, default is needed`);
        rule.table = table;
        break;
      }
      case 'suppress_prefixlength':
      case 'sup_pl':
        rule.suppressPrefixLength = number(0, 128);
        break;
      case 'suppress_ifgroup':
      case 'sup_group':
        rule.suppressGroup = number(0, 0x7fffffff);
        break;
      case 'protocol':
        argument();
        break;
      case 'goto':
        rule.action = 'goto';
        rule.target = number(1, 0xffffffff);
        break;
      case 'type':
      case 'unicast':
        break;
      case 'nop':
      case 'blackhole':
      case 'unreachable':
      case 'prohibit':
        rule.action = word;
        break;
      case 'l3mdev':
      case 'tun_id':
      case 'flowlabel':
      case 'nat':
      case 'map-to':
        throw new Error(`"${word}" is not simulated`);
      default:
        throw new Error(`"${word}" is not understood; a rule is written as in "from all fwmark 0x1 lookup 100"`);
    }
  }
  if (rule.table < 0) rule.table = TABLE_MAIN;
  return rule;
}
