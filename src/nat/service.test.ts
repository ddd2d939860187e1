import { describe, expect, it } from 'vitest';
import { formatEntry } from '../conntrack/format.ts';
import { type ConntrackService, createConntrack } from '../conntrack/service.ts';
import { CONNTRACK_SYSCTLS } from '../conntrack/settings.ts';
import type { NatRange } from '../datapath/environment.ts';
import { Hook, type HookState } from '../datapath/hooks.ts';
import { Verdict } from '../datapath/verdicts.ts';
import { formatAddress, parseAddress } from '../packet/address-text.ts';
import { checksumHolds } from '../packet/checksum.ts';
import { decode } from '../packet/decode.ts';
import { buildPacket } from '../packet/notation/build.ts';
import { parsePacket } from '../packet/notation/parse.ts';
import { Packet } from '../packet/packet.ts';
import { createNat, type NatService } from './service.ts';

function address(text: string) {
  return parseAddress(text)!.words;
}

/** A forwarding machine with one rule for sources and one for destinations; answers with the packet as it leaves. */
class Router {
  seconds = 0;
  source: NatRange | null = null;
  destination: NatRange | null = null;
  random = 0;
  helper: string | null = null;
  readonly conntrack: ConntrackService;
  readonly nat: NatService;

  constructor() {
    this.conntrack = createConntrack({
      now: () => this.seconds * 1e6,
      random: () => this.random,
      sysctl: (name) => CONNTRACK_SYSCTLS[name.replace('net.netfilter.', '')] ?? 0,
    });
    this.nat = createNat(this.conntrack);
  }

  send(line: string): string {
    const packet = this.forward(line);
    return packet === null ? 'DROP' : ends(packet);
  }

  forward(line: string): Packet | null {
    const description = parsePacket(line);
    const packet = new Packet(description.family, buildPacket(description));
    decode(packet);
    const at: HookState = { hook: Hook.prerouting, family: packet.family, inDevice: null, outDevice: null };
    if (this.helper !== null) this.conntrack.attachTemplate(packet, { helper: this.helper });
    const chain = (manip: 'source' | 'destination', range: NatRange | null) => () =>
      range === null ? Verdict.accept : this.nat.setup(packet, at, range, manip);
    const passed =
      this.conntrack.in(packet, at) === Verdict.accept &&
      this.nat.run(packet, at, 'destination', chain('destination', this.destination)) === Verdict.accept;
    at.hook = Hook.postrouting;
    const left =
      passed &&
      this.nat.run(packet, at, 'source', chain('source', this.source)) === Verdict.accept &&
      this.conntrack.help(packet, at) === Verdict.accept &&
      this.conntrack.confirm(packet, at) === Verdict.accept;
    this.conntrack.release(packet);
    return left ? packet : null;
  }

  entries(): string[] {
    const lines: string[] = [];
    this.conntrack.table.forEachConfirmed((slot) => lines.push(formatEntry(this.conntrack.entry(slot), 0)));
    return lines;
  }
}

function ends(packet: Packet): string {
  const { bytes, transport } = packet;
  const port = (at: number) => (bytes[transport + at]! << 8) | bytes[transport + at + 1]!;
  const end = (words: ArrayLike<number>, at: number) =>
    packet.protocol === 1 ? formatAddress(packet.family, words) : `${formatAddress(packet.family, words)}:${port(at)}`;
  return `${end(packet.src, 0)} > ${end(packet.dst, 2)}`;
}

function payload(packet: Packet | null): string {
  if (packet === null) return 'DROP';
  const data = packet.transport + (packet.bytes[packet.transport + 12]! >>> 4) * 4;
  return String.fromCharCode(...packet.bytes.subarray(data));
}

describe('addresses out of a range (Linux 6.18)', () => {
  // Range of four addresses: the hash of source and destination is not seeded.
  it('is the same for the same pair, and --persistent ignores the destination', () => {
    const router = new Router();
    router.source = { minAddress: address('192.0.2.100'), maxAddress: address('192.0.2.103') };
    const first = router.send('udp 10.0.0.5:1000 > 198.51.100.7:53').split(':')[0];
    expect(router.send('udp 10.0.0.5:1001 > 198.51.100.7:53').split(':')[0]).toBe(first);
    router.source = { ...router.source, persistent: true };
    const one = router.send('udp 10.0.0.9:1000 > 198.51.100.7:53').split(':')[0];
    expect(router.send('udp 10.0.0.9:1001 > 203.0.113.200:53').split(':')[0]).toBe(one);
  });
});

describe('ports', () => {
  it('keeps a free port, takes a random one of its kind otherwise', () => {
    const router = new Router();
    router.source = { minAddress: address('192.0.2.1'), maxAddress: address('192.0.2.1') };
    expect(router.send('udp 10.0.0.5:1000 > 198.51.100.7:53')).toBe('192.0.2.1:1000 > 198.51.100.7:53');
    // The same port of another client to the same server: 512..1023 becomes 600 + random % 424.
    router.random = 5;
    expect(router.send('udp 10.0.0.6:1000 > 198.51.100.7:53')).toBe('192.0.2.1:605 > 198.51.100.7:53');
    router.random = 7;
    router.send('udp 10.0.0.5:400 > 198.51.100.7:53');
    expect(router.send('udp 10.0.0.6:400 > 198.51.100.7:53')).toBe('192.0.2.1:8 > 198.51.100.7:53');
    router.send('udp 10.0.0.5:4000 > 198.51.100.7:53');
    expect(router.send('udp 10.0.0.6:4000 > 198.51.100.7:53')).toBe('192.0.2.1:1031 > 198.51.100.7:53');
  });

  it('a source keeps its mapping towards another destination', () => {
    const router = new Router();
    router.source = {
      minAddress: address('192.0.2.100'),
      maxAddress: address('192.0.2.103'),
      minPort: 7000,
      maxPort: 7100,
    };
    const first = router.send('udp 10.0.0.5:1000 > 198.51.100.7:53').split(' ')[0];
    router.random = 99;
    expect(router.send('udp 10.0.0.5:1000 > 203.0.113.77:53').split(' ')[0]).toBe(first);
  });

  it('DNAT to a port range takes its own port if inside, else the lowest free one', () => {
    const router = new Router();
    router.destination = {
      minAddress: address('10.0.0.10'),
      maxAddress: address('10.0.0.10'),
      minPort: 6000,
      maxPort: 6003,
    };
    expect(router.send('tcp 203.0.113.5:1 > 192.0.2.1:6002 S')).toBe('203.0.113.5:1 > 10.0.0.10:6002');
    expect(router.send('tcp 203.0.113.5:2 > 192.0.2.1:80 S')).toBe('203.0.113.5:2 > 10.0.0.10:6000');
    expect(router.send('tcp 203.0.113.5:2 > 192.0.2.1:81 S')).toBe('203.0.113.5:2 > 10.0.0.10:6001');
  });

  it('shifts with a base port', () => {
    const router = new Router();
    router.destination = {
      minAddress: address('10.0.0.10'),
      maxAddress: address('10.0.0.10'),
      minPort: 6000,
      maxPort: 6010,
      basePort: 5000,
    };
    expect(router.send('tcp 203.0.113.5:1 > 192.0.2.1:5007 S')).toBe('203.0.113.5:1 > 10.0.0.10:6007');
  });

  it('drops when the range is used up', () => {
    const router = new Router();
    router.source = {
      minAddress: address('192.0.2.1'),
      maxAddress: address('192.0.2.1'),
      minPort: 7000,
      maxPort: 7000,
    };
    expect(router.send('tcp 10.0.0.5:1 > 198.51.100.7:80 S')).toBe('192.0.2.1:7000 > 198.51.100.7:80');
    expect(router.send('tcp 10.0.0.6:1 > 198.51.100.7:80 S')).toBe('DROP');
    expect(router.send('tcp 10.0.0.6:1 > 203.0.113.7:80 S')).toBe('192.0.2.1:7000 > 203.0.113.7:80');
  });
});

describe('translation', () => {
  it('turns answers back and keeps checksums right', () => {
    const router = new Router();
    router.source = { minAddress: address('192.0.2.1'), maxAddress: address('192.0.2.1') };
    router.send('tcp 10.0.0.5:1000 > 198.51.100.7:80 S seq=1');
    const answer = router.forward('tcp 198.51.100.7:80 > 192.0.2.1:1000 SA seq=9 ack=2')!;
    expect(ends(answer)).toBe('198.51.100.7:80 > 10.0.0.5:1000');
    expect(checksumHolds(answer)).toBe(true);
  });

  it('NETMAP keeps the host bits', () => {
    const router = new Router();
    router.destination = { minAddress: address('10.9.0.0'), maxAddress: address('10.9.0.255'), netmap: true };
    expect(router.send('udp 203.0.113.5:1 > 192.0.2.77:9')).toBe('203.0.113.5:1 > 10.9.0.77:9');
  });

  it('survives save and load: the answer is still translated, the mapping still reused', () => {
    const router = new Router();
    router.source = {
      minAddress: address('192.0.2.100'),
      maxAddress: address('192.0.2.100'),
      minPort: 7000,
      maxPort: 7100,
    };
    router.send('udp 10.0.0.5:1000 > 198.51.100.7:53');
    const other = new Router();
    other.source = router.source;
    other.conntrack.load(router.conntrack.save());
    expect(other.send('udp 198.51.100.7:53 > 192.0.2.100:7000')).toBe('198.51.100.7:53 > 10.0.0.5:1000');
    other.random = 50;
    expect(other.send('udp 10.0.0.5:1000 > 203.0.113.9:53')).toBe('192.0.2.100:7000 > 203.0.113.9:53');
  });
});

describe('FTP', () => {
  const CONTROL = 'tcp 10.0.0.11:30000 > 192.0.2.200:21';
  const SERVER = 'tcp 192.0.2.200:21 > 10.0.0.11:30000';

  function session(router: Router, server = SERVER): void {
    router.helper = 'ftp';
    router.send(`${CONTROL} S seq=100 win=8192`);
    router.send(`${server} SA seq=500 ack=101 win=8192`);
    router.send(`${CONTROL} A seq=101 ack=501 win=8192`);
    router.send(`${CONTROL} PA seq=101 ack=501 win=8192 data="USER x\\r\\n"`);
  }

  it('expects the data connection that PORT announces, once a line has ended', () => {
    const router = new Router();
    session(router);
    const line = 'PORT 10,0,0,11,100,1\\r\\n';
    expect(router.send(`${CONTROL} PA seq=109 ack=501 win=8192 data="${line}"`)).not.toBe('DROP');
    expect(router.conntrack.expectations.count).toBe(1);
    router.helper = null;
    router.send('tcp 192.0.2.200:20 > 10.0.0.11:25601 S seq=1');
    expect(router.conntrack.expectations.count).toBe(0);
    let master: string | null = null;
    router.conntrack.table.forEachConfirmed((slot) => {
      master ??= router.conntrack.entry(slot).master?.helper ?? null;
    });
    expect(master).toBe('ftp');
  });

  it('drops a line that ends in the middle of a command', () => {
    const router = new Router();
    session(router);
    expect(router.send(`${CONTROL} PA seq=109 ack=501 win=8192 data="PORT 10,0"`)).toBe('DROP');
  });

  it('rewrites PORT behind SNAT and shifts what follows', () => {
    const router = new Router();
    router.source = { minAddress: address('192.0.2.100'), maxAddress: address('192.0.2.100') };
    session(router, 'tcp 192.0.2.200:21 > 192.0.2.100:30000');
    const port = router.forward(`${CONTROL} PA seq=109 ack=501 win=8192 data="PORT 10,0,0,11,100,1\\r\\n"`)!;
    expect(payload(port)).toBe('PORT 192,0,2,100,100,1\r\n');
    expect(checksumHolds(port)).toBe(true);
    const next = router.forward(`${CONTROL} PA seq=131 ack=501 win=8192 data="NOOP\\r\\n"`)!;
    const { bytes, transport } = next;
    const sequence = (bytes[transport + 6]! << 8) | bytes[transport + 7]!;
    expect(sequence).toBe(133);
    router.helper = null;
    expect(router.send('tcp 192.0.2.200:20 > 192.0.2.100:25601 S seq=1')).toBe('192.0.2.200:20 > 10.0.0.11:25601');
    expect(router.entries().some((line) => line.includes('sport=20 dport=25601'))).toBe(true);
  });
});

describe('PPTP behind MASQUERADE, as measured', () => {
  const message = (type: number, ...fields: number[]) => {
    const body = [0, 12 + fields.length, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, type, 0, 0, ...fields];
    return body.map((byte) => byte.toString(16).padStart(2, '0')).join('');
  };
  const zeros = (count: number) => new Array<number>(count).fill(0);

  it('gives the call the port that the world sees, and finds GRE of both directions', () => {
    const router = new Router();
    router.source = { minAddress: address('192.0.2.1'), maxAddress: address('192.0.2.1') };
    router.helper = 'pptp';
    const client = 'tcp 10.0.0.11:40000 > 192.0.2.10:1723';
    const server = 'tcp 192.0.2.10:1723 > 192.0.2.1:40000';
    router.send(`${client} S seq=99 win=8192`);
    router.send(`${server} SA seq=499 ack=100 win=8192`);
    router.send(`${client} A seq=100 ack=500 win=8192`);
    router.send(`${client} PA seq=100 ack=500 win=8192 hex=${message(1, ...zeros(144))}`);
    router.send(`${server} PA seq=500 ack=256 win=8192 hex=${message(2, 1, 0, 1, ...zeros(141))}`);
    const call = router.forward(`${client} PA seq=256 ack=656 win=8192 hex=${message(7, 2, 0x2b, ...zeros(154))}`)!;
    expect(call.bytes.slice(52, 54)).toEqual(Uint8Array.of(0x9c, 0x40));
    expect(checksumHolds(call)).toBe(true);
    const reply = router.forward(
      `${server} PA seq=656 ack=424 win=8192 hex=${message(8, 3, 9, 0x9c, 0x40, 1, ...zeros(15))}`,
    )!;
    expect(reply.bytes.slice(52, 56)).toEqual(Uint8Array.of(3, 9, 2, 0x2b));
    router.helper = null;
    router.send('gre 10.0.0.11 > 192.0.2.10 hex=3001880b000403090000000161626364');
    expect(router.entries().at(-1)).toBe(
      'gre      47 30 src=10.0.0.11 dst=192.0.2.10 srckey=0x22b dstkey=0x309 [UNREPLIED] src=192.0.2.10 dst=192.0.2.1 srckey=0x309 dstkey=0x9c40 mark=0 use=1',
    );
    expect(router.entries()[0]).toContain('helper=pptp use=2');
    const back = router.forward('gre 192.0.2.10 > 192.0.2.1 hex=3001880b00049c400000000161626364')!;
    expect(formatAddress(4, back.dst)).toBe('10.0.0.11');
    expect(back.bytes.slice(26, 28)).toEqual(Uint8Array.of(2, 0x2b));
  });
});

describe('further helpers', () => {
  it('amanda: the ports in the answer are awaited from the asker', () => {
    const router = new Router();
    router.helper = 'amanda';
    router.send('udp 10.0.0.11:700 > 192.0.2.10:10080 data="SERVICE"');
    router.send('udp 192.0.2.10:10080 > 10.0.0.11:700 data="CONNECT DATA 50001 MESG 50002\\n"');
    router.helper = null;
    expect(router.conntrack.expectations.count).toBe(2);
    router.send('tcp 10.0.0.11:45000 > 192.0.2.10:50002 S');
    expect(router.conntrack.expectations.count).toBe(1);
  });

  it('tftp: the answer comes from any port of the server', () => {
    const router = new Router();
    router.source = { minAddress: address('192.0.2.1'), maxAddress: address('192.0.2.1') };
    router.helper = 'tftp';
    router.send('udp 10.0.0.11:700 > 192.0.2.10:69 hex=00016600');
    router.helper = null;
    expect(router.send('udp 192.0.2.10:5555 > 192.0.2.1:700 data="block"')).toBe('192.0.2.10:5555 > 10.0.0.11:700');
  });

  it('irc: DCC of the client is rewritten and awaited from anybody, who then looks like the server', () => {
    const router = new Router();
    router.source = { minAddress: address('192.0.2.1'), maxAddress: address('192.0.2.1') };
    router.helper = 'irc';
    const client = 'tcp 10.0.0.11:4000 > 192.0.2.10:6667';
    const server = 'tcp 192.0.2.10:6667 > 192.0.2.1:4000';
    router.send(`${client} S seq=99 win=8192`);
    router.send(`${server} SA seq=499 ack=100 win=8192`);
    router.send(`${client} A seq=100 ack=500 win=8192`);
    const line = 'PRIVMSG x :\u0001DCC SEND f 167772171 5000 9\u0001\r\n';
    const hex = [...line].map((char) => char.charCodeAt(0).toString(16).padStart(2, '0')).join('');
    const sent = router.forward(`${client} PA seq=100 ack=500 win=8192 hex=${hex}`);
    expect(payload(sent)).toBe('PRIVMSG x :\u0001DCC SEND f 3221225985 5000 9\u0001\r\n');
    router.helper = null;
    // Like its master, whoever it is that connects (nf_nat_follow_master).
    expect(router.send('tcp 203.0.113.9:777 > 192.0.2.1:5000 S')).toBe('192.0.2.10:777 > 10.0.0.11:5000');
  });
});
