import { LogLevel } from '../../datapath/log-level.ts';
import { scanDecimal, scanUnsigned } from '../../syntax/numbers.ts';
import { defineMatch, UsageError } from '../contract.ts';
import { badValue, listWords, storedName } from '../words.ts';
import {
  byteCost,
  CHUNK,
  type HashlimitConfig,
  KEY_MODES,
  Mode,
  makeTable,
  overflows,
  SCALE,
  withinLimit,
} from './hashlimit-table.ts';
import { parseUnit, rateOf } from './limit.ts';

interface HashlimitMatch extends HashlimitConfig {
  name: string;
  /** Length of a whole address of the family: 32 or 128. */
  hostMask: number;
  /** Seconds of the unit in which the rate was given; while options are read only. */
  unitSeconds?: number;
}

const DEFAULT_BURST = 5;
const MAX_BURST = 1_000_000;
const DEFAULT_GC_INTERVAL = 1000;
/** Seconds that an idle group of a byte limit is kept, without and with a burst. */
const BYTE_EXPIRE = 15;
const BYTE_EXPIRE_BURST = 60;
/** Largest table (HASHLIMIT_MAX_SIZE): the kernel cuts what is more to it. */
const MAX_SIZE = 1_048_576;
/** `char name[NAME_MAX]`, less the final zero byte. */
const MAX_NAME = 254;

const UNITS: readonly [letter: string, bytes: number][] = [
  ['m', 1024 * 1024],
  ['k', 1024],
  ['', 1],
];
const KEYS: readonly [word: string, bit: number][] = [
  ['srcip', Mode.source],
  ['srcport', Mode.sourcePort],
  ['dstip', Mode.destination],
  ['dstport', Mode.destinationPort],
];

const factorOf = (letter: string | undefined): number => (letter === 'm' ? 1024 * 1024 : letter === 'k' ? 1024 : 1);

function costToBytes(cost: number): number {
  return ((cost === 0 ? 0xffffffff : Math.floor(0xffffffff / cost)) - 1) * CHUNK;
}

function bytesToCost(bytes: number): number {
  const chunks = Math.floor(bytes / CHUNK) % 0x100000000;
  return Math.floor(0xffffffff / (chunks + 1));
}

/** `512kb/s`; null if it is not of that form. */
function parseBytes(text: string): number | null {
  const mode = text.indexOf('b/s');
  if (mode <= 0) return null;
  const number = Number(scanDecimal(text) ?? 0n);
  if (number === 0) return null;
  const cost = bytesToCost(number * factorOf(text[mode - 1]));
  if (cost === 0) throw new UsageError(`Rate too high "${text}"`);
  return cost;
}

function parseRate(data: HashlimitMatch, text: string, option: string): void {
  const bytes = parseBytes(text);
  if (bytes !== null) {
    data.average = bytes;
    data.mode |= Mode.bytes;
    data.unitSeconds = BYTE_EXPIRE;
    return;
  }
  const slash = text.indexOf('/');
  const seconds = slash < 0 ? 1 : parseUnit(text.slice(slash + 1));
  const rate = scanDecimal(text) ?? 0n;
  if (seconds === null || rate === 0n) throw badValue('hashlimit', option, text);
  const average = Number(BigInt(SCALE * seconds) / rate);
  if (average === 0) throw new UsageError(`Rate too fast "${text}"`);
  data.average = average;
  data.unitSeconds = seconds;
}

function burstError(): UsageError {
  return new UsageError(`bad value for option "--hashlimit-burst", or out of range (1-${MAX_BURST}).`);
}

function parseBurst(text: string): number {
  const read = scanUnsigned(text);
  if (read === null || read.value === null || read.value < 1n) throw burstError();
  if (read.end === text.length && read.value > BigInt(MAX_BURST)) throw burstError();
  return Number(read.value) * factorOf(text[read.end]);
}

function parseMode(text: string): number {
  let mode = 0;
  for (const word of text.split(/[,|]/)) {
    if (word === '') continue;
    const found = KEYS.find(([name]) => name === word);
    if (found === undefined) throw badValue('hashlimit', '--hashlimit-mode', text);
    mode |= found[1];
  }
  return mode;
}

const keyWords = (word: string): string =>
  `${word.startsWith('src') ? 'source' : 'destination'} ${word.endsWith('ip') ? 'address' : 'port'}`;

function modeText(mode: number, separator: string): string {
  return KEYS.filter(([, bit]) => mode & bit)
    .map(([word]) => word)
    .join(separator);
}

/** ` 1000kb/s burst 2000kb` and the time after which idle groups are forgotten by default (`print_bytes`). */
function byteRate(data: HashlimitMatch, prefix: string): { text: string; expire: number } {
  const rate = costToBytes(data.average);
  const [letter, unit] =
    UNITS.find(([, size]) => size === 1 || (rate >= size && bytesToCost(rate - (rate % size)) === data.average)) ??
    UNITS[2]!;
  let text = ` ${Math.floor(rate / unit)}${letter}b/s`;
  if (data.burst === 0) return { text, expire: BYTE_EXPIRE * 1000 };
  const burst = rate * data.burst;
  const [burstLetter, burstUnit] = UNITS.find(([, size]) => size === 1 || burst >= size) ?? UNITS[2]!;
  text += ` ${prefix}burst ${Math.floor(burst / burstUnit)}${burstLetter}b`;
  return { text, expire: BYTE_EXPIRE_BURST * 1000 };
}

function packetRate(data: HashlimitMatch, period: number, prefix: string): { text: string; expire: number } {
  const { rate, unit, seconds } = rateOf(period, SCALE);
  return { text: ` ${rate}/${unit} ${prefix}burst ${data.burst}`, expire: seconds * 1000 };
}

/** The settings after name and mode; `prefix` is `--hashlimit-` or ''. */
function settings(data: HashlimitMatch, prefix: string, usualExpire: number): string {
  let text = '';
  if (data.size !== 0) text += ` ${prefix}htable-size ${data.size}`;
  if (data.max !== 0) text += ` ${prefix}htable-max ${data.max}`;
  if (data.gcInterval !== DEFAULT_GC_INTERVAL) text += ` ${prefix}htable-gcinterval ${data.gcInterval}`;
  if (data.expire !== usualExpire) text += ` ${prefix}htable-expire ${data.expire}`;
  if (data.sourceMask !== data.hostMask) text += ` ${prefix}srcmask ${data.sourceMask}`;
  if (data.destinationMask !== data.hostMask) text += ` ${prefix}dstmask ${data.destinationMask}`;
  if (data.mode & Mode.rateMatch) {
    text += ` ${prefix}rate-match`;
    if (data.interval !== 1) text += ` ${prefix}rate-interval ${data.interval}`;
  }
  return text;
}

function save(data: HashlimitMatch, name = data.name): string {
  const rate = data.mode & Mode.bytes ? byteRate(data, '--hashlimit-') : packetRate(data, data.average, '--hashlimit-');
  return (
    ` --hashlimit-${data.mode & Mode.invert ? 'above' : 'upto'}${rate.text}` +
    (data.mode & KEY_MODES ? ` --hashlimit-mode ${modeText(data.mode, ',')}` : '') +
    ` --hashlimit-name ${name}` +
    settings(data, '--hashlimit-', rate.expire)
  );
}

const HELP = `hashlimit match options:
  --hashlimit-upto <avg>           max average match rate
                                   [Packets per second unless followed by 
                                   /sec /minute /hour /day postfixes]
  --hashlimit-above <avg>          min average match rate
  --hashlimit-mode <mode>          mode is a comma-separated list of
                                   dstip,srcip,dstport,srcport (or none)
  --hashlimit-srcmask <length>     source address grouping prefix length
  --hashlimit-dstmask <length>     destination address grouping prefix length
  --hashlimit-name <name>          name for /proc/net/ipt_hashlimit
  --hashlimit-burst <num>	    number to match in a burst, default 5
  --hashlimit-htable-size <num>    number of hashtable buckets
  --hashlimit-htable-max <num>     number of hashtable entries
  --hashlimit-htable-gcinterval    interval between garbage collection runs
  --hashlimit-htable-expire        after which time are idle entries expired?
  --hashlimit-rate-match           rate match the flow without rate-limiting it
  --hashlimit-rate-interval        interval in seconds for hashlimit-rate-match

`;

export const hashlimit = defineMatch<HashlimitMatch>({
  name: 'hashlimit',
  families: [4, 6],
  options: [
    { name: 'hashlimit-upto', type: 'string', invert: true, excludes: ['hashlimit-above'] },
    { name: 'hashlimit-above', type: 'string', invert: true, excludes: ['hashlimit-upto'] },
    { name: 'hashlimit', type: 'string', invert: true, synonymOf: 'hashlimit-upto' },
    { name: 'hashlimit-srcmask', type: 'prefix-length' },
    { name: 'hashlimit-dstmask', type: 'prefix-length' },
    { name: 'hashlimit-burst', type: 'string' },
    { name: 'hashlimit-htable-size', type: 'uint32' },
    { name: 'hashlimit-htable-max', type: 'uint32' },
    { name: 'hashlimit-htable-gcinterval', type: 'uint32' },
    { name: 'hashlimit-htable-expire', type: 'uint32' },
    { name: 'hashlimit-mode', type: 'string' },
    { name: 'hashlimit-name', type: 'string', mandatory: true, min: 1 },
    { name: 'hashlimit-rate-match', type: 'none' },
    { name: 'hashlimit-rate-interval', type: 'string' },
  ],
  init({ family }) {
    const hostMask = family === 4 ? 32 : 128;
    return {
      name: '',
      mode: 0,
      average: 0,
      burst: DEFAULT_BURST,
      size: 0,
      max: 0,
      gcInterval: DEFAULT_GC_INTERVAL,
      expire: 0,
      sourceMask: hostMask,
      destinationMask: hostMask,
      interval: 0,
      hostMask,
    };
  },
  parse(data, option) {
    const { text, number, invert } = option;
    switch (option.name) {
      case 'hashlimit-upto':
        if (invert) data.mode |= Mode.invert;
        parseRate(data, text, '--hashlimit-upto');
        break;
      case 'hashlimit-above':
        if (!invert) data.mode |= Mode.invert;
        parseRate(data, text, '--hashlimit-above');
        break;
      case 'hashlimit-srcmask':
        data.sourceMask = option.prefixLength;
        break;
      case 'hashlimit-dstmask':
        data.destinationMask = option.prefixLength;
        break;
      case 'hashlimit-burst':
        data.burst = parseBurst(text);
        break;
      case 'hashlimit-htable-size':
        data.size = number;
        break;
      case 'hashlimit-htable-max':
        data.max = number;
        break;
      case 'hashlimit-htable-gcinterval':
        data.gcInterval = number;
        break;
      case 'hashlimit-htable-expire':
        data.expire = number;
        break;
      case 'hashlimit-mode':
        data.mode |= parseMode(text);
        break;
      case 'hashlimit-name':
        data.name = text.slice(0, MAX_NAME);
        break;
      case 'hashlimit-rate-match':
        data.mode |= Mode.rateMatch;
        break;
      case 'hashlimit-rate-interval': {
        const interval = Number(BigInt.asIntN(32, scanDecimal(text) ?? 0n));
        if (interval <= 0) throw badValue('hashlimit', '--hashlimit-rate-interval', text);
        data.interval = interval;
        break;
      }
    }
  },
  finish(data, { seen }) {
    if (!seen.has('hashlimit-upto') && !seen.has('hashlimit-above'))
      throw new UsageError('You have to specify --hashlimit');
    const seconds = data.unitSeconds ?? 1;
    delete data.unitSeconds;
    const expireGiven = seen.has('hashlimit-htable-expire');
    if (!expireGiven) data.expire = seconds * 1000;
    if (data.mode & Mode.bytes) {
      let burst = 0;
      if (seen.has('hashlimit-burst')) {
        const rate = costToBytes(data.average);
        if (data.burst < rate) throw new UsageError(`burst cannot be smaller than ${rate}b`);
        burst = Math.ceil(data.burst / rate);
        if (!expireGiven) data.expire = BYTE_EXPIRE_BURST * 1000;
      }
      data.burst = burst;
    } else if (data.burst > MAX_BURST) {
      throw burstError();
    }
    if (data.mode & Mode.rateMatch) {
      if ((data.mode & Mode.bytes) === 0) data.average = Math.floor(data.average / seconds);
      if (data.interval === 0) data.interval = data.mode & Mode.bytes ? 1 : seconds;
    }
  },
  save: (data) => save(data),
  // The interval of a match that limits shows in listings only.
  store(data) {
    const hidden = (data.mode & Mode.rateMatch) === 0 && data.interval !== 0;
    return `${save(data, storedName(data.name))}${hidden ? ` --hashlimit-rate-interval ${data.interval}` : ''}`;
  },
  print(data) {
    const period = data.interval === 0 ? data.average : data.average * data.interval;
    const rate = data.mode & Mode.bytes ? byteRate(data, '') : packetRate(data, period, '');
    return (
      ` limit: ${data.mode & Mode.invert ? 'above' : 'up to'}${rate.text}` +
      (data.mode & KEY_MODES ? ` mode ${modeText(data.mode, '-')}` : '') +
      settings(data, '', rate.expire)
    );
  },
  help: () => HELP,
  // `hashlimit_mt_check_common`
  check(data) {
    if (data.name === '.' || data.name === '..' || data.name.includes('/')) return 'EINVAL';
    if (data.gcInterval === 0 || data.expire === 0) return 'EINVAL';
    // A mask with holes.
    if (data.sourceMask < 0 || data.destinationMask < 0) return 'EINVAL';
    if (data.mode & Mode.rateMatch) {
      if (data.average === 0 || data.average > 0xffffffff) return 'ERANGE';
      return data.interval === 0 ? 'EINVAL' : null;
    }
    if (data.mode & Mode.bytes) return byteCost(data.average) === 0 ? 'EINVAL' : null;
    return data.burst === 0 || overflows(data.average, data.burst) ? 'ERANGE' : null;
  },
  added: (data) =>
    data.size <= MAX_SIZE && data.max <= MAX_SIZE
      ? data
      : { ...data, size: Math.min(data.size, MAX_SIZE), max: Math.min(data.max, MAX_SIZE) },
  same: (a, b) => save(a) === save(b) && a.interval === b.interval,
  explain(data) {
    const rate = data.mode & Mode.bytes ? byteRate(data, '') : packetRate(data, data.average, '');
    const groups =
      data.mode & KEY_MODES ? ` for its ${listWords(modeText(data.mode, ',').split(',').map(keyWords))}` : '';
    return `the rate${groups} is ${data.mode & Mode.invert ? 'above' : 'up to'}${rate.text} (table ${data.name})`;
  },
  compile(data, { family, machine }) {
    const table = machine.namedState('hashlimit', `${family}/${data.name}`, () => makeTable(data));
    const { mode } = data;
    const above = (mode & Mode.invert) !== 0;
    return (packet) => {
      const within = withinLimit(table, mode, packet, machine.now());
      if (typeof within !== 'boolean') {
        if (within === 'full')
          machine.message(LogLevel.error, `xt_hashlimit: max count of ${table.config.max} reached`);
        packet.hotdrop = true;
        return false;
      }
      return within !== above;
    };
  },
});
