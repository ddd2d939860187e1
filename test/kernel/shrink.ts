import type { Scenario } from './scenario.ts';

/** Rule lines that may go, of a save text: indexes of its `-A` lines. */
function ruleLines(text: string): number[] {
  return text.split('\n').flatMap((line, i) => (line.startsWith('-A') ? [i] : []));
}

function withoutLines(text: string, drop: Set<number>): string {
  return text
    .split('\n')
    .filter((_, i) => !drop.has(i))
    .join('\n');
}

function withoutPackets(scenario: Scenario, drop: Set<number>): Scenario | null {
  const place = new Map<number, number>();
  const kept = scenario.packets.filter((packet, i) => {
    if (drop.has(i)) return false;
    if (packet.answer !== undefined && drop.has(packet.answer.to)) return false;
    place.set(i, place.size);
    return true;
  });
  const packets = kept.map((packet) =>
    packet.answer === undefined
      ? packet
      : { ...packet, answer: { ...packet.answer, to: place.get(packet.answer.to) ?? -1 } },
  );
  if (packets.length === 0 || packets.some((packet) => packet.answer?.to === -1)) return null;
  return { ...scenario, packets };
}

/** Delta debugging: the smallest scenario (packets, then rules) for which `differs` still holds, within `budget` tries. */
export async function shrink(
  scenario: Scenario,
  differs: (s: Scenario) => Promise<boolean>,
  budget: number,
): Promise<Scenario> {
  let best = scenario;
  let left = budget;
  const attempt = async (candidate: Scenario | null): Promise<boolean> => {
    if (candidate === null || left <= 0) return false;
    left--;
    if (!(await differs(candidate))) return false;
    best = candidate;
    return true;
  };
  const reduce = async (size: () => number, make: (from: number, to: number) => Scenario | null): Promise<void> => {
    for (let chunk = Math.ceil(size() / 2); chunk >= 1 && left > 0; chunk = chunk === 1 ? 0 : Math.ceil(chunk / 2)) {
      for (let at = 0; at < size() && left > 0; ) {
        if (!(await attempt(make(at, Math.min(size(), at + chunk))))) at += chunk;
      }
    }
  };
  const range = (from: number, to: number): Set<number> =>
    new Set(Array.from({ length: to - from }, (_, i) => from + i));
  await reduce(
    () => best.packets.length,
    (from, to) => withoutPackets(best, range(from, to)),
  );
  for (const key of ['rulesV4', 'rulesV6'] as const) {
    await reduce(
      () => ruleLines(best[key]).length,
      (from, to) => ({ ...best, [key]: withoutLines(best[key], new Set(ruleLines(best[key]).slice(from, to))) }),
    );
  }
  return best;
}
