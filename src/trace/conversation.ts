import type { Outcome } from '../datapath/machine-contract.ts';
import type { Device } from '../host/device.ts';
import { addressEquals } from '../packet/address-text.ts';
import { buildPacket } from '../packet/notation/build.ts';
import { describePacket } from '../packet/notation/describe.ts';
import type { PacketDescription } from '../packet/notation/description.ts';
import type { FlowDescription } from '../packet/notation/flow.ts';
import { Protocol } from '../packet/protocol.ts';

const FIN = 1;
const SYN = 2;
const RST = 4;
const PSH = 8;
const ACK = 16;

/** A packet as it came to one of the two ends. */
export interface Heard {
  packet: PacketDescription;
  bytes: Uint8Array;
  /** Where it left the machine; null if it was delivered to it. */
  device: Device | null;
  /** Its Ethernet header, for the answer. */
  linkHeader: Uint8Array | null;
}

/** One packet of the conversation. */
export interface Turn {
  from: 'client' | 'server';
  packet: PacketDescription;
  /** For a server's packet: what it answers, which says where it comes in. */
  answers: Heard | null;
}

/** What came to each end because of the last packet. */
export interface Reached {
  client: Heard | null;
  server: Heard | null;
}

/**
 * Plays a flow: yields packet after packet and is told what reached whom. The far end answers to the packet that really left,
 * so that address translation is seen undone on the way back; a conversation that is cut off ends there.
 */
export function converse(flow: FlowDescription): Generator<Turn, void, Reached> {
  switch (flow.first.protocol) {
    case Protocol.tcp:
      return converseTcp(flow);
    case Protocol.udp:
      return converseUdp(flow);
    default:
      return converseEcho(flow);
  }
}

/** Sequence number at which the far end starts. */
const SERVER_START = 5000;

function* converseTcp(flow: FlowDescription): Generator<Turn, void, Reached> {
  const { first, far } = flow;
  const opening = { ...first, payload: EMPTY, tcpFlags: first.tcpFlags ?? SYN };
  let reached = yield fromClient(opening);
  if (reached.client === null) {
    if (reached.server === null || far === 'silent') return;
    reached =
      far === 'refuse'
        ? yield fromServer(reached.server, RST | ACK, 0)
        : yield fromServer(reached.server, SYN | ACK, SERVER_START);
  }
  // The client heard SYN+ACK from the far end, or from this machine itself.
  let heard = accepted(reached.client);
  if (heard === null || !(heard.packet.tcpFlags! & SYN)) return;
  reached = yield clientTcp(flow, heard, ACK, EMPTY);
  let server = accepted(reached.server);
  if (server === null) return;

  for (let round = 0; round < flow.rounds; round++) {
    reached = yield clientTcp(flow, heard, PSH | ACK, flow.request);
    server = accepted(reached.server);
    if (server === null) return;
    reached = yield fromServer(server, PSH | ACK, server.packet.acknowledgement ?? 0, flow.reply);
    heard = accepted(reached.client);
    if (heard === null) return;
    reached = yield clientTcp(flow, heard, ACK, EMPTY);
    server = accepted(reached.server);
    if (server === null) return;
  }
  yield* closeTcp(flow, heard, server);
}

function* closeTcp(flow: FlowDescription, heard: Heard, server: Heard): Generator<Turn, void, Reached> {
  if (flow.close === 'none') return;
  if (flow.close === 'reset') {
    yield clientTcp(flow, heard, RST | ACK, EMPTY);
    return;
  }
  if (flow.close === 'client') {
    const atServer = accepted((yield clientTcp(flow, heard, FIN | ACK, EMPTY)).server);
    if (atServer === null) return;
    const atClient = accepted((yield fromServer(atServer, FIN | ACK, atServer.packet.acknowledgement ?? 0)).client);
    if (atClient !== null) yield clientTcp(flow, atClient, ACK, EMPTY);
    return;
  }
  const atClient = accepted((yield fromServer(server, FIN | ACK, server.packet.acknowledgement ?? 0)).client);
  if (atClient === null) return;
  const atServer = accepted((yield clientTcp(flow, atClient, FIN | ACK, EMPTY)).server);
  if (atServer !== null) yield fromServer(atServer, ACK, atServer.packet.acknowledgement ?? 0);
}

function* converseUdp(flow: FlowDescription): Generator<Turn, void, Reached> {
  for (let round = 0; round < flow.rounds; round++) {
    const reached = yield fromClient({ ...flow.first, payload: flow.request });
    // An answer of the machine itself (port unreachable, REJECT) ends it.
    if (reached.client !== null || reached.server === null) return;
    if (flow.far === 'silent') continue;
    if (flow.far === 'refuse') {
      yield { from: 'server', packet: unreachable(reached.server), answers: reached.server };
      return;
    }
    yield { from: 'server', packet: { ...ends(reached.server.packet), payload: flow.reply }, answers: reached.server };
  }
}

function* converseEcho(flow: FlowDescription): Generator<Turn, void, Reached> {
  const rest = flow.first.icmpRest ?? 0x0001_0001;
  for (let round = 0; round < flow.rounds; round++) {
    const sequence = ((rest & 0xffff) + round) & 0xffff;
    const icmpRest = ((rest & 0xffff0000) | sequence) >>> 0;
    const { client, server } = yield fromClient({ ...flow.first, payload: flow.request, icmpRest });
    if (client !== null && client.packet.icmpType !== 0 && client.packet.icmpType !== 129) return;
    if (client !== null || flow.far === 'silent') continue;
    if (server === null) return;
    if (flow.far === 'refuse') {
      yield { from: 'server', packet: unreachable(server), answers: server };
      return;
    }
    const packet = {
      ...ends(server.packet),
      icmpType: server.packet.family === 4 ? 0 : 129,
      icmpRest: server.packet.icmpRest ?? 0,
      payload: server.packet.payload ?? EMPTY,
    };
    yield { from: 'server', packet, answers: server };
  }
}

const EMPTY = new Uint8Array(0);

function fromClient(packet: PacketDescription): Turn {
  return { from: 'client', packet, answers: null };
}

/** A segment that goes on with the conversation; null where it was cut off: nothing came, or RST, or an ICMP error. */
function accepted(heard: Heard | null): Heard | null {
  if (heard === null || heard.packet.protocol !== Protocol.tcp || heard.packet.raw !== undefined) return null;
  return heard.packet.tcpFlags! & RST ? null : heard;
}

/** Source and destination exchanged. */
function ends(packet: PacketDescription): PacketDescription {
  const answer: PacketDescription = {
    family: packet.family,
    protocol: packet.protocol,
    source: packet.destination,
    destination: packet.source,
  };
  if (packet.destinationPort !== undefined) answer.sourcePort = packet.destinationPort;
  if (packet.sourcePort !== undefined) answer.destinationPort = packet.sourcePort;
  return answer;
}

/** What the other end expects next: everything that the segment takes in sequence numbers, SYN and FIN included. */
function following(packet: PacketDescription): number {
  const flags = packet.tcpFlags ?? 0;
  const length = (packet.payload?.length ?? 0) + (flags & SYN ? 1 : 0) + (flags & FIN ? 1 : 0);
  return ((packet.sequence ?? 0) + length) >>> 0;
}

function fromServer(heard: Heard, flags: number, sequence: number, payload: Uint8Array = EMPTY): Turn {
  const packet = {
    ...ends(heard.packet),
    tcpFlags: flags,
    sequence,
    acknowledgement: following(heard.packet),
    payload,
  };
  if (flags & RST) Object.assign(packet, { window: 0 });
  return { from: 'server', packet, answers: heard };
}

/** The client's next segment: what it sends follows from what it heard last. */
function clientTcp(flow: FlowDescription, heard: Heard, flags: number, payload: Uint8Array): Turn {
  const { tcpOptions, ...rest } = flow.first;
  return fromClient({
    ...rest,
    tcpFlags: flags,
    sequence: heard.packet.acknowledgement ?? 0,
    acknowledgement: following(heard.packet),
    payload,
  });
}

/** Port unreachable about a packet, from its destination. */
function unreachable(heard: Heard): PacketDescription {
  const { packet, bytes } = heard;
  const is4 = packet.family === 4;
  return {
    family: packet.family,
    protocol: is4 ? Protocol.icmp : Protocol.icmpv6,
    source: packet.destination,
    destination: packet.source,
    icmpType: is4 ? 3 : 1,
    icmpCode: is4 ? 3 : 4,
    payload: bytes.slice(0, is4 ? 548 : 1232),
  };
}

/**
 * Who got what of an outcome: the client is where its address is the destination; what leaves otherwise,
 * or is delivered, goes to the far end.
 *
 * @param client the client's own packet, as described
 * @param clientIsLocal whether the machine itself is the client
 */
export function reachedBy(outcome: Outcome, client: PacketDescription, clientIsLocal: boolean): Reached {
  const reached: Reached = { client: null, server: null };
  for (const { device, linkHeader, bytes } of outcome.emitted) {
    if (device.kind === 'loopback') continue;
    const heard: Heard = {
      packet: describePacket(bytes),
      bytes: bytes.slice(),
      device,
      linkHeader: linkHeader.slice(),
    };
    if (!clientIsLocal && isFor(client, heard.packet)) reached.client ??= heard;
    else reached.server ??= heard;
  }
  for (const { bytes } of outcome.delivered) {
    const heard: Heard = { packet: describePacket(bytes), bytes: bytes.slice(), device: null, linkHeader: null };
    if (clientIsLocal && isFor(client, heard.packet)) reached.client ??= heard;
    else reached.server ??= heard;
  }
  return reached;
}

function isFor(client: PacketDescription, packet: PacketDescription): boolean {
  if (!addressEquals(packet.destination, client.source)) return false;
  return (
    packet.protocol !== client.protocol ||
    (packet.destinationPort ?? 0) === (client.sourcePort ?? packet.destinationPort ?? 0)
  );
}

export function turnBytes(turn: Turn): Uint8Array {
  return buildPacket(turn.packet);
}
