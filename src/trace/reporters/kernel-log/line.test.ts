import { expect, it } from 'vitest';
import { Hook, type HookState } from '../../../datapath/hooks.ts';
import type { Device } from '../../../host/device.ts';
import { fromHex } from '../../../packet/bytes.ts';
import { decode } from '../../../packet/decode.ts';
import type { Family } from '../../../packet/family.ts';
import { Packet } from '../../../packet/packet.ts';
import { formatLogLine, LogFlag } from './line.ts';

function device(name: string, last: number): Device {
  return {
    index: last,
    name,
    kind: 'ethernet',
    mac: Uint8Array.of(2, 0, 0, 0, 0, last),
    mtu: 1500,
    addresses: [],
    group: 0,
    bridge: null,
    ports: [],
    hairpin: false,
    link: null,
    vlan: 0,
  };
}

/** The interfaces of the recorded machine, and the last octet of the sender's MAC on each. */
const DEVICES = { eth0: device('eth0', 1), eth1: device('eth1', 2), eth2: device('eth2', 3) };
const SENDER = { eth0: 0x10, eth1: 0x11, eth2: 0x12 };

function arrived(name: keyof typeof DEVICES, family: Family, hex: string): { packet: Packet; at: HookState } {
  const packet = new Packet(family, fromHex(hex)!);
  decode(packet);
  const inDevice = DEVICES[name];
  packet.inDevice = inDevice;
  const type = family === 4 ? [0x08, 0x00] : [0x86, 0xdd];
  packet.linkHeader = Uint8Array.of(...inDevice.mac, 2, 0, 0, 0, 0xff, SENDER[name], ...type);
  return { packet, at: { hook: Hook.prerouting, family, inDevice, outDevice: null } };
}

/** Packets that came in on an interface, and what LOG of Linux 6.18 wrote about them in PREROUTING or INPUT. */
const LINES: readonly { device: string; hex: string; flags: number; mark: number; line: string }[] = [
  {
    device: 'eth0',
    hex: '45280021006b40000201aa2bc000020a0a0002140800c3fd00020002a9a24f5b3b',
    flags: 0,
    mark: 0,
    line: 'IN=eth0 OUT= MAC=02:00:00:00:00:01:02:00:00:00:ff:10:08:00 SRC=192.0.2.10 DST=10.0.2.20 LEN=33 TOS=0x08 PREC=0x20 TTL=2 ID=107 DF PROTO=ICMP TYPE=8 CODE=0 ID=2 SEQ=2 ',
  },
  {
    device: 'eth2',
    hex: '4548004600724000400623da0a0002150a00000a9c40003502030f0cd066d4275014020092450000becf0fdc6d28fc1c94c5fc08ded1e5e3afce714c52df1d81fa2482b51770',
    flags: 0,
    mark: 0,
    line: 'IN=eth2 OUT= MAC=02:00:00:00:00:03:02:00:00:00:ff:12:08:00 SRC=10.0.2.21 DST=10.0.0.10 LEN=70 TOS=0x08 PREC=0x40 TTL=64 ID=114 DF PROTO=TCP SPT=40000 DPT=53 WINDOW=512 RES=0x00 ACK RST URGP=0 ',
  },
  {
    device: 'eth2',
    hex: '4548004600724000400623da0a0002150a00000a9c40003502030f0cd066d4275014020092450000becf0fdc6d28fc1c94c5fc08ded1e5e3afce714c52df1d81fa2482b51770',
    flags: 0,
    mark: 48879,
    line: 'IN=eth2 OUT= MAC=02:00:00:00:00:03:02:00:00:00:ff:12:08:00 SRC=10.0.2.21 DST=10.0.0.10 LEN=70 TOS=0x08 PREC=0x40 TTL=64 ID=114 DF PROTO=TCP SPT=40000 DPT=53 WINDOW=512 RES=0x00 ACK RST URGP=0 MARK=0xbeef ',
  },
  {
    device: 'eth1',
    hex: '45000028007940008006e4380a00000b0a0002149c40007b788bd2fe0000000050c2ffffb0be0000',
    flags: 0,
    mark: 0,
    line: 'IN=eth1 OUT= MAC=02:00:00:00:00:02:02:00:00:00:ff:11:08:00 SRC=10.0.0.11 DST=10.0.2.20 LEN=40 TOS=0x00 PREC=0x00 TTL=128 ID=121 DF PROTO=TCP SPT=40000 DPT=123 WINDOW=65535 RES=0x00 CWR ECE SYN URGP=0 ',
  },
  {
    device: 'eth1',
    hex: '45000028007940008006e4380a00000b0a0002149c40007b788bd2fe0000000050c2ffffb0be0000',
    flags: 0,
    mark: 48879,
    line: 'IN=eth1 OUT= MAC=02:00:00:00:00:02:02:00:00:00:ff:11:08:00 SRC=10.0.0.11 DST=10.0.2.20 LEN=40 TOS=0x00 PREC=0x00 TTL=128 ID=121 DF PROTO=TCP SPT=40000 DPT=123 WINDOW=65535 RES=0x00 CWR ECE SYN URGP=0 MARK=0xbeef ',
  },
  {
    device: 'eth0',
    hex: '45000028008e000040063175cb0071050a0002c8138801bb8b0dce79c9d1d52d5010ffff593d0000',
    flags: 0,
    mark: 0,
    line: 'IN=eth0 OUT= MAC=02:00:00:00:00:01:02:00:00:00:ff:10:08:00 SRC=203.0.113.5 DST=10.0.2.200 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=142 PROTO=TCP SPT=5000 DPT=443 WINDOW=65535 RES=0x00 ACK URGP=0 ',
  },
  {
    device: 'eth0',
    hex: '45000028008e000040063175cb0071050a0002c8138801bb8b0dce79c9d1d52d5010ffff593d0000',
    flags: 0,
    mark: 48879,
    line: 'IN=eth0 OUT= MAC=02:00:00:00:00:01:02:00:00:00:ff:10:08:00 SRC=203.0.113.5 DST=10.0.2.200 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=142 PROTO=TCP SPT=5000 DPT=443 WINDOW=65535 RES=0x00 ACK URGP=0 MARK=0xbeef ',
  },
  {
    device: 'eth0',
    hex: '4528002800954000ff0644c3c63364070a000215ee48007b182eaf9d984206735012ffff243e0000',
    flags: 0,
    mark: 0,
    line: 'IN=eth0 OUT= MAC=02:00:00:00:00:01:02:00:00:00:ff:10:08:00 SRC=198.51.100.7 DST=10.0.2.21 LEN=40 TOS=0x08 PREC=0x20 TTL=255 ID=149 DF PROTO=TCP SPT=61000 DPT=123 WINDOW=65535 RES=0x00 ACK SYN URGP=0 ',
  },
  {
    device: 'eth0',
    hex: '4528002800954000ff0644c3c63364070a000215ee48007b182eaf9d984206735012ffff243e0000',
    flags: 0,
    mark: 48879,
    line: 'IN=eth0 OUT= MAC=02:00:00:00:00:01:02:00:00:00:ff:10:08:00 SRC=198.51.100.7 DST=10.0.2.21 LEN=40 TOS=0x08 PREC=0x20 TTL=255 ID=149 DF PROTO=TCP SPT=61000 DPT=123 WINDOW=65535 RES=0x00 ACK SYN URGP=0 MARK=0xbeef ',
  },
  {
    device: 'eth1',
    hex: '4500002c00a30000400665a70a0000820a00000104000035683e82bf0000000060c2020091b10000020405b4',
    flags: 0,
    mark: 0,
    line: 'IN=eth1 OUT= MAC=02:00:00:00:00:02:02:00:00:00:ff:11:08:00 SRC=10.0.0.130 DST=10.0.0.1 LEN=44 TOS=0x00 PREC=0x00 TTL=64 ID=163 PROTO=TCP SPT=1024 DPT=53 WINDOW=512 RES=0x00 CWR ECE SYN URGP=0 ',
  },
  {
    device: 'eth1',
    hex: '4500002c00a30000400665a70a0000820a00000104000035683e82bf0000000060c2020091b10000020405b4',
    flags: 2,
    mark: 48879,
    line: 'IN=eth1 OUT= MAC=02:00:00:00:00:02:02:00:00:00:ff:11:08:00 SRC=10.0.0.130 DST=10.0.0.1 LEN=44 TOS=0x00 PREC=0x00 TTL=64 ID=163 PROTO=TCP SPT=1024 DPT=53 WINDOW=512 RES=0x00 CWR ECE SYN URGP=0 OPT (020405B4) MARK=0xbeef ',
  },
  {
    device: 'eth1',
    hex: '4500002c00a30000400665a70a0000820a00000104000035683e82bf0000000060c2020091b10000020405b4',
    flags: 0,
    mark: 48879,
    line: 'IN=eth1 OUT= MAC=02:00:00:00:00:02:02:00:00:00:ff:11:08:00 SRC=10.0.0.130 DST=10.0.0.1 LEN=44 TOS=0x00 PREC=0x00 TTL=64 ID=163 PROTO=TCP SPT=1024 DPT=53 WINDOW=512 RES=0x00 CWR ECE SYN URGP=0 MARK=0xbeef ',
  },
  {
    device: 'eth1',
    hex: '4500002c00a30000400665a70a0000820a00000104000035683e82bf0000000060c2020091b10000020405b4',
    flags: 32,
    mark: 48879,
    line: 'IN=eth1 OUT= MACSRC=02:00:00:00:ff:11 MACDST=02:00:00:00:00:02 MACPROTO=0800 SRC=10.0.0.130 DST=10.0.0.1 LEN=44 TOS=0x00 PREC=0x00 TTL=64 ID=163 PROTO=TCP SPT=1024 DPT=53 WINDOW=512 RES=0x00 CWR ECE SYN URGP=0 MARK=0xbeef ',
  },
  {
    device: 'eth1',
    hex: '4500004600bf4000010662d60a00000a0a0002149c4000504cb7d0f4c9217df2501002004c390000b330c9eb41e99c3b283f79f137a5053960a9c57ef4319c21ba367d982174',
    flags: 0,
    mark: 0,
    line: 'IN=eth1 OUT= MAC=02:00:00:00:00:02:02:00:00:00:ff:11:08:00 SRC=10.0.0.10 DST=10.0.2.20 LEN=70 TOS=0x00 PREC=0x00 TTL=1 ID=191 DF PROTO=TCP SPT=40000 DPT=80 WINDOW=512 RES=0x00 ACK URGP=0 ',
  },
  {
    device: 'eth1',
    hex: '4500004600bf4000010662d60a00000a0a0002149c4000504cb7d0f4c9217df2501002004c390000b330c9eb41e99c3b283f79f137a5053960a9c57ef4319c21ba367d982174',
    flags: 0,
    mark: 48879,
    line: 'IN=eth1 OUT= MAC=02:00:00:00:00:02:02:00:00:00:ff:11:08:00 SRC=10.0.0.10 DST=10.0.2.20 LEN=70 TOS=0x00 PREC=0x00 TTL=1 ID=191 DF PROTO=TCP SPT=40000 DPT=80 WINDOW=512 RES=0x00 ACK URGP=0 MARK=0xbeef ',
  },
  {
    device: 'eth1',
    hex: '4548002800cd40004006239e0a00000a0a00021413880050c5ccaa4a000000005004ffff15d40000',
    flags: 0,
    mark: 0,
    line: 'IN=eth1 OUT= MAC=02:00:00:00:00:02:02:00:00:00:ff:11:08:00 SRC=10.0.0.10 DST=10.0.2.20 LEN=40 TOS=0x08 PREC=0x40 TTL=64 ID=205 DF PROTO=TCP SPT=5000 DPT=80 WINDOW=65535 RES=0x00 RST URGP=0 ',
  },
  {
    device: 'eth1',
    hex: '4548002800cd40004006239e0a00000a0a00021413880050c5ccaa4a000000005004ffff15d40000',
    flags: 0,
    mark: 48879,
    line: 'IN=eth1 OUT= MAC=02:00:00:00:00:02:02:00:00:00:ff:11:08:00 SRC=10.0.0.10 DST=10.0.2.20 LEN=40 TOS=0x08 PREC=0x40 TTL=64 ID=205 DF PROTO=TCP SPT=5000 DPT=80 WINDOW=65535 RES=0x00 RST URGP=0 MARK=0xbeef ',
  },
  {
    device: 'eth2',
    hex: '4548002c00db40004006f18f0a000214cb0071050400007bbe0cbadb000000006002ffffd2a90000020405b4',
    flags: 0,
    mark: 0,
    line: 'IN=eth2 OUT= MAC=02:00:00:00:00:03:02:00:00:00:ff:12:08:00 SRC=10.0.2.20 DST=203.0.113.5 LEN=44 TOS=0x08 PREC=0x40 TTL=64 ID=219 DF PROTO=TCP SPT=1024 DPT=123 WINDOW=65535 RES=0x00 SYN URGP=0 ',
  },
  {
    device: 'eth2',
    hex: '4548002c00db40004006f18f0a000214cb0071050400007bbe0cbadb000000006002ffffd2a90000020405b4',
    flags: 2,
    mark: 48879,
    line: 'IN=eth2 OUT= MAC=02:00:00:00:00:03:02:00:00:00:ff:12:08:00 SRC=10.0.2.20 DST=203.0.113.5 LEN=44 TOS=0x08 PREC=0x40 TTL=64 ID=219 DF PROTO=TCP SPT=1024 DPT=123 WINDOW=65535 RES=0x00 SYN URGP=0 OPT (020405B4) MARK=0xbeef ',
  },
  {
    device: 'eth1',
    hex: '4500002d00e940004006234d0a0000820a000214040001bbb6a899649e24444a5011ffff6b8200001dc222bdb5',
    flags: 0,
    mark: 0,
    line: 'IN=eth1 OUT= MAC=02:00:00:00:00:02:02:00:00:00:ff:11:08:00 SRC=10.0.0.130 DST=10.0.2.20 LEN=45 TOS=0x00 PREC=0x00 TTL=64 ID=233 DF PROTO=TCP SPT=1024 DPT=443 WINDOW=65535 RES=0x00 ACK FIN URGP=0 ',
  },
  {
    device: 'eth1',
    hex: '4500002d00e940004006234d0a0000820a000214040001bbb6a899649e24444a5011ffff6b8200001dc222bdb5',
    flags: 0,
    mark: 48879,
    line: 'IN=eth1 OUT= MAC=02:00:00:00:00:02:02:00:00:00:ff:11:08:00 SRC=10.0.0.130 DST=10.0.2.20 LEN=45 TOS=0x00 PREC=0x00 TTL=64 ID=233 DF PROTO=TCP SPT=1024 DPT=443 WINDOW=65535 RES=0x00 ACK FIN URGP=0 MARK=0xbeef ',
  },
  {
    device: 'eth1',
    hex: '4503002c010500004006adb00a00000ac000020a0fa10050ffffffff0000000060c2faf0c627000001010100',
    flags: 2,
    mark: 48879,
    line: 'IN=eth1 OUT= MAC=02:00:00:00:00:02:02:00:00:00:ff:11:08:00 SRC=10.0.0.10 DST=192.0.2.10 LEN=44 TOS=0x02 PREC=0x00 TTL=64 ID=261 PROTO=TCP SPT=4001 DPT=80 WINDOW=64240 RES=0x00 CWR ECE SYN URGP=0 OPT (01010100) MARK=0xbeef ',
  },
  {
    device: 'eth1',
    hex: '45ff002e010c00004006acab0a00000ac000020a0fa100500000000100000002503f000087fe004d757267656e74',
    flags: 0,
    mark: 0,
    line: 'IN=eth1 OUT= MAC=02:00:00:00:00:02:02:00:00:00:ff:11:08:00 SRC=10.0.0.10 DST=192.0.2.10 LEN=46 TOS=0x1E PREC=0xE0 TTL=64 ID=268 PROTO=TCP SPT=4001 DPT=80 WINDOW=0 RES=0x00 URG ACK PSH RST SYN FIN URGP=77 ',
  },
  {
    device: 'eth1',
    hex: '45ff002e010c00004006acab0a00000ac000020a0fa100500000000100000002503f000087fe004d757267656e74',
    flags: 0,
    mark: 48879,
    line: 'IN=eth1 OUT= MAC=02:00:00:00:00:02:02:00:00:00:ff:11:08:00 SRC=10.0.0.10 DST=192.0.2.10 LEN=46 TOS=0x1E PREC=0xE0 TTL=64 ID=268 PROTO=TCP SPT=4001 DPT=80 WINDOW=0 RES=0x00 URG ACK PSH RST SYN FIN URGP=77 MARK=0xbeef ',
  },
  {
    device: 'eth1',
    hex: '45480036007940000202ab790a000082c000020a000088009d7da4147fce6106fc5821bc6a648873aa3d31f26206c646b733894c44b4',
    flags: 0,
    mark: 0,
    line: 'IN=eth1 OUT= MAC=02:00:00:00:00:02:02:00:00:00:ff:11:08:00 SRC=10.0.0.130 DST=192.0.2.10 LEN=54 TOS=0x08 PREC=0x40 TTL=2 ID=121 DF PROTO=2 ',
  },
  {
    device: 'eth1',
    hex: '45000036008700004002636d0a00000b0a0002c80000880059e31562e38de821e925c7d7b4b19cb6e2d23cffc7a51b521c8f14019ee1',
    flags: 0,
    mark: 0,
    line: 'IN=eth1 OUT= MAC=02:00:00:00:00:02:02:00:00:00:ff:11:08:00 SRC=10.0.0.11 DST=10.0.2.200 LEN=54 TOS=0x00 PREC=0x00 TTL=64 ID=135 PROTO=2 ',
  },
];

it.each(LINES)('writes $line', ({ device: name, hex, flags, mark, line }) => {
  const { packet, at } = arrived(name as keyof typeof DEVICES, 4, hex);
  packet.mark = mark;
  expect(formatLogLine(packet, at, { prefix: 'a: ', flags })).toBe(`a: ${line}`);
});

/** An IPv6 header from 2001:db8::1 to 2001:db8::2 with traffic class 184, flow label 74565, hop limit 64. */
function ipv6(nextHeader: string, payload: string): string {
  const length = (payload.length / 2).toString(16).padStart(4, '0');
  return `6b812345${length}${nextHeader}4020010db800000000000000000000000120010db8000000000000000000000002${payload}`;
}

const START =
  'IN=eth0 OUT= MAC=02:00:00:00:00:01:02:00:00:00:ff:10:86:dd SRC=2001:0db8:0000:0000:0000:0000:0000:0001 DST=2001:0db8:0000:0000:0000:0000:0000:0002';
const FIELDS = 'TC=184 HOPLIMIT=64 FLOWLBL=74565';

// The forms are those that Linux 6.18 was seen to write.
it.each([
  ['UDP', ipv6('11', '000100020008abcd'), 0, `LEN=48 ${FIELDS} PROTO=UDP SPT=1 DPT=2 LEN=8 `],
  ['an echo request', ipv6('3a', '8000000000050007'), 0, `LEN=48 ${FIELDS} PROTO=ICMPv6 TYPE=128 CODE=0 ID=5 SEQ=7 `],
  [
    'a first fragment',
    ipv6('2c', '110000010000123400010002'),
    0,
    `LEN=52 ${FIELDS} FRAG:0 INCOMPLETE ID:00001234 PROTO=UDP INCOMPLETE [4 bytes] `,
  ],
  [
    'a later fragment',
    ipv6('2c', '110001910000123400010002'),
    LogFlag.ipOptions,
    `LEN=52 ${FIELDS} OPT ( FRAG:400 INCOMPLETE ID:00001234 ) PROTO=UDP `,
  ],
  ['ESP', ipv6('32', '0000010100000001'), 0, `LEN=48 ${FIELDS} `],
  ['ESP with options', ipv6('32', '0000010100000001'), LogFlag.ipOptions, `LEN=48 ${FIELDS} OPT ( ESP SPI=0x101 )`],
  ['no next header', ipv6('3b', ''), 0, `LEN=40 ${FIELDS} PROTO=59 `],
  [
    'destination options',
    ipv6('3c', '1100010400000000000100020008abcd'),
    LogFlag.ipOptions,
    `LEN=56 ${FIELDS} OPT ( ) PROTO=UDP SPT=1 DPT=2 LEN=8 `,
  ],
])('writes IPv6: %s', (_, hex, flags, rest) => {
  const { packet, at } = arrived('eth0', 6, hex);
  expect(formatLogLine(packet, at, { prefix: '', flags })).toBe(`${START} ${rest}`);
});

it('names the process of a packet of the machine before the mark', () => {
  const { packet, at } = arrived('eth0', 6, ipv6('3b', ''));
  packet.owner = { uid: 1000, gid: 100 };
  packet.mark = 5;
  const local = { ...at, hook: Hook.output, inDevice: null, outDevice: DEVICES.eth1 };
  expect(formatLogLine(packet, local, { prefix: 'x', flags: LogFlag.uid })).toMatch(
    /^xIN= OUT=eth1 SRC=.* PROTO=59 UID=1000 GID=100 MARK=0x5 $/,
  );
});
