import type { View } from '../frames.ts';
import type { Random } from '../random.ts';
import { type Family, PORTS } from './packets.ts';

/** What a rule's context allows. */
export interface Site {
  family: Family;
  table: string;
  /** Base chain from which the rule is reached. */
  hook: string;
  bridged: boolean;
  /** Protocol given with -p, '' for none. */
  protocol: string;
  /** A packet that is to come and that the rule may well match. */
  aim: View | null;
}

export type Maker = (random: Random, site: Site) => string | null;

export const not = (random: Random): string => (random.chance(0.25) ? '! ' : '');

/** A number or a range of them, often one that fits what the packet aimed at has. */
export function range(random: Random, low: number, high: number, seen?: number): string {
  if (seen !== undefined && random.chance(0.5))
    return random.chance(0.5) ? String(seen) : `${Math.max(low, seen - 10)}:${Math.min(high, seen + 10)}`;
  const a = random.int(low, high);
  return random.chance(0.5) ? String(a) : `${a}:${random.int(a, high)}`;
}

/** A port of the packet aimed at, or any. */
export function port(random: Random, { aim }: Site, side: 'sport' | 'dport' = 'dport'): string {
  if (aim !== null && aim.segment.length >= 4 && random.chance(0.6))
    return String(aim.segment.readUInt16BE(side === 'sport' ? 0 : 2));
  return random.chance(0.7)
    ? String(random.pick(PORTS))
    : random.pick(['0:1023', '1024:65535', '80:', ':100', '50:90']);
}

export const only =
  (protocols: string[], make: Maker): Maker =>
  (random, site) =>
    protocols.includes(site.protocol) ? make(random, site) : null;
export const v4 =
  (make: Maker): Maker =>
  (random, site) =>
    site.family === 4 ? make(random, site) : null;
export const v6 =
  (make: Maker): Maker =>
  (random, site) =>
    site.family === 6 ? make(random, site) : null;
