import { type Connection, Direction, Status, type Tuple } from '../../conntrack/connection.ts';
import type { ConntrackServices } from '../../datapath/environment.ts';
import type { AddressWords } from '../../packet/family.ts';
import { jhash2 } from '../../packet/jhash.ts';
import type { Packet } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { defineMatch, UsageError } from '../contract.ts';
import { jiffiesAt } from '../jiffies.ts';

/** `struct xt_connlimit_info`. */
interface ConnlimitMatch {
  limit: number;
  mask: AddressWords;
  destination: boolean;
  /** Up to the limit instead of above it. */
  invert: boolean;
}

/** Length of the mask, as the real tool counts it: what follows the first zero bit does not count. */
function maskLength(mask: AddressWords, family: 4 | 6): number {
  let zeros = 0;
  for (let i = 0; i < (family === 4 ? 1 : 4); i++) zeros += 32 - Math.clz32(~mask[i]!);
  return (family === 4 ? 32 : 128) - zeros;
}

const HELP = `connlimit match options:
  --connlimit-upto n     match if the number of existing connections is 0..n
  --connlimit-above n    match if the number of existing connections is >n
  --connlimit-mask n     group hosts using prefix length (default: max len)
  --connlimit-saddr      select source address for grouping
  --connlimit-daddr      select destination addresses for grouping
`;

export const connlimit = defineMatch<ConnlimitMatch>({
  name: 'connlimit',
  families: [4, 6],
  options: [
    { name: 'connlimit-upto', type: 'uint32', invert: true, excludes: ['connlimit-above'] },
    { name: 'connlimit-above', type: 'uint32', invert: true, excludes: ['connlimit-upto'] },
    { name: 'connlimit-mask', type: 'prefix-mask' },
    { name: 'connlimit-saddr', type: 'none', excludes: ['connlimit-daddr'] },
    { name: 'connlimit-daddr', type: 'none', excludes: ['connlimit-saddr'] },
  ],
  init: () => ({
    limit: 0,
    mask: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    destination: false,
    invert: false,
  }),
  parse(data, option) {
    switch (option.name) {
      case 'connlimit-upto':
        data.limit = option.number;
        data.invert = !option.invert;
        break;
      case 'connlimit-above':
        data.limit = option.number;
        data.invert = option.invert;
        break;
      case 'connlimit-mask':
        data.mask = option.addressMask;
        break;
      case 'connlimit-saddr':
        data.destination = false;
        break;
      case 'connlimit-daddr':
        data.destination = true;
        break;
    }
  },
  finish(_data, { seen }) {
    if (!seen.has('connlimit-upto') && !seen.has('connlimit-above'))
      throw new UsageError('You must specify "--connlimit-above" or "--connlimit-upto".');
  },
  save: (data, { family }) =>
    ` --connlimit-${data.invert ? 'upto' : 'above'} ${data.limit} --connlimit-mask ${maskLength(data.mask, family)} ` +
    `--connlimit-${data.destination ? 'daddr' : 'saddr'}`,
  print: (data, { family }) =>
    ` #conn ${data.destination ? 'dst' : 'src'}/${maskLength(data.mask, family)} ${data.invert ? '<=' : '>'} ${data.limit}`,
  help: () => HELP,
  same: (a, b) =>
    a.limit === b.limit &&
    a.destination === b.destination &&
    a.invert === b.invert &&
    maskLength(a.mask, 6) === maskLength(b.mask, 6),
  explain: (data, { family }) =>
    `the number of connections ${data.destination ? 'to its destination' : 'from its source'} (/${maskLength(data.mask, family)}), ` +
    `this one included, is ${data.invert ? 'at most' : 'above'} ${data.limit}`,
  compile(data, environment) {
    const { machine } = environment;
    const lists = environment.ruleState('connlimit', () => new Map<number, CountList[]>());
    const { limit, mask, destination, invert } = data;
    return (packet) => {
      const address = destination ? packet.dst : packet.src;
      for (let i = 0; i < 4; i++) key[i] = address[i]! & mask[i as 0 | 1 | 2 | 3];
      key[4] = zoneNumber(packet.connection);
      const count = countConnection(lists, packet, machine.conntrack, jiffiesAt(machine.now()));
      if (count === 0) {
        packet.hotdrop = true;
        return false;
      }
      return count > limit !== invert;
    };
  },
});

/** What the packet at hand is counted under. */
const key = new Uint32Array(5);

/** Of a zone for one direction too (`zone->id`). */
function zoneNumber(connection: Connection | null): number {
  return connection === null ? 0 : connection.zone(Direction.original) || connection.zone(Direction.reply);
}

/** The connections counted for one address (`struct nf_conncount_list`). Plain data. */
interface CountList {
  /** Four words of the address, and the zone. */
  key: number[];
  tuples: { tuple: Tuple; zone: number }[];
  /** Tick of the last look for dead ones, and how many were left then. */
  lastCollection: number;
  lastCount: number;
}

/** At most so many new ones are added before dead ones are looked for within one tick. */
const MAX_COLLECT = 64;

/**
 * Adds the packet's connection to its list and counts (`nf_conncount_count_skb` in net/netfilter/nf_conncount.c); 0 where
 * the kernel drops the packet: it belongs to no connection.
 */
function countConnection(
  lists: Map<number, CountList[]>,
  packet: Packet,
  conntrack: ConntrackServices,
  now: number,
): number {
  const attached = packet.connection;
  const zone = attached?.zone(Direction.original) ?? 0;
  // What CT left on it is no connection yet.
  const own = attached === null || (attached.status & Status.template) !== 0 ? null : attached;
  const tuple = own === null ? conntrack.tupleOf(packet) : own.tuple(Direction.original);
  if (tuple === null) return 0;
  const connection = own ?? conntrack.find(tuple, zone);
  const bucket = bucketOf(lists);
  const list = listIn(bucket);
  if (list === null) {
    bucket.push({ key: [...key], tuples: [{ tuple, zone }], lastCollection: now, lastCount: 0 });
    return 1;
  }
  const justCollected = list.lastCollection === now && list.tuples.length - list.lastCount < MAX_COLLECT;
  const status = connection?.status ?? 0;
  if ((status & Status.confirmed) !== 0 && (status & Status.assured) !== 0) {
    // A connection that is fully there is only counted, not added; closed by now, it is none of those counted.
    if (list.tuples.length > 0 && !justCollected) collect(list, conntrack, now, null, zone);
    return list.tuples.length;
  }
  const known =
    (status & Status.confirmed) !== 0 || !justCollected ? collect(list, conntrack, now, tuple, zone) : false;
  if (!known) list.tuples.push({ tuple, zone });
  return list.tuples.length;
}

/** The lists among which is that of `key`. */
function bucketOf(lists: Map<number, CountList[]>): CountList[] {
  const hash = jhash2(key, key.length, 0);
  let bucket = lists.get(hash);
  if (bucket === undefined) {
    bucket = [];
    lists.set(hash, bucket);
  }
  return bucket;
}

/** The list of `key`, which may be empty by now. */
function listIn(bucket: readonly CountList[]): CountList | null {
  for (let i = 0; i < bucket.length; i++) {
    const list = bucket[i]!;
    let j = 0;
    while (j < key.length && list.key[j] === key[j]) j++;
    if (j === key.length) return list;
  }
  return null;
}

/** Drops connections that are gone or closed; true, at once, when `wanted` is found among the rest. */
function collect(
  list: CountList,
  conntrack: ConntrackServices,
  now: number,
  wanted: Tuple | null,
  zone: number,
): boolean {
  let collected = 0;
  for (let i = 0; i < list.tuples.length; ) {
    if (collected > MAX_COLLECT) break;
    const known = list.tuples[i]!;
    const connection = conntrack.find(known.tuple, known.zone);
    if (connection !== null && wanted !== null && known.zone === zone && sameTuple(known.tuple, wanted)) return true;
    if (connection !== null && !isClosed(connection)) {
      i++;
      continue;
    }
    list.tuples.splice(i, 1);
    collected++;
  }
  list.lastCollection = now;
  list.lastCount = list.tuples.length;
  return false;
}

function isClosed(connection: Connection): boolean {
  if (connection.protocol !== Protocol.tcp) return false;
  return connection.stateName === 'TIME_WAIT' || connection.stateName === 'CLOSE';
}

function sameTuple(a: Tuple, b: Tuple): boolean {
  return (
    a.protocol === b.protocol &&
    a.family === b.family &&
    a.sourcePort === b.sourcePort &&
    a.destinationPort === b.destinationPort &&
    a.source.every((word, i) => word === b.source[i]) &&
    a.destination.every((word, i) => word === b.destination[i])
  );
}
