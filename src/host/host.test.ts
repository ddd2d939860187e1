import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../packet/address-text.ts';
import type { Family } from '../packet/family.ts';
import type { HostDescription } from './description.ts';
import { createHost } from './host.ts';

const words = (text: string) => parseAddress(text)!.words;

/** The machine of `ip netns` in which the answers below were taken. */
const machine: HostDescription = {
  interfaces: {
    eth0: {
      addresses: ['192.0.2.1/24', '203.0.113.1/28', '192.0.2.9/32', '192.0.2.2/24', '2001:db8::1/64', '2001:db8::2/64'],
    },
    eth1: { addresses: ['10.0.0.1/24', '10.0.0.2/24', '10.9.0.1/24', '2001:db8:1::1/64'] },
    eth2: { addresses: ['10.0.2.1/24', '2001:db8:2::1/64', 'fd00::1/64'] },
  },
};

const get = (host: ReturnType<typeof createHost>, text: string) => {
  const { family, words: destination } = parseAddress(text)!;
  const answer = host.route({ family, destination });
  const source = answer.preferredSource ?? (answer.device && host.sourceAddress(family, answer.device, destination));
  return [
    answer.type,
    answer.gateway === null ? '' : `via ${formatAddress(family, answer.gateway)}`,
    answer.device?.name ?? '',
    source === null ? '' : formatAddress(family as Family, source),
  ]
    .filter((part) => part !== '')
    .join(' ');
};

describe('a machine without description', () => {
  it('has lo and no routes', () => {
    const host = createHost();
    expect(host.devices.map((device) => device.name)).toEqual(['lo']);
    expect(get(host, '192.0.2.1')).toBe('none');
    expect(get(host, '127.0.0.5')).toBe('local lo 127.0.0.1');
    expect(get(host, '::1')).toBe('local lo ::1');
  });
});

describe('addresses', () => {
  const host = createHost(machine);
  it.each([
    ['192.0.2.1', 'LOCAL'],
    ['192.0.2.255', 'BROADCAST'],
    ['192.0.2.0', 'UNICAST'],
    ['203.0.113.15', 'BROADCAST'],
    ['0.0.0.0', 'BROADCAST'],
    ['0.1.2.3', 'UNICAST'],
    ['255.255.255.255', 'BROADCAST'],
    ['224.0.0.1', 'MULTICAST'],
    ['127.9.9.9', 'LOCAL'],
    ['240.0.0.1', 'UNICAST'],
    ['198.51.100.1', 'UNICAST'],
  ])('%s is %s', (text, type) => expect(host.addressType(4, words(text))).toBe(type));
  it('on one interface', () => {
    expect(host.addressType(4, words('192.0.2.1'), host.device('eth1'))).toBe('UNICAST');
    expect(host.addressType(4, words('10.0.0.2'), host.device('eth1'))).toBe('LOCAL');
  });
});
