import { expect, it } from 'vitest';
import { interfaceLines } from './interfaces.ts';

it('makes the interfaces of host.yaml in the language of ip -batch', () => {
  expect(
    interfaceLines({
      interfaces: {
        lo: { addresses: ['127.0.0.2/8'] },
        eth0: { mac: '02:00:00:00:00:01', addresses: ['192.0.2.1/24', '2001:db8::1/64'], mtu: 1400 },
        tap1: null,
        br0: { bridge: ['tap1'] },
        'eth0.5': { link: 'eth0', vlan: 5 },
      },
      routes: ['default via 192.0.2.254 dev eth0', '2001:db8:1::/48 via 2001:db8::2'],
    }),
  ).toEqual([
    'link set lo up',
    'link add name eth0 address 02:00:00:00:00:01 type dummy',
    'link set eth0 mtu 1400',
    'link add name tap1 type dummy',
    'link add name br0 type bridge',
    'link add link eth0 name eth0.5 type vlan id 5',
    'address add 127.0.0.2/8 dev lo',
    'link set lo up',
    'address add 192.0.2.1/24 dev eth0',
    'address add 2001:db8::1/64 dev eth0 nodad',
    'link set eth0 up',
    'link set tap1 up',
    'link set tap1 master br0',
    'link set br0 up',
    'link set eth0.5 up',
    'route add default via 192.0.2.254 dev eth0',
    '-6 route add 2001:db8:1::/48 via 2001:db8::2',
  ]);
});
