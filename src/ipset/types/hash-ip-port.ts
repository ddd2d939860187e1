import { SetError } from '../errors.ts';
import type { ElementFields, HashType } from '../hash-type.ts';
import { portBits, portOf } from '../hash-type.ts';
import { Feature } from '../set.ts';

const TAIL = { words: 1, hashed: 1, bytes: 4 };

function pack(words: Uint32Array, at: number, fields: ElementFields): void {
  words[at] = portBits(fields.port) | (fields.proto << 16);
}

function unpack(words: Uint32Array, at: number, fields: ElementFields): void {
  fields.port = portOf(words[at]!);
  fields.proto = (words[at]! >>> 16) & 0xff;
}

/** hash:ip,port (net/netfilter/ipset/ip_set_hash_ipport.c). */
export const hashIpPort: HashType = {
  name: 'hash:ip,port',
  dimension: 2,
  features: Feature.ip | Feature.port,
  first: 'ip',
  second: null,
  port: 1,
  maskable: true,
  zeroError: SetError.invalid,
  tail: { 4: TAIL, 6: TAIL },
  pack,
  unpack,
};

/** hash:ip,port,ip (net/netfilter/ipset/ip_set_hash_ipportip.c). */
export const hashIpPortIp: HashType = {
  name: 'hash:ip,port,ip',
  dimension: 3,
  features: Feature.ip | Feature.port | Feature.ip2,
  first: 'ip',
  second: 'ip',
  port: 1,
  tail: { 4: TAIL, 6: TAIL },
  pack,
  unpack,
};

/** hash:ip,port,net (net/netfilter/ipset/ip_set_hash_ipportnet.c). */
export const hashIpPortNet: HashType = {
  name: 'hash:ip,port,net',
  dimension: 3,
  features: Feature.ip | Feature.port | Feature.ip2 | Feature.nomatch,
  first: 'ip',
  second: 'net',
  port: 1,
  tail: { 4: TAIL, 6: TAIL },
  pack(words, at, fields) {
    words[at] = (portBits(fields.port) | ((fields.cidr2 - 1) << 16) | (fields.proto << 24)) >>> 0;
  },
  unpack(words, at, fields) {
    fields.port = portOf(words[at]!);
    fields.cidr2 = ((words[at]! >>> 16) & 0x7f) + 1;
    fields.proto = words[at]! >>> 24;
  },
  prefixes: [{ shift: 16, mask: 0x7f, less: 1 }],
};
