import { TCP_STATE_NAMES } from '../../conntrack/protocols/tcp-states.ts';
import { parseAddress } from '../../packet/address-text.ts';
import { fromHex, toHex } from '../../packet/bytes.ts';
import { Protocol } from '../../packet/protocol.ts';
import type { HandlerChange, HandlerConnection, HandlerTuple } from '../handler.ts';
import { attribute, join, nested, number16, number32, parseAttributes, readNumber } from './message.ts';

/** `enum ctattr_type` (linux/netfilter/nfnetlink_conntrack.h). */
const Cta = {
  tupleOriginal: 1,
  tupleReply: 2,
  status: 3,
  protocolInfo: 4,
  help: 5,
  mark: 8,
  id: 12,
  zone: 18,
  markMask: 21,
  labels: 22,
  labelsMask: 23,
} as const;

/** Attributes of a connection as `NFQA_CT` holds them. */
export function connectionAttributes(connection: HandlerConnection): Uint8Array {
  const { original, reply, zone, id, status, state, helper, mark, labels } = connection;
  const parts = [nested(Cta.tupleOriginal, tuple(original)), nested(Cta.tupleReply, tuple(reply))];
  if (zone !== 0) parts.push(attribute(Cta.zone, number16(zone)));
  parts.push(attribute(Cta.id, number32(id)), attribute(Cta.status, number32(status)));
  const tcpState = original.protocol === Protocol.tcp ? TCP_STATE_NAMES.indexOf(state ?? '') : -1;
  if (tcpState >= 0) parts.push(nested(Cta.protocolInfo, nested(1, attribute(1, Uint8Array.of(tcpState)))));
  if (helper !== null) parts.push(nested(Cta.help, attribute(1, new TextEncoder().encode(`${helper}\0`))));
  if (mark !== 0) parts.push(attribute(Cta.mark, number32(mark)));
  if (labels !== null) parts.push(attribute(Cta.labels, fromHex(labels)!));
  return join(parts);
}

function tuple({ source, destination, protocol, sport, dport }: HandlerTuple): Uint8Array {
  const from = parseAddress(source)!;
  const to = parseAddress(destination)!;
  const words = (address: typeof from) =>
    join([...address.words].slice(0, address.family === 4 ? 1 : 4).map((word) => number32(word)));
  const first = from.family === 4 ? 1 : 3;
  return join([
    nested(1, attribute(first, words(from)), attribute(first + 1, words(to))),
    nested(2, attribute(1, Uint8Array.of(protocol)), ...ports(protocol, sport, dport)),
  ]);
}

function ports(protocol: number, sport: number, dport: number): Uint8Array[] {
  if (protocol === Protocol.icmp || protocol === Protocol.icmpv6) {
    const first = protocol === Protocol.icmp ? 4 : 7;
    return [
      attribute(first, number16(sport)),
      attribute(first + 1, Uint8Array.of(dport >>> 8)),
      attribute(first + 2, Uint8Array.of(dport & 255)),
    ];
  }
  return [attribute(2, number16(sport)), attribute(3, number16(dport))];
}

/** What `NFQA_CT` of a verdict changes. */
export function connectionChange(bytes: Uint8Array): HandlerChange {
  const attributes = parseAttributes(bytes);
  const change: HandlerChange = {};
  const mark = readNumber(attributes.get(Cta.mark));
  const markMask = readNumber(attributes.get(Cta.markMask));
  if (mark !== null) change.mark = mark;
  if (markMask !== null) change.markMask = markMask;
  const labels = attributes.get(Cta.labels);
  const mask = attributes.get(Cta.labelsMask);
  if (labels !== undefined && labels.length <= 16 && (mask === undefined || mask.length === labels.length)) {
    // Words that are not given become 0 (nf_connlabels_replace).
    const whole = (bytes: Uint8Array, rest: number): string => {
      const padded = new Uint8Array(16).fill(rest);
      padded.set(bytes);
      return toHex(padded);
    };
    change.labels = whole(labels, 0);
    if (mask !== undefined) change.labelsMask = whole(mask, 0xff);
  }
  return change;
}
