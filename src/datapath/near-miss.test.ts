import { describe, expect, it } from 'vitest';
import { decode } from '../packet/decode.ts';
import { buildPacket } from '../packet/notation/build.ts';
import { parsePacket } from '../packet/notation/parse.ts';
import { ConntrackInfo, Packet } from '../packet/packet.ts';
import { Hook, type HookState } from './hooks.ts';
import { packetHas } from './near-miss.ts';

const AT: HookState = { hook: Hook.prerouting, family: 4, inDevice: null, outDevice: null };

function packetOf(line: string): Packet {
  const bytes = buildPacket(parsePacket(line));
  const packet = new Packet(bytes[0]! >> 4 === 6 ? 6 : 4, bytes);
  decode(packet);
  return packet;
}

describe('what a packet has where a rule did not fit', () => {
  it.each([
    ['-s', 'source 192.0.2.7'],
    ['-d', 'destination 192.0.2.1'],
    ['-p', 'protocol tcp'],
    ['-i', 'input interface none'],
    ['-m tcp', 'port 40000 to port 22, flags S'],
    ['-m set', '192.0.2.7 to 192.0.2.1, port 40000 to port 22, flags S'],
    ['-m ttl', 'TTL 64'],
    ['-m length', '40 bytes'],
    ['-m mac', 'no Ethernet header'],
    ['-m connmark', 'no connection'],
  ])('%s: %s', (part, text) => {
    expect(packetHas(part, packetOf('in=eth0 tcp 192.0.2.7:40000 > 192.0.2.1:22'), AT)).toBe(text);
  });

  it('tells type and code of ICMP', () => {
    expect(packetHas('-m icmp', packetOf('in=eth0 icmp 192.0.2.7 > 192.0.2.1'), AT)).toBe('type 8, code 0');
  });

  it('tells the state, without an entry INVALID', () => {
    const packet = packetOf('in=eth0 udp 192.0.2.7:1 > 192.0.2.1:2');
    expect(packetHas('-m conntrack', packet, AT)).toBe('state INVALID');
    packet.conntrackInfo = ConntrackInfo.untracked;
    expect(packetHas('-m state', packet, AT)).toBe('state UNTRACKED');
  });

  it('says nothing where the packet does not tell', () => {
    expect(packetHas('-m limit', packetOf('in=eth0 udp 192.0.2.7:1 > 192.0.2.1:2'), AT)).toBeNull();
  });
});
