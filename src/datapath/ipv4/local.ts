import type { Device } from '../../host/device.ts';
import { formatAddress4 } from '../../packet/address-text.ts';
import { readUint16, readUint32, writeUint32 } from '../../packet/bytes.ts';
import { foldSum, pseudoHeaderSum, segmentChecksumHolds, sumWords } from '../../packet/checksum.ts';
import { ConntrackInfo, type Packet, PacketType } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { setAddressOnly, tosOf } from '../../packet/rewrite.ts';
import { buildTcp } from '../../packet/tcp.ts';
import { compose } from '../compose.ts';
import { completeRequest, connectedSocket, rememberRequest, reopensConnection } from '../connected.ts';
import type { SocketAnswer } from '../environment.ts';
import { sendIcmpError, sourceFor } from '../icmp-error.ts';
import { addressOf, type Kernel, noteAnswer, replyMark, sendFromIcmp, sendFromKernel, usable } from '../kernel.ts';
import { LogLevel } from '../log-level.ts';
import { resetFor } from '../reject.ts';
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
const FIN = 1;
const SYN = 2;
const RST = 4;
const ACK = 16;
const ECE = 64;
const CWR = 128;
const NO_OPTIONS = { bytes: new Uint8Array(0), via: null, options: null };

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

/** What a TCP segment to this machine is answered with; `reachable`: it was for an address of this machine alone. */
export function answerSegment(kernel: Kernel, packet: Packet, found: SocketAnswer | null, reachable: boolean): void {
  const { bytes, transport, family } = packet;
  const flags = bytes[transport + 13]!;
  let socket = found;
  if (socket !== null && connectedSocket(kernel, packet) === socket) {
    if (!reopensConnection(kernel, packet)) return;
    socket = socketFor(kernel, packet);
  }
  if (socket !== null) {
    if ((flags & (SYN | FIN | ACK | RST)) === SYN) acceptConnection(kernel, packet, socket);
    // An acknowledgement of nothing is refused as on a port where nobody listens.
    if ((flags & ACK) === 0) return;
    if ((flags & RST) === 0 && completeRequest(kernel, packet)) return;
  }
  if (flags & RST || !reachable) return;
  const header = (bytes[transport + 12]! >>> 4) * 4;
  const echoed = family === 4 ? answerOptions(kernel, packet, packet.dst[0]!) : NO_OPTIONS;
  if (echoed === null) return;
  const answer = resetFor(packet, bytes.length - transport - header, tosOf(packet) & 0xfc, echoed.bytes);
  answer.options = echoed.options;
  // Its checksum is that of the whole way.
  if (echoed.via !== null) setAddressOnly(answer, 'destination', [echoed.via, 0, 0, 0]);
  answer.mark = replyMark(kernel, family, packet);
  // IPv4's RST has its checksum computed (ip_send_unicast_reply), IPv6's does not (tcp_v6_send_response).
  answer.checksumPending = family === 6;
  answer.controlSocket = family === 4;
  // In the name of the socket that was meant, if there is one.
  if (socket !== null) answer.owner = socket.owner;
  noteAnswer(
    kernel,
    socket === null ? 'TCP RST: nobody listens on the port' : 'TCP RST: no connection with that socket',
  );
  sendFromKernel(kernel, answer);
}

/** SYN+ACK of a listening socket, with the options that Linux takes over from the SYN. */
function acceptConnection(kernel: Kernel, packet: Packet, socket: SocketAnswer): void {
  const { bytes, transport, family } = packet;
  const offered = offeredOptions(packet);
  const mtu = packet.inDevice?.mtu ?? 1500;
  const maximum = Math.min(mtu, 65535) - (family === 4 ? 40 : 60);
  const options: number[] = [2, 4, maximum >>> 8, maximum & 0xff];
  if (offered.timestamp !== null) {
    const stamp = new Uint8Array(8);
    writeUint32(stamp, 0, Math.floor(kernel.clock.real / 1000));
    writeUint32(stamp, 4, offered.timestamp);
    options.push(...(offered.sack ? [4, 2] : [1, 1]), 8, 10, ...stamp);
  } else if (offered.sack) {
    options.push(1, 1, 4, 2);
  }
  if (offered.scale) options.push(1, 3, 3, 7);
  const echoed = (family === 4 ? answerOptions(kernel, packet, packet.dst[0]!) : null) ?? NO_OPTIONS;
  // A strict route must not lead over a gateway (inet_csk_route_req).
  const { via } = echoed;
  if (via !== null && packet.options?.strict) {
    if (kernel.host.route({ family, destination: [via, 0, 0, 0] }).gateway !== null) return;
  }
  const sequence = kernel.random.next() >>> 0;
  rememberRequest(kernel, packet, socket, sequence);
  const answer = compose(
    family,
    {
      source: packet.dst.slice(),
      destination: packet.src.slice(),
      protocol: Protocol.tcp,
      dontFragment: true,
      options: echoed.bytes,
    },
    buildTcp({
      sourcePort: readUint16(bytes, transport + 2),
      destinationPort: readUint16(bytes, transport),
      sequence,
      acknowledgement: (readUint32(bytes, transport + 4) + 1) >>> 0,
      flags: SYN | ACK | (acceptsEcn(kernel, packet) ? ECE : 0),
      window: initialWindow(maximum - (offered.timestamp === null ? 0 : 12)),
      options: Uint8Array.from(options),
    }),
  );
  answer.options = echoed.options;
  if (via !== null) setAddressOnly(answer, 'destination', [via, 0, 0, 0]);
  answer.mark = replyMark(kernel, family, packet);
  answer.checksumPending = true;
  answer.listener = socket.owner;
  noteAnswer(kernel, 'TCP SYN+ACK');
  sendFromKernel(kernel, answer);
}

/** A SYN that asks for ECN without using it yet gets it, unless the machine does not want any (tcp_ecn_create_request). */
function acceptsEcn(kernel: Kernel, packet: Packet): boolean {
  const asks = (packet.bytes[packet.transport + 13]! & (ECE | CWR)) === (ECE | CWR);
  return asks && (tosOf(packet) & 3) === 0 && kernel.host.sysctl('net.ipv4.tcp_ecn') !== 0;
}

/** The window a new connection offers: as many whole segments as fit into 64 KiB (tcp_select_initial_window with the default buffer). */
function initialWindow(segmentSize: number): number {
  return Math.min(65535, Math.floor(65535 / segmentSize) * segmentSize);
}

function offeredOptions(packet: Packet): { sack: boolean; scale: boolean; timestamp: number | null } {
  const { bytes, transport } = packet;
  const end = transport + (bytes[transport + 12]! >>> 4) * 4;
  const offered: { sack: boolean; scale: boolean; timestamp: number | null } = {
    sack: false,
    scale: false,
    timestamp: null,
  };
  for (let at = transport + 20; at < end; ) {
    const kind = bytes[at]!;
    if (kind === 0) break;
    if (kind === 1) {
      at++;
      continue;
    }
    const length = bytes[at + 1]!;
    if (at + 2 > end || length < 2 || at + length > end) break;
    if (kind === 4 && length === 2) offered.sack = true;
    if (kind === 3 && length === 3) offered.scale = true;
    if (kind === 8 && length === 10) offered.timestamp = readUint32(bytes, at + 2);
    at += length;
  }
  return offered;
}

/** udp_rcv: port unreachable where no socket is open. */
function receiveUdp(kernel: Kernel, packet: Packet): void {
  if (!datagramIsRight(packet)) return;
  if (packet.route?.type === 'broadcast' || packet.route?.type === 'multicast') return;
  if (socketFor(kernel, packet) !== null) return;
  detach(packet);
  sendIcmpError(kernel, packet, UNREACHABLE, PORT_UNREACHABLE);
}

/** UDP lets go of the connection before it answers: the answer has to find it by itself (nf_reset_ct). */
export function detach(packet: Packet): void {
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

/** The socket that gets the packet: the one TPROXY chose, else one that is bound to its destination. */
export function socketFor(kernel: Kernel, packet: Packet): SocketAnswer | null {
  if (packet.socket !== null) return packet.socket;
  const connected = connectedSocket(kernel, packet);
  if (connected !== null) return connected;
  const { bytes, transport } = packet;
  return kernel.host.findSocket(
    packet.protocol,
    packet.family,
    addressOf(packet.src),
    readUint16(bytes, transport),
    addressOf(packet.dst),
    readUint16(bytes, transport + 2),
    packet.inDevice,
  );
}
