import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { iptablesFamily } from '../src/cli/commands/family.ts';
import type { Variant } from '../src/extensions/contract.ts';

/** Recorded sessions of the real iptables family (beside the project, where they are kept). */
const RECORDS = path.resolve(import.meta.dirname, '../../shared/truth/transcripts');

interface Answer {
  stdout: string;
  stderr: string;
  exit: number;
}

interface Step extends Answer {
  argv: [string, ...string[]];
  stdin?: string;
  nft?: Answer;
  legacy?: Answer;
}

function normal(text: string): string {
  return text
    .replace(/\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d \d{4}/g, 'DATE')
    .replace(/v1\.\d+\.\d+(?: \((?:legacy|nf_tables)\))?/g, 'vX')
    .replace(/\b(ip6?tables)-(?:legacy|nft)\b/g, '$1');
}

const bytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
const unicode = (text: string): string => Buffer.from(text, 'latin1').toString('utf8');

function play({ argv: [name, ...args], stdin = '' }: Step, variant: Variant, directory: string): Answer {
  let stdout = '';
  let stderr = '';
  const exit = iptablesFamily(name, args.map(bytes), {
    out: (text) => {
      stdout += text;
    },
    err: (text) => {
      stderr += text;
    },
    readStdin: () => bytes(stdin),
    env: {},
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    directory,
    variant,
    hints: false,
  }) as number;
  return { exit, stdout: normal(unicode(stdout)), stderr: normal(unicode(stderr)) };
}

const files = existsSync(RECORDS)
  ? readdirSync(RECORDS).filter((file) => /^(cmd|wrong|form|restore|save|dump|help|ext)_/.test(file))
  : [];

describe.each(['legacy', 'nft'] as const)('recorded sessions, %s', (variant) => {
  it.each(files)('%s', (file) => {
    const record = JSON.parse(readFileSync(path.join(RECORDS, file), 'utf8')) as { variants: string; steps: Step[] };
    const steps = record.steps.filter(({ argv }) => /^ip6?tables/.test(argv[0]));
    // Sessions that begin with sets need ipset.
    if (!record.variants.includes(variant) || steps.length !== record.steps.length) return;
    const directory = mkdtempSync(path.join(tmpdir(), 'iptsim-session-'));
    try {
      for (const step of steps) {
        const { stdout, stderr, exit } = step[variant] ?? step;
        expect(play(step, variant, directory), step.argv.join(' ')).toEqual({
          exit,
          stdout: normal(stdout),
          stderr: normal(stderr),
        });
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
  // Where there are no records, so that the file is not empty.
  it('knows the commands', () => {
    expect(play({ argv: ['iptables', '-V'], stdout: '', stderr: '', exit: 0 }, variant, tmpdir()).stdout).toBe(
      'iptables vX\n',
    );
  });
});
