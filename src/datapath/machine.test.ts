import { describe, expect, it } from 'vitest';
import { readHostYaml } from '../host/yaml.ts';
import { fromHex, toHex } from '../packet/bytes.ts';
import { buildTcp } from '../packet/tcp.ts';
import { systemNames } from '../state/names.ts';
import { parseCanonicalRuleset } from '../syntax/save-format.ts';
import { RandomGenerator, SimulationClock } from './clock.ts';
import { compose } from './compose.ts';
import type { SetServices } from './environment.ts';
import { loadRuleset } from './load.ts';
import { createMachine } from './machine.ts';
import type { Machine, MachineMemory, MachineOptions, Outcome } from './machine-contract.ts';
import type { QueueAnswer, QueueListener } from './queueing.ts';
import { queueVerdict, Verdict } from './verdicts.ts';

const ROUTER = `
interfaces:
  eth0: { mac: "02:00:00:00:00:01", addresses: [192.0.2.1/24] }
  eth1: { mac: "02:00:00:00:00:02", addresses: [10.0.0.1/24] }
routes: [ "default via 192.0.2.254 dev eth0" ]
sysctl: { net.ipv4.ip_forward: 1 }
`;
const BRIDGE = `
interfaces:
  br0: { mac: "02:00:00:00:00:0b", addresses: [172.16.0.1/24], bridge: [tap1, tap2, tap3] }
  tap1: {}
  tap2: {}
  tap3: {}
`;
const NO_SETS: SetServices = {
  has: () => false,
  tester: () => () => false,
  adder: () => () => undefined,
  deleter: () => () => undefined,
  mapper: () => () => undefined,
};
const names = systemNames();

interface Setup {
  machine: Machine;
  /** A frame comes in, 1 ms after the one before; without a header it is for that interface. */
  arrive(device: string, bytes: Uint8Array, header?: string): Outcome;
  counters(): string[];
}

function machineOf(host: string, rules: string, more: Partial<MachineOptions> = {}): Setup {
  const canonical = rules
    .trim()
    .split('\n')
    .map((line) => line.trim())
    .map((line) => (line.startsWith('-A') ? `[0:0] ${line}` : line.startsWith(':') ? `${line} [0:0]` : line))
    .join('\n');
  const loaded = loadRuleset(parseCanonicalRuleset(canonical, 4), { family: 4, variant: 'nft', names });
  const { host: made } = readHostYaml(host, 'host.yaml');
  let time = 1_000_000;
  const machine = createMachine({
    host: made,
    ruleset4: loaded,
    ruleset6: { tables: [] },
    sets: NO_SETS,
    variant: 'nft',
    clock: new SimulationClock(),
    random: new RandomGenerator(1),
    memory: null,
    ...more,
  });
  return {
    machine,
    arrive(device, bytes, header) {
      time += 1000;
      const linkHeader = header === undefined ? null : fromHex(header);
      return machine.receive({ device: made.device(device)!, bytes, linkHeader, time });
    },
    counters() {
      machine.writeCounters();
      return loaded.tables.flatMap((table) =>
        table.chains.flatMap((chain) => [
          ...(chain.policy === null ? [] : [`${chain.name} policy ${chain.counters.packets}:${chain.counters.bytes}`]),
          ...chain.rules.map((rule, i) => `${chain.name} ${i + 1} ${rule.packets}:${rule.bytes}`),
        ]),
      );
    },
  };
}

const CLIENT = 0x0a00000a;
const SERVER = 0xc6336407;
const OWN = 0x0a000001;

function udp(source: number, destination: number, ttl = 64): Uint8Array {
  const payload = fromHex('30390035000a00007879')!;
  return compose(4, { source: [source], destination: [destination], protocol: 17, ttl }, payload).bytes;
}

function syn(source: number, destination: number): Uint8Array {
  const fields = { sourcePort: 40000, destinationPort: 80, sequence: 1000, acknowledgement: 0, flags: 2, window: 8192 };
  return compose(4, { source: [source], destination: [destination], protocol: 6 }, buildTcp(fields)).bytes;
}

const sent = (outcome: Outcome): string[] =>
  outcome.emitted.map(({ device, bytes }) => `${device.name} ${toHex(bytes)}`);
const where = ({ verdict, table, chain, rule }: Outcome): unknown[] => [verdict, table, chain, rule];

const FILTER = `
  *filter
  :INPUT ACCEPT
  :FORWARD DROP
  :OUTPUT ACCEPT
  -A FORWARD -p udp --dport 53 -j ACCEPT
  -A FORWARD -p tcp -j REJECT --reject-with tcp-reset
  COMMIT`;

describe('forwarding', () => {
  it('decrements the TTL before FORWARD and counts the IP total length', () => {
    const { arrive, counters } = machineOf(ROUTER, FILTER);
    const outcome = arrive('eth1', udp(CLIENT, SERVER));
    expect(where(outcome)).toEqual(['forwarded', 'filter', 'FORWARD', 1]);
    expect(sent(outcome)).toEqual([`eth0 ${toHex(udp(CLIENT, SERVER, 63))}`]);
    expect(counters()).toEqual([
      'INPUT policy 0:0',
      'FORWARD policy 0:0',
      'FORWARD 1 1:30',
      'FORWARD 2 0:0',
      'OUTPUT policy 0:0',
    ]);
  });

  it('answers TTL 1 with ICMP 11/0 from the inner interface, before FORWARD', () => {
    const { arrive, counters } = machineOf(ROUTER, FILTER);
    const outcome = arrive('eth1', udp(CLIENT, SERVER, 1));
    expect(where(outcome)).toEqual(['dropped', null, null, null]);
    const [answer] = outcome.emitted;
    expect(answer!.device.name).toBe('eth1');
    expect(toHex(answer!.bytes, 12, 22)).toBe('0a0000010a00000a0b00');
    expect(answer!.bytes[1]).toBe(0xc0);
    expect(counters()[1]).toBe('FORWARD policy 0:0');
  });

  it('names the policy that dropped a packet', () => {
    const { arrive } = machineOf(ROUTER, FILTER.replace('--dport 53', '--dport 54'));
    expect(where(arrive('eth1', udp(CLIENT, SERVER)))).toEqual(['dropped', 'filter', 'FORWARD', null]);
  });

  it('sends the RST of REJECT from the far end: RST and ACK, sequence 0, IP id 0, DF', () => {
    const { arrive } = machineOf(ROUTER, FILTER);
    const outcome = arrive('eth1', syn(CLIENT, SERVER));
    expect(where(outcome)).toEqual(['rejected', 'filter', 'FORWARD', 2]);
    const { device, bytes } = outcome.emitted[0]!;
    expect(device.name).toBe('eth1');
    expect(toHex(bytes, 0, 10)).toBe('45000028000040004006');
    expect(toHex(bytes, 12, 36)).toBe('c63364070a00000a00509c4000000000000003e950140000');
  });

  it('drops a frame for another machine and a wrong header checksum before any hook', () => {
    const { arrive, counters } = machineOf(ROUTER, FILTER);
    expect(arrive('eth1', udp(CLIENT, SERVER), '0200000000990200000000aa0800').verdict).toBe('invalid');
    const wrong = udp(CLIENT, SERVER);
    wrong[10]! ^= 1;
    expect(arrive('eth1', wrong).verdict).toBe('invalid');
    expect(counters().every((line) => line.endsWith(' 0:0'))).toBe(true);
  });
});

describe('the machine itself', () => {
  it('answers an echo request, a closed UDP port and a closed TCP port', () => {
    const { arrive } = machineOf(ROUTER, '*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT');
    const echo = compose(4, { source: [CLIENT], destination: [OWN], protocol: 1 }, fromHex('0800000000010001')!).bytes;
    expect(arrive('eth1', echo).emitted[0]!.bytes[20]).toBe(0);
    expect(toHex(arrive('eth1', udp(CLIENT, OWN)).emitted[0]!.bytes, 20, 22)).toBe('0303');
    const reset = arrive('eth1', syn(CLIENT, OWN));
    expect(reset.verdict).toBe('delivered');
    expect(reset.emitted[0]!.bytes[33]).toBe(0x14);
    expect(reset.delivered).toHaveLength(1);
  });

  it('cannot send a second ICMP message while one is on its way through OUTPUT', () => {
    // REJECT of an echo reply: the reply still holds the ICMP socket, so the sender (the machine itself) hears nothing.
    const { arrive, counters } = machineOf(
      ROUTER,
      '*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n-A OUTPUT -p icmp -j REJECT --reject-with icmp-port-unreachable\nCOMMIT',
    );
    const echo = compose(4, { source: [CLIENT], destination: [OWN], protocol: 1 }, fromHex('0800000000010001')!).bytes;
    expect(arrive('eth1', echo).emitted).toEqual([]);
    expect(counters()).toContain('OUTPUT 1 1:28');
  });

  it('limits the errors of unusable routes for each sender: the sixth is silent, one a second comes back', () => {
    const host = ROUTER.replace('dev eth0"', 'dev eth0", "unreachable 198.51.100.0/24"');
    const { arrive, machine } = machineOf(host, FILTER);
    const errors = (): number => arrive('eth1', udp(CLIENT, SERVER)).emitted.length;
    expect([errors(), errors(), errors(), errors(), errors(), errors()]).toEqual([1, 1, 1, 1, 1, 0]);
    machine.advance(3_000_000);
    expect(errors()).toBe(1);
  });
});

describe('queues', () => {
  const rules = `
  *mangle
  :PREROUTING ACCEPT
  :INPUT ACCEPT
  :FORWARD ACCEPT
  :OUTPUT ACCEPT
  :POSTROUTING ACCEPT
  -A FORWARD -m mark --mark 0 -j NFQUEUE --queue-num 1
  -A FORWARD -m mark --mark 7
  COMMIT
  *filter
  :INPUT ACCEPT
  :FORWARD ACCEPT
  :OUTPUT ACCEPT
  -A FORWARD -m mark --mark 7
  COMMIT`;
  const listener = (answers: QueueAnswer[], asynchronous = false): QueueListener => ({
    listens: (queue) => queue < 5,
    handle() {
      const answer = answers.shift()!;
      return asynchronous ? Promise.resolve(answer) : answer;
    },
  });

  it('lose a packet that nobody listens for, or let it by with --queue-bypass', () => {
    const { arrive } = machineOf(ROUTER, rules);
    expect(where(arrive('eth1', udp(CLIENT, SERVER)))).toEqual(['queued', 'mangle', 'FORWARD', 1]);
    const bypass = machineOf(ROUTER, rules.replace('--queue-num 1', '--queue-num 1 --queue-bypass'));
    expect(bypass.arrive('eth1', udp(CLIENT, SERVER)).verdict).toBe('forwarded');
  });

  it('leave the table with ACCEPT: its later rules and policy do not count', () => {
    const { arrive, counters } = machineOf(ROUTER, rules, { queues: listener([{ verdict: Verdict.accept, mark: 7 }]) });
    expect(arrive('eth1', udp(CLIENT, SERVER)).verdict).toBe('forwarded');
    expect(counters().filter((line) => line.startsWith('FORWARD'))).toEqual([
      'FORWARD policy 0:0',
      'FORWARD 1 1:30',
      'FORWARD 2 0:0',
      'FORWARD policy 1:30',
      'FORWARD 1 1:30',
    ]);
  });

  it('run the table again with REPEAT', () => {
    const { arrive, counters } = machineOf(ROUTER, rules, { queues: listener([{ verdict: Verdict.repeat, mark: 7 }]) });
    arrive('eth1', udp(CLIENT, SERVER));
    expect(
      counters()
        .filter((line) => line.startsWith('FORWARD'))
        .slice(0, 3),
    ).toEqual(['FORWARD policy 1:30', 'FORWARD 1 1:30', 'FORWARD 2 1:30']);
  });

  it('hand on to another queue, where the bypass of the rule no longer counts', () => {
    const { arrive } = machineOf(ROUTER, rules.replace('--queue-num 1', '--queue-num 1 --queue-bypass'), {
      queues: listener([{ verdict: queueVerdict(99, false) }]),
    });
    expect(where(arrive('eth1', udp(CLIENT, SERVER)))).toEqual(['queued', 'mangle', 'FORWARD', 1]);
  });

  it('may answer later: the packet goes on where it was', async () => {
    const payload = udp(CLIENT, SERVER, 9);
    const { arrive } = machineOf(ROUTER, rules, {
      queues: listener([{ verdict: Verdict.accept, mark: 7, payload }], true),
    });
    const outcome = arrive('eth1', udp(CLIENT, SERVER));
    expect(outcome.pending).not.toBeNull();
    expect(outcome.emitted).toEqual([]);
    await outcome.pending;
    expect(outcome.pending).toBeNull();
    expect(where(outcome)).toEqual(['forwarded', 'filter', 'FORWARD', null]);
    expect(sent(outcome)).toEqual([`eth0 ${toHex(payload)}`]);
    expect(outcome.queue).toEqual([
      { queue: 1, hook: 'FORWARD', mark: 0, in: 'eth1', out: 'eth0', physin: null, physout: null, len: 30 },
    ]);
  });
});

describe('bridges', () => {
  const accept = '*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n-A FORWARD -i br0 -o br0\nCOMMIT';
  const A = '0a0000000001';
  const B = '0a0000000002';

  it('flood what they do not know, once through FORWARD for each port, and learn the sender', () => {
    const { arrive, counters } = machineOf(BRIDGE, accept);
    const first = arrive('tap1', udp(0xac10000b, 0xac10000c), `${B}${A}0800`);
    expect(first.emitted.map((each) => each.device.name).sort()).toEqual(['tap2', 'tap3']);
    expect(first.emitted[0]!.bytes[8]).toBe(64);
    const back = arrive('tap2', udp(0xac10000c, 0xac10000b), `${A}${B}0800`);
    expect(back.emitted.map((each) => each.device.name)).toEqual(['tap1']);
    expect(counters()).toContain('FORWARD 1 3:90');
  });

  it('learn the sender even if FORWARD drops the frame', () => {
    const { arrive } = machineOf(BRIDGE, accept.replace(':FORWARD ACCEPT', ':FORWARD DROP'));
    arrive('tap1', udp(0xac10000b, 0xac10000c), `${B}${A}0800`);
    const { machine } = machineOf(BRIDGE, accept);
    expect(machine.memory().learnedMacs).toEqual({});
    const again = machineOf(BRIDGE, accept.replace(':FORWARD ACCEPT', ':FORWARD DROP'));
    again.arrive('tap1', udp(0xac10000b, 0xac10000c), `${B}${A}0800`);
    expect(again.machine.memory().learnedMacs.br0).toEqual({ [A]: { port: 'tap1', age: 0 } });
  });
});

describe('what a machine remembers', () => {
  const tracking = `
  *filter
  :INPUT ACCEPT
  :FORWARD ACCEPT
  :OUTPUT ACCEPT
  -A FORWARD -m conntrack --ctstate ESTABLISHED
  -A FORWARD -m limit --limit 1/hour --limit-burst 1
  COMMIT`;
  const answer = (): Uint8Array =>
    compose(4, { source: [SERVER], destination: [CLIENT], protocol: 17 }, fromHex('00353039000a00007879')!).bytes;

  it('passes through JSON: connections, state of rules, waiting fragments', () => {
    const before = machineOf(ROUTER, tracking);
    before.arrive('eth1', udp(CLIENT, SERVER));
    const [head, tail] = fragments();
    expect(before.arrive('eth1', head!).verdict).toBe('stolen');
    const memory = JSON.parse(JSON.stringify(before.machine.memory())) as MachineMemory;

    const after = machineOf(ROUTER, tracking, { memory });
    expect(after.arrive('eth0', answer()).verdict).toBe('forwarded');
    expect(after.counters()).toContain('FORWARD 1 1:30');
    expect(after.counters()).toContain('FORWARD 2 0:0');
    expect(after.arrive('eth1', tail!).emitted).toHaveLength(2);
  });

  it('lets the time between two runs pass, but no time where the second begins earlier', () => {
    const before = machineOf(ROUTER, tracking);
    before.arrive('eth1', udp(CLIENT, SERVER));
    const memory = before.machine.memory();
    const later = machineOf(ROUTER, tracking, { memory });
    later.machine.advance(memory.clock + 31_000_000);
    later.arrive('eth0', answer());
    expect(later.counters()).toContain('FORWARD 1 0:0');
    const earlier = machineOf(ROUTER, tracking, { memory: { ...memory, clock: 5000 } });
    earlier.arrive('eth0', answer());
    expect(earlier.counters()).toContain('FORWARD 1 1:30');
    expect(earlier.machine.memory().clock).toBe(1_001_000);
  });
});

/** A UDP datagram of 40 bytes in two fragments. */
function fragments(): Uint8Array[] {
  return [0, 16].map((offset) => {
    const piece = new Uint8Array(16).fill(0x61);
    if (offset === 0) piece.set(fromHex('3039003500200000')!);
    const { bytes } = compose(4, { source: [CLIENT], destination: [SERVER], protocol: 17, identification: 7 }, piece);
    bytes[6] = offset === 0 ? 0x20 : 0;
    bytes[7] = offset / 8;
    let sum = 0;
    bytes[10] = bytes[11] = 0;
    for (let i = 0; i < 20; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
    sum = ~((sum & 0xffff) + (sum >>> 16)) & 0xffff;
    bytes[10] = sum >>> 8;
    bytes[11] = sum & 0xff;
    return bytes;
  });
}
