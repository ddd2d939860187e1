import type { HashType } from '../hash-type.ts';
import { portBits, portOf } from '../hash-type.ts';
import { Feature } from '../set.ts';

const TAIL = { words: 1, hashed: 1, bytes: 4 };

/** hash:net (net/netfilter/ipset/ip_set_hash_net.c). */
export const hashNet: HashType = {
  name: 'hash:net',
  dimension: 1,
  features: Feature.ip | Feature.nomatch,
  first: 'net',
  second: null,
  tail: { 4: TAIL, 6: TAIL },
  pack(words, at, fields) {
    words[at] = (fields.cidr << 24) >>> 0;
  },
  unpack(words, at, fields) {
    fields.cidr = words[at]! >>> 24;
  },
  prefixes: [{ shift: 24, mask: 0xff, less: 0 }],
};

/** hash:net,iface (net/netfilter/ipset/ip_set_hash_netiface.c). The interface is not hashed. */
export const hashNetIface: HashType = {
  name: 'hash:net,iface',
  dimension: 2,
  features: Feature.ip | Feature.iface | Feature.nomatch,
  first: 'net',
  second: null,
  iface: 1,
  zeroPrefix: true,
  // The kernel's element has the name itself: five bytes of flags and 16 of name after the address.
  tail: { 4: { words: 2, hashed: 1, bytes: 24 }, 6: { words: 2, hashed: 1, bytes: 24 } },
  pack(words, at, fields) {
    words[at] = fields.physdev | (fields.cidr << 8) | (1 << 24);
    words[at + 1] = fields.iface;
  },
  unpack(words, at, fields) {
    fields.physdev = words[at]! & 1;
    fields.cidr = (words[at]! >>> 8) & 0xff;
    fields.iface = words[at + 1]!;
  },
  prefixes: [{ shift: 8, mask: 0xff, less: 0 }],
};

/** hash:net,port (net/netfilter/ipset/ip_set_hash_netport.c). */
export const hashNetPort: HashType = {
  name: 'hash:net,port',
  dimension: 2,
  features: Feature.ip | Feature.port | Feature.nomatch,
  first: 'net',
  second: null,
  port: 1,
  tail: { 4: TAIL, 6: TAIL },
  pack(words, at, fields) {
    words[at] = (portBits(fields.port) | (fields.proto << 16) | ((fields.cidr - 1) << 24)) >>> 0;
  },
  unpack(words, at, fields) {
    fields.port = portOf(words[at]!);
    fields.proto = (words[at]! >>> 16) & 0xff;
    fields.cidr = ((words[at]! >>> 24) & 0x7f) + 1;
  },
  prefixes: [{ shift: 24, mask: 0x7f, less: 1 }],
};
