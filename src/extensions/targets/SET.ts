import type { SetChangeOptions } from '../../datapath/environment.ts';
import { Hook } from '../../datapath/hooks.ts';
import { Verdict } from '../../datapath/verdicts.ts';
import { parseUnsigned } from '../../syntax/numbers.ts';
import { defineTarget, UsageError } from '../contract.ts';
import type { SetReference } from '../set-reference.ts';
import { readSetReference, setReferenceText, setReferenceWords } from '../set-reference.ts';

/** `struct xt_set_info_target_v3`. */
interface SetTarget {
  add: SetReference | null;
  del: SetReference | null;
  map: SetReference | null;
  exist: boolean;
  /** Seconds; null: the set's default. */
  timeout: number | null;
  mapMark: boolean;
  mapPriority: boolean;
  mapQueue: boolean;
}

const HELP = `SET target options:
 --add-set name flags [--exist] [--timeout n]
 --del-set name flags
 --map-set name flags [--map-mark] [--map-prio] [--map-queue]
		add/del src/dst IP/port from/to named sets,
		where flags are the comma separated list of
		'src' and 'dst' specifications.
`;

const MAX_TIMEOUT = 4294967294;

function text(data: SetTarget, dashes: string): string {
  let words = '';
  if (data.add !== null) words += ` ${dashes}add-set ${setReferenceText(data.add)}`;
  if (data.exist) words += ` ${dashes}exist`;
  if (data.timeout !== null) words += ` ${dashes}timeout ${data.timeout}`;
  if (data.del !== null) words += ` ${dashes}del-set ${setReferenceText(data.del)}`;
  if (data.map !== null) words += ` ${dashes}map-set ${setReferenceText(data.map)}`;
  if (data.mapMark) words += ` ${dashes}map-mark`;
  if (data.mapPriority) words += ` ${dashes}map-prio`;
  if (data.mapQueue) words += ` ${dashes}map-queue`;
  return words;
}

/** Hooks in which priority and queue may be mapped. */
const MAPPING_HOOKS: ReadonlySet<Hook> = new Set([Hook.forward, Hook.output, Hook.postrouting]);

export const SET = defineTarget<SetTarget>({
  name: 'SET',
  families: [4, 6],
  style: 'classic',
  options: [
    { name: 'add-set', type: 'string', invert: true, second: true },
    { name: 'del-set', type: 'string', invert: true, second: true },
    { name: 'exist', type: 'none', invert: true },
    { name: 'timeout', type: 'string', invert: true },
    { name: 'map-set', type: 'string', invert: true, second: true },
    { name: 'map-mark', type: 'none', invert: true },
    { name: 'map-prio', type: 'none', invert: true },
    { name: 'map-queue', type: 'none', invert: true },
  ],
  init: () => ({
    add: null,
    del: null,
    map: null,
    exist: false,
    timeout: null,
    mapMark: false,
    mapPriority: false,
    mapQueue: false,
  }),
  parse(data, option, context) {
    switch (option.name) {
      case 'add-set':
        data.add = readSetReference(option, 'add-set', data.add !== null, context);
        return;
      case 'del-set':
        data.del = readSetReference(option, 'del-set', data.del !== null, context);
        return;
      case 'map-set':
        data.map = readSetReference(option, 'map-set', data.map !== null, context);
        return;
      case 'exist':
        data.exist = true;
        return;
      case 'timeout': {
        const seconds = parseUnsigned(option.text, 0, MAX_TIMEOUT);
        if (seconds === null) {
          throw new UsageError(`Invalid value for option --timeout or out of range 0-${MAX_TIMEOUT}`);
        }
        data.timeout = seconds;
        return;
      }
      case 'map-mark':
        data.mapMark = true;
        return;
      case 'map-prio':
        data.mapPriority = true;
        return;
      case 'map-queue':
        data.mapQueue = true;
        return;
    }
  },
  finish(data) {
    if (data.add === null && data.del === null && data.map === null) {
      throw new UsageError("You must specify either `--add-set' or `--del-set' or `--map-set'");
    }
    if (data.add === null) {
      if (data.exist) throw new UsageError("Flag `--exist' can be used with `--add-set' only");
      if (data.timeout !== null) throw new UsageError("Option `--timeout' can be used with `--add-set' only");
    }
    if (data.map === null) {
      if (data.mapMark) throw new UsageError("Flag `--map-mark' can be used with `--map-set' only");
      if (data.mapPriority) throw new UsageError("Flag `--map-prio' can be used with `--map-set' only");
      if (data.mapQueue) throw new UsageError("Flag `--map-queue' can be used with `--map-set' only");
    } else if (!data.mapMark && !data.mapPriority && !data.mapQueue) {
      throw new UsageError("You must specify flags `--map-mark' or '--map-prio` or `--map-queue'");
    }
  },
  save: (data) => text(data, '--'),
  print: (data) => text(data, ''),
  help: () => HELP,
  // `set_target_v3_checkentry` (net/netfilter/xt_set.c)
  check(data, { table, hooks }) {
    if (data.map === null) return null;
    if (table !== 'mangle') return 'EINVAL';
    const narrow = data.mapPriority || data.mapQueue;
    return narrow && [...hooks].some((hook) => !MAPPING_HOOKS.has(hook)) ? 'EINVAL' : null;
  },
  explain(data) {
    const parts: string[] = [];
    if (data.add !== null) parts.push(`the packet's ${setReferenceWords(data.add, 'is put into')}`);
    if (data.del !== null) parts.push(`the packet's ${setReferenceWords(data.del, 'is deleted from')}`);
    if (data.map !== null)
      parts.push(`the packet gets what is kept of its ${setReferenceWords(data.map, 'as it stands in')}`);
    return parts.join(', then ');
  },
  unknown: (data) =>
    data.mapQueue ? '--map-queue: simulated devices have one transmit queue, the choice is not visible' : null,
  // `set_target_v3` (net/netfilter/xt_set.c)
  compile(data, { machine }) {
    const { sets } = machine;
    const change: SetChangeOptions = { directions: data.add?.directions ?? [], exist: data.exist };
    if (data.timeout !== null) change.timeout = data.timeout;
    const add = data.add === null ? null : sets.adder(data.add.name, change);
    const del = data.del === null ? null : sets.deleter(data.del.name, { directions: data.del.directions });
    const map =
      data.map === null
        ? null
        : sets.mapper(data.map.name, {
            directions: data.map.directions,
            map: { mark: data.mapMark, priority: data.mapPriority, queue: data.mapQueue },
          });
    return (packet, at) => {
      add?.(packet, at);
      del?.(packet, at);
      map?.(packet, at);
      return Verdict.next;
    };
  },
});
