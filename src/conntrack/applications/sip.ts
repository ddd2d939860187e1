import { readUint32 } from '../../packet/bytes.ts';
import { ConntrackInfo } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { Status } from '../connection.ts';
import { type Expectation, ExpectationFlag } from '../expectations.ts';
import { addShift } from '../sequence.ts';
import type { Application, Sighting } from './application.ts';
import { expectation, expectOrRefuse, refuse } from './expecting.ts';
import { tcpData } from './payload.ts';
import { isSame, SipMessage } from './sip-message.ts';
import {
  firstUri,
  getHeader,
  isFound,
  nextUri,
  numberAt,
  numberParameter,
  parameter,
  readAddress,
  type Span,
  sessionLine,
} from './sip-text.ts';
import {
  expectMedia,
  expectSignalling,
  replaceMediaPort,
  TOO_LARGE,
  translateMediaAddress,
  translateMessage,
  translateSession,
} from './sip-translate.ts';

/** Classes of expectations. */
const SIGNALLING = 0;
const MEDIA: readonly { word: string; class: number }[] = [
  { word: 'audio ', class: 1 },
  { word: 'video ', class: 2 },
  { word: 'image ', class: 3 },
];
/** Microseconds that the connection lives after each message. */
const TIMEOUT = 3600e6;
const LEAST_MESSAGE = 'SIP/2.0 200'.length;
const NOT_ADDED = 'the expectation cannot be added';
const LEAST_PORT = 1024;

type Handled = string | null;

function forget(message: SipMessage, media: boolean): void {
  const { conntrack, entry } = message.sighting;
  for (const awaited of conntrack.expectations.of(entry.slot)) {
    if ((awaited.class !== SIGNALLING) !== media) continue;
    conntrack.expectations.remove(awaited);
    if (!media) break;
  }
}

/** An expectation of this machine's helper about the same stream by another connection, and where the stream then really goes. */
function known(message: SipMessage, tuple: Uint32Array, ofClass: number): Expectation | null {
  const { conntrack, entry } = message.sighting;
  const found = conntrack.expectations.find(tuple, entry.zoneWord & 0xffff, conntrack.now());
  if (found === null || found.master === entry.slot || found.helper !== 'sip' || found.class !== ofClass) return null;
  return found;
}

/** Expects the two streams of a medium; the address that the other side is told, or why the packet is dropped (set_expected_rtp_rtcp). */
function expectStreams(
  message: SipMessage,
  address: readonly number[],
  port: number,
  ofClass: number,
  place: Span,
): { address: readonly number[] } | string {
  const { sighting, offsets } = message;
  const { words } = sighting.entry;
  // Media for somebody else: no business of this connection.
  if (!message.isAt(address, offsets.ownSource)) return { address };
  const make = (to: readonly number[], at: number): Expectation =>
    expectation(sighting, 'sip', {
      protocol: Protocol.udp,
      source: { words, at: offsets.seenSource },
      destination: { words: to, at: 0 },
      destinationPort: at,
      class: ofClass,
    });
  let [to, number] = [address, port];
  let direct = false;
  let skip = false;
  while (!skip) {
    const other = known(message, make(to, number).tuple, ofClass);
    if (other === null) break;
    const saved = other.savedAddress;
    const changed =
      saved !== null && (!isSame(saved, other.tuple.subarray(4, 8)) || other.savedPort !== (other.tuple[8]! & 0xffff));
    if (!direct && changed && message.translated) {
      to = Array.from(saved);
      number = other.savedPort;
      direct = true;
    } else skip = true;
  }
  const even = number & ~1;
  if (direct && !replaceMediaPort(message, place, even)) return TOO_LARGE;
  if (skip) return { address: to };
  const media = make(to, even);
  const control = make(to, even + 1);
  if (message.translated && !direct) {
    const told = expectMedia(message, media, control, place);
    return typeof told === 'string' ? told : { address: told };
  }
  const { expectations } = sighting.conntrack;
  const now = sighting.conntrack.now();
  const first = expectations.add(media, now, true);
  if (first !== 'ok' && first !== 'other-class') return NOT_ADDED;
  const second = expectations.add(control, now, true);
  if (second === 'ok' || second === 'other-class') return { address: to };
  if (first === 'ok') expectations.remove(media);
  return NOT_ADDED;
}

/** Session descriptions announce where media go (process_sdp). */
function readSession(message: SipMessage): Handled {
  const { family } = message;
  const version = sessionLine(message.text, family, 'v', 0);
  if (!isFound(version)) return null;
  const session = version.at;
  const addressIn = (from: number): readonly number[] | null => {
    const found = sessionLine(message.text, family, 'c', from, 'm');
    return isFound(found) ? (readAddress(message.text, found.at, family)?.words ?? null) : null;
  };
  const common = addressIn(session);
  let told = common;
  let from = session;
  for (let count = 0; count < MEDIA.length; ) {
    const found = sessionLine(message.text, family, 'm', from);
    if (!isFound(found)) break;
    from = found.at;
    const kind = MEDIA.find(({ word }) => found.length >= word.length && message.text.startsWith(word, found.at));
    if (kind === undefined) {
      from += found.length;
      continue;
    }
    from += kind.word.length;
    const place = { at: from, length: found.length - kind.word.length };
    const port = numberAt(message.text, from) ?? 0;
    // A stream that is not active.
    if (port === 0) continue;
    if (port < LEAST_PORT || port > 65535) {
      return refuse(message.sighting, `wrong port ${port}`, `a medium with port ${port}`);
    }
    const own = addressIn(from);
    told = own ?? common;
    if (told === null) return refuse(message.sighting, 'cannot parse SDP message', 'a medium without an address');
    const expected = expectStreams(message, told, port, kind.class, place);
    if (typeof expected === 'string') return refuse(message.sighting, 'cannot add expectation for voice', expected);
    told = expected.address;
    if (own !== null && message.translated && !translateMediaAddress(message, from, told))
      return refuse(message.sighting, 'cannot mangle SDP', TOO_LARGE);
    count++;
  }
  // Of this one the kernel says nothing.
  if (message.translated && told !== null && !translateSession(message, session, told)) return TOO_LARGE;
  return null;
}

function sessionResponse(message: SipMessage, sequence: number, code: number): Handled {
  if (code >= 100 && code <= 299) return readSession(message);
  if (message.memory.inviteSequence === sequence) forget(message, true);
  return null;
}

function invite(message: SipMessage, sequence: number): Handled {
  forget(message, true);
  const refused = readSession(message);
  if (refused === null) message.memory.inviteSequence = sequence;
  return refused;
}

function bye(message: SipMessage): Handled {
  forget(message, true);
  return null;
}

/** The protocol that a contact asks for; null if it is not the connection's (ct_sip_parse_transport). */
function transportOf(message: SipMessage, from: number): number | null {
  const wanted = parameter(message.text, from, 'transport=');
  if (wanted === null) return message.protocol;
  const protocol = /^tcp/i.test(wanted) ? Protocol.tcp : /^udp/i.test(wanted) ? Protocol.udp : null;
  return protocol === message.protocol ? protocol : null;
}

function expiresOf(message: SipMessage): number {
  const header = getHeader(message.text, message.family, 'expires');
  return isFound(header) ? (numberAt(message.text, header.at) ?? 0) : 0;
}

/** Calls will come in for who registers, once the registrar has agreed (process_register_request). */
function register(message: SipMessage, sequence: number): Handled {
  const { sighting, offsets, family, text } = message;
  const { words, status } = sighting.entry;
  if ((status & Status.expected) !== 0) return null;
  let expires = expiresOf(message);
  const contact = firstUri(text, family, 'contact');
  if (contact === 'bad') return refuse(sighting, 'cannot parse contact', 'a contact that cannot be read');
  if (contact === 'absent' || !message.isAt(contact.address, offsets.ownSource)) return null;
  const behind = contact.at + contact.length;
  const protocol = transportOf(message, behind);
  if (protocol === null) return null;
  const own = numberParameter(text, behind, 'expires=');
  if (own === 'bad') return refuse(sighting, 'cannot parse expires', 'a time that cannot be read');
  if (isFound(own)) expires = own.value;
  if (expires !== 0) {
    const awaited = expectation(sighting, 'sip', {
      protocol,
      source: { words, at: offsets.seenSource },
      destination: { words: contact.address, at: 0 },
      destinationPort: contact.port,
      class: SIGNALLING,
    });
    awaited.assign = 'sip';
    awaited.flags = ExpectationFlag.permanent | ExpectationFlag.inactive;
    const refused = message.translated
      ? expectSignalling(message, awaited, contact)
      : expectOrRefuse(sighting, awaited);
    if (refused !== null) return refused;
  }
  message.memory.registerSequence = sequence;
  return null;
}

/** The registrar's answer makes the expectation active, for as long as it says, or ends it (process_register_response). */
function registered(message: SipMessage, sequence: number, code: number): Handled {
  const { sighting, offsets, family, text } = message;
  const { conntrack, entry } = sighting;
  if ((message.memory.registerSequence ?? 0) !== sequence || (code >= 100 && code <= 199)) return null;
  if (code >= 200 && code <= 299) {
    const common = expiresOf(message);
    const walk = { from: 0, inHeader: false };
    for (;;) {
      const contact = nextUri(text, family, 'contact', walk);
      if (contact === 'bad') return refuse(sighting, 'cannot parse contact', 'a contact that cannot be read');
      if (contact === 'absent') break;
      if (!message.isAt(contact.address, offsets.ownDestination)) continue;
      const behind = contact.at + contact.length;
      const protocol = transportOf(message, behind);
      if (protocol === null) continue;
      const own = numberParameter(text, behind, 'expires=');
      if (own === 'bad') return refuse(sighting, 'cannot parse expires', 'a time that cannot be read');
      const expires = isFound(own) ? own.value : common;
      if (expires === 0) break;
      const awaited = conntrack.expectations
        .of(entry.slot)
        .find(
          ({ class: kind, tuple }) =>
            kind === SIGNALLING &&
            isSame(tuple.subarray(4, 8), contact.address) &&
            (tuple[9]! & 0xff) === protocol &&
            (tuple[8]! & 0xffff) === contact.port,
        );
      if (awaited === undefined) continue;
      awaited.expiry = conntrack.now() + expires * 1e6;
      awaited.flags &= ~ExpectationFlag.inactive;
      return null;
    }
  }
  forget(message, false);
  return null;
}

interface Method {
  name: string;
  request: (message: SipMessage, sequence: number) => Handled;
  response: ((message: SipMessage, sequence: number, code: number) => Handled) | null;
}

const METHODS: readonly Method[] = [
  { name: 'INVITE', request: invite, response: sessionResponse },
  { name: 'UPDATE', request: readSession, response: sessionResponse },
  { name: 'ACK', request: readSession, response: null },
  { name: 'PRACK', request: readSession, response: sessionResponse },
  { name: 'BYE', request: bye, response: null },
  { name: 'REGISTER', request: register, response: registered },
];

function response(message: SipMessage): Handled {
  const { text, family } = message;
  if (text.length < LEAST_MESSAGE) return null;
  const code = numberAt(text, 'SIP/2.0 '.length) ?? 0;
  if (code === 0) return refuse(message.sighting, 'cannot get code', 'a response without a code');
  const header = getHeader(text, family, 'cseq');
  if (!isFound(header)) return refuse(message.sighting, 'cannot parse cseq', 'no CSeq that can be read');
  const sequence = numberAt(text, header.at);
  if (sequence === null) return refuse(message.sighting, 'cannot get cseq', 'a CSeq without a number');
  const behind = text.slice(header.at + header.length + 1).toUpperCase();
  const method = METHODS.find(({ name, response: handle }) => handle !== null && behind.startsWith(name));
  return method?.response?.(message, sequence, code) ?? null;
}

function request(message: SipMessage): Handled {
  const { text, family, offsets, ports, memory } = message;
  // Some phones send from a high port and listen on the one in Via.
  const via = firstUri(text, family, 'viaUdp');
  if (isFound(via) && via.port !== ports.ownSource && message.isAt(via.address, offsets.ownSource))
    memory.forcedPort = via.port;
  const method = METHODS.find(
    ({ name }) => text.length >= name.length + 2 && new RegExp(`^${name} [a-z]`, 'i').test(text),
  );
  if (method === undefined) return null;
  const header = getHeader(text, family, 'cseq');
  if (!isFound(header)) return refuse(message.sighting, 'cannot parse cseq', 'no CSeq that can be read');
  const sequence = numberAt(text, header.at);
  if (sequence === null) return refuse(message.sighting, 'cannot get cseq', 'a CSeq without a number');
  return method.request(message, sequence);
}

function handle(message: SipMessage): Handled {
  const refused = /^SIP\/2\.0 /i.test(message.text) ? response(message) : request(message);
  if (refused !== null || !message.translated) return refused;
  const failure = translateMessage(message);
  return failure === null ? null : refuse(message.sighting, 'cannot NAT SIP message', failure);
}

function refresh({ entry, conntrack }: Sighting): void {
  entry.expiry = entry.confirmed ? conntrack.now() + TIMEOUT : TIMEOUT;
}

function helpUdp(sighting: Sighting): Handled {
  const { bytes, transport } = sighting.packet;
  const start = transport + 8;
  if (start >= bytes.length) return null;
  refresh(sighting);
  if (bytes.length - start < LEAST_MESSAGE) return null;
  return handle(new SipMessage(sighting, start, bytes.length - start));
}

/** A segment may hold several messages, each with its length (sip_help_tcp). */
function helpTcp(sighting: Sighting): Handled {
  const { packet, entry, direction, conntrack } = sighting;
  const info = packet.conntrackInfo;
  if (info !== ConntrackInfo.established && info !== ConntrackInfo.establishedReply) return null;
  let start = tcpData(sighting);
  if (start < 0) return null;
  refresh(sighting);
  const before = packet.bytes.length;
  let refused: Handled = null;
  while (refused === null && packet.bytes.length - start >= 1) {
    const rest = new SipMessage(sighting, start, packet.bytes.length - start);
    if (start === tcpData(sighting) && rest.text.length < LEAST_MESSAGE) return null;
    const header = getHeader(rest.text, rest.family, 'contentLength');
    if (!isFound(header)) break;
    const length = numberAt(rest.text, header.at);
    if (length === null || length > rest.text.length) break;
    const body = rest.text.indexOf('\r\n\r\n', header.at + header.length);
    if (body < 0) break;
    const whole = body + 4 + length;
    if (whole > rest.text.length) return null;
    const message = new SipMessage(sighting, start, whole);
    refused = handle(message);
    start += message.text.length;
  }
  const grown = packet.bytes.length - before;
  if (refused === null && grown !== 0)
    addShift(entry, conntrack.sidelines, direction, readUint32(packet.bytes, packet.transport + 4), grown);
  return refused;
}

/** SIP (RFC 3261): registrations announce calls, session descriptions media streams. nf_conntrack_sip.c, nf_nat_sip.c. */
export const sip: Application = {
  name: 'sip',
  policies: [
    { name: 'signalling', max: 1, timeout: 180 },
    { name: 'audio', max: 4, timeout: 180 },
    { name: 'video', max: 4, timeout: 180 },
    { name: 'image', max: 2, timeout: 180 },
  ],
  help: (sighting) => (sighting.entry.protocol === Protocol.tcp ? helpTcp(sighting) : helpUdp(sighting)),
};
