import { formatAddress } from '../../packet/address-text.ts';
import type { AddressWords, Family } from '../../packet/family.ts';
import type { Packet } from '../../packet/packet.ts';
import { defineMatch, UsageError } from '../contract.ts';
import { HZ, jiffiesAt } from '../jiffies.ts';
import { not, storedName } from '../words.ts';

/** `struct xt_recent_mtinfo_v1`. */
interface RecentMatch {
  set: boolean;
  check: boolean;
  update: boolean;
  remove: boolean;
  reap: boolean;
  ttl: boolean;
  invert: boolean;
  /** 0: any time. */
  seconds: number;
  /** 0: once is enough. */
  hits: number;
  name: string;
  destination: boolean;
  mask: AddressWords;
}

/** XT_RECENT_NAME_LEN, less the final zero byte. */
const MAX_NAME = 199;
/** XT_RECENT_MAX_NSTAMPS */
const MAX_STAMPS = 65536;
/** Module parameter ip_list_tot: entries of a list; the least recently used one makes room. */
const MAX_ENTRIES = 100;
const DEFAULT_STAMPS = 32;

const OPERATIONS = ['set', 'rcheck', 'update', 'remove'];

/** An address and when it was seen (`struct recent_entry`). */
interface Entry {
  family: 4 | 6;
  address: number[];
  ttl: number;
  /** Ticks, as a ring. */
  stamps: number[];
  /** Where the next stamp goes. */
  index: number;
  /** Order of creation: of several that fit, the oldest counts. */
  order: number;
}

/** A named list (`struct recent_table`), least recently used entry first. Plain data. */
interface RecentList {
  mask: number[];
  /** Stamps kept of an entry: a power of two. */
  stamps: number;
  entries: Entry[];
  created: number;
}

function stampsFor(hits: number): number {
  return hits === 0 ? DEFAULT_STAMPS : 2 ** Math.ceil(Math.log2(hits));
}

function describe(data: RecentMatch, words: { set: string; check: string; update: string; remove: string }): string {
  let text = '';
  if (data.set) text += words.set;
  if (data.check) text += words.check;
  if (data.update) text += words.update;
  if (data.remove) text += words.remove;
  return text;
}

/** @param signed whether numbers are written as the real tool writes them, with `%d` */
function saveText(data: RecentMatch, family: Family, name: string, signed: boolean): string {
  let text = not(data.invert);
  text += describe(data, { set: ' --set', check: ' --rcheck', update: ' --update', remove: ' --remove' });
  if (data.seconds !== 0) text += ` --seconds ${signed ? data.seconds | 0 : data.seconds}`;
  if (data.reap) text += ' --reap';
  if (data.hits !== 0) text += ` --hitcount ${data.hits | 0}`;
  if (data.ttl) text += ' --rttl';
  text += ` --name ${name} --mask ${formatAddress(family, data.mask)}`;
  return `${text} --${data.destination ? 'rdest' : 'rsource'}`;
}

const HELP = `recent match options:
[!] --set                       Add source address to list, always matches.
[!] --rcheck                    Match if source address in list.
[!] --update                    Match if source address in list, also update last-seen time.
[!] --remove                    Match if source address in list, also removes that address from list.
    --seconds seconds           For check and update commands above.
                                Specifies that the match will only occur if source address last seen within
                                the last 'seconds' seconds.
    --reap                      Purge entries older then 'seconds'.
                                Can only be used in conjunction with the seconds option.
    --hitcount hits             For check and update commands above.
                                Specifies that the match will only occur if source address seen hits times.
                                May be used in conjunction with the seconds option.
    --rttl                      For check and update commands above.
                                Specifies that the match will only occur if the source address and the TTL
                                match between this packet and the one which was set.
                                Useful if you have problems with people spoofing their source address in order
                                to DoS you via this module.
    --name name                 Name of the recent list to be used.  DEFAULT used if none given.
    --rsource                   Match/Save the source address of each packet in the recent list table (default).
    --rdest                     Match/Save the destination address of each packet in the recent list table.
    --mask netmask              Netmask that will be applied to this recent list.
xt_recent by: Stephen Frost <sfrost@snowman.net>.
`;

export const recent = defineMatch<RecentMatch>({
  name: 'recent',
  families: [4, 6],
  options: [
    { name: 'set', type: 'none', invert: true, excludes: OPERATIONS },
    { name: 'rcheck', type: 'none', invert: true, excludes: OPERATIONS },
    { name: 'update', type: 'none', invert: true, excludes: OPERATIONS },
    { name: 'remove', type: 'none', invert: true, excludes: OPERATIONS },
    { name: 'seconds', type: 'uint32', min: 1 },
    { name: 'reap', type: 'none', requires: ['seconds'] },
    { name: 'hitcount', type: 'uint32' },
    { name: 'rttl', type: 'none', excludes: ['set', 'remove'] },
    { name: 'name', type: 'string' },
    { name: 'rsource', type: 'none' },
    { name: 'rdest', type: 'none' },
    { name: 'mask', type: 'host' },
  ],
  init: () => ({
    set: false,
    check: false,
    update: false,
    remove: false,
    reap: false,
    ttl: false,
    invert: false,
    seconds: 0,
    hits: 0,
    name: 'DEFAULT',
    destination: false,
    mask: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
  }),
  parse(data, option) {
    switch (option.name) {
      case 'set':
      case 'update':
      case 'remove':
        data[option.name] = true;
        if (option.invert) data.invert = true;
        break;
      case 'rcheck':
        data.check = true;
        if (option.invert) data.invert = true;
        break;
      case 'seconds':
        data.seconds = option.number;
        break;
      case 'reap':
        data.reap = true;
        break;
      case 'hitcount':
        data.hits = option.number;
        break;
      case 'rttl':
        data.ttl = true;
        break;
      case 'name':
        data.name = option.text.slice(0, MAX_NAME);
        break;
      case 'rsource':
        data.destination = false;
        break;
      case 'rdest':
        data.destination = true;
        break;
      case 'mask':
        data.mask = option.address;
        break;
    }
  },
  finish(_data, { seen }) {
    if (!OPERATIONS.some((name) => seen.has(name)))
      throw new UsageError("recent: you must specify one of `--set', `--rcheck' `--update' or `--remove'");
  },
  save: (data, { family }) => saveText(data, family, data.name, true),
  store: (data, { family }) => saveText(data, family, storedName(data.name), false),
  print(data, { family }) {
    let text = `${not(data.invert)} recent:`;
    text += describe(data, { set: ' SET', check: ' CHECK', update: ' UPDATE', remove: ' REMOVE' });
    if (data.seconds !== 0) text += ` seconds: ${data.seconds | 0}`;
    if (data.reap) text += ' reap';
    if (data.hits !== 0) text += ` hit_count: ${data.hits | 0}`;
    if (data.ttl) text += ' TTL-Match';
    return `${text} name: ${data.name} side: ${data.destination ? 'dest' : 'source'} mask: ${formatAddress(family, data.mask)}`;
  },
  help: () => HELP,
  // `recent_mt_check`
  check(data) {
    if ((data.set || data.remove) && (data.seconds !== 0 || data.hits !== 0 || data.ttl || data.reap)) return 'EINVAL';
    if (data.reap && data.seconds === 0) return 'EINVAL';
    if (data.hits >= MAX_STAMPS) return 'EINVAL';
    const { name } = data;
    return name === '' || name === '.' || name === '..' || name.includes('/') ? 'EINVAL' : null;
  },
  explain(data) {
    const side = `the ${data.destination ? 'destination' : 'source'} address`;
    const list = `the list ${data.name}`;
    if (data.set) return `${side} ${data.invert ? 'could not be' : 'has just been'} put on ${list}`;
    if (data.remove) return `${side} was ${data.invert ? 'not ' : ''}on ${list}, which forgets it`;
    const hits = data.hits === 0 ? '' : ` at least ${data.hits} times`;
    const time = data.seconds === 0 ? '' : ` within ${data.seconds} s`;
    const seen = hits + time === '' ? '' : ` as seen${hits}${time}`;
    return `${side} is ${data.invert ? 'not ' : ''}on ${list}${seen}${data.update ? ', where its time is renewed' : ''}`;
  },
  compile(data, { family, machine }) {
    const list = machine.namedState<RecentList>('recent', data.name, () => ({
      mask: [...data.mask],
      stamps: stampsFor(data.hits),
      entries: [],
      created: 0,
    }));
    if (stampsFor(data.hits) > list.stamps) {
      list.stamps = stampsFor(data.hits);
      list.entries.length = 0;
    }
    return (packet, at) => {
      let ttl = packet.bytes[family === 4 ? 8 : 7]!;
      // As seen before forwarding took one off.
      if (at.outDevice !== null && !hasSocket(packet)) ttl = (ttl + 1) & 0xff;
      return matchRecent(list, data, packet, ttl, jiffiesAt(machine.now()));
    };
  },
});

/** Whether the packet belongs to a socket of the machine (`skb->sk`): answers of the stack need not. */
function hasSocket({ owner, listener, controlSocket }: Packet): boolean {
  return owner !== null || listener !== null || controlSocket;
}

function find(list: RecentList, packet: Packet, address: Uint32Array, ttl: number): Entry | null {
  const { mask } = list;
  let found: Entry | null = null;
  for (let i = 0; i < list.entries.length; i++) {
    const entry = list.entries[i]!;
    if (entry.family !== packet.family) continue;
    if (ttl !== 0 && entry.ttl !== 0 && entry.ttl !== ttl) continue;
    let j = 0;
    while (j < 4 && entry.address[j] === (address[j]! & mask[j]!) >>> 0) j++;
    if (j === 4 && (found === null || entry.order < found.order)) found = entry;
  }
  return found;
}

function remove(list: RecentList, entry: Entry): void {
  list.entries.splice(list.entries.indexOf(entry), 1);
}

/** `recent_mt` (net/netfilter/xt_recent.c). */
function matchRecent(list: RecentList, data: RecentMatch, packet: Packet, ttl: number, now: number): boolean {
  const address = data.destination ? packet.dst : packet.src;
  let matched = data.invert;
  const entry = find(list, packet, address, data.ttl ? ttl : 0);
  if (entry === null) {
    if (!data.set) return matched;
    if (list.entries.length >= MAX_ENTRIES) list.entries.shift();
    const masked = list.mask.map((word, i) => (address[i]! & word) >>> 0);
    list.entries.push({ family: packet.family, address: masked, ttl, stamps: [now], index: 1, order: list.created++ });
    return !matched;
  }
  if (data.set) {
    matched = !matched;
  } else if (data.remove) {
    remove(list, entry);
    return !matched;
  } else {
    const oldest = now - data.seconds * HZ;
    let hits = 0;
    for (let i = 0; i < entry.stamps.length; i++) {
      if (data.seconds !== 0 && oldest > entry.stamps[i]!) continue;
      if (data.hits === 0 || ++hits >= data.hits) {
        matched = !matched;
        break;
      }
    }
    if (data.reap) reap(list, oldest, entry, data.update && matched);
  }
  if (data.set || (data.update && matched)) touch(list, entry, ttl, now);
  return matched;
}

/** Drops the least recently used entry if its last stamp is too old, unless it is about to be updated. */
function reap(list: RecentList, oldest: number, working: Entry, update: boolean): void {
  const entry = list.entries[0];
  if (entry === undefined || (entry === working && update)) return;
  if (oldest > entry.stamps[entry.index - 1]!) list.entries.shift();
}

function touch(list: RecentList, entry: Entry, ttl: number, now: number): void {
  entry.index &= list.stamps - 1;
  entry.stamps[entry.index++] = now;
  entry.ttl = ttl;
  remove(list, entry);
  list.entries.push(entry);
}
