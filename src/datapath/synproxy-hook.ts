import type { Conntrack } from '../conntrack/contract.ts';
import type { SynproxyMemory } from '../conntrack/sidelines.ts';
import { readUint32, writeUint16, writeUint32 } from '../packet/bytes.ts';
import { replaceLong } from '../packet/checksum.ts';
import { ConntrackInfo, type Packet } from '../packet/packet.ts';
import { Protocol } from '../packet/protocol.ts';
import {
  type CookieSecrets,
  clientAck,
  readSynproxyOptions,
  SynproxyOption,
  type SynproxyOptions,
  serverAck,
  serverSyn,
} from './synproxy.ts';
import { Verdict, type VerdictCode } from './verdicts.ts';

/** What the hook asks of the machine. */
export interface SynproxyDependencies {
  conntrack: Conntrack;
  secrets(): CookieSecrets;
  /** Simulation clock, microseconds. */
  now(): number;
  /** Routes a packet and sends it through OUTPUT. */
  send(packet: Packet): void;
}

const HEADER = 20;
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;
const TIMESTAMP = 8;

/**
 * SYNPROXY's own hook at INPUT and POSTROUTING (ipv4_synproxy_hook): it finishes the handshake with the server, has conntrack translate the
 * server's sequence numbers to those that the client was given, and does so with its time stamps.
 */
export function synproxyHook(d: SynproxyDependencies): (packet: Packet) => VerdictCode {
  return (packet) => {
    const memory = d.conntrack.synproxy(packet);
    if (memory === null || packet.protocol !== Protocol.tcp || packet.inDevice?.kind === 'loopback') {
      return Verdict.accept;
    }
    const { bytes, transport } = packet;
    if (transport + HEADER > bytes.length) return Verdict.drop;
    const reply = packet.conntrackInfo >= ConntrackInfo.establishedReply;
    const flags = bytes[transport + 13]!;
    switch (packet.connection!.stateName) {
      case 'CLOSE':
        if (flags & RST && reply) {
          d.conntrack.shiftSequence(packet, (memory.initialSequence - readUint32(bytes, transport + 4) + 1) | 0);
          break;
        }
        if ((flags & (SYN | ACK)) !== SYN || reply) break;
        // Opened again: shifts begin when the server has answered.
        memory.timestampOffset = 0;
        return open(d, packet, memory, reply);
      case 'SYN_SENT':
        return open(d, packet, memory, reply);
      case 'SYN_RECV':
        if ((flags & (SYN | ACK)) === (SYN | ACK)) return answerServer(d, packet, memory);
        break;
    }
    adjustTimestamp(packet, memory, reply);
    return Verdict.accept;
  };
}

/** The SYN for the server tells what the client was given; an ACK of the client before the server has answered has it sent again. */
function open(d: SynproxyDependencies, packet: Packet, memory: SynproxyMemory, reply: boolean): VerdictCode {
  const { bytes, transport } = packet;
  const options = readSynproxyOptions(packet);
  if (options === null) return Verdict.drop;
  if ((bytes[transport + 13]! & (SYN | ACK)) === ACK && !reply) {
    // A keep-alive has the sequence number before the next one.
    const sequence = (readUint32(bytes, transport + 4) + 1) >>> 0;
    const syn = serverSyn(packet, options, sequence, d.secrets(), d.now());
    if (syn === null) return Verdict.drop;
    d.conntrack.attachTemplate(syn, { synproxy: true });
    d.send(syn);
    return Verdict.stolen;
  }
  memory.initialSequence = readUint32(bytes, transport + 8);
  if (options.options & SynproxyOption.timestamp) memory.initialTimestamp = options.timestampEcho;
  adjustTimestamp(packet, memory, reply);
  return Verdict.accept;
}

/** The server's SYN+ACK: it gets its ACK, and the client one that opens its window. */
function answerServer(d: SynproxyDependencies, packet: Packet, memory: SynproxyMemory): VerdictCode {
  const options = readSynproxyOptions(packet);
  if (options === null) return Verdict.drop;
  if (options.options & SynproxyOption.timestamp) {
    memory.timestampOffset = (options.timestamp - memory.initialTimestamp) | 0;
  }
  options.options &= ~(SynproxyOption.mss | SynproxyOption.wscale | SynproxyOption.sackPermitted);
  const turned: SynproxyOptions = {
    ...options,
    timestamp: options.timestampEcho,
    timestampEcho: options.timestamp,
  };
  d.send(serverAck(packet, turned, d.conntrack.clientWindow(packet) & 0xffff));
  d.conntrack.shiftSequence(packet, (memory.initialSequence - readUint32(packet.bytes, packet.transport + 4)) | 0);
  const ack = clientAck(packet, options);
  ack.connection = packet.connection;
  ack.conntrackInfo = ConntrackInfo.establishedReply;
  d.send(ack);
  return Verdict.stolen;
}

/** Translates the server's time stamps to those that the client was given (synproxy_tstamp_adjust). */
function adjustTimestamp({ bytes, transport }: Packet, { timestampOffset }: SynproxyMemory, reply: boolean): void {
  if (timestampOffset === 0) return;
  const end = Math.min(transport + (bytes[transport + 12]! >>> 4) * 4, bytes.length);
  for (let at = transport + HEADER; at < end; ) {
    const kind = bytes[at]!;
    if (kind === 0) return;
    if (kind === 1) {
      at++;
      continue;
    }
    const size = at + 1 < end ? bytes[at + 1]! : 0;
    if (size < 2 || at + size > end) return;
    if (kind === TIMESTAMP && size === 10) {
      const place = reply ? at + 2 : at + 6;
      const old = readUint32(bytes, place);
      const value = (reply ? old - timestampOffset : old + timestampOffset) >>> 0;
      writeUint32(bytes, place, value);
      const checksum = (bytes[transport + 16]! << 8) | bytes[transport + 17]!;
      writeUint16(bytes, transport + 16, replaceLong(checksum, old, value));
      return;
    }
    at += size;
  }
}
