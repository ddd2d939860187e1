import { writeUint16 } from '../../packet/bytes.ts';
import { Protocol } from '../../packet/protocol.ts';
import { Direction } from '../connection.ts';
import type { Expectation } from '../expectations.ts';
import { expect, expectOnFreePort, refuse } from './expecting.ts';
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

export const TOO_LARGE = 'the message cannot be changed';

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

/** The topmost Via, with the parameters that tell where a request came from (RFC 3261, RFC 3581); what could not be changed, or null. */
function translateVia(message: SipMessage, isRequest: boolean): string | null {
  const { offsets, ports, family } = message;
  const via = firstUri(message.text, family, message.protocol === Protocol.tcp ? 'viaTcp' : 'viaUdp');
  if (!isFound(via)) return null;
  const own = isRequest
    ? message.isAt(via.address, offsets.ownSource) && via.port === ports.ownSource
    : message.isAt(via.address, offsets.ownDestination) && via.port === ports.ownDestination;
  // Only what belongs to this connection.
  if (!own) return null;
  const before = message.text.length;
  if (!mapUri(message, via)) return 'Via header';
  const behind = via.at + via.length + message.text.length - before;
  const mapped = (name: string, bracketed: boolean, from: number, to: number): boolean => {
    const found = addressParameter(message.text, family, behind, name, bracketed);
    const address = message.address(to);
    if (found === null || !message.isAt(found.address, from) || isSame(found.address, address)) return true;
    return message.replace(found, message.addressText(address, bracketed));
  };
  if (!mapped('maddr=', true, offsets.ownSource, offsets.seenDestination)) return 'maddr';
  if (!mapped('received=', false, offsets.ownDestination, offsets.seenSource)) return 'received';
  const port = numberParameter(message.text, behind, 'rport=');
  if (!isFound(port) || port.value !== ports.ownDestination || port.value === ports.seenSource) return null;
  return message.replace(port, `${ports.seenSource}`) ? null : 'rport';
}

/** Translates the addresses in a message of a translated connection (nf_nat_sip); null, or why the packet is dropped. */
export function translateMessage(message: SipMessage): string | null {
  const { family, sighting, memory } = message;
  const failed = (what: string): string => refuse(sighting, `cannot mangle ${what}`, TOO_LARGE);
  const isRequest = !/^SIP\/2\.0/i.test(message.text);
  if (isRequest) {
    const uri = requestUri(message.text, family);
    if (isFound(uri) && !mapUri(message, uri)) return failed('SIP message');
  }
  const via = translateVia(message, isRequest);
  if (via !== null) return failed(via);
  const walk = { from: 0, inHeader: false };
  for (;;) {
    const contact = nextUri(message.text, family, 'contact', walk);
    if (!isFound(contact)) break;
    if (!mapUri(message, contact)) return failed('contact');
  }
  for (const header of ['from', 'to'] as const) {
    const uri = firstUri(message.text, family, header);
    if (isFound(uri) && !mapUri(message, uri)) return failed('SIP from/to');
  }
  if (sighting.direction === Direction.reply && memory.forcedPort) {
    // The kernel does not say why; all that follows is that the message cannot be translated.
    if (message.protocol !== Protocol.udp) return 'a request over TCP had a Via for UDP with another port';
    const { packet } = sighting;
    writeUint16(packet.bytes, packet.transport + 2, memory.forcedPort);
    if (!replacePayload(sighting, packet.transport + 8, 0, '', false)) return failed('packet');
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
  redirect(message, expected, address);
  setPort(expected, own === (memory.forcedPort || ports.ownSource) ? ports.seenDestination : own);
  const port = expectOnFreePort(sighting, expected);
  if (port === 0) return refuse(sighting, 'all ports in use for SIP', 'all ports are in use');
  if (isSame(address, expected.savedAddress!) && port === expected.savedPort) return null;
  if (message.replace(place, message.endText(address, port))) return null;
  sighting.conntrack.expectations.remove(expected);
  return refuse(sighting, 'cannot mangle packet', TOO_LARGE);
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
  const inUse = (): string => refuse(sighting, 'all ports in use for SDP media', 'all ports are in use');
  const address = outside(message, media.tuple.subarray(4, 8));
  redirect(message, media, address);
  redirect(message, control, address);
  let port = media.savedPort;
  for (; port <= 0xffff; port += 2) {
    setPort(media, port);
    const result = expect(sighting, media);
    if (result === 'busy') continue;
    if (result !== 'ok') return inUse();
    setPort(control, port + 1);
    const second = expect(sighting, control);
    if (second === 'ok') break;
    expectations.remove(media);
    if (second !== 'busy') return inUse();
  }
  if (port > 0xffff) return inUse();
  if (port === media.savedPort || replaceMediaPort(message, place, port)) return address;
  expectations.remove(media);
  expectations.remove(control);
  return refuse(sighting, 'cannot mangle SDP message', TOO_LARGE);
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
