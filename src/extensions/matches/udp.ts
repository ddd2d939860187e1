import { readUint16 } from '../../packet/bytes.ts';
import { Protocol } from '../../packet/protocol.ts';
import { defineMatch } from '../contract.ts';
import { explainPorts, listPorts, portText, savePorts } from '../ports.ts';
import { compileNativePorts, isAnyPort, portTests } from './tcp.ts';

/** `struct xt_udp`. */
export interface UdpMatch {
  sourcePorts: [number, number];
  destinationPorts: [number, number];
  invertSource: boolean;
  invertDestination: boolean;
}

/** Whether iptables-nft writes this use as native expressions instead of the xt match. */
export function udpIsNative(data: UdpMatch): boolean {
  return !(
    isAnyPort(data.sourcePorts) &&
    isAnyPort(data.destinationPorts) &&
    !data.invertSource &&
    !data.invertDestination
  );
}

const HELP = `udp match options:
[!] --source-port port[:port]
 --sport ...
				match source port(s)
[!] --destination-port port[:port]
 --dport ...
				match destination port(s)
`;

export const udp = defineMatch<UdpMatch>({
  name: 'udp',
  families: [4, 6],
  options: [
    { name: 'source-port', type: 'port-range', invert: true },
    { name: 'sport', type: 'port-range', invert: true, synonymOf: 'source-port' },
    { name: 'destination-port', type: 'port-range', invert: true },
    { name: 'dport', type: 'port-range', invert: true, synonymOf: 'destination-port' },
  ],
  init: () => ({
    sourcePorts: [0, 0xffff],
    destinationPorts: [0, 0xffff],
    invertSource: false,
    invertDestination: false,
  }),
  parse(data, option) {
    const ports: [number, number] = [option.numbers[0]!, option.numbers[1] ?? option.numbers[0]!];
    if (option.name === 'source-port') {
      data.sourcePorts = ports;
      data.invertSource = option.invert;
    } else {
      data.destinationPorts = ports;
      data.invertDestination = option.invert;
    }
  },
  save: (data) =>
    savePorts('sport', data.sourcePorts, data.invertSource) +
    savePorts('dport', data.destinationPorts, data.invertDestination),
  print(data, { numeric, names }) {
    const port = (value: number) => portText(value, 'udp', numeric, names);
    return (
      ' udp' +
      listPorts('spt', data.sourcePorts, data.invertSource, port) +
      listPorts('dpt', data.destinationPorts, data.invertDestination, port)
    );
  },
  help: () => HELP,
  check(data, { rule, variant }) {
    if (variant === 'nft' && udpIsNative(data)) return null;
    return rule.protocol === Protocol.udp && !rule.protocolInvert ? null : 'EINVAL';
  },
  explain(data) {
    const parts: string[] = [];
    if (!isAnyPort(data.sourcePorts)) parts.push(`comes from ${explainPorts(data.sourcePorts, data.invertSource)}`);
    if (!isAnyPort(data.destinationPorts))
      parts.push(`goes to ${explainPorts(data.destinationPorts, data.invertDestination)}`);
    return parts.length > 0 ? `the UDP packet ${parts.join(' and ')}` : 'the packet is UDP with a whole header';
  },
  pure: true,
  fields: portTests,
  compile(data, environment) {
    if (environment.variant === 'nft' && udpIsNative(data)) return compileNativePorts(data);
    const [sourceMin, sourceMax] = data.sourcePorts;
    const [destinationMin, destinationMax] = data.destinationPorts;
    const { invertSource, invertDestination } = data;
    // `udp_mt` (net/netfilter/xt_tcpudp.c)
    return (packet) => {
      if (packet.fragmentOffset !== 0) return false;
      const { bytes, transport } = packet;
      if (transport + 8 > bytes.length) {
        packet.hotdrop = true;
        return false;
      }
      const source = readUint16(bytes, transport);
      if ((source >= sourceMin && source <= sourceMax) === invertSource) return false;
      const destination = readUint16(bytes, transport + 2);
      return (destination >= destinationMin && destination <= destinationMax) !== invertDestination;
    };
  },
});
