import { addressEquals, formatAddress } from '../../packet/address-text.ts';
import type { AddressWords, Family } from '../../packet/family.ts';
import { buildPacket } from '../../packet/notation/build.ts';
import type { PacketDescription } from '../../packet/notation/description.ts';
import { Protocol } from '../../packet/protocol.ts';
import { serviceText } from '../service-text.ts';

/** An end of a flow: a machine of the cloud with an address of its own, or somebody outside. */
export interface ProbeEnd {
  vm: string | null;
  family: Family;
  address: AddressWords;
}

/** A flow that packets are made up for: TCP and UDP to a port, or echo requests (`port` null). */
export interface ProbeFlow {
  from: ProbeEnd;
  to: ProbeEnd;
  protocol: 'tcp' | 'udp' | 'icmp';
  port: number | null;
}

/** A packet of a flow; `back`: from the far end. */
export interface ProbePacket {
  bytes(): Uint8Array;
  back: boolean;
}

const SYN = 2;
const PSH = 8;
const ACK = 16;
const ECHO = { 4: [8, 0], 6: [128, 129] } as const;
const PAYLOAD = new Uint8Array([105, 112, 116, 115]);

/** Protocol number of a flow. */
export function protocolOf({ protocol, from }: ProbeFlow): number {
  if (protocol === 'icmp') return from.family === 4 ? Protocol.icmp : Protocol.icmpv6;
  return protocol === 'tcp' ? Protocol.tcp : Protocol.udp;
}

/** The packet that starts a flow. */
export function firstPacket(flow: ProbeFlow, source: number): Uint8Array {
  return buildPacket(packetOf(flow, source, false, SYN, 1, 0, false));
}

/** The packets after which a flow is established. */
export function establishment(flow: ProbeFlow, source: number): ProbePacket[] {
  const made = (back: boolean, flags: number, sequence: number, acknowledgement: number): ProbePacket => ({
    back,
    bytes: () => buildPacket(packetOf(flow, source, back, flags, sequence, acknowledgement, false)),
  });
  if (flow.protocol !== 'tcp') return [made(false, 0, 0, 0), made(true, 0, 0, 0)];
  return [made(false, SYN, 1, 0), made(true, SYN | ACK, 5000, 2), made(false, ACK, 2, 5001)];
}

/**
 * Packets of both directions of an established flow.
 *
 * @param farFirst the far end says something first; a flow that nobody tracked is known only from the next packet of the near end on
 */
export function exchange(flow: ProbeFlow, source: number, farFirst: boolean): ProbePacket[] {
  const made = (back: boolean, sequence: number, acknowledgement: number): ProbePacket => ({
    back,
    bytes: () => buildPacket(packetOf(flow, source, back, PSH | ACK, sequence, acknowledgement, true)),
  });
  const [far, near] = [made(true, 5001, 2), made(false, 2, 5001)];
  return farFirst ? [far, near] : [near, far];
}

function packetOf(
  { from, to, protocol, port }: ProbeFlow,
  source: number,
  back: boolean,
  tcpFlags: number,
  sequence: number,
  acknowledgement: number,
  hasData: boolean,
): PacketDescription {
  const { family } = from;
  const [sender, receiver] = back ? [to, from] : [from, to];
  const base = { family, source: sender.address, destination: receiver.address, payload: hasData ? PAYLOAD : EMPTY };
  const ports = back ? { sourcePort: port!, destinationPort: source } : { sourcePort: source, destinationPort: port! };
  if (protocol === 'tcp') return { ...base, protocol: Protocol.tcp, ...ports, tcpFlags, sequence, acknowledgement };
  if (protocol === 'udp') return { ...base, protocol: Protocol.udp, ...ports };
  return {
    ...base,
    protocol: family === 4 ? Protocol.icmp : Protocol.icmpv6,
    icmpType: ECHO[family][back ? 1 : 0],
    icmpCode: 0,
    icmpRest: ((source << 16) | 1) >>> 0,
  };
}

const EMPTY = new Uint8Array(0);

export function flowText(flow: ProbeFlow): string {
  const end = ({ vm, family, address }: ProbeEnd): string => {
    const text = formatAddress(family, address);
    return vm === null ? text : `${vm} (${text})`;
  };
  const icmp = flow.protocol === 'icmp' ? { type: ECHO[flow.from.family][0], code: 0 } : null;
  return `${serviceText({ protocol: protocolOf(flow), port: flow.port, icmp })} from ${end(flow.from)} to ${end(flow.to)}`;
}

export function sameEnd(a: ProbeEnd, b: ProbeEnd): boolean {
  return a.family === b.family && addressEquals(a.address, b.address);
}
