import type { HashType } from '../hash-type.ts';
import { portBits, portOf } from '../hash-type.ts';
import { Feature } from '../set.ts';

const PREFIXES = [
  { shift: 16, mask: 0xff, less: 0 },
  { shift: 24, mask: 0xff, less: 0 },
] as const;

/** hash:net,net (net/netfilter/ipset/ip_set_hash_netnet.c). */
export const hashNetNet: HashType = {
  name: 'hash:net,net',
  dimension: 2,
  features: Feature.ip | Feature.ip2 | Feature.nomatch,
  first: 'net',
  second: 'net',
  maskable: true,
  // The IPv4 element is padded to a multiple of eight bytes.
  tail: { 4: { words: 2, hashed: 2, bytes: 8 }, 6: { words: 1, hashed: 1, bytes: 4 } },
  wide: true,
  pack(words, at, fields) {
    words[at] = ((fields.cidr << 16) | (fields.cidr2 << 24)) >>> 0;
  },
  unpack(words, at, fields) {
    fields.cidr = (words[at]! >>> 16) & 0xff;
    fields.cidr2 = words[at]! >>> 24;
  },
  prefixes: PREFIXES,
};

const TAIL = { words: 2, hashed: 2, bytes: 8 };

/** hash:net,port,net (net/netfilter/ipset/ip_set_hash_netportnet.c). */
export const hashNetPortNet: HashType = {
  name: 'hash:net,port,net',
  dimension: 3,
  features: Feature.ip | Feature.port | Feature.ip2 | Feature.nomatch,
  first: 'net',
  second: 'net',
  port: 1,
  zeroPrefix: true,
  tail: { 4: TAIL, 6: TAIL },
  wide: true,
  pack(words, at, fields) {
    words[at] = (portBits(fields.port) | (fields.cidr << 16) | (fields.cidr2 << 24)) >>> 0;
    words[at + 1] = (fields.proto << 24) >>> 0;
  },
  unpack(words, at, fields) {
    fields.port = portOf(words[at]!);
    fields.cidr = (words[at]! >>> 16) & 0xff;
    fields.cidr2 = words[at]! >>> 24;
    fields.proto = words[at + 1]! >>> 24;
  },
  prefixes: PREFIXES,
};
