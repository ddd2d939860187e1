import { toHex } from '../../packet/bytes.ts';
import type { Palette } from '../../trace/reporters/text-layout.ts';
import type { CaseResult } from './run-cases.ts';

/** One line a case; for one that fails also what differs, and the way of its packet. */
export function textReport(results: readonly CaseResult[], palette: Palette, verbose: boolean): string {
  const lines: string[] = [];
  for (const { file, case: each, failures, ways, observed, spreads } of results) {
    const holds = failures.length === 0;
    const mark = holds ? palette.good('ok  ') : palette.bad('FAIL');
    lines.push(`${mark} ${file}:${each.line}: ${each.name}`);
    for (const { key, expected, got, packet } of failures) {
      const which = packet !== null && (observed.length > 1 || each.repeat !== null) ? ` (packet ${packet})` : '';
      lines.push(`     ${key}: expected ${expected}, got ${got}${which}`);
    }
    if (holds && !verbose) continue;
    for (const { by, counts } of spreads) lines.push(`     by ${by}: ${spreadText(counts)}`);
    const about = holds
      ? ways
      : ways.filter((_, index) => failures.some(({ packet }) => packet === observed[index]!.n));
    for (const way of about.filter((text) => text !== ''))
      lines.push(
        ...way
          .trimEnd()
          .split('\n')
          .map((line) => `    ${line}`),
      );
  }
  const failed = results.filter(({ failures }) => failures.length > 0).length;
  const total = `${results.length} ${results.length === 1 ? 'case' : 'cases'}: `;
  lines.push(
    failed === 0 ? `${total}all hold` : `${total}${results.length - failed} hold, ${palette.bad(`${failed} fail`)}`,
  );
  return `${lines.join('\n')}\n`;
}

/** Most groups of a spread that are told of. */
const GROUPS = 12;

function spreadText(counts: Readonly<Record<string, number>>): string {
  const groups = Object.entries(counts).sort(([, a], [, b]) => b - a);
  const shown = groups.slice(0, GROUPS).map(([group, count]) => `${group} ${count}`);
  return `${shown.join(', ')}${groups.length > GROUPS ? `, and ${groups.length - GROUPS} more groups` : ''}`;
}

/** The results as one JSON object. */
export function jsonReport(results: readonly CaseResult[]): string {
  const failed = results.filter(({ failures }) => failures.length > 0).length;
  const cases = results.map(({ file, case: each, failures, observed, spreads }) => ({
    file,
    line: each.line,
    name: each.name,
    holds: failures.length === 0,
    failures,
    ...(spreads.length === 0 ? {} : { spreads }),
    packets: observed.map(({ passed, answers, ...rest }) => ({
      ...rest,
      passed: passed === null ? null : toHex(passed),
      answers: answers.map((bytes) => toHex(bytes)),
    })),
  }));
  return `${JSON.stringify({ cases, total: results.length, failed })}\n`;
}
