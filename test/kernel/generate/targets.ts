import type { Random } from '../random.ts';
import type { Site } from './site.ts';

type Maker = (random: Random, site: Site) => string | null;

const inTable =
  (tables: string[], make: Maker): Maker =>
  (random, site) =>
    tables.includes(site.table) ? make(random, site) : null;
const at =
  (hooks: string[], make: Maker): Maker =>
  (random, site) =>
    hooks.includes(site.hook) ? make(random, site) : null;
const inside = (r: Random, site: Site): string =>
  site.family === 4 ? r.pick(['10.0.0.10', '10.0.2.20', '10.0.2.21']) : r.pick(['2001:db8:1::10', '2001:db8:2::20']);
const ported = (site: Site, address: string, ports: string): string =>
  site.family === 4 ? `${address}:${ports}` : `[${address}]:${ports}`;
const hasPorts = (site: Site): boolean => site.protocol === 'tcp' || site.protocol === 'udp';

/** Ports of which the kernel draws one; few, so that they run out. */
const drawnPorts = (r: Random): string => r.pick(['7000-7001', '7000-7003', '600-602', '1024-1027', '7000-7999']);
const drawing = (r: Random): string =>
  r.pick(['', ' --random', ' --random', ' --random-fully', ' --random --persistent', ' --persistent']);

/** Uses of targets with which the kernel draws ports at random. */
const DRAWN_TARGETS: Record<string, Maker> = {
  'drawn-SNAT': inTable(
    ['nat'],
    at(['POSTROUTING', 'INPUT'], (r, site) => {
      const address =
        site.family === 4
          ? r.pick(['192.0.2.100', '192.0.2.100-192.0.2.101', '192.0.2.1'])
          : r.pick(['2001:db8::10', '2001:db8::77', '2001:db8::76-2001:db8::77']);
      return `SNAT --to-source ${hasPorts(site) && r.chance(0.6) ? ported(site, address, drawnPorts(r)) : address}${drawing(r)}`;
    }),
  ),
  'drawn-MASQUERADE': inTable(
    ['nat'],
    at(['POSTROUTING'], (r, site) => {
      const ports = hasPorts(site) && r.chance(0.5) ? ` --to-ports ${drawnPorts(r)}` : '';
      return `MASQUERADE${ports}${r.pick(['', ' --random', ' --random-fully'])}`;
    }),
  ),
  'drawn-DNAT': inTable(
    ['nat'],
    at(['PREROUTING', 'OUTPUT'], (r, site) =>
      hasPorts(site)
        ? `DNAT --to-destination ${ported(site, inside(r, site), drawnPorts(r))}${r.pick(['', ' --random', ' --random', ' --persistent'])}`
        : null,
    ),
  ),
  'drawn-REDIRECT': inTable(
    ['nat'],
    at(['PREROUTING', 'OUTPUT'], (r, site) =>
      hasPorts(site) ? `REDIRECT --to-ports ${drawnPorts(r)}${r.pick(['', ' --random', ' --random'])}` : null,
    ),
  ),
};

/** One random use of each target whose effect is the same in every run of the kernel, and of those whose is not. */
export const TARGETS: Record<string, Maker> = {
  ...DRAWN_TARGETS,
  ACCEPT: () => 'ACCEPT',
  DROP: (_, site) => (site.table === 'nat' ? null : 'DROP'),
  RETURN: () => 'RETURN',
  MARK: inTable(
    ['mangle', 'raw', 'filter'],
    (r) =>
      `MARK ${r.pick(['--set-mark 0x1', '--set-xmark 0x2/0xf', '--or-mark 0x10', '--and-mark 0xf0', '--xor-mark 0x3'])}`,
  ),
  CONNMARK: inTable(
    ['mangle', 'filter'],
    (r) =>
      `CONNMARK ${r.pick(['--set-mark 0x1', '--save-mark --nfmask 0xff --ctmask 0xf', '--restore-mark --nfmask 0x3 --ctmask 0xff', '--save-mark', '--restore-mark', '--or-mark 0x4', '--set-xmark 0x5/0xf'])}`,
  ),
  REJECT: inTable(['filter'], (r, site) =>
    site.protocol === 'tcp' && r.chance(0.5)
      ? 'REJECT --reject-with tcp-reset'
      : `REJECT --reject-with ${r.pick(site.family === 4 ? ['icmp-port-unreachable', 'icmp-host-prohibited', 'icmp-net-unreachable', 'icmp-host-unreachable', 'icmp-net-prohibited', 'icmp-admin-prohibited', 'icmp-proto-unreachable'] : ['icmp6-port-unreachable', 'icmp6-no-route', 'icmp6-adm-prohibited', 'icmp6-addr-unreachable', 'icmp6-policy-fail', 'icmp6-reject-route'])}`,
  ),
  SNAT: inTable(
    ['nat'],
    at(['POSTROUTING', 'INPUT'], (r, site) => {
      const address =
        site.family === 4
          ? r.pick(['192.0.2.100', '192.0.2.100-192.0.2.103', '192.0.2.2'])
          : r.pick(['2001:db8::10', '2001:db8::77']);
      return `SNAT --to-source ${hasPorts(site) && r.chance(0.3) ? ported(site, address, r.pick(['7000', '7000', '7000-7001'])) : address}${r.chance(0.2) ? ' --persistent' : ''}`;
    }),
  ),
  MASQUERADE: inTable(
    ['nat'],
    at(['POSTROUTING'], () => 'MASQUERADE'),
  ),
  DNAT: inTable(
    ['nat'],
    at(['PREROUTING', 'OUTPUT'], (r, site) => {
      const address = inside(r, site);
      return `DNAT --to-destination ${hasPorts(site) && r.chance(0.5) ? ported(site, address, r.pick(['8080', '9000-9005', '53', ...(site.family === 4 ? ['9000-9100/1024'] : [])])) : address}`;
    }),
  ),
  REDIRECT: inTable(
    ['nat'],
    at(['PREROUTING', 'OUTPUT'], (r, site) =>
      hasPorts(site) ? `REDIRECT --to-ports ${r.pick(['3128', '2222-2230'])}` : 'REDIRECT',
    ),
  ),
  NETMAP: inTable(['nat'], (r, site) => {
    const source = site.hook === 'POSTROUTING' || site.hook === 'INPUT';
    if (site.family === 6) return `NETMAP --to ${source ? '2001:db8::/64' : '2001:db8:1::/64'}`;
    return `NETMAP --to ${source ? '192.0.2.96/28' : r.pick(['10.0.0.32/29', '10.0.2.32/29'])}`;
  }),
  NOTRACK: inTable(['raw'], () => 'NOTRACK'),
  CT: inTable(
    ['raw'],
    (r) =>
      `CT ${r.pick(['--notrack', '--zone 5', '--zone-orig 9', '--zone-reply 4', '--zone mark', '--ctevents new,destroy'])}`,
  ),
  TTL: inTable(['mangle'], (r, site) =>
    site.family === 4 ? `TTL ${r.pick(['--ttl-set 33', '--ttl-dec 1', '--ttl-inc 5', '--ttl-dec 70'])}` : null,
  ),
  HL: inTable(['mangle'], (r, site) =>
    site.family === 6 ? `HL ${r.pick(['--hl-set 33', '--hl-dec 1', '--hl-inc 5'])}` : null,
  ),
  TOS: inTable(
    ['mangle'],
    (r) =>
      `TOS ${r.pick(['--set-tos 0x10', '--set-tos 0x20/0x30', '--or-tos 0x08', '--and-tos 0xf0', '--xor-tos 0xff'])}`,
  ),
  DSCP: inTable(['mangle'], (r) => `DSCP ${r.pick(['--set-dscp 0x0a', '--set-dscp-class EF', '--set-dscp 0'])}`),
  ECN: inTable(['mangle'], (_, site) => (site.protocol === 'tcp' && site.family === 4 ? 'ECN --ecn-tcp-remove' : null)),
  TCPMSS: inTable(['mangle'], (r, site) =>
    site.protocol === 'tcp'
      ? `TCPMSS ${site.hook === 'FORWARD' || site.hook === 'OUTPUT' || site.hook === 'POSTROUTING' ? r.pick(['--set-mss 1000', '--clamp-mss-to-pmtu']) : '--set-mss 1000'}`
      : null,
  ),
  TCPOPTSTRIP: inTable(['mangle'], (r, site) =>
    site.protocol === 'tcp'
      ? `TCPOPTSTRIP --strip-options ${r.pick(['wscale', 'timestamp', 'mss,sack-permitted'])}`
      : null,
  ),
  CLASSIFY: inTable(
    ['mangle'],
    at(['FORWARD', 'OUTPUT', 'POSTROUTING'], () => 'CLASSIFY --set-class 1:2'),
  ),
  CHECKSUM: inTable(['mangle'], () => 'CHECKSUM --checksum-fill'),
  LOG: (r) =>
    `LOG --log-prefix "p${r.int(1, 9)} "${r.pick(['', '', ' --log-level 6', ' --log-tcp-options', ' --log-tcp-sequence', ' --log-ip-options', ' --log-uid', ' --log-macdecode', ' --log-tcp-sequence --log-tcp-options --log-ip-options'])}`,
  NFLOG: (r) =>
    `NFLOG --nflog-group ${r.int(0, 7)}${r.pick(['', ' --nflog-prefix "some prefix"', ' --nflog-size 40'])}`,
  AUDIT: (r) => `AUDIT --type ${r.pick(['accept', 'drop', 'reject'])}`,
  CONNSECMARK: inTable(['mangle', 'security'], (r) => `CONNSECMARK --${r.pick(['save', 'restore'])}`),
  IDLETIMER: inTable(['mangle', 'filter', 'raw'], (r) => `IDLETIMER --timeout 600 --label idle${r.int(0, 3)}`),
  RATEEST: inTable(['mangle'], () => 'RATEEST --rateest-name re --rateest-interval 250ms --rateest-ewmalog 1s'),
  SYNPROXY: inTable(['filter'], (r, site) =>
    site.protocol === 'tcp' && ['INPUT', 'FORWARD'].includes(site.hook)
      ? `SYNPROXY${r.pick(['', ' --mss 1400', ' --sack-perm --timestamp --wscale 7 --mss 1460', ' --ecn --timestamp'])}`
      : null,
  ),
  TPROXY: inTable(
    ['mangle'],
    at(['PREROUTING'], (r, site) =>
      hasPorts(site)
        ? `TPROXY --on-port ${r.pick(['3128', '80', '5353', '9'])}${r.chance(0.3) ? ` --on-ip ${site.family === 4 ? '10.0.0.1' : '2001:db8:1::1'}` : ''} --tproxy-mark ${r.pick(['0x1', '0x1/0x1', '0x0'])}`
        : null,
    ),
  ),
  TRACE: inTable(['raw'], () => 'TRACE'),
  NFQUEUE: (r, site) =>
    site.table === 'nat' ? null : `NFQUEUE --queue-num ${r.int(0, 5)}${r.chance(0.6) ? ' --queue-bypass' : ''}`,
  TEE: inTable(['mangle'], (r, site) =>
    site.bridged
      ? null
      : `TEE --gateway ${site.family === 4 ? '10.0.2.21' : '2001:db8:2::21'}${r.chance(0.2) ? ' --oif eth2' : ''}`,
  ),
  HMARK: inTable(
    ['mangle'],
    (r) =>
      `HMARK --hmark-tuple ${r.pick(['src,dst', 'src', 'src,dst,sport,dport,proto'])} --hmark-mod 10 --hmark-offset 100 --hmark-rnd 0xdeafbeef`,
  ),
  SNPT: inTable(
    ['mangle'],
    at(['POSTROUTING', 'INPUT'], (_, site) =>
      site.family === 6 ? 'SNPT --src-pfx 2001:db8:1::/64 --dst-pfx 2001:db8:77::/64' : null,
    ),
  ),
  DNPT: inTable(
    ['mangle'],
    at(['PREROUTING', 'OUTPUT'], (_, site) =>
      site.family === 6 ? 'DNPT --src-pfx 2001:db8:77::/64 --dst-pfx 2001:db8:1::/64' : null,
    ),
  ),
};
