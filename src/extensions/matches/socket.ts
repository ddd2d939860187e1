import { Direction, Status } from '../../conntrack/connection.ts';
import { locateTransport } from '../../conntrack/tuple.ts';
import type { MachineServices, SocketAnswer } from '../../datapath/environment.ts';
import { Hook } from '../../datapath/hooks.ts';
import type { Device } from '../../host/device.ts';
import { readUint16, readUint32 } from '../../packet/bytes.ts';
import type { AddressWords, Family } from '../../packet/family.ts';
import { ConntrackInfo, type Packet } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { defineMatch } from '../contract.ts';

/** `struct xt_socket_mtinfo3`. */
interface SocketMatch {
  transparent: boolean;
  nowildcard: boolean;
  'restore-skmark': boolean;
}

const OPTIONS = ['transparent', 'nowildcard', 'restore-skmark'] as const;

function describe(data: SocketMatch): string {
  return OPTIONS.filter((option) => data[option])
    .map((option) => ` --${option}`)
    .join('');
}

const HELP = `socket match options:
  --nowildcard     Do not ignore LISTEN sockets bound on INADDR_ANY
  --transparent    Ignore non-transparent sockets
  --restore-skmark Set the packet mark to the socket mark if
                   the socket matches and transparent / 
                   nowildcard conditions are satisfied

`;

export const socket = defineMatch<SocketMatch>({
  name: 'socket',
  families: [4, 6],
  options: OPTIONS.map((name) => ({ name, type: 'none' })),
  init: () => ({ transparent: false, nowildcard: false, 'restore-skmark': false }),
  parse(data, option) {
    data[option.name as (typeof OPTIONS)[number]] = true;
  },
  save: describe,
  print: (data) => ` socket${describe(data)}`,
  help: () => HELP,
  check(_data, { hooks }) {
    for (const hook of hooks) if (hook !== Hook.prerouting && hook !== Hook.input) return 'EINVAL';
    return null;
  },
  explain(data) {
    const which = data.transparent ? 'transparent socket' : 'socket';
    const bound = data.nowildcard ? '' : ' bound to an address of its own';
    return `a ${which} of this machine${bound} waits for the packet`;
  },
  unknown: () =>
    'of the sockets of this machine only the listening ones and those of connections seen in the trace are known',
  pure: (data) => !data['restore-skmark'],
  memory: 'flow',
  // `socket_match` (net/netfilter/xt_socket.c)
  compile(data, { family, machine }) {
    const find = family === 4 ? find4 : find6;
    return (packet, at) => {
      // TPROXY may have given it to one.
      const found = packet.socket ?? find(machine, packet, at.inDevice);
      if (found === null) return false;
      if (found.wildcard && !data.nowildcard) return false;
      if (data.transparent && !found.transparent) return false;
      if (data['restore-skmark']) packet.mark = found.mark;
      return true;
    };
  },
});

const copy = (address: Uint32Array): AddressWords => [address[0]!, address[1]!, address[2]!, address[3]!];

/** The socket for the packet itself, or for the packet that an ICMP error quotes (`nf_sk_lookup_slow_v4`). */
function find4(machine: MachineServices, packet: Packet, device: Device | null): SocketAnswer | null {
  if (packet.protocol === Protocol.tcp || packet.protocol === Protocol.udp) return findOwn(machine, packet, device);
  if (packet.protocol !== Protocol.icmp) return null;
  const { bytes, transport } = packet;
  const type = bytes[transport];
  const inner = transport + 8;
  if (inner + 20 > bytes.length || (type !== 3 && type !== 4 && type !== 5 && type !== 11 && type !== 12)) return null;
  const ports = inner + (bytes[inner]! & 15) * 4;
  const protocol = bytes[inner + 9]!;
  if (ports + 4 > bytes.length || (protocol !== Protocol.tcp && protocol !== Protocol.udp)) return null;
  // The quoted packet went out from here: its source is the local end.
  let local: AddressWords = [readUint32(bytes, inner + 12), 0, 0, 0];
  let localPort = readUint16(bytes, ports);
  const remote: AddressWords = [readUint32(bytes, inner + 16), 0, 0, 0];
  const remotePort = readUint16(bytes, ports + 2);
  const { connection } = packet;
  if (
    connection !== null &&
    packet.conntrackInfo === ConntrackInfo.relatedReply &&
    connection.status & Status.sourceNatDone
  ) {
    const original = connection.tuple(Direction.original);
    local = original.source;
    localPort = original.sourcePort;
  }
  return lookUp(machine, protocol, 4, remote, remotePort, local, localPort, device);
}

function find6(machine: MachineServices, packet: Packet, device: Device | null): SocketAnswer | null {
  if (packet.protocol === Protocol.tcp || packet.protocol === Protocol.udp) return findOwn(machine, packet, device);
  if (packet.protocol !== Protocol.icmpv6) return null;
  const { bytes, transport } = packet;
  const inner = transport + 8;
  if (inner + 40 > bytes.length || bytes[transport]! >= 128) return null;
  const place = locateTransport(bytes, 6, inner);
  if (place === null) return null;
  const { protocol, transport: ports } = place;
  if (ports + 4 > bytes.length || (protocol !== Protocol.tcp && protocol !== Protocol.udp)) return null;
  const address = (at: number): AddressWords => [
    readUint32(bytes, at),
    readUint32(bytes, at + 4),
    readUint32(bytes, at + 8),
    readUint32(bytes, at + 12),
  ];
  return lookUp(
    machine,
    protocol,
    6,
    address(inner + 24),
    readUint16(bytes, ports + 2),
    address(inner + 8),
    readUint16(bytes, ports),
    device,
  );
}

function findOwn(machine: MachineServices, packet: Packet, device: Device | null): SocketAnswer | null {
  const { bytes, transport, protocol, family } = packet;
  if (transport + (protocol === Protocol.udp ? 8 : 20) > bytes.length) return null;
  let local = copy(packet.dst);
  let localPort = readUint16(bytes, transport + 2);
  const { connection } = packet;
  // An answer to a connection whose source was translated belongs to the socket from before.
  if (
    family === 4 &&
    connection !== null &&
    packet.conntrackInfo === ConntrackInfo.establishedReply &&
    connection.status & Status.sourceNatDone
  ) {
    const original = connection.tuple(Direction.original);
    local = original.source;
    localPort = original.sourcePort;
  }
  return lookUp(machine, protocol, family, copy(packet.src), readUint16(bytes, transport), local, localPort, device);
}

/** The socket of a connection, else a listening one. */
function lookUp(
  { host, establishedSocket }: MachineServices,
  protocol: number,
  family: Family,
  source: AddressWords,
  sourcePort: number,
  destination: AddressWords,
  port: number,
  device: Device | null,
): SocketAnswer | null {
  return (
    establishedSocket(protocol, source, sourcePort, destination, port) ??
    host.findSocket(protocol, family, source, sourcePort, destination, port, device)
  );
}
