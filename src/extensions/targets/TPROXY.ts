import { Hook } from '../../datapath/hooks.ts';
import { Verdict } from '../../datapath/verdicts.ts';
import { formatAddress } from '../../packet/address-text.ts';
import { readUint16 } from '../../packet/bytes.ts';
import type { AddressWords } from '../../packet/family.ts';
import { Protocol } from '../../packet/protocol.ts';
import { defineTarget } from '../contract.ts';
import { interfaceAddress } from './interface-address.ts';
import { hex } from './numbers.ts';
import { hasProtocol, type Placement, refusePlacement } from './placement.ts';

/** `struct xt_tproxy_target_info_v1`. */
interface TproxyTarget {
  /** 0: the packet's own. */
  port: number;
  /** Zero: the input interface's. */
  address: AddressWords;
  mark: number;
  mask: number;
}

const HELP = `TPROXY target options:
  --on-port port		    Redirect connection to port, or the original port if 0
  --on-ip ip			    Optionally redirect to the given IP
  --tproxy-mark value[/mask]	    Mark packets with the given value/mask

`;

const PLACEMENT: Placement = { table: 'mangle', hooks: [Hook.prerouting] };
/** Bytes of the transport header that must be there (a UDP header). */
const NEEDED = 8;
/** The search for a socket of TCP wants all of its header (nf_tproxy_get_sock_v4). */
const TCP_HEADER = 20;

export const TPROXY = defineTarget<TproxyTarget>({
  name: 'TPROXY',
  families: [4, 6],
  options: [
    { name: 'on-port', type: 'port', mandatory: true },
    { name: 'on-ip', type: 'host' },
    { name: 'tproxy-mark', type: 'mark-mask' },
  ],
  init: () => ({ port: 0, address: [0, 0, 0, 0], mark: 0, mask: 0 }),
  parse(data, { name, number, address, value, mask }) {
    switch (name) {
      case 'on-port':
        data.port = number;
        break;
      case 'on-ip':
        data.address = address;
        break;
      case 'tproxy-mark':
        data.mark = value;
        data.mask = mask;
        break;
    }
  },
  save: ({ port, address, mark, mask }, { family }) =>
    ` --on-port ${port} --on-ip ${formatAddress(family, address)} --tproxy-mark ${hex(mark)}/${hex(mask)}`,
  print: ({ port, address, mark, mask }, { family }) =>
    ` TPROXY redirect ${formatAddress(family, address)}:${port} mark ${hex(mark)}/${hex(mask)}`,
  help: () => HELP,
  check(_, site) {
    const refused = refusePlacement(site, PLACEMENT);
    if (refused !== null) return refused;
    return hasProtocol(site, Protocol.tcp) || hasProtocol(site, Protocol.udp) ? null : 'EINVAL';
  },
  explain: ({ port }) => `the packet goes to the transparent proxy${port === 0 ? '' : ` on port ${port}`}`,
  memory: 'flow',
  compile({ port, address, mark, mask }, { family, machine }) {
    const given = address.some((word) => word !== 0) ? address : null;
    const keep = ~mask;
    return (packet, at) => {
      const { bytes, transport } = packet;
      const needed = packet.protocol === Protocol.tcp ? TCP_HEADER : NEEDED;
      if (packet.protocol < 0 || transport + needed > bytes.length) return Verdict.drop;
      const source: AddressWords = [packet.src[0]!, packet.src[1]!, packet.src[2]!, packet.src[3]!];
      const own: AddressWords = [packet.dst[0]!, packet.dst[1]!, packet.dst[2]!, packet.dst[3]!];
      const sourcePort = readUint16(bytes, transport);
      const ownPort = readUint16(bytes, transport + 2);
      const socket =
        machine.establishedSocket(packet.protocol, source, sourcePort, own, ownPort) ??
        machine.host.findSocket(
          packet.protocol,
          family,
          source,
          sourcePort,
          given ?? interfaceAddress(at.inDevice, family) ?? own,
          port === 0 ? ownPort : port,
          at.inDevice,
        );
      if (socket === null || !socket.transparent) return Verdict.drop;
      packet.mark = ((packet.mark & keep) ^ mark) >>> 0;
      machine.assignSocket(packet, socket);
      return Verdict.accept;
    };
  },
});
