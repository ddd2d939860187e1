import { describe, expect, it } from 'vitest';
import { createConntrack } from '../conntrack/service.ts';
import { CONNTRACK_SYSCTLS } from '../conntrack/settings.ts';
import type { NatRange } from '../datapath/environment.ts';
import { Hook, type HookState } from '../datapath/hooks.ts';
import { Verdict } from '../datapath/verdicts.ts';
import { readUint16 } from '../packet/bytes.ts';
import { decode } from '../packet/decode.ts';
import { buildPacket } from '../packet/notation/build.ts';
import { parsePacket } from '../packet/notation/parse.ts';
import { Packet } from '../packet/packet.ts';
import { ChoicesError, NatChoices } from './choices.ts';
import { createNat } from './service.ts';

/** Lines as conntrack 1.4.7 prints them, with -E, with -E -o timestamp and with -L -o extended; the ports are made up. */
const LISTINGS = {
  events: `    [NEW] tcp      6 120 SYN_SENT src=10.0.0.10 dst=198.51.100.7 sport=7002 dport=443 [UNREPLIED] src=198.51.100.7 dst=192.0.2.1 sport=443 dport=31337
 [UPDATE] tcp      6 60 SYN_RECV src=10.0.0.10 dst=198.51.100.7 sport=7002 dport=443 src=198.51.100.7 dst=192.0.2.1 sport=443 dport=31337
    [NEW] icmp     1 30 src=10.0.0.10 dst=198.51.100.7 type=8 code=0 id=1024 [UNREPLIED] src=198.51.100.7 dst=192.0.2.1 type=0 code=0 id=40404
    [NEW] 300 proto=6 src=192.0.2.1 dst=198.51.100.7 sport=0 dport=2121 mask-src=255.255.255.255 mask-dst=255.255.255.255 sport=0 dport=65535 master-src=192.0.2.1 master-dst=198.51.100.7 sport=40000 dport=21 class=0 helper=ftp
[DESTROY] tcp      6 120 CLOSE src=10.0.0.10 dst=198.51.100.7 sport=7002 dport=443 [UNREPLIED] src=198.51.100.7 dst=192.0.2.1 sport=443 dport=1
`,
  'events with time stamps': `[1763860000.123456]\t    [NEW] tcp      6 120 SYN_SENT src=10.0.0.10 dst=198.51.100.7 sport=7002 dport=443 [UNREPLIED] src=198.51.100.7 dst=192.0.2.1 sport=443 dport=31337
[1763860000.223456]\t    [NEW] icmp     1 30 src=10.0.0.10 dst=198.51.100.7 type=8 code=0 id=1024 [UNREPLIED] src=198.51.100.7 dst=192.0.2.1 type=0 code=0 id=40404
`,
  'a list': `ipv4     2 tcp      6 431999 ESTABLISHED src=10.0.0.10 dst=198.51.100.7 sport=7002 dport=443 packets=3 bytes=140 src=198.51.100.7 dst=192.0.2.1 sport=443 dport=31337 packets=1 bytes=44 [ASSURED] mark=0 use=1
ipv4     2 icmp     1 29 src=10.0.0.10 dst=198.51.100.7 type=8 code=0 id=1024 packets=1 bytes=28 src=198.51.100.7 dst=192.0.2.1 type=0 code=0 id=40404 packets=1 bytes=28 mark=0 use=1
conntrack v1.4.7 (conntrack-tools): 2 flow entries have been shown.
`,
};

const ADDRESS = [0xc0000201, 0, 0, 0] as const;
const RANDOM: NatRange = { minAddress: ADDRESS, maxAddress: ADDRESS, random: true };

/** Ports (ICMP: ids) that the packets have behind source NAT. */
function portsBehind(choices: NatChoices, ...lines: string[]): number[] {
  const conntrack = createConntrack({
    now: () => 0,
    random: () => 0,
    sysctl: (name) => CONNTRACK_SYSCTLS[name.replace('net.netfilter.', '')] ?? 0,
  });
  const nat = createNat(conntrack, choices);
  return lines.map((line) => {
    const description = parsePacket(line);
    const packet = new Packet(description.family, buildPacket(description));
    decode(packet);
    const at: HookState = { hook: Hook.prerouting, family: 4, inDevice: null, outDevice: null };
    conntrack.in(packet, at);
    at.hook = Hook.postrouting;
    nat.run(packet, at, 'source', () => nat.setup(packet, at, RANDOM, 'source'));
    if (conntrack.confirm(packet, at) !== Verdict.accept) return -1;
    return readUint16(packet.bytes, packet.transport + (packet.protocol === 1 ? 4 : 0));
  });
}

const TCP = 'tcp 10.0.0.10:7002 > 198.51.100.7:443 S';
const PING = 'icmp 10.0.0.10 > 198.51.100.7 echo-request id=1024';

describe('ports that another machine has chosen', () => {
  for (const [name, text] of Object.entries(LISTINGS)) {
    it(`are read from ${name}`, () => {
      const choices = new NatChoices(text);
      expect(portsBehind(choices, TCP, PING)).toEqual([31337, 40404]);
      expect(choices.unlisted).toBe(0);
    });
  }

  it('are drawn for connections that are not listed, which are counted', () => {
    const choices = new NatChoices(LISTINGS.events);
    expect(portsBehind(choices, 'tcp 10.0.0.11:7002 > 198.51.100.7:443 S')).toEqual([1024]);
    expect(choices.unlisted).toBe(1);
  });

  it('are drawn where another zone is meant', () => {
    const choices = new NatChoices(LISTINGS['a list'].replaceAll(' mark=0', ' mark=0 zone=5'));
    expect(portsBehind(choices, TCP)).toEqual([1024]);
  });

  it('name the line that is no connection', () => {
    const read = () => new NatChoices(`${LISTINGS['a list']}tcp 6 nonsense\n`);
    expect(read).toThrow(ChoicesError);
    expect(read).toThrow('no connection: expected a line that conntrack -L or conntrack -E has printed');
  });
});
