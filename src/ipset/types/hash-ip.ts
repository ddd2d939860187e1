import { SetError } from '../errors.ts';
import type { HashType } from '../hash-type.ts';
import { Feature } from '../set.ts';

/** hash:ip (net/netfilter/ipset/ip_set_hash_ip.c). */
export const hashIp: HashType = {
  name: 'hash:ip',
  dimension: 1,
  features: Feature.ip,
  first: 'ip',
  second: null,
  maskable: true,
  zeroError: SetError.hashElement,
  tail: { 4: { words: 0, hashed: 0, bytes: 0 }, 6: { words: 0, hashed: 0, bytes: 0 } },
  pack: () => undefined,
  unpack: () => undefined,
};
