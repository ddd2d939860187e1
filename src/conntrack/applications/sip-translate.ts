import { writeUint16 } from '../../packet/bytes.ts';
import { Protocol } from '../../packet/protocol.ts';
import { Direction } from '../connection.ts';
import type { Expectation } from '../expectations.ts';
import { expect } from './expecting.ts';
import { replacePayload } from './payload.ts';
import { isSame, type SipMessage } from './sip-message.ts';
import {
  addressParameter,
  firstUri,
  getHeader,
  isFound,
  nextUri,
  numberParameter,
  requestUri,
  type SessionLine,
  type Span,
  sessionLine,
  type Uri,
} from './sip-text.ts';

const TOO_LARGE = 'the message cannot be changed';

/** Changes an end of the connection, as the message has it, to what the other side knows it as (map_addr). */
function mapUri(message: SipMessage, uri: Uri): boolean {
  const { offsets, ports, memory } = message;
  let at: number;
  let port: number;
  if (message.isAt(uri.address, offsets.ownSource) && uri.port === ports.ownSource) {
    at = offsets.seenDestination;
    port = ports.seenDestination;
  } else if (message.isAt(uri.address, offsets.ownDestination) && uri.port === ports.ownDestination) {
    at = offsets.seenSource;
    port = memory.forcedPort || ports.seenSource;
  } else return true;
  const address = message.address(at);
  if (isSame(address, uri.address) && port === uri.port) return true;
  return message.replace(uri, message.endText(address, port));
}

/** The topmost Via, with the parameters that tell where a request came from (RFC 3261, RFC 3581). */
function translateVia(message: SipMessage, isRequest: boolean): boolean {
  const { offsets, ports, family } = message;
  const via = firstUri(message.text, family, message.protocol === Protocol.tcp ? 'viaTcp' : 'viaUdp');
  if (!isFound(via)) return true;
  const own = isRequest
    ? message.isAt(via.address, offsets.ownSource) && via.port === ports.ownSource
    : message.isAt(via.address, offsets.ownDestination) && via.port === ports.ownDestination;
  // Only what belongs to this connection.
  if (!own) return true;
  const before = message.text.length;
  if (!mapUri(message, via)) return false;
  const behind = via.at + via.length + message.text.length - before;
  const mapped = (name: string, bracketed: boolean, from: number, to: number): boolean => {
    const found = addressParameter(message.text, family, behind, name, bracketed);
    const address = message.address(to);
    if (found === null || !message.isAt(found.address, from) || isSame(found.address, address)) return true;
    return message.replace(found, message.addressText(address, bracketed));
  };
  if (!mapped('maddr=', true, offsets.ownSource, offsets.seenDestination)) return false;
  if (!mapped('received=', false, offsets.ownDestination, offsets.seenSource)) return false;
  const port = numberParameter(message.text, behind, 'rport=');
  if (!isFound(port) || port.value !== ports.ownDestination || port.value === ports.seenSource) return true;
  return message.replace(port, `${ports.seenSource}`);
}

/** Translates the addresses in a message of a translated connection (nf_nat_sip); null, or why the packet is dropped. */
export function translateMessage(message: SipMessage): string | null {
  const { family, sighting, memory } = message;
  const isRequest = !/^SIP\/2\.0/i.test(message.text);
  if (isRequest) {
    const uri = requestUri(message.text, family);
    if (isFound(uri) && !mapUri(message, uri)) return TOO_LARGE;
  }
  if (!translateVia(message, isRequest)) return TOO_LARGE;
  const walk = { from: 0, inHeader: false };
  for (;;) {
    const contact = nextUri(message.text, family, 'contact', walk);
    if (!isFound(contact)) break;
    if (!mapUri(message, contact)) return TOO_LARGE;
  }
  for (const header of ['from', 'to'] as const) {
    const uri = firstUri(message.text, family, header);
    if (isFound(uri) && !mapUri(message, uri)) return TOO_LARGE;
  }
  if (sighting.direction === Direction.reply && memory.forcedPort) {
    const { packet } = sighting;
    writeUint16(packet.bytes, packet.transport + 2, memory.forcedPort);
    if (!replacePayload(sighting, packet.transport + 8, 0, '', false)) return TOO_LARGE;
  }
  return null;
}

/** The address under which the sender is known behind the machine (`own` if it is not translated). */
function outside(message: SipMessage, own: ArrayLike<number>): readonly number[] {
  const { offsets } = message;
  return message.isAt(message.address(offsets.ownSource), offsets.seenDestination)
    ? Array.from(own)
    : message.address(offsets.seenDestination);
}

function redirect(message: SipMessage, expected: Expectation, address: readonly number[]): void {
  expected.savedAddress = expected.tuple.slice(4, 8);
  expected.savedPort = expected.tuple[8]! & 0xffff;
  expected.tuple.set(address, 4);
  expected.direction = message.sighting.direction === Direction.original ? Direction.reply : Direction.original;
  expected.translate = 'sip';
}

function setPort(expected: Expectation, port: number): void {
  expected.tuple[8] = ((expected.tuple[8]! & 0xffff0000) | port) >>> 0;
}

/** Expects signalling at the address that the other side is told, and tells it (nf_nat_sip_expect). */
export function expectSignalling(message: SipMessage, expected: Expectation, place: Span): string | null {
  const { ports, memory, sighting } = message;
  const address = outside(message, expected.tuple.subarray(4, 8));
  const own = expected.tuple[8]! & 0xffff;
  let port = own === (memory.forcedPort || ports.ownSource) ? ports.seenDestination : own;
  redirect(message, expected, address);
  for (; port <= 0xffff; port++) {
    setPort(expected, port);
    const result = expect(sighting, expected);
    if (result === 'ok') break;
    if (result !== 'busy') return 'the expectation cannot be added';
  }
  if (port > 0xffff) return 'all ports are in use';
  if (isSame(address, expected.savedAddress!) && port === expected.savedPort) return null;
  if (message.replace(place, message.endText(address, port))) return null;
  sighting.conntrack.expectations.remove(expected);
  return TOO_LARGE;
}

/** Expects a media stream and its control at the address that the other side is told; that address, or why not (nf_nat_sdp_media). */
export function expectMedia(
  message: SipMessage,
  media: Expectation,
  control: Expectation,
  place: Span,
): readonly number[] | string {
  const { sighting } = message;
  const { expectations } = sighting.conntrack;
  const address = outside(message, media.tuple.subarray(4, 8));
  redirect(message, media, address);
  redirect(message, control, address);
  let port = media.savedPort;
  for (; port <= 0xffff; port += 2) {
    setPort(media, port);
    const result = expect(sighting, media);
    if (result === 'busy') continue;
    if (result !== 'ok') return 'the expectation cannot be added';
    setPort(control, port + 1);
    const second = expect(sighting, control);
    if (second === 'ok') break;
    expectations.remove(media);
    if (second !== 'busy') return 'the expectation cannot be added';
  }
  if (port > 0xffff) return 'all ports are in use';
  if (port === media.savedPort || replaceMediaPort(message, place, port)) return address;
  expectations.remove(media);
  expectations.remove(control);
  return TOO_LARGE;
}

/** nf_nat_sdp_port. */
export function replaceMediaPort(message: SipMessage, place: Span, port: number): boolean {
  return message.replace(place, `${port}`) && replaceContentLength(message);
}

/** Content-Length follows the session description (mangle_content_len). */
function replaceContentLength(message: SipMessage): boolean {
  const { family } = message;
  const version = sessionLine(message.text, family, 'v', 0);
  if (!isFound(version)) return false;
  const length = message.text.length - version.at + 'v='.length;
  const header = getHeader(message.text, family, 'contentLength');
  return isFound(header) && message.replace(header, `${length}`);
}

/** The address in a line of the session description: `absent` is no failure to some. */
function replaceAddress(
  message: SipMessage,
  line: SessionLine,
  from: number,
  address: ArrayLike<number>,
): 'done' | 'absent' | 'failed' {
  const found = sessionLine(message.text, message.family, line, from, 'm');
  if (!isFound(found)) return 'absent';
  return message.replace(found, message.addressText(address, false)) ? 'done' : 'failed';
}

/** nf_nat_sdp_addr. */
export function translateMediaAddress(message: SipMessage, from: number, address: ArrayLike<number>): boolean {
  return replaceAddress(message, 'c', from, address) === 'done' && replaceContentLength(message);
}

/** Owner and connection of the session (nf_nat_sdp_session). */
export function translateSession(message: SipMessage, from: number, address: ArrayLike<number>): boolean {
  if (replaceAddress(message, 'o', from, address) !== 'done') return false;
  if (replaceAddress(message, 'c', from, address) === 'failed') return false;
  return replaceContentLength(message);
}
