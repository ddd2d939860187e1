import { describe, expect, it } from 'vitest';
import { toHex } from '../packet/bytes.ts';
import { formatPacket } from '../packet/notation/format.ts';
import { isTcpdumpText, parseTcpdump } from './tcpdump.ts';

// Texts as tcpdump 4.99.3 (libpcap 1.10.3) prints them.

const CONVERSATION = `22:13:20.000000 IP 10.0.0.5.40000 > 203.0.113.10.80: Flags [S], seq 1000000, win 64240, options [mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7], length 0
22:13:20.001234 IP 203.0.113.10.80 > 10.0.0.5.40000: Flags [S.], seq 5000000, ack 1000001, win 64240, options [mss 1400], length 0
22:13:20.002468 IP 10.0.0.5.40000 > 203.0.113.10.80: Flags [.], ack 1, win 64240, length 0
22:13:20.003702 IP 10.0.0.5.40000 > 203.0.113.10.80: Flags [P.], seq 1:19, ack 1, win 64240, length 18: HTTP: GET / HTTP/1.0
22:13:20.004936 IP 203.0.113.10.80 > 10.0.0.5.40000: Flags [P.], seq 1:18, ack 19, win 64240, length 17: HTTP: HTTP/1.0 200 OK
22:13:20.006170 IP 203.0.113.10.80 > 10.0.0.5.40000: Flags [F.], seq 18, ack 19, win 64240, length 0
22:13:20.007404 IP 10.0.0.5.40000 > 203.0.113.10.80: Flags [R], seq 1000019, win 0, length 0
`;

const VERBOSE = `22:13:20.013574 IP (tos 0x0, ttl 64, id 0, offset 0, flags [none], proto UDP (17), length 33)
    10.0.0.5.5000 > 10.0.0.1.9999: UDP, length 5
22:13:20.023446 IP (tos 0x0, ttl 64, id 0, offset 0, flags [none], proto ICMP (1), length 61)
    10.0.0.1 > 10.0.0.5: ICMP 10.0.0.1 udp port 9999 unreachable, length 41
	IP (tos 0x0, ttl 63, id 7, offset 0, flags [DF], proto UDP (17), length 33)
    10.0.0.5.5000 > 10.0.0.1.9999: UDP, length 5
22:13:20.050594 IP (tos 0x0, ttl 64, id 77, offset 0, flags [+], proto UDP (17), length 828)
    10.0.0.5.5000 > 10.0.0.1.9999: UDP, length 800
22:13:20.051828 IP (tos 0x0, ttl 64, id 77, offset 808, flags [none], proto UDP (17), length 120)
    10.0.0.5 > 10.0.0.1: ip-proto-17
22:13:20.053062 IP (tos 0xbb,CE, ttl 5, id 0, offset 0, flags [none], proto UDP (17), length 33, options (NOP,NOP,NOP,NOP))
    10.0.0.5.5000 > 10.0.0.1.9999: UDP, length 1
22:13:20.056764 IP6 (class 0x20, flowlabel 0x12345, hlim 3, next-header UDP (17) payload length: 13) 2001:db8::5.5000 > 2001:db8::1.9999: [udp sum ok] UDP, length 5
22:13:20.072806 IP6 (hlim 64, next-header Fragment (44) payload length: 816) 2001:db8::5 > 2001:db8::1: frag (0x0000004d:0|808) 5000 > 9999: UDP, length 800
22:13:20.074040 IP6 (hlim 64, next-header Fragment (44) payload length: 108) 2001:db8::5 > 2001:db8::1: frag (0x0000004d:808|100)
`;

function lines(text: string): string[] {
  return parseTcpdump(text).packets.map(({ packet }) => formatPacket(packet));
}

describe("tcpdump's text", () => {
  it('puts sequence numbers back that are printed relative', () => {
    expect(lines(CONVERSATION)).toEqual([
      'tcp 10.0.0.5:40000 > 203.0.113.10:80 S seq=1000000 mss=1460 sackok=1 ts=100:0 nop=1 wscale=7',
      'tcp 203.0.113.10:80 > 10.0.0.5:40000 SA seq=5000000 ack=1000001 mss=1400',
      'tcp 10.0.0.5:40000 > 203.0.113.10:80 A seq=1000001 ack=5000001',
      'tcp 10.0.0.5:40000 > 203.0.113.10:80 PA seq=1000001 ack=5000001 len=18',
      'tcp 203.0.113.10:80 > 10.0.0.5:40000 PA seq=5000001 ack=1000019 len=17',
      'tcp 203.0.113.10:80 > 10.0.0.5:40000 FA seq=5000018 ack=1000019',
      'tcp 10.0.0.5:40000 > 203.0.113.10:80 R seq=1000019 win=0',
    ]);
  });

  it('reads what -v adds, the quoted packet of an ICMP error included', () => {
    expect(lines(VERBOSE)).toEqual([
      'udp 10.0.0.5:5000 > 10.0.0.1:9999 len=5',
      // The quote is built from "ttl 63, id 7, flags [DF]".
      'icmp 10.0.0.1 > 10.0.0.5 port-unreachable hex=45000021000740003f1127c00a0000050a0000011388270f000db1370000000000',
      'udp 10.0.0.5:5000 > 10.0.0.1:9999 ipid=77 mf=1 len=800',
      'udp 10.0.0.5 > 10.0.0.1 ipid=77 frag=808 len=100',
      'udp 10.0.0.5:5000 > 10.0.0.1:9999 ttl=5 tos=0xbb options=01010101 len=1',
      'udp [2001:db8::5]:5000 > [2001:db8::1]:9999 ttl=3 tos=0x20 flow=74565 len=5',
      'udp [2001:db8::5]:5000 > [2001:db8::1]:9999 ipid=77 mf=1 frag=0 len=800',
      'udp 2001:db8::5 > 2001:db8::1 ipid=77 frag=808 len=100',
    ]);
  });

  it('finds what an ICMP error is about among the packets before it', () => {
    const [, error] = parseTcpdump(`22:13:20.013574 IP 10.0.0.5.5000 > 10.0.0.1.9999: UDP, length 5
22:13:20.023446 IP 10.0.0.1 > 10.0.0.5: ICMP 10.0.0.1 udp port 9999 unreachable, length 41
`).packets;
    expect(toHex(error!.packet.payload!, 20, 24)).toBe('1388270f');
  });

  it.each([
    ['22:13:20.000001', 80000000001],
    ['2023-11-14 22:13:20.000001', 1700000000000001],
    ['1700000000.000001', 1700000000000001],
  ])('reads the time %s', (time, micros) => {
    expect(parseTcpdump(`${time} IP 10.0.0.5.5000 > 10.0.0.1.9999: UDP, length 5\n`).packets[0]!.time).toBe(micros);
  });

  it('goes on past midnight', () => {
    const { packets } = parseTcpdump(`23:59:59.500000 IP 10.0.0.5.5000 > 10.0.0.1.9999: UDP, length 5
00:00:00.500000 IP 10.0.0.5.5000 > 10.0.0.1.9999: UDP, length 5
`);
    expect(packets[1]!.time! - packets[0]!.time!).toBe(1e6);
  });

  it('reads interface and direction of -i any', () => {
    const { packets } =
      parseTcpdump(`18:42:03.113007 lo    In  IP 127.0.0.1 > 127.0.0.1: ICMP echo request, id 4, seq 1, length 64
18:42:03.113021 eth0  Out IP 127.0.0.1 > 127.0.0.1: ICMP echo reply, id 4, seq 1, length 64
`);
    expect(packets.map(({ interface: name, direction }) => [name, direction])).toEqual([
      ['lo', 'In'],
      ['eth0', 'Out'],
    ]);
  });

  it('takes the bytes of hex dumps, with or without link header', () => {
    const l3 = `22:13:20.002468 IP 203.0.113.10.80 > 10.0.0.5.40000: Flags [S.], seq 5000000, ack 1000001, win 64240, options [mss 1400], length 0
	0x0000:  4500 002c 0000 0000 4006 34bd cb00 710a
	0x0010:  0a00 0005 0050 9c40 004c 4b40 000f 4241
	0x0020:  6012 faf0 2ce5 0000 0204 0578
`;
    const l2 = `22:13:20.002468 IP 203.0.113.10.80 > 10.0.0.5.40000: Flags [S.], seq 5000000, ack 1000001, win 64240, options [mss 1400], length 0
	0x0000:  0200 0000 0001 0200 0000 ff01 0800 4500  ..............E.
	0x0010:  002c 0000 0000 4006 34bd cb00 710a 0a00  .,....@.4...q...
	0x0020:  0005 0050 9c40 004c 4b40 000f 4241 6012  ...P.@.LK@..BA\`.
	0x0030:  faf0 2ce5 0000 0204 0578                 ..,......x
`;
    for (const text of [l3, l2]) {
      expect(toHex(parseTcpdump(text).packets[0]!.packet.raw!)).toBe(
        '4500002c00000000400634bdcb00710a0a00000500509c40004c4b40000f42416012faf02ce5000002040578',
      );
    }
  });

  it('names what it leaves out', () => {
    const { packets, skipped } = parseTcpdump(`22:13:20.1 ARP, Request who-has 10.0.0.1 tell 10.0.0.5, length 28
22:13:20.2 IP gateway.http > host.40000: Flags [.], ack 1, win 1, length 0
22:13:20.051828 IP 10.0.0.5 > 10.0.0.1: ip-proto-17
`);
    expect(packets).toEqual([]);
    expect(skipped.map(({ line, reason }) => `${line} ${reason}`)).toEqual([
      '1 ARP, not IP',
      '2 "gateway.http" is no address (names? use tcpdump -n)',
      '3 a later fragment, of which only tcpdump -v tells the offset',
    ]);
  });

  it('is told from other texts', () => {
    expect(isTcpdumpText(CONVERSATION)).toBe(true);
    expect(isTcpdumpText('in=eth0 tcp 198.51.100.7:40000 > 203.0.113.10:80 S\n')).toBe(false);
    expect(isTcpdumpText('packets:\n  - tcp 1.1.1.1:1 > 2.2.2.2:2\n')).toBe(false);
  });
});
