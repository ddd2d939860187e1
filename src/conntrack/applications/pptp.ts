import { readUint16, readUint32 } from '../../packet/bytes.ts';
import { ConntrackInfo } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { Direction } from '../connection.ts';
import type { ConntrackEntries } from '../entries.ts';
import type { Entry } from '../entry.ts';
import type { Expectation } from '../expectations.ts';
import { newTupleWords } from '../tuple.ts';
import type { Application, Sighting } from './application.ts';
import { expect, expectation, isTranslated } from './expecting.ts';
import { replacePayload, tcpData } from './payload.ts';

const MAGIC = 0x1a2b3c4d;
/** Bytes before a message's own fields: length, type, magic cookie; message type, reserved. */
const HEADER = 12;

const Message = {
  startRequest: 1,
  startReply: 2,
  stopRequest: 3,
  stopReply: 4,
  outCallRequest: 7,
  outCallReply: 8,
  inCallRequest: 9,
  inCallReply: 10,
  inCallConnect: 11,
  clearRequest: 12,
  disconnectNotify: 13,
  wanErrorNotify: 14,
  setLinkInfo: 15,
} as const;

/** Least length of each message's own fields (RFC 2637, 2). */
const SIZES: readonly number[] = [0, 144, 144, 4, 4, 0, 0, 156, 20, 208, 12, 16, 4, 136, 28, 12];

const Session = { none: 0, error: 1, stopping: 2, requested: 3, confirmed: 4 } as const;
const Call = {
  none: 0,
  outRequested: 1,
  outConfirmed: 2,
  inRequested: 3,
  inReplied: 4,
  inConfirmed: 5,
  clearing: 6,
} as const;

/** `struct nf_ct_pptp_master` and `struct nf_nat_pptp`: PNS is the client, PAC the server. */
export interface PptpMemory {
  session?: number;
  call?: number;
  pacCall?: number;
  pnsCall?: number;
  /** Call ids as they were before NAT. */
  natPnsCall?: number;
  natPacCall?: number;
}

function help(sighting: Sighting): string | null {
  const { packet, direction } = sighting;
  const { bytes, conntrackInfo } = packet;
  if (conntrackInfo !== ConntrackInfo.established && conntrackInfo !== ConntrackInfo.establishedReply) return null;
  const data = tcpData(sighting);
  if (data < 0 || data + HEADER > bytes.length) return null;
  if (readUint16(bytes, data + 2) !== 1 || readUint32(bytes, data + 4) !== MAGIC) return null;
  const message = readUint16(bytes, data + 8);
  if (bytes.length - data - HEADER < (SIZES[message] ?? 0)) return null;
  const memory = sighting.memory as PptpMemory;
  const field = data + HEADER;
  const translated = isTranslated(sighting);
  if (direction === Direction.original) {
    if (!fromClient(bytes, field, message, memory) || !translated) return null;
    return translateClient(sighting, field, message, memory);
  }
  if (!fromServer(sighting, field, message, memory) || !translated) return null;
  return translateServer(sighting, field, message, memory);
}

/** pptp_outbound_pkt; false: a message that does not fit the state, which passes as it is. */
function fromClient(bytes: Uint8Array, field: number, message: number, memory: PptpMemory): boolean {
  const { session = Session.none, call = Call.none } = memory;
  switch (message) {
    case Message.startRequest:
      if (session !== Session.none) return false;
      memory.session = Session.requested;
      return true;
    case Message.stopRequest:
      memory.session = Session.stopping;
      return true;
    case Message.outCallRequest:
      if (session !== Session.confirmed) return false;
      memory.call = Call.outRequested;
      memory.pnsCall = readUint16(bytes, field);
      return true;
    case Message.inCallReply:
      if (call !== Call.inRequested && call !== Call.inReplied) return false;
      if (memory.pacCall !== readUint16(bytes, field + 2)) return false;
      memory.call = bytes[field + 4] === 1 ? Call.inReplied : Call.none;
      if (bytes[field + 4] === 1) memory.pnsCall = readUint16(bytes, field);
      return true;
    case Message.clearRequest:
      if (session !== Session.confirmed) return false;
      memory.call = Call.clearing;
      return true;
    default:
      return message === Message.setLinkInfo || message === 5 || message === 6;
  }
}

/** pptp_inbound_pkt. */
function fromServer(sighting: Sighting, field: number, message: number, memory: PptpMemory): boolean {
  const { bytes } = sighting.packet;
  const { session = Session.none, call = Call.none, pnsCall = 0, pacCall = 0 } = memory;
  switch (message) {
    case Message.startReply:
      if (session < Session.requested) return false;
      memory.session = bytes[field + 2] === 1 ? Session.confirmed : Session.error;
      return true;
    case Message.stopReply:
      if (session > Session.stopping) return false;
      memory.session = bytes[field] === 1 ? Session.none : Session.error;
      return true;
    case Message.outCallReply: {
      if (session !== Session.confirmed || (call !== Call.outRequested && call !== Call.outConfirmed)) return false;
      const id = readUint16(bytes, field);
      const peer = readUint16(bytes, field + 2);
      if (pnsCall !== peer) return false;
      memory.call = bytes[field + 4] === 1 ? Call.outConfirmed : Call.none;
      if (bytes[field + 4] === 1) {
        memory.pacCall = id;
        expectCall(sighting, id, peer, memory);
      }
      return true;
    }
    case Message.inCallRequest:
      if (session !== Session.confirmed) return false;
      memory.call = Call.inRequested;
      memory.pacCall = readUint16(bytes, field);
      return true;
    case Message.inCallConnect: {
      if (session !== Session.confirmed || (call !== Call.inReplied && call !== Call.inConfirmed)) return false;
      if (pnsCall !== readUint16(bytes, field)) return false;
      memory.call = Call.inConfirmed;
      expectCall(sighting, pacCall, pnsCall, memory);
      return true;
    }
    case Message.disconnectNotify:
      memory.call = Call.none;
      endCalls(sighting.entry, memory, sighting.conntrack);
      return true;
    default:
      return message === Message.wanErrorNotify || message === Message.setLinkInfo || message === 5 || message === 6;
  }
}

/** GRE is awaited both ways (exp_gre). */
function expectCall(sighting: Sighting, call: number, peer: number, memory: PptpMemory): void {
  const { entry, conntrack } = sighting;
  const make = (direction: Direction, source: number, destination: number): Expectation => {
    const at = entry.tupleAt(direction);
    const awaited = expectation(sighting, 'pptp', {
      protocol: Protocol.gre,
      source: { words: entry.words, at },
      sourcePort: source,
      destination: { words: entry.words, at: at + 4 },
      destinationPort: destination,
    });
    awaited.translate = 'pptp';
    awaited.direction = direction;
    return awaited;
  };
  const forth = make(Direction.original, peer, call);
  const back = make(Direction.reply, call, peer);
  if (isTranslated(sighting)) {
    const { pnsCall = 0, pacCall = 0, natPnsCall = 0 } = memory;
    memory.natPacCall = pacCall;
    forth.savedPort = pnsCall;
    forth.tuple[8] = ((natPnsCall << 16) | pacCall) >>> 0;
    back.savedPort = natPnsCall;
    back.tuple[8] = ((pacCall << 16) | pnsCall) >>> 0;
  }
  if (expect(sighting, forth) !== 'ok') return;
  if (expect(sighting, back) !== 'ok') {
    forth.dead = true;
    return;
  }
  if (conntrack.greKeys.some((known) => known.master === entry.slot)) return;
  for (const awaited of [forth, back]) {
    conntrack.greKeys.push({
      tuple: awaited.tuple.slice(),
      key: awaited.tuple[8]! >>> 16,
      master: entry.slot,
      direction: awaited.direction,
    });
  }
}

function translateClient(sighting: Sighting, field: number, message: number, memory: PptpMemory): string | null {
  const { entry } = sighting;
  switch (message) {
    case Message.outCallRequest:
      memory.natPnsCall = memory.pnsCall ?? 0;
      // The source port that the world sees serves as call id.
      memory.pnsCall = entry.words[entry.tupleAt(Direction.reply) + 8]! & 0xffff;
      break;
    case Message.inCallReply:
    case Message.clearRequest:
      break;
    default:
      return null;
  }
  return writeCall(sighting, field, memory.pnsCall ?? 0);
}

function translateServer(sighting: Sighting, field: number, message: number, memory: PptpMemory): string | null {
  const call = memory.natPnsCall ?? 0;
  switch (message) {
    case Message.outCallReply:
      return writeCall(sighting, field + 2, call);
    case Message.inCallConnect:
    case Message.wanErrorNotify:
    case Message.disconnectNotify:
    case Message.setLinkInfo:
      return writeCall(sighting, field, call);
    default:
      return null;
  }
}

function writeCall(sighting: Sighting, at: number, call: number): string | null {
  const text = String.fromCharCode(call >>> 8, call & 0xff);
  return replacePayload(sighting, at, 2, text) ? null : 'the packet cannot be changed';
}

/** The calls of a control connection end with it (pptp_destroy_siblings). */
function endCalls(entry: Entry, memory: PptpMemory, conntrack: ConntrackEntries): void {
  const { greKeys } = conntrack;
  for (let i = greKeys.length - 1; i >= 0; i--) if (greKeys[i]!.master === entry.slot) greKeys.splice(i, 1);
  const { pnsCall = 0, pacCall = 0 } = memory;
  const keys = [((pnsCall << 16) | pacCall) >>> 0, ((pacCall << 16) | pnsCall) >>> 0];
  const tuple = newTupleWords();
  for (const direction of [Direction.original, Direction.reply]) {
    const at = entry.tupleAt(direction);
    tuple.set(entry.words.subarray(at, at + 8));
    tuple[8] = keys[direction]!;
    tuple[9] = (entry.family << 8) | Protocol.gre;
    const node = conntrack.lookup(tuple, 0, entry.zone(Direction.original), entry.zone(Direction.reply));
    if (node >= 0) conntrack.kill(conntrack.entry(node >>> 1));
    else {
      const awaited = conntrack.expectations.find(tuple, entry.zoneWord & 0xffff, conntrack.now());
      if (awaited !== null) awaited.dead = true;
    }
  }
}

/** PPTP (RFC 2637): the control connection announces GRE with call ids. nf_conntrack_pptp.c, nf_nat_pptp.c. */
export const pptp: Application = {
  name: 'pptp',
  policies: [{ name: 'pptp', max: 2, timeout: 300 }],
  help,
  end: (entry, memory, conntrack) => endCalls(entry, memory as PptpMemory, conntrack),
};
