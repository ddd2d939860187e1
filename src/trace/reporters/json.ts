import { toHex } from '../../packet/bytes.ts';
import type { Reporter, TracedPacket } from '../run.ts';
import type { Step } from '../steps.ts';

/**
 * One JSON object a line for each packet.
 *
 * @param steps what happened to the packet at hand; null leaves the steps out
 */
export function jsonReporter(write: (text: string) => void, steps: readonly Step[] | null): Reporter {
  return {
    packet(traced) {
      write(`${JSON.stringify(packetObject(traced, steps))}\n`);
    },
  };
}

/** The object of one packet, as `trace --json` prints it. */
export function packetObject(traced: TracedPacket, steps: readonly Step[] | null): Record<string, unknown> {
  const { n, input, outcome } = traced;
  const object: Record<string, unknown> = {
    n,
    time: input.time / 1e6,
    in: input.device?.name ?? null,
    verdict: outcome.verdict,
    table: outcome.table,
    chain: outcome.chain,
    rule: outcome.rule,
    out: outcome.out?.name ?? null,
    emitted: outcome.emitted
      .filter((emitted) => emitted.device.kind !== 'loopback')
      .map((emitted) => ({ dev: emitted.device.name, hex: toHex(emitted.bytes) })),
  };
  if (outcome.reason !== null) object.reason = outcome.reason;
  if (outcome.queue.length > 0) object.queue = outcome.queue.map(withoutNulls);
  if (outcome.log.length > 0) object.log = outcome.log.map(({ level, line }) => ({ level, line }));
  if (outcome.nflog.length > 0) {
    object.nflog = outcome.nflog.map(({ bytes, ...rest }) => ({ ...withoutNulls(rest), hex: toHex(bytes) }));
  }
  if (outcome.traced.length > 0) object.traced = outcome.traced.map(withoutNulls);
  if (steps !== null) object.steps = steps.map(stepObject);
  return object;
}

function withoutNulls(event: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(event).filter(([, value]) => value !== null));
}

/** A step with its packet's bytes in hexadecimal. */
export function stepObject(step: Step): object {
  if (!('packet' in step)) return step;
  const { packet, ...rest } = step;
  return { ...rest, packet: toHex(packet.bytes) };
}
