import type { HashType } from '../hash-type.ts';
import { Feature } from '../set.ts';

const TAIL = { words: 1, hashed: 1, bytes: 4 };

/** hash:ip,mark (net/netfilter/ipset/ip_set_hash_ipmark.c). */
export const hashIpMark: HashType = {
  name: 'hash:ip,mark',
  dimension: 2,
  features: Feature.ip | Feature.mark,
  first: 'ip',
  second: null,
  mark: 1,
  tail: { 4: TAIL, 6: TAIL },
  pack(words, at, fields) {
    words[at] = fields.mark;
  },
  unpack(words, at, fields) {
    fields.mark = words[at]!;
  },
};
