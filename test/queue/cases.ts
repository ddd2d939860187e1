import { toHex } from '../../src/packet/bytes.ts';
import { buildPacket } from '../../src/packet/notation/build.ts';
import { parseLine } from '../../src/packet/notation/flow.ts';
import type { PlannedPacket, Scenario } from '../kernel/scenario.ts';

/** One thing that can happen to a queued packet. Each has a UDP port and queues of its own, so all of them fit into one ruleset. */
export interface QueueCase {
  name: string;
  /** What listener.c does; `Q` stands for the number of its queue, `R` for another one. None: nobody listens. */
  listen?: string[];
  table?: 'raw' | 'mangle' | 'nat' | 'filter';
  chain?: 'PREROUTING' | 'INPUT' | 'FORWARD' | 'OUTPUT' | 'POSTROUTING';
  /** Absent: `--queue-num Q`. */
  target?: string;
  /** How many packets are sent (1), and whether all are of one connection. */
  packets?: number;
  same?: boolean;
}

export const CASES: readonly QueueCase[] = [
  { name: 'accept', listen: ['Q=accept'] },
  { name: 'drop', listen: ['Q=drop'] },
  { name: 'stop', listen: ['Q=stop'] },
  { name: 'stolen is refused', listen: ['Q=stolen,length:1'] },
  { name: 'a verdict that does not exist is refused', listen: ['Q=raw:6,length:1'] },
  { name: 'repeat', listen: ['Q=repeat'] },
  { name: 'mark', listen: ['Q=mark:9'] },
  { name: 'the largest mark', listen: ['Q=mark:0xffffffff'] },
  { name: 'to another queue', listen: ['Q=queue:R', 'R=mark:9'] },
  { name: 'to a queue without a listener', listen: ['Q=queue:R'] },
  { name: 'to a queue without a listener, with bypass', listen: ['Q=bypass:R'] },
  { name: 'accept with further bits ends the hook', listen: ['Q=raw:0x50001'] },
  { name: 'repeat with further bits drops', listen: ['Q=raw:0x50004'] },
  { name: 'drop with an error number', listen: ['Q=raw:0x50000'] },
  { name: 'a changed byte, wrong checksum', listen: ['Q=last:58'] },
  { name: 'longer', listen: ['Q=append:58585858'] },
  { name: 'shorter', listen: ['Q=trim:3'] },
  { name: 'nothing behind the IP header', listen: ['Q=keep:40'] },
  { name: 'shorter than the IP header: dropped', listen: ['Q=keep:12'] },
  { name: 'another destination after routing', listen: ['Q=to:03'] },
  { name: 'one verdict for two', listen: ['Q=batch:2'], packets: 2 },
  { name: 'one verdict for two of one new connection', listen: ['Q=batch:2'], packets: 2, same: true },
  { name: 'the second of one new connection first', listen: ['Q=newest'], packets: 2, same: true },
  { name: 'a part is copied', listen: ['Q=accept,copy:30'] },
  { name: 'a part is copied, and given back as the whole', listen: ['Q=last:58,copy:44'] },
  { name: 'nothing is copied', listen: ['Q=accept,meta'] },
  { name: 'not even the message', listen: ['Q=accept,none'] },
  { name: 'not even the message, with bypass', listen: ['Q=accept,none'], target: '--queue-num Q --queue-bypass' },
  { name: 'nobody listens' },
  { name: 'nobody listens, with bypass', target: '--queue-num Q --queue-bypass' },
  { name: 'balance', target: '--queue-balance Q:R', listen: ['Q-R=mark:9'], packets: 2 },
  { name: 'balance, with bypass', target: '--queue-balance Q:R --queue-bypass' },
  { name: 'balance by CPU', target: '--queue-balance Q:R --queue-cpu-fanout', listen: ['Q-R=mark:9'] },
  { name: 'full', listen: ['Q=wait,length:1'], packets: 3 },
  { name: 'full, fail-open', listen: ['Q=wait,length:1,failopen'], packets: 3 },
  { name: 'length 0, fail-open', listen: ['Q=accept,length:0,failopen'] },
  { name: 'the listener dies with a packet', listen: ['Q=die:2'], packets: 3 },
  { name: 'the same, with bypass', listen: ['Q=die:2'], packets: 3, target: '--queue-num Q --queue-bypass' },
  { name: 'flags', listen: ['Q=accept,gso,uidgid,secctx'] },
  { name: 'raw PREROUTING: repeat', listen: ['Q=repeat'], table: 'raw', chain: 'PREROUTING' },
  { name: 'raw PREROUTING: stop skips connection tracking', listen: ['Q=stop'], table: 'raw', chain: 'PREROUTING' },
  { name: 'raw PREROUTING: longer', listen: ['Q=append:5858'], table: 'raw', chain: 'PREROUTING' },
  { name: 'raw PREROUTING: shorter', listen: ['Q=trim:3'], table: 'raw', chain: 'PREROUTING' },
  { name: 'raw PREROUTING: wrong checksum', listen: ['Q=last:58'], table: 'raw', chain: 'PREROUTING' },
  { name: 'raw PREROUTING: another destination', listen: ['Q=to:03'], table: 'raw', chain: 'PREROUTING' },
  { name: 'raw PREROUTING: batch', listen: ['Q=batch:2'], packets: 2, table: 'raw', chain: 'PREROUTING', same: true },
  { name: 'mangle PREROUTING: routed by the mark', listen: ['Q=mark:9'], chain: 'PREROUTING' },
  { name: 'mangle PREROUTING: another destination', listen: ['Q=to:03'], chain: 'PREROUTING' },
  { name: 'nat PREROUTING: repeat', listen: ['Q=repeat'], table: 'nat', chain: 'PREROUTING' },
  { name: 'nat POSTROUTING: accept', listen: ['Q=accept'], table: 'nat', chain: 'POSTROUTING' },
  { name: 'filter FORWARD: repeat', listen: ['Q=repeat'], table: 'filter' },
  { name: 'INPUT: mark', listen: ['Q=mark:9'], chain: 'INPUT' },
  { name: 'INPUT: a changed byte', listen: ['Q=last:58'], chain: 'INPUT' },
  { name: 'INPUT: drop', listen: ['Q=drop'], table: 'filter', chain: 'INPUT' },
  { name: 'OUTPUT: routed again by the mark', listen: ['Q=mark:9'], chain: 'OUTPUT' },
  { name: 'OUTPUT: another destination', listen: ['Q=to:03'], table: 'filter', chain: 'OUTPUT' },
  { name: 'OUTPUT: who sent it', listen: ['Q=accept,uidgid'], chain: 'OUTPUT' },
  { name: 'OUTPUT: repeat', listen: ['Q=repeat'], table: 'raw', chain: 'OUTPUT' },
  { name: 'OUTPUT: drop', listen: ['Q=drop'], table: 'raw', chain: 'OUTPUT' },
  { name: 'POSTROUTING: a changed byte', listen: ['Q=last:58'], chain: 'POSTROUTING' },
  { name: 'POSTROUTING: stop leaves the connection unconfirmed', listen: ['Q=stop'], chain: 'POSTROUTING' },
  { name: 'POSTROUTING: longer', listen: ['Q=append:58'], chain: 'POSTROUTING' },
];

/** The queue, and the UDP port, of a case; the queues up to the next ten are its own. */
const numberOf = (index: number): number => 1000 + 10 * index;
const withNumbers = (text: string, index: number): string =>
  text.replaceAll('Q', String(numberOf(index))).replaceAll('R', String(numberOf(index) + 3));

/** Arguments of listener.c for all cases. */
export function listenerArguments(cases: readonly QueueCase[]): string[] {
  return cases.flatMap(({ listen = [] }, index) => listen.map((each) => withNumbers(each, index)));
}

/** Whether the queue of a line that listener.c wrote is chosen by what nobody knows: the kernel's seed, or its CPU. */
export function isBalanced(cases: readonly QueueCase[], queue: number): boolean {
  return cases[Math.floor((queue - 1000) / 10)]?.target?.includes('balance') === true;
}

const ENDS = {
  4: { client: '10.1.0.2', server: '10.2.0.2', inside: '10.1.0.1', outside: '10.2.0.1' },
  6: { client: '2001:db8:1::2', server: '2001:db8:2::2', inside: '2001:db8:1::1', outside: '2001:db8:2::1' },
} as const;

/** All cases as one scenario, in both families. `names` has the name of the case of each packet. */
export function scenarioOf(cases: readonly QueueCase[]): { scenario: Scenario; names: string[] } {
  const names: string[] = [];
  const packets = ([4, 6] as const).flatMap((family) =>
    cases.flatMap((each, index) =>
      packetsOf(each, index, family).map((packet) => {
        names.push(`${each.name} (IPv${family})`);
        return packet;
      }),
    ),
  );
  const rules = rulesOf(cases);
  const mac = (n: number): string => `02:00:00:00:00:0${n}`;
  const scenario: Scenario = {
    name: 'queue',
    profile: 'queue',
    seed: 0,
    host: {
      interfaces: {
        eth0: { mac: mac(1), addresses: ['10.1.0.1/24', '2001:db8:1::1/64'] },
        eth1: { mac: mac(2), addresses: ['10.2.0.1/24', '2001:db8:2::1/64'] },
        eth2: { mac: mac(3), addresses: ['10.3.0.1/24', '2001:db8:3::1/64'] },
      },
      // What has the mark 9 takes another way.
      rules: ['fwmark 0x9 lookup 100'],
      routes: ['10.2.0.0/24 via 10.3.0.2 dev eth2 table 100', '2001:db8:2::/64 via 2001:db8:3::2 dev eth2 table 100'],
      neighbours: {
        '10.1.0.2': '02:00:00:00:01:02',
        '10.2.0.2': '02:00:00:00:02:02',
        '10.2.0.3': '02:00:00:00:02:03',
        '10.3.0.2': '02:00:00:00:03:02',
        '2001:db8:1::2': '02:00:00:00:01:06',
        '2001:db8:2::2': '02:00:00:00:02:06',
        '2001:db8:2::3': '02:00:00:00:02:07',
        '2001:db8:3::2': '02:00:00:00:03:06',
      },
      sysctl: { 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1, 'net.ipv6.auto_flowlabels': 0 },
    },
    rulesV4: rules,
    rulesV6: rules,
    ipsets: '',
    packets,
  };
  return { scenario, names };
}

function packetsOf({ chain, packets = 1, same }: QueueCase, index: number, family: 4 | 6): PlannedPacket[] {
  const { client, server, inside, outside } = ENDS[family];
  const text = (address: string, port: number): string =>
    family === 4 ? `${address}:${port}` : `[${address}]:${port}`;
  const [from, to] = chain === 'INPUT' ? [client, inside] : chain === 'OUTPUT' ? [outside, server] : [client, server];
  return Array.from({ length: packets }, (_, n) => {
    const port = 3000 + (same ? 0 : n);
    const line = parseLine(
      `udp ${text(from, port)} > ${text(to, numberOf(index))} data=hello${n}${family === 4 ? ` id=${numberOf(index)}` : ''}`,
    );
    if (line.kind !== 'packet') throw new Error('not a packet');
    return { dev: chain === 'OUTPUT' ? 'local' : 'eth0', hex: toHex(buildPacket(line.packet)) };
  });
}

const CHAINS = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
};

/** Behind the rules that queue, others count what has which mark and state. */
function rulesOf(cases: readonly QueueCase[]): string {
  return Object.entries(CHAINS)
    .map(([table, chains]) => {
      const queueing = cases.flatMap((each, index) => {
        if ((each.table ?? 'mangle') !== table) return [];
        const target = withNumbers(each.target ?? '--queue-num Q', index);
        return [`-A ${each.chain ?? 'FORWARD'} -p udp -m udp --dport ${numberOf(index)} -j NFQUEUE ${target}`];
      });
      const counting = chains.flatMap((chain) => [
        ...['0x1', '0x3', '0x6', '0x9'].map((mark) => `-A ${chain} -m mark --mark ${mark}`),
        ...(table === 'raw'
          ? []
          : ['NEW', 'INVALID', 'UNTRACKED'].map((s) => `-A ${chain} -m conntrack --ctstate ${s}`)),
      ]);
      return [`*${table}`, ...chains.map((chain) => `:${chain} ACCEPT`), ...queueing, ...counting, 'COMMIT', ''].join(
        '\n',
      );
    })
    .join('');
}
