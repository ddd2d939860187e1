import { addressEquals, formatAddress, parseAddress } from '../packet/address-text.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import { describePacket } from '../packet/notation/describe.ts';
import type { PacketDescription } from '../packet/notation/description.ts';
import { nearest } from '../packet/notation/error.ts';
import type { FlowDescription } from '../packet/notation/flow.ts';
import { formatEnd } from '../packet/notation/format.ts';
import { Protocol } from '../packet/protocol.ts';
import { converse, type Heard, type Reached, type Turn, turnBytes } from '../trace/conversation.ts';
import { type ConversationResult, NetworkError } from './description.ts';
import type { Hop, Lost, Network } from './network.ts';
import { type NetworkNode, socketKey } from './node.ts';

/** Who talks to whom. */
export interface Question {
  /** A host, with or without a source port: `laptop`, `laptop:40000`. */
  from: string;
  /** A host, a name or an address, with a port for tcp and udp: `163.com:443`, `[2001:db8::1]:80`. */
  to: string;
  /** Default: tcp with a port, echo requests without. */
  protocol: 'tcp' | 'udp' | 'icmp' | null;
  /** The address family to use for a name that has both; default the one that the client has an address of, IPv4 first. */
  family: Family | null;
}

/** One packet of a conversation, from the process that sent it to wherever it and the answers of the hosts themselves went. */
export interface SentPacket {
  from: 'client' | 'server';
  root: Hop;
}

/** Where and why a conversation ended. */
export interface Stop {
  host: string;
  /** For people. */
  reason: string;
  table: string | null;
  chain: string | null;
  rule: number | null;
}

export interface Conversation {
  client: string;
  /** Host that the first packet was delivered to; null if it was not. */
  server: string | null;
  protocol: 'tcp' | 'udp' | 'icmp';
  /** As the client sees it. */
  source: string;
  destination: string;
  /** Source and destination of the first packet as the far end saw it. */
  seenAs: { source: string; destination: string } | null;
  packets: SentPacket[];
  result: ConversationResult;
  /** Null if it was answered. */
  stop: Stop | null;
}

const DEFAULT_PORT = 40000;
/** Microseconds from a packet to the next of the same conversation. */
const GAP = 1000;

/** Plays a conversation through the network. Throws NetworkError where the question cannot be put. */
export function playConversation(network: Network, question: Question): Conversation {
  const { client, flow } = flowOf(network, question);
  const { first } = flow;
  const socket = socketKey(first.protocol, first.sourcePort ?? 0, first.destination, first.destinationPort ?? 0);
  const isSocket = first.protocol === Protocol.tcp || first.protocol === Protocol.udp;
  if (isSocket) client.sockets.add(socket);
  try {
    return play(network, client, flow);
  } finally {
    if (isSocket) client.sockets.delete(socket);
    network.now += GAP;
  }
}

/** The same question several times, from a source port more each time. */
export function repeatQuestion(question: Question, times: number): Question[] {
  const [host, port] = splitEnd(question.from);
  const first = port ?? DEFAULT_PORT;
  return Array.from({ length: times }, (_, index) => ({ ...question, from: `${host}:${first + index}` }));
}

function play(network: Network, client: NetworkNode, flow: FlowDescription): Conversation {
  const { first } = flow;
  const packets: SentPacket[] = [];
  const heardBy = new Map<Heard, string>();
  const turns = converse(flow);
  let server: string | null = null;
  let seenAs: Conversation['seenAs'] = null;
  let answered = false;
  let refusal: Stop | null = null;
  let stranger: Stop | null = null;
  let state = turns.next();
  while (!state.done) {
    const turn: Turn = state.value;
    const host = turn.answers === null ? client.name : heardBy.get(turn.answers)!;
    const root = network.send(host, turnBytes(turn), true);
    packets.push({ from: turn.from, root });
    const reached = reachedBy(root, network, client, first, heardBy);
    if (reached.client !== null) {
      if (isAnswer(reached.client.packet, first)) answered ||= countsAsAnswer(reached.client.packet);
      else if (isRefusal(reached.client.packet)) {
        refusal ??= refusalOf(reached.client, heardBy.get(reached.client)!, root);
      }
    }
    stranger ??= strangerOf(root, client, first);
    if (packets.length === 1) {
      const at = deliveries(root).find(({ bytes }) => !isForClient(describePacket(bytes), first));
      if (at !== undefined) {
        server = at.hop.host;
        const packet = describePacket(at.bytes);
        seenAs = { source: endText(packet, 'source'), destination: endText(packet, 'destination') };
      }
      // The server's machine has answered the SYN by itself; where that answer was lost nobody sends another.
      if (first.protocol === Protocol.tcp) reached.server = null;
    }
    network.now += GAP;
    state = turns.next(reached);
  }
  const refused = refusal !== null && !answered;
  const result: ConversationResult = refused ? 'refused' : answered ? 'answered' : 'lost';
  return {
    client: client.name,
    server,
    protocol: first.protocol === Protocol.tcp ? 'tcp' : first.protocol === Protocol.udp ? 'udp' : 'icmp',
    source: endText(first, 'source'),
    destination: endText(first, 'destination'),
    seenAs,
    packets,
    result,
    stop: result === 'answered' ? null : (refusal ?? stranger ?? lossOf(packets.at(-1)!.root)),
  };
}

/** TCP is answered when data came back, for the handshake alone says nothing of what the way lets through. */
function countsAsAnswer(packet: PacketDescription): boolean {
  return packet.protocol !== Protocol.tcp || (packet.payload?.length ?? 0) > 0;
}

/** A packet of the conversation itself, no reset and no ICMP error. */
function isAnswer(packet: PacketDescription, first: PacketDescription): boolean {
  if (packet.protocol !== first.protocol) return false;
  if (packet.protocol === Protocol.tcp) return (packet.tcpFlags! & RST) === 0;
  if (packet.protocol === Protocol.icmp) return packet.icmpType === 0;
  if (packet.protocol === Protocol.icmpv6) return packet.icmpType === 129;
  return true;
}

const RST = 4;

/** A reset, or an ICMP error that a socket reports: no redirect, nor the size that fits through. */
function isRefusal({ protocol, family, icmpType, icmpCode }: PacketDescription): boolean {
  if (protocol !== Protocol.icmp && protocol !== Protocol.icmpv6) return true;
  if (family === 6) return icmpType === 1 || icmpType === 3 || icmpType === 4;
  return (icmpType === 3 && icmpCode !== FRAGMENTATION_NEEDED) || icmpType === 11 || icmpType === 12;
}

const FRAGMENTATION_NEEDED = 4;

/** An answer that came from somebody whom the client did not ask: past the translation on the way back. Its socket does not take it. */
function strangerOf(root: Hop, client: NetworkNode, first: PacketDescription): Stop | null {
  if (first.sourcePort === undefined) return null;
  for (const { hop, bytes } of deliveries(root)) {
    if (hop.host !== client.name) continue;
    const packet = describePacket(bytes);
    const same = packet.protocol === first.protocol && packet.destinationPort === first.sourcePort;
    if (!same || !addressEquals(packet.destination, first.source) || isFromServer(packet, first)) continue;
    const reason = `an answer came from ${endText(packet, 'source')}, not from ${endText(first, 'destination')}`;
    return { ...NOWHERE, host: client.name, reason };
  }
  return null;
}

function isFromServer(packet: PacketDescription, first: PacketDescription): boolean {
  return packet.sourcePort === first.destinationPort && addressEquals(packet.source, first.destination);
}

interface Delivery {
  hop: Hop;
  bytes: Uint8Array;
}

/** Everything that was delivered to a host because of a packet, in order. */
function deliveries(root: Hop): Delivery[] {
  const found: Delivery[] = [];
  for (const hop of hopsOf(root)) for (const { bytes } of hop.delivered) found.push({ hop, bytes });
  return found;
}

/** All hops of a tree, nearest first. */
export function hopsOf(root: Hop): Hop[] {
  const hops: Hop[] = [root];
  for (const hop of hops) for (const next of hop.next) if (next.kind === 'hop') hops.push(next);
  return hops;
}

function reachedBy(
  root: Hop,
  network: Network,
  client: NetworkNode,
  first: PacketDescription,
  heardBy: Map<Heard, string>,
): Reached {
  const reached: Reached = { client: null, server: null };
  for (const { hop, bytes } of deliveries(root)) {
    const packet = describePacket(bytes);
    const heard: Heard = { packet, bytes, device: null, linkHeader: null };
    if (hop.host === client.name && isForClient(packet, first)) {
      reached.client ??= heard;
      heardBy.set(heard, hop.host);
    } else if (isOpen(network.nodes.get(hop.host)!, packet)) {
      reached.server ??= heard;
      heardBy.set(heard, hop.host);
    }
  }
  return reached;
}

function isForClient(packet: PacketDescription, first: PacketDescription): boolean {
  if (packet.raw !== undefined || packet.family !== first.family) return false;
  if (!addressEquals(packet.destination, first.source)) return false;
  if (packet.protocol === first.protocol && first.sourcePort !== undefined) {
    return packet.destinationPort === first.sourcePort && isFromServer(packet, first);
  }
  return !(packet.icmpType === ECHO[packet.family]);
}

const ECHO = { 4: 8, 6: 128 } as const;

/** Whether a process of the machine reads the packet. */
function isOpen({ host }: NetworkNode, packet: PacketDescription): boolean {
  if (packet.protocol !== Protocol.tcp && packet.protocol !== Protocol.udp) return false;
  const { protocol, family, source, destination } = packet;
  return (
    host.findSocket(protocol, family, source, packet.sourcePort!, destination, packet.destinationPort!, null) !== null
  );
}

function refusalOf(heard: Heard, client: string, root: Hop): Stop {
  const { packet } = heard;
  const what =
    packet.protocol === Protocol.tcp
      ? 'a TCP reset'
      : `an ICMP error (type ${packet.icmpType} code ${packet.icmpCode})`;
  // Who answered is the last host before the way turns back to the client.
  const refuser = hopsOf(root).find(
    (hop) => hop.outcome.verdict === 'rejected' || hop.steps.some((step) => step.kind === 'answer'),
  );
  if (refuser === undefined) return { ...NOWHERE, host: client, reason: `${what} came back` };
  const { table, chain, rule, verdict } = refuser.outcome;
  const by = verdict === 'rejected' ? { table, chain, rule } : {};
  return { ...NOWHERE, ...by, host: refuser.host, reason: `${what} came back` };
}

const NOWHERE = { table: null, chain: null, rule: null } as const;

/** Where a packet, or the answer of a host to it, got lost: where a rule dropped it, else the farthest point that it reached. */
function lossOf(root: Hop): Stop {
  const hops = hopsOf(root);
  const dropper = hops.findLast(({ outcome }) => outcome.verdict === 'dropped' && outcome.table !== null);
  const hop = dropper ?? hops.at(-1)!;
  const lost = hops
    .flatMap(({ host, next }) =>
      next.filter((each): each is Lost => each.kind === 'lost').map(({ reason }) => ({ host, reason })),
    )
    .at(-1);
  if (dropper === undefined && lost !== undefined) return { ...NOWHERE, ...lost };
  const { table, chain, rule, reason, verdict } = hop.outcome;
  if (verdict === 'delivered') return { ...NOWHERE, host: hop.host, reason: 'it was delivered, but nobody answers' };
  return { host: hop.host, table, chain, rule, reason: reason ?? verdict };
}

function endText(packet: PacketDescription, side: 'source' | 'destination'): string {
  const port = side === 'source' ? packet.sourcePort : packet.destinationPort;
  return formatEnd(packet.family, packet[side], port ?? null);
}

/** The conversation's first packet and how it goes on. */
function flowOf(network: Network, question: Question): { client: NetworkNode; flow: FlowDescription } {
  const [name, sourcePort] = splitEnd(question.from);
  const client = network.nodes.get(name);
  if (client === undefined) throw unknown(`no host ${name}`, name, network.nodes.keys());
  const [to, port] = splitEnd(question.to);
  const word = question.protocol ?? (port === null ? 'icmp' : 'tcp');
  if (word !== 'icmp' && port === null) throw new NetworkError([], `${word} needs a port: ${question.to}:443`);
  if (word === 'icmp' && port !== null) throw new NetworkError([], `icmp has no ports: ${to}`);
  const target = chooseAddress(network, client, to, question.family);
  const { family, words: destination } = target;
  const route = client.host.route({ family, destination });
  const source =
    route.preferredSource ??
    (route.type === 'local'
      ? destination
      : route.device && client.host.sourceAddress(family, route.device, destination));
  if (source === null) {
    throw new NetworkError(
      [],
      `${name} has no route to ${formatAddress(family, destination)}, or no address to send from`,
    );
  }
  const text = new TextEncoder();
  const protocol =
    word === 'tcp' ? Protocol.tcp : word === 'udp' ? Protocol.udp : family === 4 ? Protocol.icmp : Protocol.icmpv6;
  const first: PacketDescription = { family, protocol, source, destination };
  if (word === 'icmp') Object.assign(first, { icmpType: ECHO[family], icmpCode: 0, icmpRest: 0x0001_0001 });
  else Object.assign(first, { sourcePort: sourcePort ?? DEFAULT_PORT, destinationPort: port });
  return {
    client,
    flow: {
      first,
      request: text.encode('request\n'),
      reply: text.encode('answer\n'),
      rounds: 1,
      gap: GAP,
      close: 'client',
      far: 'answer',
    },
  };
}

type Address = { family: Family; words: AddressWords };

function chooseAddress(network: Network, client: NetworkNode, to: string, family: Family | null): Address {
  const addresses = addressesOf(network, to).filter((address) => family === null || address.family === family);
  if (addresses.length === 0) throw new NetworkError([], `${to} has no IPv${family ?? 4} address`);
  const usable = (address: Address): boolean => {
    const { type } = client.host.route({ family: address.family, destination: address.words });
    return type === 'unicast' || type === 'local';
  };
  const ordered = [...addresses].sort((a, b) => a.family - b.family);
  return ordered.find(usable) ?? ordered[0]!;
}

/** Addresses of a name: an address itself, a name of the file, a host's own. */
function addressesOf(network: Network, to: string): Address[] {
  const literal = parseAddress(to);
  if (literal !== null) return [literal];
  const named = network.plan.names.get(to);
  if (named !== undefined) {
    return named.map((text) => {
      const address = parseAddress(text);
      if (address === null) throw new NetworkError(['names', to], `"${text}" is no address`);
      return address;
    });
  }
  const node = network.nodes.get(to);
  if (node === undefined)
    throw unknown(`no host or name ${to}`, to, [...network.nodes.keys(), ...network.plan.names.keys()]);
  const addresses = node.host.devices
    .filter((device) => device.kind !== 'loopback')
    .flatMap((device) => device.addresses.map(({ family, address }) => ({ family, words: address })));
  if (addresses.length === 0) throw new NetworkError([], `${to} has no address`);
  return addresses;
}

function unknown(message: string, name: string, candidates: Iterable<string>): NetworkError {
  const near = nearest(name, candidates);
  return new NetworkError([], near === null ? message : `${message}: did you mean ${near}?`);
}

/** `name:port`, `[2001:db8::1]:port`, or without a port. */
function splitEnd(text: string): [string, number | null] {
  const match = /^\[([^\]]+)\](?::(\d+))?$/.exec(text) ?? /^([^:]+)(?::(\d+))?$/.exec(text);
  if (match === null) return [text, null];
  const port = match[2] === undefined ? null : Number(match[2]);
  if (port !== null && port > 65535) throw new NetworkError([], `${text}: a port is a number to 65535`);
  return [match[1]!, port];
}
