/** Messages of netlink and nfnetlink (linux/netlink.h, linux/netfilter/nfnetlink.h): bytes to data and back. */

/** Netlink's own numbers stand in the byte order of the machine. */
export const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

export const NLMSG_ERROR = 2;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const HEADER = 16;
/** `struct nfgenmsg`: family, version, and a number in network order. */
const NFGEN = 4;
const NESTED = 0x8000;

export interface NetlinkMessage {
  type: number;
  flags: number;
  sequence: number;
  port: number;
  /** The whole message, as errors quote it. */
  bytes: Uint8Array;
  /** Of the nfnetlink header. */
  family: number;
  resource: number;
  /** Attributes by type. */
  attributes: Map<number, Uint8Array>;
}

export function isRequest(message: NetlinkMessage): boolean {
  return (message.flags & NLM_F_REQUEST) !== 0;
}

export function wantsAcknowledgement(message: NetlinkMessage): boolean {
  return (message.flags & NLM_F_ACK) !== 0;
}

/** The messages of one datagram; what is cut short is left out, as the kernel does. */
export function parseMessages(datagram: Uint8Array): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at + HEADER <= datagram.length; ) {
    const view = viewOf(datagram, at);
    const length = view.getUint32(0, IS_LITTLE_ENDIAN);
    if (length < HEADER || at + length > datagram.length) break;
    const bytes = datagram.slice(at, at + length);
    messages.push({
      type: view.getUint16(4, IS_LITTLE_ENDIAN),
      flags: view.getUint16(6, IS_LITTLE_ENDIAN),
      sequence: view.getUint32(8, IS_LITTLE_ENDIAN),
      port: view.getUint32(12, IS_LITTLE_ENDIAN),
      bytes,
      family: bytes[HEADER] ?? 0,
      resource: length >= HEADER + NFGEN ? view.getUint16(HEADER + 2) : 0,
      attributes: parseAttributes(bytes.subarray(Math.min(length, HEADER + NFGEN))),
    });
    at += (length + 3) & ~3;
  }
  return messages;
}

export function parseAttributes(bytes: Uint8Array): Map<number, Uint8Array> {
  const attributes = new Map<number, Uint8Array>();
  for (let at = 0; at + 4 <= bytes.length; ) {
    const view = viewOf(bytes, at);
    const length = view.getUint16(0, IS_LITTLE_ENDIAN);
    if (length < 4 || at + length > bytes.length) break;
    attributes.set(view.getUint16(2, IS_LITTLE_ENDIAN) & 0x3fff, bytes.slice(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return attributes;
}

/** A number in network order. */
export function readNumber(bytes: Uint8Array | undefined): number | null {
  return bytes === undefined || bytes.length < 4 ? null : viewOf(bytes, 0).getUint32(0);
}

export function attribute(type: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array((value.length + 7) & ~3);
  const view = viewOf(bytes, 0);
  view.setUint16(0, value.length + 4, IS_LITTLE_ENDIAN);
  view.setUint16(2, type, IS_LITTLE_ENDIAN);
  bytes.set(value, 4);
  return bytes;
}

export function nested(type: number, ...parts: Uint8Array[]): Uint8Array {
  return attribute(type | NESTED, join(parts));
}

export function number32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

export function number16(value: number): Uint8Array {
  return Uint8Array.of((value >>> 8) & 255, value & 255);
}

export function join(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A message of an nfnetlink subsystem, from the kernel. */
export function nfnetlinkMessage(type: number, family: number, resource: number, attributes: Uint8Array[]): Uint8Array {
  return message(type, 0, 0, join([Uint8Array.of(family, 0), number16(resource), ...attributes]));
}

/** What the kernel says of a request: 0, or a negative error number. */
export function errorMessage(to: NetlinkMessage, error: number): Uint8Array {
  const quoted = error === 0 ? to.bytes.subarray(0, HEADER) : to.bytes;
  const body = new Uint8Array(4 + quoted.length);
  viewOf(body, 0).setInt32(0, error, IS_LITTLE_ENDIAN);
  body.set(quoted, 4);
  return message(NLMSG_ERROR, to.sequence, to.port, body);
}

function message(type: number, sequence: number, port: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER + body.length);
  const view = viewOf(bytes, 0);
  view.setUint32(0, bytes.length, IS_LITTLE_ENDIAN);
  view.setUint16(4, type, IS_LITTLE_ENDIAN);
  view.setUint32(8, sequence, IS_LITTLE_ENDIAN);
  view.setUint32(12, port, IS_LITTLE_ENDIAN);
  bytes.set(body, HEADER);
  return bytes;
}

export function viewOf(bytes: Uint8Array, at: number): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset + at);
}
