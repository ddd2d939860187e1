import type { PacketTime } from './description.ts';

const UNITS: Readonly<Record<string, number>> = {
  us: 1,
  ms: 1e3,
  s: 1e6,
  m: 60e6,
  min: 60e6,
  h: 3600e6,
  d: 86400e6,
  w: 604800e6,
};

/** `30s`, `1.5h`, `200ms`, or seconds without a unit, in microseconds; -1 if it is none. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([a-z]*)$/.exec(text);
  const unit = match === null ? undefined : match[2] === '' ? 1e6 : UNITS[match[2]!];
  return unit === undefined ? -1 : Math.round(Number(match![1]) * unit);
}

/** Reads a time of the notation: `+DURATION`, seconds since the epoch, or a UTC date; null if it is none. */
export function parseTime(text: string): PacketTime | null {
  if (text.startsWith('+')) {
    const after = parseDuration(text.slice(1));
    return after < 0 ? null : { after };
  }
  const seconds = /^(\d+)(?:\.(\d{1,9}))?$/.exec(text);
  if (seconds !== null) {
    // Digit by digit: a fraction of a large number of seconds would lose microseconds.
    return { at: Number(seconds[1]) * 1e6 + Number((seconds[2] ?? '').slice(0, 6).padEnd(6, '0')) };
  }
  if (!/^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/.test(text)) return null;
  const zoned = /(Z|[+-]\d\d:?\d\d)$/.test(text.slice(10)) ? text : text.length > 10 ? `${text}Z` : text;
  const milliseconds = Date.parse(zoned.replace(' ', 'T'));
  if (Number.isNaN(milliseconds)) return null;
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? '';
  const micros = Number(fraction.slice(3, 6).padEnd(3, '0'));
  return { at: milliseconds * 1000 + micros };
}

/** A time as the notation writes it. */
export function formatTime(time: PacketTime): string {
  if ('after' in time) return `+${formatSeconds(time.after)}`;
  return formatSeconds(time.at);
}

/** Microseconds as seconds with as many decimals as are needed, never rounded. */
export function formatSeconds(micros: number): string {
  const whole = Math.floor(micros / 1e6);
  const rest = Math.round(micros - whole * 1e6);
  return rest === 0 ? String(whole) : `${whole}.${String(rest).padStart(6, '0').replace(/0+$/, '')}`;
}
