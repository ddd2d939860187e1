import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { toolRunner } from './simulate.ts';

const HOST = `interfaces:
  eth0: { mac: "02:00:00:00:00:01", addresses: [192.0.2.1/24, "2001:db8::1/64"] }
  eth1: { mac: "02:00:00:00:00:02", addresses: [10.0.0.1/24, "2001:db8:1::1/64"] }
sysctl: { net.ipv4.ip_forward: 1, net.ipv6.conf.all.forwarding: 1 }
`;
const RULES4 = `*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -j TRACE
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:a - [0:0]
-A FORWARD -p tcp -j MARK --set-mark 5
-A FORWARD -p udp -j a
-A FORWARD -p udp -g a
-A a -p udp -m udp --dport 53 -j RETURN
COMMIT
`;
const RULES6 = `*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -j TRACE
COMMIT
`;
const IN = 'IN=eth0 MACSRC=2:0:0:0:ff:10 MACDST=2:0:0:0:0:1 MACPROTO';
const THROUGH = 'IN=eth0 OUT=eth1 MACSRC=2:0:0:0:ff:10 MACDST=2:0:0:0:0:1 MACPROTO';

// As xtables-monitor 1.8.9 printed it about Linux 6.18, but for the ids, which the kernel draws.
it('tells what rules did to traced packets as xtables-monitor does', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-monitor-'));
  const packets = [
    'in=eth0 srcmac=02:00:00:00:ff:10 tcp 198.51.100.7:1 > 10.0.0.9:2 SA id=5 tos=0x2b',
    'in=eth0 srcmac=02:00:00:00:ff:10 udp 198.51.100.7:1 > 10.0.0.9:53 id=5 df=1 len=3',
    'in=eth0 srcmac=02:00:00:00:ff:10 udp [2001:db8:f::7]:1 > [2001:db8:1::9]:2 len=1',
  ];
  try {
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of Object.entries({ 'host.yaml': HOST, 'rules.v4': RULES4, 'rules.v6': RULES6 }))
      writeFileSync(path.join(folder, name), text);
    const lines = (await toolRunner(folder, 'nft')(['trace', '--xtables-monitor', ...packets])).split('\n');
    expect(lines).toEqual([
      `PACKET: 2 00000001 ${IN}=0800 SRC=198.51.100.7 DST=10.0.0.9 LEN=40 TOS=0x2b TTL=64 ID=5 SPORT=1 DPORT=2 SYN ACK `,
      ' TRACE: 2 00000001 raw:PREROUTING:rule:0x3:CONTINUE  -4 -t raw -A PREROUTING -j TRACE',
      ' TRACE: 2 00000001 raw:PREROUTING:policy:ACCEPT ',
      `PACKET: 2 00000001 ${THROUGH}=0800 SRC=198.51.100.7 DST=10.0.0.9 LEN=40 TOS=0x2b TTL=63 ID=5 SPORT=1 DPORT=2 SYN ACK MARK=0x5 `,
      ' TRACE: 2 00000001 filter:FORWARD:rule:0x5:CONTINUE  -4 -t filter -A FORWARD -p tcp -j MARK --set-xmark 0x5/0xffffffff',
      ' TRACE: 2 00000001 filter:FORWARD:policy:DROP ',
      `PACKET: 2 00000002 ${IN}=0800 SRC=198.51.100.7 DST=10.0.0.9 LEN=31 TOS=0x0 TTL=64 ID=5 DF SPORT=1 DPORT=53 `,
      ' TRACE: 2 00000002 raw:PREROUTING:rule:0x3:CONTINUE  -4 -t raw -A PREROUTING -j TRACE',
      ' TRACE: 2 00000002 raw:PREROUTING:policy:ACCEPT ',
      `PACKET: 2 00000002 ${THROUGH}=0800 SRC=198.51.100.7 DST=10.0.0.9 LEN=31 TOS=0x0 TTL=63 ID=5 DF SPORT=1 DPORT=53 `,
      ' TRACE: 2 00000002 filter:FORWARD:rule:0x6:JUMP:a  -4 -t filter -A FORWARD -p udp -j a',
      ' TRACE: 2 00000002 filter:a:rule:0x8:0xfffffffb  -4 -t filter -A a -p udp -m udp --dport 53 -j RETURN',
      ' TRACE: 2 00000002 filter:FORWARD:rule:0x7:GOTO:a  -4 -t filter -A FORWARD -p udp -g a',
      ' TRACE: 2 00000002 filter:a:rule:0x8:0xfffffffb  -4 -t filter -A a -p udp -m udp --dport 53 -j RETURN',
      ' TRACE: 2 00000002 filter:FORWARD:policy:DROP ',
      `PACKET: 10 00000003 ${IN}=86dd SRC=2001:db8:f::7 DST=2001:db8:1::9 LEN=29 TC=0 HOPLIMIT=64 FLOWLBL=0 SPORT=1 DPORT=2 `,
      ' TRACE: 10 00000003 raw:PREROUTING:rule:0x3:CONTINUE  -6 -t raw -A PREROUTING -j TRACE',
      ' TRACE: 10 00000003 raw:PREROUTING:policy:ACCEPT ',
      '',
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
