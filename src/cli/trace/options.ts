import { DEFAULT_LIMIT } from '../../datapath/queueing.ts';
import { parseTime } from '../../packet/notation/time.ts';
import { QueueError } from '../../queue/handler.ts';
import { parseQueueOption, type QueueOption } from '../../queue/open.ts';

/** A command line that cannot be: status 2. */
export class TraceUsageError extends Error {}

/** Where the packets of a capture arrive. */
export interface PcapOption {
  /** An interface, or `local`. */
  interface: string;
  file: string;
}

/** What `iptsim trace` was asked for. */
export interface TraceOptions {
  rules: string | null;
  rules6: string | null;
  sets: string | null;
  host: string | null;
  pcaps: PcapOption[];
  writePcap: string | null;
  format: 'text' | 'json' | 'summary' | 'kernel-log' | 'xtables-monitor' | 'events';
  /** JSON lines with their steps. */
  steps: boolean;
  commit: boolean;
  seed: number | null;
  /** Connections of a real machine, as conntrack -L or -E prints them. */
  choices: string | null;
  queues: QueueOption[];
  /** Milliseconds. */
  queueTimeout: number;
  /** How many packets may wait in a queue. */
  queueLength: number;
  /** Whether more of them pass instead of being dropped. */
  queueFailOpen: boolean;
  /** Microseconds since the epoch at which packets without a time start; null: the stored clock. */
  at: number | null;
  /** On how many cores; 1 unless asked for. */
  jobs: number;
  verbose: boolean;
  color: boolean | null;
  inputs: string[];
}

/** What commander makes of the command line, before it is checked. */
export interface RawTraceOptions {
  rules?: string;
  rules6?: string;
  sets?: string;
  host?: string;
  pcap?: string[];
  writePcap?: string;
  json?: boolean;
  steps?: boolean;
  summary?: boolean;
  commit?: boolean;
  seed?: string;
  choices?: string;
  queue?: string[];
  queueTimeout?: string;
  queueLength?: string;
  queueFailOpen?: boolean;
  at?: string;
  events?: boolean;
  kernelLog?: boolean;
  xtablesMonitor?: boolean;
  jobs?: string;
  verbose?: boolean;
  color?: boolean;
}

/** Checks the options of a trace. Throws TraceUsageError with what would be right. */
export function readTraceOptions(raw: RawTraceOptions, inputs: readonly string[]): TraceOptions {
  const formats = [
    raw.json && 'json',
    raw.summary && 'summary',
    raw.events && 'events',
    raw.kernelLog && 'kernel-log',
    raw.xtablesMonitor && 'xtables-monitor',
  ].filter((format) => typeof format === 'string') as TraceOptions['format'][];
  if (formats.length > 1) throw new TraceUsageError(`--${formats[0]} and --${formats[1]} exclude each other`);
  if (raw.commit) {
    for (const option of ['rules', 'rules6', 'sets'] as const) {
      if (raw[option] !== undefined) {
        throw new TraceUsageError(
          `--commit writes to the state directory, but --${option} stands in for its file: leave one of them out`,
        );
      }
    }
  }
  const pcaps = (raw.pcap ?? []).map(readPcapOption);
  if (pcaps.length === 0 && inputs.length === 0) {
    throw new TraceUsageError('no packets: give --pcap IFACE=FILE, a file, or a packet');
  }
  return {
    rules: raw.rules ?? null,
    rules6: raw.rules6 ?? null,
    sets: raw.sets ?? null,
    host: raw.host ?? null,
    pcaps,
    writePcap: raw.writePcap ?? null,
    format: formats[0] ?? 'text',
    steps: raw.steps ?? true,
    commit: raw.commit ?? false,
    choices: raw.choices ?? null,
    seed: raw.seed === undefined ? null : readSeed(raw.seed),
    queues: (raw.queue ?? []).map(readQueue),
    queueTimeout: readTimeout(raw.queueTimeout),
    queueLength: raw.queueLength === undefined ? DEFAULT_LIMIT.length : readLength(raw.queueLength),
    queueFailOpen: raw.queueFailOpen ?? DEFAULT_LIMIT.failOpen,
    at: raw.at === undefined ? null : readAt(raw.at),
    jobs: raw.jobs === undefined ? 1 : readJobs(raw.jobs),
    verbose: raw.verbose ?? false,
    color: raw.color === false ? false : null,
    inputs: [...inputs],
  };
}

function readPcapOption(text: string): PcapOption {
  const at = text.indexOf('=');
  if (at <= 0 || at === text.length - 1) {
    throw new TraceUsageError(`--pcap ${text}: expected IFACE=FILE, like eth0=capture.pcap or local=sent.pcap`);
  }
  return { interface: text.slice(0, at), file: text.slice(at + 1) };
}

function readSeed(text: string): number {
  if (!/^(\d{1,10}|0x[0-9a-f]{1,8})$/i.test(text) || Number(text) > 0xffffffff) {
    throw new TraceUsageError(`--seed ${text}: expected a number from 0 to 4294967295`);
  }
  return Number(text);
}

/** More would only load the rules more often. */
const MOST_JOBS = 64;

function readJobs(text: string): number {
  if (/^\d{1,2}$/.test(text) && Number(text) >= 1 && Number(text) <= MOST_JOBS) return Number(text);
  throw new TraceUsageError(`--jobs ${text}: expected a number of cores from 1 to ${MOST_JOBS}`);
}

function readQueue(text: string): QueueOption {
  try {
    return parseQueueOption(text);
  } catch (error) {
    if (error instanceof QueueError) throw new TraceUsageError(`--queue ${error.message}`);
    throw error;
  }
}

function readLength(text: string): number {
  if (/^\d{1,10}$/.test(text) && Number(text) <= 0xffffffff) return Number(text);
  throw new TraceUsageError(`--queue-length ${text}: expected a number of packets`);
}

function readTimeout(text: string | undefined): number {
  const seconds = text === undefined ? 10 : /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (seconds <= 0 || seconds > 86400) {
    throw new TraceUsageError(`--queue-timeout ${text}: expected seconds, more than 0, like 5 or 0.5`);
  }
  return seconds * 1000;
}

function readAt(text: string): number {
  const time = parseTime(text);
  if (time === null || !('at' in time)) {
    throw new TraceUsageError(`--at ${text}: expected seconds since the epoch or a date like 2026-01-31T08:00:00`);
  }
  return time.at;
}
