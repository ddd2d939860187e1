import { describe, expect, test } from 'vitest';
import { lacks, missingSetTypes } from './kernel-set-types.ts';

describe('set types that a kernel lacks', () => {
  const reduced = 'CONFIG_IP_SET=y\nCONFIG_IP_SET_HASH_IP=y\n# CONFIG_IP_SET_HASH_MAC is not set\n';

  test('are those left out of a kernel with sets built in', () => {
    expect(lacks(reduced, 'hash:mac')).toBe(true);
    expect(lacks(reduced, 'hash:ip')).toBe(false);
  });

  test('cannot be told where sets are modules, or where nothing is known', () => {
    expect(lacks(reduced.replace('IP_SET=y', 'IP_SET=m'), 'hash:mac')).toBe(false);
    expect(lacks('', 'hash:mac')).toBe(false);
  });

  test('are those that the environment names, if it does', () => {
    const given = missingSetTypes({ IPTSIM_IPSET_WITHOUT: 'hash:mac hash:net,net' });
    expect(given.has('hash:net,net')).toBe(true);
    expect(given.has('hash:ip')).toBe(false);
    expect(missingSetTypes({ IPTSIM_IPSET_WITHOUT: '' }).has('hash:mac')).toBe(false);
  });
});
