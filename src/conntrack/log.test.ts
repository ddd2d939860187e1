import { describe, expect, it } from 'vitest';
import { Hook, type HookState } from '../datapath/hooks.ts';
import { Verdict } from '../datapath/verdicts.ts';
import { decode } from '../packet/decode.ts';
import { buildPacket } from '../packet/notation/build.ts';
import { parsePacket } from '../packet/notation/parse.ts';
import { Packet } from '../packet/packet.ts';
import { createConntrack } from './service.ts';
import { CONNTRACK_SYSCTLS } from './settings.ts';

/** Connection tracking alone, and what it writes to the kernel log. */
function tracker(sysctls: Record<string, number>): { send(line: string, helper?: string): string; lines: string[] } {
  const values: Record<string, number> = { ...CONNTRACK_SYSCTLS, ...sysctls };
  const lines: string[] = [];
  const conntrack = createConntrack({
    now: () => 1e6,
    random: () => 4,
    sysctl: (name) => values[name.replace('net.netfilter.', '')] ?? 0,
    log: {
      packet: (_packet, at, message) => lines.push(`${at === null ? 'nowhere' : 'at a hook'}: ${message}`),
      limited: (level, line) => lines.push(`${level} ${line}`),
    },
  });
  return {
    lines,
    send(line, helper) {
      const description = parsePacket(line);
      const packet = new Packet(description.family, buildPacket(description));
      decode(packet);
      const at: HookState = { hook: Hook.prerouting, family: packet.family, inDevice: null, outDevice: null };
      if (helper !== undefined) conntrack.attachTemplate(packet, { helper });
      if (conntrack.in(packet, at) === Verdict.drop) return 'DROP';
      at.hook = Hook.postrouting;
      if (conntrack.help(packet, at) === Verdict.drop) return 'DROP';
      return conntrack.confirm(packet, at) === Verdict.drop ? 'DROP' : 'ACCEPT';
    },
  };
}

describe('what connection tracking writes to the kernel log', () => {
  // Message texts: net/netfilter/nf_conntrack_core.c, nf_conntrack_expect.c.
  it('tells that its table is full', () => {
    const { send, lines } = tracker({ nf_conntrack_max: 1, nf_conntrack_buckets: 1 });
    expect(send('tcp 10.0.0.1:1 > 192.0.2.9:80 S')).toBe('ACCEPT');
    expect(send('tcp 192.0.2.9:80 > 10.0.0.1:1 SA seq=1 ack=1')).toBe('ACCEPT');
    expect(send('tcp 10.0.0.1:1 > 192.0.2.9:80 A seq=1 ack=2')).toBe('ACCEPT');
    expect(send('udp 10.0.0.2:1 > 192.0.2.9:80')).toBe('DROP');
    expect(lines).toEqual(['4 nf_conntrack: nf_conntrack: table full, dropping packet']);
  });

  it('tells that there is no room for another expectation, and then the helper why it drops', () => {
    const { send, lines } = tracker({ nf_conntrack_expect_max: 0 });
    expect(send('udp 10.0.0.1:1000 > 192.0.2.9:69 hex=0001610000', 'tftp')).toBe('DROP');
    expect(lines).toEqual([
      '4 nf_conntrack: expectation table full',
      'nowhere: nf_ct_tftp: dropping packet: cannot add expectation',
    ]);
  });

  it('tells of invalid packets of all protocols, of one, or of none', () => {
    const invalid = (log: number): string[] => {
      const { send, lines } = tracker({ nf_conntrack_log_invalid: log });
      send('tcp 10.0.0.1:1 > 192.0.2.9:80 SF');
      send('icmp 10.0.0.1 > 192.0.2.9 type=40');
      return lines;
    };
    const tcp = 'at a hook: nf_ct_proto_6: invalid tcp flag combination';
    const icmp = 'at a hook: nf_ct_proto_1: invalid icmp type';
    expect(invalid(255)).toEqual([tcp, icmp]);
    expect(invalid(6)).toEqual([tcp]);
    expect(invalid(1)).toEqual([icmp]);
    expect(invalid(17)).toEqual([]);
    expect(invalid(0)).toEqual([]);
  });
});
