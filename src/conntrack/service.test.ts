import { describe, expect, it } from 'vitest';
import { Hook, type HookState } from '../datapath/hooks.ts';
import { Verdict } from '../datapath/verdicts.ts';
import { decode } from '../packet/decode.ts';
import { buildPacket } from '../packet/notation/build.ts';
import { parsePacket } from '../packet/notation/parse.ts';
import { ConntrackInfo, Packet } from '../packet/packet.ts';
import { formatEntry } from './format.ts';
import { type ConntrackService, createConntrack } from './service.ts';
import { CONNTRACK_SYSCTLS } from './settings.ts';

/** A forwarding machine with conntrack alone; a line is `seconds notation`, the answer the state a rule would see. */
class Router {
  seconds = 0;
  readonly conntrack: ConntrackService;

  constructor(sysctls: Record<string, number> = {}) {
    const values: Record<string, number> = { ...CONNTRACK_SYSCTLS, nf_conntrack_acct: 1, ...sysctls };
    this.conntrack = createConntrack({
      now: () => this.seconds * 1e6,
      random: () => 4,
      sysctl: (name) => values[name.replace('net.netfilter.', '')] ?? 0,
    });
  }

  send(line: string): string {
    const description = parsePacket(line);
    const packet = new Packet(description.family, buildPacket(description));
    decode(packet);
    const at: HookState = { hook: Hook.prerouting, family: packet.family, inDevice: null, outDevice: null };
    if (this.conntrack.in(packet, at) === Verdict.drop) return 'DROP';
    const state = stateOf(packet);
    at.hook = Hook.postrouting;
    if (this.conntrack.help(packet, at) === Verdict.drop) return 'DROP';
    if (this.conntrack.confirm(packet, at) === Verdict.drop) return 'DROP';
    this.conntrack.release(packet);
    return state;
  }

  list(): string[] {
    const lines: string[] = [];
    const now = this.seconds * 1e6;
    this.conntrack.table.forEachConfirmed((slot) => {
      const entry = this.conntrack.entry(slot);
      if (entry.expiry > now) lines.push(formatEntry(entry, now));
    });
    return lines;
  }
}

function stateOf(packet: Packet): string {
  if (packet.conntrackInfo === ConntrackInfo.untracked) return 'UNTRACKED';
  if (packet.connection === null) return 'INVALID';
  switch (packet.conntrackInfo) {
    case ConntrackInfo.new:
      return 'NEW';
    case ConntrackInfo.related:
    case ConntrackInfo.relatedReply:
      return 'RELATED';
    default:
      return 'ESTABLISHED';
  }
}

const CLIENT = 'tcp 10.0.0.5:1000 > 192.0.2.9:80';
const SERVER = 'tcp 192.0.2.9:80 > 10.0.0.5:1000';

/** Up to ESTABLISHED, client next 101, server next 501, windows 8192. */
function established(): Router {
  const router = new Router();
  expect(router.send(`${CLIENT} S seq=100 win=8192`)).toBe('NEW');
  expect(router.send(`${SERVER} SA seq=500 ack=101 win=8192`)).toBe('ESTABLISHED');
  expect(router.send(`${CLIENT} A seq=101 ack=501 win=8192`)).toBe('ESTABLISHED');
  return router;
}

describe('TCP, as measured on Linux 6.18', () => {
  it.each([
    ['S', 'NEW'],
    ['SEC', 'NEW'],
    ['SU', 'NEW'],
    ['A', 'NEW'],
    ['PA', 'NEW'],
    ['SA', 'INVALID'],
    ['R', 'INVALID'],
    ['RA', 'INVALID'],
    ['F', 'INVALID'],
    ['FA', 'INVALID'],
    ['SF', 'INVALID'],
    ['SR', 'INVALID'],
    ['FPU', 'INVALID'],
  ])('a first packet with flags %s is %s', (flags, state) => {
    expect(new Router().send(`${CLIENT} ${flags}`)).toBe(state);
  });

  it('picks up a connection under way at once, with a short timeout', () => {
    const router = new Router();
    router.send(`${CLIENT} A seq=1 ack=1`);
    expect(router.list()).toEqual([
      'tcp      6 300 ESTABLISHED src=10.0.0.5 dst=192.0.2.9 sport=1000 dport=80 packets=1 bytes=40 [UNREPLIED] src=192.0.2.9 dst=10.0.0.5 sport=80 dport=1000 packets=0 bytes=0 mark=0 use=1',
    ]);
  });

  it('does not with nf_conntrack_tcp_loose=0', () => {
    expect(new Router({ nf_conntrack_tcp_loose: 0 }).send(`${CLIENT} A`)).toBe('INVALID');
  });

  it('establishes, and closes into TIME_WAIT', () => {
    const router = established();
    expect(router.list()[0]).toContain('432000 ESTABLISHED');
    expect(router.list()[0]).toContain('[ASSURED]');
    expect(router.send(`${CLIENT} FA seq=101 ack=501 win=8192`)).toBe('ESTABLISHED');
    expect(router.list()[0]).toContain('120 FIN_WAIT');
    expect(router.send(`${SERVER} FA seq=501 ack=102 win=8192`)).toBe('ESTABLISHED');
    expect(router.list()[0]).toContain('30 LAST_ACK');
    expect(router.send(`${CLIENT} A seq=102 ack=502 win=8192`)).toBe('ESTABLISHED');
    expect(router.list()[0]).toContain('120 TIME_WAIT');
    expect(router.send(`${CLIENT} S seq=9000 win=8192`)).toBe('NEW');
    expect(router.list()).toHaveLength(1);
    expect(router.list()[0]).toContain('120 SYN_SENT');
  });

  it.each([
    [101, 501, 'ESTABLISHED', true],
    [101 + 8192, 501, 'ESTABLISHED', true],
    [101 + 8193, 501, 'ESTABLISHED', false],
    [101 + 16384, 501, 'INVALID', false],
    [100, 501, 'ESTABLISHED', true],
    [101 - 8192, 501, 'ESTABLISHED', true],
    [101, 502, 'INVALID', false],
    [101, 501 - 66000, 'ESTABLISHED', true],
    [101, 501 - 70000, 'ESTABLISHED', false],
  ])('client data with seq %i, ack %i is %s (counted: %s)', (seq, ack, state, counted) => {
    const router = established();
    expect(router.send(`${CLIENT} PA seq=${seq >>> 0} ack=${ack >>> 0} win=8192 data=x`)).toBe(state);
    expect(router.list()[0]?.includes('packets=3')).toBe(counted);
  });

  it('closes on an exact RST, keeps the state on one inside the window, refuses others', () => {
    let router = established();
    expect(router.send(`${CLIENT} R seq=101`)).toBe('ESTABLISHED');
    expect(router.list()[0]).toContain('10 CLOSE');
    router = established();
    expect(router.send(`${CLIENT} R seq=102`)).toBe('ESTABLISHED');
    expect(router.list()[0]).toContain('10 ESTABLISHED');
    router = established();
    expect(router.send(`${CLIENT} R seq=100`)).toBe('INVALID');
    expect(router.send(`${CLIENT} R seq=${101 + 100000}`)).toBe('INVALID');
  });

  it('ignores SYN in ESTABLISHED and does not count it', () => {
    const router = established();
    expect(router.send(`${CLIENT} S seq=7777`)).toBe('ESTABLISHED');
    expect(router.send(`${CLIENT} SA seq=7777 ack=1`)).toBe('INVALID');
    expect(router.send(`${SERVER} SA seq=500 ack=101 win=8192`)).toBe('ESTABLISHED');
    expect(router.list()[0]).toContain('packets=2 bytes=80 src=192.0.2.9');
  });

  it('SYN_SENT: refuses a client ACK, removes the entry on the right RST', () => {
    const router = new Router();
    router.send(`${CLIENT} S seq=100`);
    expect(router.send(`${CLIENT} A seq=101`)).toBe('INVALID');
    expect(router.send(`${SERVER} SA seq=1 ack=999`)).toBe('INVALID');
    expect(router.send(`${SERVER} RA seq=0 ack=999`)).toBe('INVALID');
    expect(router.send(`${SERVER} RA seq=0 ack=101`)).toBe('ESTABLISHED');
    expect(router.list()).toEqual([]);
  });

  it('a plain ACK of the server in SYN_SENT is let through; UNREPLIED vanishes', () => {
    const router = new Router();
    router.send(`${CLIENT} S seq=100`);
    expect(router.send(`${SERVER} A seq=1 ack=5`)).toBe('ESTABLISHED');
    expect(router.list()[0]).toContain('120 SYN_SENT');
    expect(router.list()[0]).not.toContain('UNREPLIED');
  });
});

describe('UDP', () => {
  it('becomes a stream by a packet more than two seconds after the first, once answered', () => {
    const router = new Router();
    const ask = 'udp 10.0.0.5:5000 > 192.0.2.9:53 data=q';
    const answer = 'udp 192.0.2.9:53 > 10.0.0.5:5000 data=a';
    expect(router.send(ask)).toBe('NEW');
    router.seconds = 2.5;
    expect(router.send(answer)).toBe('ESTABLISHED');
    expect(router.list()[0]).toContain('udp      17 30 ');
    expect(router.list()[0]).not.toContain('ASSURED');
    expect(router.send(ask)).toBe('ESTABLISHED');
    expect(router.list()[0]).toContain('udp      17 120 ');
    expect(router.list()[0]).toContain('[ASSURED]');
  });

  it('dies exactly at its timeout', () => {
    const router = new Router({ nf_conntrack_udp_timeout: 2 });
    const ask = 'udp 10.0.0.5:5000 > 192.0.2.9:53 data=q';
    router.send(ask);
    router.seconds = 2;
    expect(router.send(ask)).toBe('NEW');
    expect(router.list()).toHaveLength(1);
  });

  it('a bad checksum is INVALID', () => {
    expect(new Router().send('udp 10.0.0.5:5000 > 192.0.2.9:53 data=q cksum=bad')).toBe('INVALID');
  });
});

describe('ICMP', () => {
  it.each([
    [8, 'NEW'],
    [13, 'NEW'],
    [15, 'NEW'],
    [17, 'NEW'],
    [0, 'INVALID'],
    [9, 'INVALID'],
    [10, 'INVALID'],
    [40, 'INVALID'],
  ])('type %i as the first packet is %s', (type, state) => {
    expect(new Router().send(`icmp 10.0.0.5 > 192.0.2.9 type=${type}`)).toBe(state);
  });
});

describe('the table', () => {
  it('survives save and load', () => {
    const router = established();
    router.send('udp 10.0.0.5:5000 > 192.0.2.9:53 data=q');
    router.send('icmp 2001:db8::5 > 2001:db8::9 type=128');
    const before = router.list();
    const text = router.conntrack.save();
    const other = new Router();
    other.conntrack.load(text);
    expect(other.list()).toEqual(before);
    expect(other.conntrack.save()).toBe(text);
    expect(other.send(`${SERVER} PA seq=501 ack=101 win=8192 data=x`)).toBe('ESTABLISHED');
  });

  it('drops new connections when full, after what is dead is gone', () => {
    const router = new Router({ nf_conntrack_max: 2 });
    for (const port of [1, 2]) expect(router.send(`udp 10.0.0.5:${port} > 192.0.2.9:53`)).toBe('NEW');
    expect(router.send('udp 10.0.0.5:3 > 192.0.2.9:53')).toBe('DROP');
    router.seconds = 30;
    expect(router.send('udp 10.0.0.5:3 > 192.0.2.9:53')).toBe('NEW');
  });

  it('finds all of many entries and forgets them', () => {
    const router = new Router();
    for (let i = 0; i < 5000; i++) router.send(`udp 10.0.${i >> 8}.${i & 255}:7 > 192.0.2.9:53`);
    expect(router.conntrack.count).toBe(5000);
    expect(router.send('udp 192.0.2.9:53 > 10.0.3.7:7')).toBe('ESTABLISHED');
    router.seconds = 100;
    router.send('udp 1.2.3.4:7 > 192.0.2.9:53');
    expect(router.conntrack.count).toBe(1);
  });
});
