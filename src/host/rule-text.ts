/** `ip rule` and its words (ip-rule(8)) as data. */
import type { AddressWords, Family } from '../packet/family.ts';
import { Protocol } from '../packet/protocol.ts';
import { CommandWords } from './command-words.ts';
import { parseNumber } from './numbers.ts';
import { parsePrefix } from './route-text.ts';
import { TABLE_MAIN } from './tables.ts';

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
  const words = new CommandWords(text);
  const rule = tableRule(-1, -1);
  rule.text = text.trim();
  words.skip('ip');
  const option = words.skip('-4', '-6');
  if (option !== null) rule.family = option === '-4' ? 4 : 6;
  words.skip('rule');
  words.skip('add');

  const range = (max: number): [number, number] => {
    const name = words.word!;
    const word = words.argument();
    const parts = word.split('-').map((part) => parseNumber(part, 0, max));
    const low = parts[0]!;
    const high = parts[1] ?? low;
    if (parts.length > 2 || parts.includes(-1) || high < low) {
      throw new Error(`"${name} ${word}": a number or a range such as 1000-2000 is needed`);
    }
    return [low, high];
  };
  const prefix = (): { words: AddressWords; length: number } => {
    const word = words.argument();
    const found = parsePrefix(word);
    if (found === null) throw new Error(`"${word}" is no address or prefix`);
    if (found.family !== 0) {
      if (rule.family !== 0 && rule.family !== found.family)
        throw new Error(`"${word}" is of the other address family than the rest`);
      rule.family = found.family;
    }
    return found;
  };

  for (; words.word !== undefined; words.at++) {
    const { word } = words;
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
        rule.priority = words.number(0, 0xffffffff);
        break;
      case 'tos':
      case 'dsfield':
        rule.tos = words.tos();
        break;
      case 'dscp':
        rule.dscp = words.number(0, 63);
        break;
      case 'fwmark': {
        const value = words.argument();
        const parts = value.split('/').map((part) => parseNumber(part, 0, 0xffffffff));
        if (parts.length > 2 || parts.includes(-1))
          throw new Error(`"fwmark ${value}": MARK or MARK/MASK is needed, such as 0x1/0xff`);
        rule.mark = parts[0]!;
        rule.markMask = parts[1] ?? 0xffffffff;
        break;
      }
      case 'iif':
      case 'dev':
        rule.iif = words.argument();
        break;
      case 'oif':
        rule.oif = words.argument();
        break;
      case 'uidrange':
        rule.uids = range(0xffffffff);
        break;
      case 'ipproto': {
        const name = words.argument();
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
      case 'realms':
        rule.realm = words.realm();
        break;
      case 'table':
      case 'lookup':
        rule.table = words.table();
        break;
      case 'suppress_prefixlength':
      case 'sup_pl':
        rule.suppressPrefixLength = words.number(0, 128);
        break;
      case 'suppress_ifgroup':
      case 'sup_group':
        rule.suppressGroup = words.number(0, 0x7fffffff);
        break;
      case 'protocol':
        words.argument();
        break;
      case 'goto':
        rule.action = 'goto';
        rule.target = words.number(1, 0xffffffff);
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
