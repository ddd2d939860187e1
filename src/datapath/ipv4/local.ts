import type { Device } from '../../host/device.ts';
import { formatAddress4 } from '../../packet/address-text.ts';
import { readUint16, readUint32, writeUint32 } from '../../packet/bytes.ts';
import { foldSum, pseudoHeaderSum, segmentChecksumHolds, sumWords } from '../../packet/checksum.ts';
import { ConntrackInfo, type Packet, PacketType } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { tosOf } from '../../packet/rewrite.ts';
import { compose } from '../compose.ts';
import { sendIcmpError, sourceFor } from '../icmp-error.ts';
import { addressOf, type Kernel, replyMark, sendFromIcmp, usable } from '../kernel.ts';
import { LogLevel } from '../log-level.ts';
import { answerSegment, socketFor } from '../tcp.ts';
import { answerDestination, answerOptions } from './options.ts';

const UNREACHABLE = 3;
const PROTOCOL_UNREACHABLE = 2;
const PORT_UNREACHABLE = 3;
const ECHO = 8;
const ECHO_REPLY = 0;
const TIME_EXCEEDED = 11;
const TIMESTAMP = 13;
const TIMESTAMP_REPLY = 14;
const DAY = 86_400_000;

/** INPUT is done: to the sockets and protocols of this machine, which may answer (ip_local_deliver_finish). */
export function receiveLocalIpv4(kernel: Kernel, packet: Packet): void {
  const { recorder } = kernel;
  switch (packet.protocol) {
    case Protocol.icmp:
      // Without a whole header no socket gets it (icmp_filter), and nobody else either.
      if (packet.transport + 8 > packet.bytes.length) {
        recorder.reached(packet);
        break;
      }
      recorder.delivered(packet);
      receiveIcmp(kernel, packet);
      break;
    case Protocol.tcp:
      recorder.delivered(packet);
      receiveTcp(kernel, packet);
      break;
    case Protocol.udp:
    case Protocol.udplite:
      recorder.delivered(packet);
      receiveUdp(kernel, packet);
      break;
    case Protocol.igmp:
    case Protocol.raw:
      // `raw` belongs to the socket by which processes send packets with headers of their own.
      recorder.delivered(packet);
      break;
    default:
      recorder.reached(packet);
      sendIcmpError(kernel, packet, UNREACHABLE, PROTOCOL_UNREACHABLE);
  }
}

/** Types of errors that tell what became of a packet. */
const FATES: ReadonlySet<number> = new Set([3, 4, 11, 12]);
/** NR_ICMP_UNREACH. */
const HIGHEST_CODE = 15;
const FRAGMENT_TIME_EXCEEDED = 1;
const FRAGMENTATION_NEEDED = 4;
/** Protocols that check whether an error speaks of what they sent (icmp_strict_tag_validation). */
const VALIDATED: ReadonlySet<number> = new Set([Protocol.tcp, Protocol.sctp]);

/** An error about a packet to a broadcast address, which nobody should send: told where icmp_ignore_bogus_error_responses is 0 (icmp_unreach). */
function logBogusError(kernel: Kernel, packet: Packet, device: Device): void {
  const { bytes, transport } = packet;
  const { host } = kernel;
  if (host.sysctl('net.ipv4.icmp_ignore_bogus_error_responses') !== 0) return;
  const [type, code] = [bytes[transport]!, bytes[transport + 1]!];
  const quoted = transport + 8;
  if (!FATES.has(type) || quoted + 20 > bytes.length || (bytes[quoted]! & 15) < 5) return;
  if (type === UNREACHABLE && code > HIGHEST_CODE) return;
  if (type === TIME_EXCEEDED && code === FRAGMENT_TIME_EXCEEDED) return;
  // What is said of the path's MTU is only heard as far as ip_no_pmtu_disc lets it be.
  const discovery = host.sysctl('net.ipv4.ip_no_pmtu_disc');
  if (type === UNREACHABLE && code === FRAGMENTATION_NEEDED) {
    if (discovery === 2 || (discovery === 3 && !VALIDATED.has(bytes[quoted + 9]!))) return;
  }
  const destination = readUint32(bytes, quoted + 16);
  if (host.addressType(4, [destination, 0, 0, 0]) !== 'BROADCAST') return;
  const [from, to] = [formatAddress4(packet.src[0]!), formatAddress4(destination)];
  kernel.log.limited(
    LogLevel.warning,
    `icmp: ${from} sent an invalid ICMP type ${type}, code ${code} error to a broadcast: ${to} on ${device.name}`,
  );
}

/** icmp_rcv: echo and timestamp requests are answered. */
function receiveIcmp(kernel: Kernel, packet: Packet): void {
  const { bytes, transport } = packet;
  if (foldSum(sumWords(bytes, transport, bytes.length)) !== 0xffff) return;
  const type = bytes[transport]!;
  const { host } = kernel;
  const group = packet.route?.type === 'broadcast' || packet.route?.type === 'multicast';
  if (type !== ECHO && type !== TIMESTAMP) {
    if (!group && packet.inDevice !== null) logBogusError(kernel, packet, packet.inDevice);
    return;
  }
  if (group && host.sysctl('net.ipv4.icmp_echo_ignore_broadcasts') !== 0) return;
  let body: Uint8Array;
  if (type === ECHO) {
    if (host.sysctl('net.ipv4.icmp_echo_ignore_all') !== 0) return;
    body = bytes.slice(transport);
    body[0] = ECHO_REPLY;
  } else {
    if (transport + 12 > bytes.length) return;
    const now = Math.floor(kernel.clock.real / 1000) % DAY;
    body = new Uint8Array(20);
    body.set(bytes.subarray(transport, transport + 12));
    body[0] = TIMESTAMP_REPLY;
    body[1] = 0;
    writeUint32(body, 12, now);
    writeUint32(body, 16, now);
  }
  const mark = replyMark(kernel, 4, packet);
  const tos = tosOf(packet);
  const local = packet.route?.type === 'local' && !group;
  const destination = answerDestination(packet);
  const back = host.route({
    family: 4,
    destination,
    ...(local ? { source: addressOf(packet.dst) } : {}),
    mark,
    tos: tos & 0x1c,
    protocol: Protocol.icmp,
  });
  if (!usable(back)) return;
  const source = local ? packet.dst : sourceFor(kernel, 4, back, packet.src);
  if (source === null) return;
  const echoed = answerOptions(kernel, packet, source[0]!);
  if (echoed === null) return;
  const identification = kernel.random.identification() & 0xffff;
  const header = { source, destination, protocol: Protocol.icmp, tos, identification, options: echoed.bytes };
  const answer = compose(4, header, body);
  answer.options = echoed.options;
  answer.mark = mark;
  answer.route = back;
  answer.outDevice = back.device;
  sendFromIcmp(kernel, answer, type === ECHO ? 'ICMP echo reply' : 'ICMP timestamp reply');
}

/** tcp_v4_rcv: SYN+ACK from an open port, RST from others. */
function receiveTcp(kernel: Kernel, packet: Packet): void {
  const { bytes, transport } = packet;
  if (packet.packetType !== PacketType.host || transport + 20 > bytes.length) return;
  const header = (bytes[transport + 12]! >>> 4) * 4;
  if (header < 20 || transport + header > bytes.length || !segmentChecksumHolds(packet, Protocol.tcp)) return;
  answerSegment(kernel, packet, socketFor(kernel, packet), packet.route?.type === 'local');
}

/** udp_rcv: port unreachable where no socket is open. */
function receiveUdp(kernel: Kernel, packet: Packet): void {
  if (!datagramIsRight(packet)) return;
  if (packet.route?.type === 'broadcast' || packet.route?.type === 'multicast') return;
  if (socketFor(kernel, packet) !== null) return;
  detach(packet);
  sendIcmpError(kernel, packet, UNREACHABLE, PORT_UNREACHABLE);
}

/**
 * UDP lets go of the connection before it answers: the answer has to find it by itself (nf_reset_ct). What lies behind the datagram is cut off
 * (pskb_trim_rcsum).
 */
export function detach(packet: Packet): void {
  const { bytes, transport, protocol } = packet;
  const length = readUint16(bytes, transport + 4);
  if (protocol === Protocol.udp && length >= 8) packet.bytes = bytes.subarray(0, transport + length);
  packet.connection = null;
  packet.conntrackInfo = ConntrackInfo.new;
}

/** Length and checksum of a UDP datagram; a checksum of 0 is none (IPv4 only). `isBelieved`: it was found right before. */
export function datagramIsRight(packet: Packet, isBelieved = packet.verified): boolean {
  const { bytes, transport, family, src, dst, protocol } = packet;
  const left = bytes.length - transport;
  if (left < 8) return false;
  let length = readUint16(bytes, transport + 4);
  const checksum = readUint16(bytes, transport + 6);
  if (protocol === Protocol.udplite) {
    if (checksum === 0) return false;
    if (length === 0) length = left;
    if (length < 8 || length > left) return false;
  } else {
    if (length === 0 && family === 6) length = left;
    if (length < 8 || length > left) return false;
    if (checksum === 0) return family === 4;
  }
  if (isBelieved) return true;
  const counted = protocol === Protocol.udplite ? left : length;
  const sum = pseudoHeaderSum(src, dst, protocol, counted);
  return foldSum(sumWords(bytes, transport, transport + length, sum)) === 0xffff;
}
