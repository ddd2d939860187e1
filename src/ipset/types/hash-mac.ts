import type { ElementFields, HashType } from '../hash-type.ts';
import { Feature } from '../set.ts';

const TAIL = { words: 2, hashed: 2, bytes: 8 };

function pack(words: Uint32Array, at: number, fields: ElementFields): void {
  const e = fields.ether;
  words[at] = (e[0]! | (e[1]! << 8) | (e[2]! << 16) | (e[3]! << 24)) >>> 0;
  words[at + 1] = e[4]! | (e[5]! << 8);
}

function unpack(words: Uint32Array, at: number, fields: ElementFields): void {
  const low = words[at]!;
  const high = words[at + 1]!;
  fields.ether.set([low & 0xff, (low >>> 8) & 0xff, (low >>> 16) & 0xff, low >>> 24, high & 0xff, (high >>> 8) & 0xff]);
}

/** hash:mac (net/netfilter/ipset/ip_set_hash_mac.c). */
export const hashMac: HashType = {
  name: 'hash:mac',
  dimension: 1,
  features: Feature.mac,
  neutral: true,
  first: null,
  second: null,
  ether: 0,
  tail: { 4: TAIL, 6: TAIL },
  pack,
  unpack,
};

/** hash:ip,mac (net/netfilter/ipset/ip_set_hash_ipmac.c). */
export const hashIpMac: HashType = {
  name: 'hash:ip,mac',
  dimension: 2,
  features: Feature.ip | Feature.mac,
  first: 'ip',
  second: null,
  ether: 1,
  tail: { 4: TAIL, 6: TAIL },
  pack,
  unpack,
};
