import { describe, expect, it } from 'vitest';
import type { Connection } from '../../conntrack/connection.ts';
import type { Host, MachineServices, RuleEnvironment } from '../../datapath/environment.ts';
import { Hook, type HookState } from '../../datapath/hooks.ts';
import type { Device } from '../../host/device.ts';
import { fromHex } from '../../packet/bytes.ts';
import { decode } from '../../packet/decode.ts';
import type { Family } from '../../packet/family.ts';
import { ConntrackInfo, Packet } from '../../packet/packet.ts';
import type { MatchExtension, MatchFunction } from '../contract.ts';
import { matches } from './index.ts';

/** What matches do to packets, on hand-made packets; the facts are those of net/netfilter of Linux 6.18. */

function find(name: string, family: Family): MatchExtension {
  const match = matches.find((one) => one.name === name && one.families.includes(family));
  if (match === undefined) throw new Error(`no match ${name}`);
  return match;
}

class Bench {
  now = 1_700_000_000_000_000;
  randoms: number[] = [];
  /** What the kernel log gets. */
  readonly messages: string[] = [];
  private readonly named = new Map<string, unknown>();
  private readonly rules = new Map<string, unknown>();
  readonly machine: MachineServices;

  constructor(host: Partial<Host> = {}) {
    this.machine = {
      host,
      conntrack: { find: () => null, tupleOf: () => null },
      now: () => this.now,
      random: () => this.randoms.shift() ?? 0,
      message: (level: number, line: string) => this.messages.push(`${level} ${line}`),
      namedState: (kind: string, name: string, make: () => unknown) => remember(this.named, `${kind} ${name}`, make),
    } as unknown as MachineServices;
  }

  /** The match of a rule, its data changed from the initial ones. */
  compile(
    name: string,
    data: Record<string, unknown>,
    options: { family?: Family; variant?: 'legacy' | 'nft'; rule?: number } = {},
  ): MatchFunction {
    const { family = 4, variant = 'legacy', rule = 1 } = options;
    const match = find(name, family);
    const initial = match.init({ family, variant, warn: () => {} } as never) as Record<string, unknown>;
    const environment = {
      family,
      table: 'filter',
      chain: 'INPUT',
      rule,
      variant,
      machine: this.machine,
      protocol: 0,
      protocolInvert: false,
      ruleState: (slot: string, make: () => unknown) => remember(this.rules, `${rule} ${slot}`, make),
    } as unknown as RuleEnvironment;
    return match.compile({ ...initial, ...data }, environment);
  }
}

function remember<T>(map: Map<string, T>, key: string, make: () => T): T {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

const eth0 = { name: 'eth0', kind: 'ethernet', index: 2, group: 3, addresses: [] } as unknown as Device;
const at: HookState = { hook: Hook.input, family: 4, inDevice: eth0, outDevice: null };

/** An IPv4 packet of the given protocol with a transport part in hexadecimal. */
function ipv4(protocol: number, transport: string, change: (bytes: Uint8Array) => void = () => {}): Packet {
  const rest = fromHex(transport)!;
  const bytes = new Uint8Array(20 + rest.length);
  bytes.set([0x45, 0, 0, bytes.length, 0, 0, 0, 0, 64, protocol, 0, 0, 198, 51, 100, 7, 192, 0, 2, 1]);
  bytes.set(rest, 20);
  change(bytes);
  const packet = new Packet(4, bytes);
  decode(packet);
  return packet;
}

/** Ports 40000 to 22, flags SYN, options MSS 1460, NOP, window scale 7. */
const SYN = '9c400016 00000000 00000000 70021000 00000000 020405b4 01030307';
const tcpPacket = () => ipv4(6, SYN);

describe('tcp', () => {
  it('tests ports, flags and options', () => {
    const bench = new Bench();
    const test = (data: Record<string, unknown>) => bench.compile('tcp', data)(tcpPacket(), at);
    expect(test({ destinationPorts: [22, 22] })).toBe(true);
    expect(test({ destinationPorts: [22, 22], invertDestination: true })).toBe(false);
    expect(test({ sourcePorts: [1, 1023] })).toBe(false);
    expect(test({ flagMask: 0x17, flagCompare: 0x02 })).toBe(true);
    expect(test({ flagMask: 0x17, flagCompare: 0x12 })).toBe(false);
    expect(test({ option: 3 })).toBe(true);
    expect(test({ option: 8 })).toBe(false);
    expect(test({ option: 8, invertOption: true })).toBe(true);
  });

  it('drops cut headers and fragments that begin 8 bytes in (legacy); nft lets them pass by', () => {
    const bench = new Bench();
    const short = () => ipv4(6, '9c400016 00000000');
    const legacy = short();
    expect(bench.compile('tcp', { destinationPorts: [22, 22] })(legacy, at)).toBe(false);
    expect(legacy.hotdrop).toBe(true);
    const nft = short();
    expect(bench.compile('tcp', { destinationPorts: [22, 22] }, { variant: 'nft' })(nft, at)).toBe(true);
    expect(nft.hotdrop).toBe(false);
    const fragment = ipv4(6, SYN, (bytes) => bytes.set([0, 1], 6));
    expect(bench.compile('tcp', { destinationPorts: [22, 22] })(fragment, at)).toBe(false);
    expect(fragment.hotdrop).toBe(true);
  });

  it('reads later fragments as if they began with a header in nft (measured)', () => {
    const fragment = () => ipv4(17, '0000123400000000', (bytes) => bytes.set([0, 5], 6));
    const ports = { destinationPorts: [0x1234, 0x1234] };
    expect(new Bench().compile('udp', ports)(fragment(), at)).toBe(false);
    expect(new Bench().compile('udp', ports, { variant: 'nft' })(fragment(), at)).toBe(true);
  });

  it('compares two inverted single ports as one word in nft', () => {
    const data = {
      sourcePorts: [40000, 40000],
      destinationPorts: [23, 23],
      invertSource: true,
      invertDestination: true,
    };
    expect(new Bench().compile('tcp', data)(tcpPacket(), at)).toBe(false);
    expect(new Bench().compile('tcp', data, { variant: 'nft' })(tcpPacket(), at)).toBe(true);
  });
});

describe('limit', () => {
  it.each(['legacy', 'nft'] as const)('lets the burst pass, then what comes back (%s)', (variant) => {
    const bench = new Bench();
    const test = bench.compile('limit', { average: 10000, burst: 2 }, { variant });
    const hit = () => test(tcpPacket(), at);
    expect([hit(), hit(), hit()]).toEqual([true, true, false]);
    bench.now += 1_250_000;
    // A quarter of a packet stays.
    expect([hit(), hit()]).toEqual([true, false]);
    bench.now += 752_000;
    expect([hit(), hit()]).toEqual([true, false]);
  });
});

describe('hashlimit', () => {
  const config = { name: 'h', average: 1_000_000, burst: 2, mode: 4, expire: 1000 };

  it('keeps a limit for each source', () => {
    const bench = new Bench();
    const test = bench.compile('hashlimit', config);
    const other = () => ipv4(6, SYN, (bytes) => bytes.set([10, 0, 0, 9], 12));
    expect([1, 2, 3].map(() => test(tcpPacket(), at))).toEqual([true, true, false]);
    expect(test(other(), at)).toBe(true);
    bench.now += 1_000_000;
    expect([1, 2].map(() => test(tcpPacket(), at))).toEqual([true, false]);
  });

  it('drops at once when its table is full', () => {
    const bench = new Bench();
    const test = bench.compile('hashlimit', { ...config, size: 1, max: 1 });
    expect(test(tcpPacket(), at)).toBe(true);
    const second = ipv4(6, SYN, (bytes) => bytes.set([10, 0, 0, 9], 12));
    expect(test(second, at)).toBe(false);
    expect(second.hotdrop).toBe(true);
    expect(bench.messages).toEqual(['3 xt_hashlimit: max count of 1 reached']);
  });
});

describe('statistic', () => {
  it('nth hits packet p + 1 of every n', () => {
    const bench = new Bench();
    const nth = (packet: number, rule: number) => {
      const test = bench.compile('statistic', { mode: 'nth', every: 3, packet }, { rule });
      return Array.from({ length: 7 }, () => (test(tcpPacket(), at) ? 1 : 0)).join('');
    };
    expect(nth(0, 1)).toBe('1001001');
    expect(nth(1, 2)).toBe('0100100');
  });

  it('random takes 31 bits of the generator', () => {
    const bench = new Bench();
    bench.randoms = [0x3fffffff, 0x40000000, 0x80000000];
    const test = bench.compile('statistic', { mode: 'random', probability: 0x40000000 });
    expect([1, 2, 3].map(() => test(tcpPacket(), at))).toEqual([true, false, true]);
  });
});

describe('quota', () => {
  it('ends for good with the first packet too large', () => {
    const bench = new Bench();
    const test = bench.compile('quota', { quota: '100' });
    const large = ipv4(17, '00'.repeat(60));
    expect(test(tcpPacket(), at)).toBe(true);
    expect(test(large, at)).toBe(false);
    expect(test(ipv4(17, '00'.repeat(8)), at)).toBe(false);
  });
});

describe('recent', () => {
  it('counts stamps within the time before it updates', () => {
    const bench = new Bench();
    const update = bench.compile('recent', { update: true, seconds: 10, hits: 2 }, { rule: 1 });
    const set = bench.compile('recent', { set: true }, { rule: 2 });
    expect(update(tcpPacket(), at)).toBe(false);
    expect(set(tcpPacket(), at)).toBe(true);
    expect(update(tcpPacket(), at)).toBe(false);
    expect(set(tcpPacket(), at)).toBe(true);
    expect(update(tcpPacket(), at)).toBe(true);
    bench.now += 11_000_000;
    expect(update(tcpPacket(), at)).toBe(false);
  });

  it('forgets the least recently used of more than 100 addresses', () => {
    const bench = new Bench();
    const set = bench.compile('recent', { set: true });
    const check = bench.compile('recent', { check: true });
    const from = (i: number) => ipv4(6, SYN, (bytes) => bytes.set([10, 0, i >> 8, i & 255], 12));
    for (let i = 0; i <= 100; i++) set(from(i), at);
    expect(check(from(0), at)).toBe(false);
    expect(check(from(1), at)).toBe(true);
  });
});

describe('string', () => {
  const text = (content: string) => ipv4(17, `00350035000c0000${Buffer.from(content, 'latin1').toString('hex')}`);

  it('looks from the IP header on, within its bounds', () => {
    const bench = new Bench();
    const test = (data: Record<string, unknown>) =>
      bench.compile('string', { pattern: 'Evil', ...data })(text('an Evil'), at);
    expect(test({})).toBe(true);
    expect(test({ pattern: 'evil' })).toBe(false);
    expect(test({ pattern: 'evil', ignoreCase: true })).toBe(true);
    // The pattern begins at byte 31 and ends at 35.
    expect(test({ from: 31 })).toBe(true);
    expect(test({ from: 32 })).toBe(false);
    expect(test({ to: 35 })).toBe(true);
    expect(test({ to: 34 })).toBe(false);
  });
});

describe('u32', () => {
  it('follows offsets with @', () => {
    const bench = new Bench();
    // The destination port, behind the IP header whatever its length.
    const steps = [
      { operator: '>>', number: 22 },
      { operator: '&', number: 0x3c },
      { operator: '@', number: 0 },
      { operator: '&', number: 0xffff },
    ];
    const test = (port: number) =>
      bench.compile('u32', { tests: [{ location: 0, steps, values: [[port, port]] }] })(tcpPacket(), at);
    expect(test(22)).toBe(true);
    expect(test(23)).toBe(false);
  });

  it('fails beyond the end of the packet', () => {
    const tests = [{ location: 45, steps: [], values: [[0, 0xffffffff]] }];
    expect(new Bench().compile('u32', { tests })(tcpPacket(), at)).toBe(false);
  });
});

describe('bpf', () => {
  it('runs classic bytecode on the packet', () => {
    // "tcp": load the protocol byte, compare with 6.
    const program = [
      [48, 0, 0, 9],
      [21, 0, 1, 6],
      [6, 0, 0, 1],
      [6, 0, 0, 0],
    ];
    const test = new Bench().compile('bpf', { program });
    expect(test(tcpPacket(), at)).toBe(true);
    expect(test(ipv4(17, '0035003500080000'), at)).toBe(false);
  });

  it('is refused where it jumps beyond its end or ends without a return', () => {
    const check = (program: number[][]) => find('bpf', 4).check?.({ program }, {} as never);
    expect(check([[6, 0, 0, 1]])).toBe(null);
    expect(check([[5, 0, 0, 9]])).toBe('EINVAL');
    expect(check([[48, 0, 0, 9]])).toBe('EINVAL');
  });
});

describe('time', () => {
  // 2023-11-14 22:13:20 UTC, a Tuesday.
  it('knows days of the week and of the month', () => {
    const bench = new Bench();
    const test = (data: Record<string, unknown>) => bench.compile('time', data)(tcpPacket(), at);
    expect(test({ weekDays: 1 << 2 })).toBe(true);
    expect(test({ weekDays: 1 << 3 })).toBe(false);
    expect(test({ monthDays: 1 << 14 })).toBe(true);
    expect(test({ monthDays: 1 << 15 })).toBe(false);
    expect(test({ timeStart: 22 * 3600, timeStop: 23 * 3600 })).toBe(true);
    expect(test({ timeStart: 23 * 3600, timeStop: 6 * 3600 })).toBe(false);
  });

  it('counts the hours after midnight to the day before with --contiguous', () => {
    const bench = new Bench();
    bench.now += 3 * 3600 * 1_000_000;
    const night = { timeStart: 22 * 3600, timeStop: 6 * 3600, weekDays: 1 << 2 };
    expect(bench.compile('time', night)(tcpPacket(), at)).toBe(false);
    expect(bench.compile('time', { ...night, contiguous: true })(tcpPacket(), at)).toBe(true);
  });
});

describe('conntrack', () => {
  it('tells states of packets without a connection', () => {
    const bench = new Bench();
    const test = (states: number, packet: Packet) => bench.compile('conntrack', { match: 1, states })(packet, at);
    const untracked = tcpPacket();
    untracked.conntrackInfo = ConntrackInfo.untracked;
    expect(test(1, tcpPacket())).toBe(true);
    expect(test(1, untracked)).toBe(false);
    expect(test(1 << 8, untracked)).toBe(true);
  });

  it('takes reply and original direction for the same state', () => {
    const packet = tcpPacket();
    packet.connection = { status: 2 } as Connection;
    packet.conntrackInfo = ConntrackInfo.establishedReply;
    expect(new Bench().compile('conntrack', { match: 1, states: 2 })(packet, at)).toBe(true);
    packet.conntrackInfo = ConntrackInfo.related;
    expect(new Bench().compile('conntrack', { match: 1, states: 2 })(packet, at)).toBe(false);
    expect(new Bench().compile('conntrack', { match: 1, states: 4 })(packet, at)).toBe(true);
  });
});

describe('tcpmss, ttl, dscp, length', () => {
  it('read their fields', () => {
    const bench = new Bench();
    expect(bench.compile('tcpmss', { range: [1400, 1500] })(tcpPacket(), at)).toBe(true);
    expect(bench.compile('tcpmss', { range: [536, 536] })(tcpPacket(), at)).toBe(false);
    expect(bench.compile('ttl', { mode: 'gt', value: 63 })(tcpPacket(), at)).toBe(true);
    expect(bench.compile('length', { range: [48, 48] })(tcpPacket(), at)).toBe(true);
    const marked = ipv4(6, SYN, (bytes) => bytes.set([0xb8], 1));
    expect(bench.compile('dscp', { dscp: 0x2e })(marked, at)).toBe(true);
  });
});

describe('mac', () => {
  it('matches nothing without an Ethernet header, inverted or not', () => {
    const bench = new Bench();
    const source = [2, 0, 0, 0, 0, 1];
    expect(bench.compile('mac', { source, invert: true })(tcpPacket(), at)).toBe(false);
    const packet = tcpPacket();
    packet.linkHeader = fromHex('0200000000ff020000000001 0800');
    expect(bench.compile('mac', { source })(packet, at)).toBe(true);
  });
});
