import type { Packet } from '../packet/packet.ts';
import { DEFAULT_FLAGS, formatLogLine } from '../trace/reporters/kernel-log/line.ts';
import type { SimulationClock } from './clock.ts';
import type { Host } from './environment.ts';
import { Hook, type HookState } from './hooks.ts';
import { LogLevel } from './log-level.ts';
import type { Recorder } from './recorder.ts';

/** NF_LOG_PREFIXLEN, its closing 0 included. */
const PREFIX_SIZE = 128;
const SECOND = 1e6;

/** What the kernel writes to its log by itself, without a rule that asks for it. */
export class KernelLog {
  readonly #recorder: Recorder;
  readonly #clock: SimulationClock;
  /** Microseconds (net.core.message_cost), and how many messages in them (net.core.message_burst). */
  readonly #interval: number;
  readonly #burst: number;
  #begin: number | null = null;
  #left = 0;
  #missed = 0;

  constructor(host: Host, clock: SimulationClock, recorder: Recorder) {
    this.#clock = clock;
    this.#recorder = recorder;
    this.#interval = host.sysctl('net.core.message_cost') * SECOND;
    this.#burst = host.sysctl('net.core.message_burst');
  }

  /** Whether anybody hears of it. */
  get #isHeard(): boolean {
    return this.#recorder.collect || this.#recorder.observer !== null;
  }

  /** A line about a packet with a message before it (nf_log_packet without a level of its own); `at` is null where no devices are told. */
  packet(packet: Packet, at: HookState | null, message: string): void {
    if (!this.#isHeard) return;
    const place = at ?? { hook: Hook.prerouting, family: packet.family, inDevice: null, outDevice: null };
    const prefix = `${message} `.slice(0, PREFIX_SIZE - 1);
    const line = formatLogLine(packet, place, { prefix, flags: DEFAULT_FLAGS });
    this.#recorder.log({ level: LogLevel.notice, line });
  }

  /** Lines that count as one message, if there were not too many such in the last seconds (net_ratelimit). */
  limited(level: number, ...lines: readonly string[]): void {
    if (!this.#isHeard || !this.#allows()) return;
    for (const line of lines) this.#recorder.log({ level, line });
  }

  /** lib/ratelimit.c. */
  #allows(): boolean {
    if (this.#interval === 0) return true;
    const { now } = this.#clock;
    if (this.#begin === null) {
      this.#begin = now;
      this.#left = this.#burst;
    }
    if (now > this.#begin + this.#interval) {
      if (this.#missed > 0) {
        this.#recorder.log({
          level: LogLevel.warning,
          line: `net_ratelimit: ${this.#missed} callbacks suppressed`,
        });
      }
      this.#missed = 0;
      this.#begin = now;
      this.#left = this.#burst;
    }
    if (this.#left > 0) {
      this.#left--;
      return true;
    }
    this.#missed++;
    return false;
  }
}
