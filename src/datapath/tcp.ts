/** What listening sockets of this machine, and ports without any, answer to TCP segments (tcp_v4_rcv, tcp_v6_rcv). */
import { readUint16, readUint32, writeUint32 } from '../packet/bytes.ts';
import type { Packet } from '../packet/packet.ts';
import { setAddressOnly, tosOf } from '../packet/rewrite.ts';
import { composeTcpAnswer } from './compose.ts';
import { connectedSocket, reopensConnection } from './connected.ts';
import type { SocketAnswer } from './environment.ts';
import { answerOptions } from './ipv4/options.ts';
import { addressOf, type Kernel, noteAnswer, replyMark, sendFromKernel } from './kernel.ts';
import { resetFor } from './reject.ts';
import { type ConnectionRequest, judgeSegment, rememberRequest, requestOf } from './requests.ts';

const FIN = 1;
const SYN = 2;
const RST = 4;
const ACK = 16;
const ECE = 64;
const CWR = 128;
const NO_OPTIONS = { bytes: new Uint8Array(0), via: null, options: null };
/** What the machine's own windows are to be multiplied with, as a power of two. */
const WINDOW_SCALE = 7;

/** What a TCP segment to this machine is answered with; `reachable`: it was for an address of this machine alone. */
export function answerSegment(kernel: Kernel, packet: Packet, found: SocketAnswer | null, reachable: boolean): void {
  const { bytes, transport, family } = packet;
  const flags = bytes[transport + 13]!;
  let socket = found;
  if (socket !== null && connectedSocket(kernel, packet) === socket) {
    if (!reopensConnection(kernel, packet)) return;
    socket = socketFor(kernel, packet);
  }
  const request = socket === null ? null : requestOf(kernel, packet);
  if (socket !== null && request !== null) {
    const judgement = judgeSegment(kernel, packet, request, offeredOptions(packet).timestamp);
    if (judgement === 'again') acceptConnection(kernel, packet, socket, request);
    if (judgement === 'acknowledged') acknowledge(kernel, packet, request);
    if (judgement !== 'refused') return;
  } else if (socket !== null) {
    if ((flags & (SYN | FIN | ACK | RST)) === SYN) acceptConnection(kernel, packet, socket, null);
    // An acknowledgement of nothing is refused as on a port where nobody listens.
    if ((flags & ACK) === 0) return;
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

/** SYN+ACK of a listening socket, with the options that Linux takes over from the SYN; `known`: it has been answered before. */
function acceptConnection(kernel: Kernel, packet: Packet, socket: SocketAnswer, known: ConnectionRequest | null): void {
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
  if (offered.scale) options.push(1, 3, 3, WINDOW_SCALE);
  const echoed = (family === 4 ? answerOptions(kernel, packet, packet.dst[0]!) : null) ?? NO_OPTIONS;
  // A strict route must not lead over a gateway (inet_csk_route_req).
  const { via } = echoed;
  if (via !== null && packet.options?.strict) {
    if (kernel.host.route({ family, destination: [via, 0, 0, 0] }).gateway !== null) return;
  }
  const sequence = known?.sequence ?? kernel.random.next() >>> 0;
  const window = initialWindow(maximum - (offered.timestamp === null ? 0 : 12));
  const scaled = offered.scale;
  const { timestamp } = offered;
  const opened = readUint32(bytes, transport + 4);
  if (known === null) {
    rememberRequest(kernel, packet, { opened, sequence, timestamp, window, scaled, answered: null, socket });
  }
  const flags = SYN | ACK | (acceptsEcn(kernel, packet) ? ECE : 0);
  const answer = composeTcpAnswer(
    packet,
    { sequence, acknowledgement: (opened + 1) >>> 0, flags, window, options: Uint8Array.from(options) },
    { options: echoed.bytes },
  );
  answer.options = echoed.options;
  if (via !== null) setAddressOnly(answer, 'destination', [via, 0, 0, 0]);
  answer.mark = replyMark(kernel, family, packet);
  answer.checksumPending = true;
  answer.listener = socket.owner;
  noteAnswer(kernel, 'TCP SYN+ACK');
  sendFromKernel(kernel, answer);
}

/** Tells where a connection stands that was asked for (tcp_v4_reqsk_send_ack, tcp_v6_reqsk_send_ack). */
function acknowledge(kernel: Kernel, packet: Packet, request: ConnectionRequest): void {
  const { family } = packet;
  const options = new Uint8Array(request.timestamp === null ? 0 : 12);
  if (request.timestamp !== null) {
    options.set([1, 1, 8, 10]);
    writeUint32(options, 4, Math.floor(kernel.clock.real / 1000) >>> 0);
    writeUint32(options, 8, request.timestamp);
  }
  const sequence = (request.sequence + 1) >>> 0;
  const acknowledgement = (request.opened + 1) >>> 0;
  const window = request.scaled ? request.window >>> WINDOW_SCALE : request.window;
  const tos = tosOf(packet) & 0xfc;
  const answer = composeTcpAnswer(packet, { sequence, acknowledgement, flags: ACK, window, options }, { tos });
  answer.mark = replyMark(kernel, family, packet);
  answer.checksumPending = family === 6;
  answer.controlSocket = family === 4;
  answer.owner = request.socket.owner;
  noteAnswer(kernel, 'TCP ACK: not what comes next');
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
