import { type RunResult, VERDICTS } from '../run.ts';

/**
 * The one line of `trace --summary`: `1000000 packets: 690000 forwarded, 310000 dropped; 412000 packets/s`.
 *
 * @param seconds how long the run took
 */
export function summaryLine(result: RunResult, seconds: number): string {
  const parts = VERDICTS.filter((verdict) => result.counts[verdict] > 0).map(
    (verdict) => `${result.counts[verdict]} ${verdict}`,
  );
  const rate = seconds > 0 ? Math.round(result.packets / seconds) : 0;
  const what = parts.length > 0 ? `: ${parts.join(', ')}` : '';
  return `${result.packets} packets${what}; ${rate} packets/s\n`;
}
