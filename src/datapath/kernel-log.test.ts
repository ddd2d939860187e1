import { describe, expect, it } from 'vitest';
import { readHostYaml } from '../host/yaml.ts';
import { decode } from '../packet/decode.ts';
import { fragment4 } from '../packet/fragmentation.ts';
import { buildPacket } from '../packet/notation/build.ts';
import { parsePacket } from '../packet/notation/parse.ts';
import { Packet } from '../packet/packet.ts';
import { SimulationClock } from './clock.ts';
import { FragmentQueues } from './defragment.ts';
import { KernelLog } from './kernel-log.ts';
import { LogLevel } from './log-level.ts';
import { Recorder } from './recorder.ts';

function logOf(sysctl = ''): { log: KernelLog; clock: SimulationClock; recorder: Recorder; lines(): string[] } {
  const { host } = readHostYaml(
    `interfaces: { eth0: { addresses: [192.0.2.1/24] } }\nsysctl: { ${sysctl} }\n`,
    'host.yaml',
  );
  const clock = new SimulationClock(1_000_000);
  const recorder = new Recorder(null, true);
  const log = new KernelLog(host, clock, recorder);
  return { log, clock, recorder, lines: () => recorder.outcome.log.map(({ level, line }) => `${level} ${line}`) };
}

function packetOf(notation: string): Packet {
  const description = parsePacket(notation);
  const packet = new Packet(description.family, buildPacket(description));
  decode(packet);
  return packet;
}

// Linux 6.18, dmesg (test/kernel/cases/log-*.json hold more of it).
describe('the kernel log', () => {
  it('tells of a packet without devices as a helper does', () => {
    const { log, lines } = logOf();
    log.packet(
      packetOf('udp 10.0.0.10:700 > 192.0.2.10:69 id=7 ttl=63'),
      null,
      'nf_ct_tftp: dropping packet: cannot add expectation',
    );
    expect(lines()).toEqual([
      '5 nf_ct_tftp: dropping packet: cannot add expectation IN= OUT= SRC=10.0.0.10 DST=192.0.2.10 LEN=28 TOS=0x00 PREC=0x00 TTL=63 ID=7 PROTO=UDP SPT=700 DPT=69 LEN=8 ',
    ]);
  });

  it('cuts a message off after 127 characters, its blank included', () => {
    const { log, lines } = logOf();
    log.packet(packetOf('udp 10.0.0.10:700 > 192.0.2.10:69'), null, 'x'.repeat(200));
    expect(lines()[0]).toMatch(/^5 x{127}IN= OUT= /);
  });

  it('writes ten messages in five seconds, and says later how many it has kept back', () => {
    const { log, clock, lines } = logOf();
    for (let i = 0; i < 12; i++) log.limited(LogLevel.warning, `message ${i}`, 'its second line');
    expect(lines()).toHaveLength(20);
    clock.now += 5_000_000;
    log.limited(LogLevel.warning, 'too early');
    expect(lines()).toHaveLength(20);
    clock.now += 1;
    log.limited(LogLevel.info, 'again');
    expect(lines().slice(20)).toEqual(['4 net_ratelimit: 3 callbacks suppressed', '6 again']);
  });

  it('has the limit from net.core.message_burst, and none with net.core.message_cost 0', () => {
    const few = logOf('net.core.message_burst: 1');
    for (let i = 0; i < 3; i++) few.log.limited(LogLevel.warning, 'message');
    expect(few.lines()).toHaveLength(1);
    const all = logOf('net.core.message_cost: 0');
    for (let i = 0; i < 30; i++) all.log.limited(LogLevel.warning, 'message');
    expect(all.lines()).toHaveLength(30);
  });

  it('tells of a datagram that its fragments make too long', () => {
    const { log, clock, recorder, lines } = logOf();
    const { host } = readHostYaml('interfaces: { eth0: { addresses: [192.0.2.1/24] } }\n', 'host.yaml');
    const queues = new FragmentQueues(host, clock, null, log);
    const whole = packetOf(`udp 192.0.2.10:1 > 192.0.2.1:2 id=99 len=65490`);
    const pieces = fragment4(whole, 1500)!;
    // The last one gets more behind it.
    pieces[pieces.length - 1] = Uint8Array.from([...pieces.at(-1)!, ...new Uint8Array(64)]);
    const last = pieces.at(-1)!;
    new DataView(last.buffer).setUint16(2, last.length);
    for (const bytes of pieces) {
      const packet = new Packet(4, bytes);
      decode(packet);
      expect(queues.reassemble(packet, 'local', recorder)).toBe(false);
    }
    expect(lines()).toEqual(['6 IPv4: Oversized IP packet from 192.0.2.10']);
  });
});
