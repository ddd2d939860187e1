import { HZ, jiffiesAt } from './jiffies.ts';

/**
 * A named rate estimator (`-j RATEEST`, `-m rateest`; net/core/gen_estimator.c): a moving average taken at fixed
 * intervals. Plain data, kept as named state of kind `rateest`.
 */
export interface RateEstimator {
  /** Ticks between two samples. */
  period: number;
  /** Logarithm of the samples a second, as the kernel shifts by it: 10 - (interval + 2). */
  shift: number;
  ewmaLog: number;
  /** Tick of the next sample. */
  nextSample: number;
  bytes: number;
  packets: number;
  sampledBytes: number;
  sampledPackets: number;
  /** Averages in units of 1/256 a second. */
  averageBytes: number;
  averagePackets: number;
}

/** The kind under which estimators are kept as named state. */
export const RATE_ESTIMATOR = 'rateest';

/** `interval` as in `struct gnet_estimator`: -2 (250 ms) to 3 (8 s). `now` in microseconds. */
export function makeRateEstimator(interval: number, ewmaLog: number, now: number): RateEstimator {
  const intervalLog = interval + 2;
  const period = Math.floor(HZ / 4) * 2 ** intervalLog;
  return {
    period,
    shift: 10 - intervalLog,
    ewmaLog,
    nextSample: jiffiesAt(now) + period,
    bytes: 0,
    packets: 0,
    sampledBytes: 0,
    sampledPackets: 0,
    averageBytes: 0,
    averagePackets: 0,
  };
}

/** Counts a packet. */
export function feedRateEstimator(estimator: RateEstimator, length: number, now: number): void {
  sample(estimator, now);
  estimator.bytes += length;
  estimator.packets++;
}

/** Bytes a second. */
export function estimatedBytes(estimator: RateEstimator, now: number): number {
  sample(estimator, now);
  return Math.floor(estimator.averageBytes / 256);
}

/** Packets a second. */
export function estimatedPackets(estimator: RateEstimator, now: number): number {
  sample(estimator, now);
  return Math.floor(estimator.averagePackets / 256);
}

/** Takes the samples that were due until now. */
function sample(estimator: RateEstimator, now: number): void {
  const tick = jiffiesAt(now);
  while (tick >= estimator.nextSample) {
    const { ewmaLog, shift } = estimator;
    const bytes = (estimator.bytes - estimator.sampledBytes) * 2 ** shift;
    const packets = (estimator.packets - estimator.sampledPackets) * 2 ** shift;
    const before = estimator.averageBytes + estimator.averagePackets;
    estimator.averageBytes = moved(estimator.averageBytes, bytes, ewmaLog);
    estimator.averagePackets = moved(estimator.averagePackets, packets, ewmaLog);
    estimator.sampledBytes = estimator.bytes;
    estimator.sampledPackets = estimator.packets;
    estimator.nextSample += estimator.period;
    if (bytes + packets === 0 && estimator.averageBytes + estimator.averagePackets === before) {
      // Nothing more changes by the samples left out: go to the first one after now.
      const missed = Math.floor((tick - estimator.nextSample) / estimator.period) + 1;
      if (missed > 0) estimator.nextSample += missed * estimator.period;
      return;
    }
  }
}

function moved(average: number, rate: number, log: number): number {
  return average + Math.floor(rate / 2 ** log) - Math.floor(average / 2 ** log);
}
