import { MAX_64, scanUnsigned } from '../../syntax/numbers.ts';
import { defineMatch, UsageError } from '../contract.ts';

/** `struct xt_time_info`: dates in seconds since the epoch, times of day in seconds, days as bits. */
interface TimeMatch {
  dateStart: number;
  dateStop: number;
  timeStart: number;
  timeStop: number;
  /** Bit N for day N of the month. */
  monthDays: number;
  /** Bit 1 for Monday to bit 7 for Sunday. */
  weekDays: number;
  kernelTimeZone: boolean;
  contiguous: boolean;
}

const MAX_DATE = 0x7fffffff;
const DAY = 86400;
const ALL_MONTH_DAYS = 0xfffffffe;
const ALL_WEEK_DAYS = 0xfe;
const WEEK_DAYS = ['', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

/** `strtoul(s, &e, 10)` into an unsigned int, with its minus: the number, 0 if there is none, and where reading stopped. */
function scanDecimal(text: string, base = 10): { value: number; end: number } {
  const minus = /^[\t-\r ]*-(?=\d)/.exec(text)?.[0] ?? '';
  const scanned = scanUnsigned(text.slice(minus.length), base);
  if (scanned === null) return { value: 0, end: 0 };
  const value = scanned.value ?? MAX_64;
  const signed = minus === '' || scanned.value === null ? value : -value;
  return { value: Number(BigInt.asUintN(32, signed)), end: minus.length + scanned.end };
}

/** `YYYY[-MM[-DD[Thh[:mm[:ss]]]]]` in UTC. */
function parseDate(text: string): number {
  const parts = [0, 1, 1, 0, 0, 0];
  const separators = ['-', '-', 'T', ':', ':', ''];
  const limits: readonly [number, number][] = [
    [1970, 2038],
    [0, 12],
    [0, 31],
    [0, 23],
    [0, 59],
    [0, 59],
  ];
  let rest = text;
  for (let i = 0; i < parts.length; i++) {
    const { value, end } = scanDecimal(rest);
    const [min, max] = limits[i]!;
    const next = rest.slice(end, end + 1);
    if ((next !== '' && next !== separators[i]) || value < min || value > max)
      throw new UsageError(`Invalid date "${text}" specified. Should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]`);
    parts[i] = value;
    if (next === '') break;
    rest = rest.slice(end + 1);
  }
  const [year, month, day, hour, minute, second] = parts as [number, number, number, number, number, number];
  const date = Date.UTC(year, month - 1, day, hour, minute, second) / 1000;
  if (date < 0) throw new UsageError('mktime returned an error', { status: 1, showTry: false });
  return date;
}

/** `hh:mm[:ss]`; the error names what was left to read. */
function parseTime(text: string): number {
  let rest = text;
  const bad = () =>
    new UsageError(`invalid time "${rest}" specified, should be hh:mm[:ss] format and within the boundaries`);
  const hour = scanDecimal(rest);
  if (rest[hour.end] !== ':' || hour.value > 23) throw bad();
  rest = rest.slice(hour.end + 1);
  const minute = scanDecimal(rest);
  const next = rest.slice(minute.end, minute.end + 1);
  if ((next !== ':' && next !== '') || minute.value > 59) throw bad();
  if (next === '') return 3600 * hour.value + 60 * minute.value;
  rest = rest.slice(minute.end + 1);
  const second = scanDecimal(rest);
  if (second.end !== rest.length || second.value > 59) throw bad();
  return 3600 * hour.value + 60 * minute.value + second.value;
}

/** The comma-separated parts, each cut to `length` characters; a comma at the end adds none. */
function partsOf(text: string, length: number): string[] {
  const parts = text.split(',').map((part) => part.slice(0, length));
  if (text === '' || text.endsWith(',')) parts.pop();
  return parts;
}

function parseMonthDays(text: string): number {
  let days = 0;
  for (const part of partsOf(text, 2)) {
    const { value, end } = scanDecimal(part, 0);
    if (end !== part.length || value > 31) throw new UsageError(`${part} is not a valid day for --monthdays`);
    days |= 1 << value;
  }
  return days >>> 0;
}

function parseWeekDays(text: string): number {
  let days = 0;
  for (const part of partsOf(text, 3)) {
    const { value, end } = scanDecimal(part, 0);
    if (end === part.length) {
      if (value === 0) throw new UsageError('No, the week does NOT begin with Sunday.');
      days |= 1 << value;
      continue;
    }
    const index = part.length < 2 ? -1 : WEEK_DAYS.findIndex((name) => name.slice(0, 2) === part.slice(0, 2));
    if (index < 1) throw new UsageError(`${part} is not a valid day specifier`);
    days |= 1 << index;
  }
  return days & 0xff;
}

const two = (value: number): string => String(value).padStart(2, '0');

function timeText(seconds: number): string {
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

function dateText(seconds: number, separator: string): string {
  const text = new Date(seconds * 1000).toISOString();
  return `${text.slice(0, 10)}${separator}${text.slice(11, 19)}`;
}

function daysOf(mask: number, last: number): number[] {
  const days: number[] = [];
  for (let day = 1; day <= last; day++) if (mask & (1 << day)) days.push(day);
  return days;
}

const ENDINGS: Readonly<Record<number, string>> = { 1: 'st', 2: 'nd', 3: 'rd' };
const ordinal = (day: number): string => `${day}${ENDINGS[day % 10] ?? 'th'}`;

function weekDaysText(mask: number): string {
  return daysOf(mask, 7)
    .map((day) => WEEK_DAYS[day])
    .join(',');
}

function allDay({ timeStart, timeStop }: TimeMatch): boolean {
  return timeStart === 0 && timeStop === DAY - 1;
}

function print(data: TimeMatch): string {
  let text = ' TIME';
  if (!allDay(data)) text += ` from ${timeText(data.timeStart)} to ${timeText(data.timeStop)}`;
  if (data.weekDays !== ALL_WEEK_DAYS) text += ` on ${weekDaysText(data.weekDays)}`;
  if (data.monthDays !== ALL_MONTH_DAYS) text += ` on ${daysOf(data.monthDays, 31).map(ordinal).join(',')}`;
  if (data.dateStart !== 0) text += ` starting from ${dateText(data.dateStart, ' ')}`;
  if (data.dateStop !== MAX_DATE) text += ` until date${data.dateStop === 0 ? '' : ` ${dateText(data.dateStop, ' ')}`}`;
  if (!data.kernelTimeZone) text += ' UTC';
  return data.contiguous ? `${text} contiguous` : text;
}

function describe(data: TimeMatch, stored: boolean): string {
  let text = '';
  if (!allDay(data)) text += ` --timestart ${timeText(data.timeStart)} --timestop ${timeText(data.timeStop)}`;
  if (data.monthDays !== ALL_MONTH_DAYS)
    text += ` --monthdays ${stored && data.monthDays & 1 ? '0,' : ''}${daysOf(data.monthDays, 31).join(',') || (stored && data.monthDays === 0 ? '""' : '')}`;
  if (data.weekDays !== ALL_WEEK_DAYS) text += ` --weekdays ${weekDaysText(data.weekDays) || (stored ? '8' : '')}`;
  if (data.dateStart !== 0) text += ` --datestart ${dateText(data.dateStart, 'T')}`;
  if (data.dateStop !== 0 || stored) text += ` --datestop ${dateText(data.dateStop, 'T')}`;
  if (data.kernelTimeZone) text += ' --kerneltz';
  return data.contiguous ? `${text} --contiguous` : text;
}

const HELP = `time match options:
    --datestart time     Start and stop time, to be given in ISO 8601
    --datestop time      (YYYY[-MM[-DD[Thh[:mm[:ss]]]]])
    --timestart time     Start and stop daytime (hh:mm[:ss])
    --timestop time      (between 00:00:00 and 23:59:59)
[!] --monthdays value    List of days on which to match, separated by comma
                         (Possible days: 1 to 31; defaults to all)
[!] --weekdays value     List of weekdays on which to match, sep. by comma
                         (Possible days: Mon,Tue,Wed,Thu,Fri,Sat,Sun or 1 to 7
                         Defaults to all weekdays.)
    --kerneltz           Work with the kernel timezone instead of UTC
`;

export const time = defineMatch<TimeMatch>({
  name: 'time',
  families: [4, 6],
  options: [
    { name: 'datestart', type: 'string' },
    { name: 'datestop', type: 'string' },
    { name: 'timestart', type: 'string' },
    { name: 'timestop', type: 'string' },
    { name: 'contiguous', type: 'none' },
    { name: 'weekdays', type: 'string', invert: true },
    { name: 'monthdays', type: 'string', invert: true },
    { name: 'localtz', type: 'none', excludes: ['utc'] },
    { name: 'utc', type: 'none', excludes: ['localtz', 'kerneltz'] },
    { name: 'kerneltz', type: 'none', excludes: ['utc'] },
  ],
  init: () => ({
    dateStart: 0,
    dateStop: MAX_DATE,
    timeStart: 0,
    timeStop: DAY - 1,
    monthDays: ALL_MONTH_DAYS,
    weekDays: ALL_WEEK_DAYS,
    kernelTimeZone: false,
    contiguous: false,
  }),
  parse(data, option, { warn }) {
    const { text } = option;
    switch (option.name) {
      case 'datestart':
        data.dateStart = parseDate(text);
        break;
      case 'datestop':
        data.dateStop = parseDate(text);
        break;
      case 'timestart':
        data.timeStart = parseTime(text);
        break;
      case 'timestop':
        data.timeStop = parseTime(text);
        break;
      case 'contiguous':
        data.contiguous = true;
        break;
      case 'weekdays':
        data.weekDays = parseWeekDays(text) ^ (option.invert ? ALL_WEEK_DAYS : 0);
        break;
      case 'monthdays':
        data.monthDays = (parseMonthDays(text) ^ (option.invert ? ALL_MONTH_DAYS : 0)) >>> 0;
        break;
      case 'localtz':
        warn(
          'WARNING: --localtz is being replaced by --kerneltz, since "local" is ambiguous. Note the kernel timezone has caveats - see manpage for details.\n',
        );
        data.kernelTimeZone = true;
        break;
      case 'kerneltz':
        data.kernelTimeZone = true;
        break;
    }
  },
  finish(data, { seen }) {
    if (seen.has('contiguous') && data.timeStart < data.timeStop)
      throw new UsageError('time: --contiguous only makes sense when stoptime is smaller than starttime');
  },
  save: (data) => describe(data, false),
  // Days that no calendar has and a last date of 0 are listed, but not saved as such.
  store: (data) => describe(data, true),
  print,
  help: () => HELP,
  check: ({ contiguous, timeStart, timeStop }) => (contiguous && timeStart < timeStop ? 'EINVAL' : null),
  explain: (data) => {
    const when = print(data).slice(' TIME'.length).replace(/ UTC$/, '');
    return `the packet comes ${when.trim() || 'at any time'}${data.kernelTimeZone ? '' : ', in UTC'}`;
  },
  unknown: ({ kernelTimeZone }) => (kernelTimeZone ? "the kernel's time zone is taken to be UTC" : null),
  memory: 'flow',
  // `time_mt` (net/netfilter/xt_time.c)
  compile(data, { machine }) {
    const { dateStart, dateStop, timeStart, timeStop, weekDays, monthDays, contiguous } = data;
    return () => {
      let stamp = Math.floor(machine.now() / 1e6);
      if (stamp < dateStart || stamp > dateStop) return false;
      const timeOfDay = stamp % DAY;
      if (timeStart < timeStop) {
        if (timeOfDay < timeStart || timeOfDay > timeStop) return false;
      } else {
        if (timeOfDay < timeStart && timeOfDay > timeStop) return false;
        // What comes after midnight still belongs to the day before.
        if (contiguous && timeOfDay <= timeStop) stamp -= DAY;
      }
      const day = Math.floor(stamp / DAY);
      // 1970-01-01 was a Thursday.
      if ((weekDays & (1 << (((day + 3) % 7) + 1))) === 0) return false;
      return monthDays === ALL_MONTH_DAYS || (monthDays & (1 << dayOfMonth(day))) !== 0;
    };
  },
});

/** Day of the month of a day counted from the epoch (proleptic Gregorian, by 400-year cycles from 1 March 2000 years back). */
function dayOfMonth(day: number): number {
  const shifted = day + 719468;
  const dayOfCycle = shifted % 146097;
  const year = Math.floor(
    (dayOfCycle - Math.floor(dayOfCycle / 1460) + Math.floor(dayOfCycle / 36524) - Math.floor(dayOfCycle / 146096)) /
      365,
  );
  const dayOfYear = dayOfCycle - (365 * year + Math.floor(year / 4) - Math.floor(year / 100));
  const month = Math.floor((5 * dayOfYear + 2) / 153);
  return dayOfYear - Math.floor((153 * month + 2) / 5) + 1;
}
