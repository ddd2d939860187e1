import { parseAddress } from '../address-text.ts';
import { fromHex } from '../bytes.ts';
import type { AddressWords, Family } from '../family.ts';
import { hasPorts, Protocol } from '../protocol.ts';
import type { PacketDescription } from './description.ts';
import { NotationError, nearest } from './error.ts';
import { icmpByName, icmpNames } from './icmp-types.ts';
import { type Key, parseNumber } from './key.ts';
import { KEYS } from './keys.ts';
import { protocolNumber, protocolWord, protocolWords } from './protocols.ts';
import { parseTcpFlags } from './tcp-flags.ts';
import { splitWords, type Word } from './words.ts';

const BY_NAME: ReadonlyMap<string, Key> = new Map(
  KEYS.flatMap((key) => [key.name, ...(key.aliases ?? [])].map((name) => [name, key])),
);

/** An example for messages. */
export const PACKET_EXAMPLE = 'in=eth0 tcp 198.51.100.7:40000 > 203.0.113.10:80 S ttl=63';

/**
 * Reads one packet: `[in=IFACE] [out=IFACE] PROTO SRC[:PORT] > DST[:PORT] [FLAGS] [key=value...]`, or `raw HEX`.
 *
 * @throws NotationError
 */
export function parsePacket(line: string): PacketDescription {
  return readPacket(splitWords(line), BY_NAME);
}

/** The protocol, the addresses and the words before and behind them. */
interface Heading {
  packet: PacketDescription;
  /** All `key=value` words. */
  settings: Word[];
  /** Bare words behind the addresses. */
  flags: Word[];
}

/** Reads the words of a packet; `more` are further keys that a misspelt one may have meant. */
export function readPacket(
  words: Word[],
  keys: ReadonlyMap<string, Key>,
  more: readonly string[] = [],
): PacketDescription {
  const rawAt = words.findIndex((word) => word.key === null && word.text === 'raw');
  if (rawAt >= 0 && !words.some((word) => word.text === '>' && word.key === null)) return readRaw(words, rawAt, keys);
  const { packet, settings, flags } = readHeading(words);
  for (const word of flags) readFlagWord(word, packet);
  // The type of an ICMP message decides what its other words mean, and the packet's length comes after its data.
  const early = settings.filter((word) => word.key === 'type' || word.key === 'code');
  const late = settings.filter((word) => word.key === 'len');
  const rest = settings.filter((word) => !early.includes(word) && !late.includes(word));
  const seen = new Set<Key>();
  for (const word of [...early, ...rest, ...late]) readSetting(word, packet, keys, seen, more);
  return packet;
}

function readHeading(words: readonly Word[]): Heading {
  const settings = words.filter((word) => word.key !== null);
  const bare = words.filter((word) => word.key === null);
  const arrow = bare.findIndex((word) => word.text === '>');
  if (arrow < 0) {
    throw new NotationError(`no "SOURCE > DESTINATION" in it; a packet looks like: ${PACKET_EXAMPLE}`);
  }
  const [protocolText, source] = [bare[arrow - 2], bare[arrow - 1]];
  const destination = bare[arrow + 1];
  if (source === undefined) throw new NotationError('no source address before ">"', bare[arrow]!.column);
  if (destination === undefined) throw new NotationError('no destination address behind ">"', bare[arrow]!.column);
  if (protocolText === undefined) {
    throw new NotationError(
      `no protocol before the source: tcp, udp, icmp, ... as in: ${PACKET_EXAMPLE}`,
      source.column,
    );
  }
  const front = bare.slice(0, arrow - 2);
  if (front.length > 1) {
    throw new NotationError(`"${front[1]!.text}" does not belong before the protocol`, front[1]!.column);
  }
  if (front.length === 1) settings.unshift({ ...front[0]!, key: 'in', valueColumn: front[0]!.column });

  const packet = readEnds(protocolText, source, destination);
  return { packet, settings, flags: bare.slice(arrow + 2) };
}

function readEnds(protocolText: Word, source: Word, destination: Word): PacketDescription {
  let protocol = protocolNumber(protocolText.text);
  if (protocol < 0) {
    const near = nearest(protocolText.text, protocolWords());
    throw new NotationError(
      `unknown protocol "${protocolText.text}"${near ? `: did you mean ${near}?` : ' (a name like tcp or a number to 255)'}`,
      protocolText.column,
    );
  }
  const from = readEnd(source);
  const to = readEnd(destination);
  if (from.family !== to.family) {
    throw new NotationError(
      `the source is IPv${from.family} and the destination IPv${to.family}: both must be of one family`,
      destination.column,
    );
  }
  if (protocol === Protocol.icmp && from.family === 6 && protocolText.text.toLowerCase() === 'icmp') {
    protocol = Protocol.icmpv6;
  }
  const packet: PacketDescription = {
    family: from.family,
    protocol,
    source: from.address,
    destination: to.address,
  };
  for (const [end, field, word] of [
    [from, 'sourcePort', source],
    [to, 'destinationPort', destination],
  ] as const) {
    if (end.port === null) continue;
    if (!hasPorts(protocol)) {
      throw new NotationError(`${protocolWord(protocol)} has no ports: write the address alone`, word.column);
    }
    packet[field] = end.port;
  }
  return packet;
}

function readEnd(word: Word): { family: Family; address: AddressWords; port: number | null } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(word.text);
  const dotted = /^([^:]*):([^:]*)$/.exec(word.text);
  const addressText = bracketed?.[1] ?? dotted?.[1] ?? word.text;
  const portText = bracketed?.[2] ?? dotted?.[2];
  const parsed = parseAddress(addressText);
  if (parsed === null) {
    throw new NotationError(
      `"${addressText}" is not an address: expected one like 192.0.2.1, 192.0.2.1:80, 2001:db8::1 or [2001:db8::1]:80`,
      word.column,
    );
  }
  if (portText === undefined) return { family: parsed.family, address: parsed.words, port: null };
  const port = parseNumber(portText, 0xffff);
  if (port < 0) {
    throw new NotationError(
      `"${portText}" is not a port: expected a number from 0 to 65535`,
      word.column + addressText.length + 1,
    );
  }
  return { family: parsed.family, address: parsed.words, port };
}

/** A bare word behind the addresses: TCP flags, or the name of an ICMP message. */
function readFlagWord(word: Word, packet: PacketDescription): void {
  const { family, protocol } = packet;
  if (protocol === Protocol.tcp) {
    const flags = parseTcpFlags(word.text);
    if (flags < 0) {
      throw new NotationError(
        `"${word.text}" is not TCP flags: expected letters of FSRPAUEC, e.g. S, SA, PA`,
        word.column,
      );
    }
    packet.tcpFlags = flags;
    return;
  }
  if (protocol === Protocol.icmp || protocol === Protocol.icmpv6) {
    const names: Family = protocol === Protocol.icmp ? 4 : 6;
    const named = icmpByName(names, word.text.toLowerCase());
    const numbers = /^(\d{1,3})(?:\/(\d{1,3}))?$/.exec(word.text);
    if (named !== null) {
      packet.icmpType = named.type;
      if (named.code !== null) packet.icmpCode = named.code;
      return;
    }
    if (numbers !== null && Number(numbers[1]) < 256 && Number(numbers[2] ?? 0) < 256) {
      packet.icmpType = Number(numbers[1]);
      if (numbers[2] !== undefined) packet.icmpCode = Number(numbers[2]);
      return;
    }
    const near = nearest(word.text, icmpNames(names));
    throw new NotationError(
      `"${word.text}" is not an ICMP message: ${near ? `did you mean ${near}?` : 'expected a name like echo-request or TYPE/CODE like 3/3'}`,
      word.column,
    );
  }
  throw new NotationError(
    `"${word.text}" does not belong behind the addresses: ${family === 4 ? 'IPv4' : 'IPv6'} ${protocolWord(protocol)} takes key=value words`,
    word.column,
  );
}

function readSetting(
  word: Word,
  packet: PacketDescription,
  keys: ReadonlyMap<string, Key>,
  seen: Set<Key>,
  more: readonly string[] = [],
): void {
  const key = keys.get(word.key!);
  if (key === undefined) {
    const names = [...keys.keys(), ...more];
    const near = nearest(word.key!, names);
    throw new NotationError(
      `unknown key "${word.key}"${near ? `: did you mean ${near}?` : `; known are ${names.join(' ')}`}`,
      word.column,
    );
  }
  if (key.protocols !== undefined && !key.protocols.includes(packet.protocol)) {
    const those = key.protocols.map(protocolWord).join(', ');
    throw new NotationError(
      `${protocolWord(packet.protocol)} has no ${key.name}: it is a field of ${those}`,
      word.column,
    );
  }
  if (key.family !== undefined && key.family !== packet.family) {
    throw new NotationError(`IPv${packet.family} has no ${key.name}: it is a field of IPv${key.family}`, word.column);
  }
  if (seen.has(key) && key.name !== 'nop') throw new NotationError(`${key.name} is given twice`, word.column);
  seen.add(key);
  if (!key.read(word.text, packet)) {
    throw new NotationError(`${word.key}="${word.text}": expected ${key.value}`, word.valueColumn);
  }
}

/** Keys that say something besides the packet's bytes: the only ones that `raw` can have. */
const BESIDES = new Set(
  'in out time srcmac dstmac pkttype mark uid gid pid cgroup classid groups cpu policy ipvs vaddr vport vportctl vmethod'.split(
    ' ',
  ),
);

function readRaw(words: Word[], at: number, keys: ReadonlyMap<string, Key>): PacketDescription {
  const bare = words.filter((word, index) => word.key === null && index !== at);
  const hex = bare.find((word) => words.indexOf(word) > at);
  const bytes = hex === undefined ? null : fromHex(hex.text);
  if (bytes === null || bytes.length === 0) {
    throw new NotationError('expected the packet in hexadecimal behind "raw", from its IP header', words[at]!.column);
  }
  const none: AddressWords = [0, 0, 0, 0];
  const packet: PacketDescription = {
    family: bytes[0]! >> 4 === 6 ? 6 : 4,
    protocol: 0,
    source: none,
    destination: none,
    raw: bytes,
  };
  const seen = new Set<Key>();
  for (const word of bare) {
    if (word === hex) continue;
    if (words.indexOf(word) > at || packet.in !== undefined) {
      throw new NotationError(`"${word.text}" does not belong there: "raw" takes one word of hexadecimal`, word.column);
    }
    packet.in = word.text;
  }
  for (const word of words) {
    if (word.key === null) continue;
    if (keys.has(word.key) && !BESIDES.has(word.key)) {
      throw new NotationError(`${word.key}: the bytes of a "raw" packet are already given`, word.column);
    }
    readSetting(word, packet, keys, seen);
  }
  return packet;
}
