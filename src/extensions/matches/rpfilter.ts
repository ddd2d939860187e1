import type { Host, RouteQuery } from '../../datapath/environment.ts';
import { Hook } from '../../datapath/hooks.ts';
import type { Device } from '../../host/device.ts';
import type { AddressWords } from '../../packet/family.ts';
import { type Packet, PacketType } from '../../packet/packet.ts';
import { defineMatch } from '../contract.ts';

/** `struct xt_rpfilter_info`. */
interface RpfilterMatch {
  loose: boolean;
  validmark: boolean;
  'accept-local': boolean;
  invert: boolean;
}

const OPTIONS = ['loose', 'validmark', 'accept-local', 'invert'] as const;

function describe(data: RpfilterMatch, prefix: string): string {
  return OPTIONS.filter((option) => data[option])
    .map((option) => ` ${prefix}${option}`)
    .join('');
}

const HELP = `rpfilter match options:
    --loose          permit reverse path via any interface
    --validmark      use skb nfmark when performing route lookup
    --accept-local   do not reject packets with a local source address
    --invert         match packets that failed the reverse path test
`;

export const rpfilter = defineMatch<RpfilterMatch>({
  name: 'rpfilter',
  families: [4, 6],
  options: OPTIONS.map((name) => ({ name, type: 'none' })),
  init: () => ({ loose: false, validmark: false, 'accept-local': false, invert: false }),
  parse(data, option) {
    data[option.name as (typeof OPTIONS)[number]] = true;
  },
  save: (data) => describe(data, '--'),
  print: (data) => ` rpfilter${describe(data, '')}`,
  help: () => HELP,
  check(_data, { hooks, table }) {
    if (table !== 'mangle' && table !== 'raw') return 'EINVAL';
    for (const hook of hooks) if (hook !== Hook.prerouting) return 'EINVAL';
    return null;
  },
  explain: (data) =>
    `an answer to the packet's source would ${data.invert ? 'not ' : ''}leave ${data.loose ? 'at all' : 'by the interface it came in by'}`,
  pure: true,
  // `rpfilter_mt` (net/ipv4/netfilter/ipt_rpfilter.c, net/ipv6/netfilter/ip6t_rpfilter.c)
  compile(data, { family, machine: { host } }) {
    const passes = family === 4 ? passes4 : passes6;
    return (packet, at) => {
      const device = at.inDevice;
      if (device === null || device.kind === 'loopback' || packet.packetType === PacketType.loopback)
        return !data.invert;
      return passes(host, packet, device, data) !== data.invert;
    };
  },
});

const copy = (address: Uint32Array): AddressWords => [address[0]!, address[1]!, address[2]!, address[3]!];

function passes4(host: Host, packet: Packet, device: Device, data: RpfilterMatch): boolean {
  const source = packet.src[0]!;
  const destination = packet.dst[0]!;
  const multicast = destination >>> 28 === 0xe;
  const broadcast = destination === 0xffffffff;
  // 0.0.0.0 to everybody on the link: a machine that has no address yet.
  if (source === 0 && (broadcast || destination >>> 8 === 0xe00000)) return true;
  const query: RouteQuery = {
    family: 4,
    destination: copy(packet.src),
    // As a packet that comes over lo: group and broadcast addresses then have the route that they fall under.
    inDevice: host.device('lo'),
    mark: data.validmark ? packet.mark : 0,
    tos: packet.bytes[1]! & 0xfc,
  };
  if (!multicast && !broadcast && destination !== 0) query.source = copy(packet.dst);
  const route = host.route(query);
  if (route.type !== 'unicast' && !(route.type === 'local' && data['accept-local'])) return false;
  return data.loose || route.device === device;
}

function passes6(host: Host, packet: Packet, device: Device, data: RpfilterMatch): boolean {
  const { src, dst } = packet;
  if ((src[0]! | src[1]! | src[2]! | src[3]!) === 0) return true;
  const query: RouteQuery = { family: 6, destination: copy(src), mark: data.validmark ? packet.mark : 0 };
  if (dst[0]! >>> 24 !== 0xff) query.source = copy(dst);
  const linkLocal = src[0]! >>> 22 === 0xfe80 >>> 6;
  if (linkLocal) query.outDevice = device;
  else if (!data.loose) query.preferDevice = device;
  const route = host.route(query);
  if (route.type === 'local') return data['accept-local'];
  if (route.type !== 'unicast' || route.anycast === true) return false;
  return data.loose || route.device === device;
}
