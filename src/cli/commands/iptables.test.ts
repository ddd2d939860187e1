import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Variant } from '../../extensions/contract.ts';
import type { Io } from '../io.ts';
import { iptablesFamily } from './family.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'iptsim-test-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

interface Result {
  status: number;
  out: string;
  err: string;
}

function run(variant: Variant, line: string | string[], stdin = '', hints = false): Result {
  const words = typeof line === 'string' ? line.split(' ') : line;
  const result: Result = { status: -1, out: '', err: '' };
  const io: Io = {
    out: (text) => {
      result.out += text;
    },
    err: (text) => {
      result.err += text;
    },
    readStdin: () => stdin,
    env: {},
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    directory,
    variant,
    hints,
  };
  result.status = iptablesFamily(words[0] as string, words.slice(1), io) as number;
  return result;
}

/** What iptables 1.8.9 of Debian answered in a network namespace of its own. */
const REFUSALS: [commands: string[], legacy: [number, string], nft: [number, string]][] = [
  [
    ['iptables -A INPUT -j NOPE'],
    [
      2,
      "iptables v1.8.9 (legacy): Couldn't load target `NOPE':No such file or directory\n\nTry `iptables -h' or 'iptables --help' for more information.\n",
    ],
    [
      2,
      "iptables v1.8.9 (nf_tables): Chain 'NOPE' does not exist\nTry `iptables -h' or 'iptables --help' for more information.\n",
    ],
  ],
  [
    ['iptables -N a', 'iptables -N b', 'iptables -A a -j b', 'iptables -A b -j a', 'iptables -A INPUT -j a'],
    [1, 'iptables: Too many levels of symbolic links.\n'],
    [4, 'iptables v1.8.9 (nf_tables):  RULE_APPEND failed (Too many links): rule in chain INPUT\n'],
  ],
  [
    ['iptables -N a', 'iptables -A a -m owner --uid-owner 1', 'iptables -A INPUT -j a'],
    [1, "iptables: Invalid argument. Run `dmesg' for more information.\n"],
    [4, 'iptables v1.8.9 (nf_tables):  RULE_APPEND failed (Invalid argument): rule in chain INPUT\n'],
  ],
  // What stands behind a rule that every packet leaves the chain by is not reached, for legacy, as long as that rule is there.
  [
    ['iptables -A INPUT -j ACCEPT', 'iptables -A INPUT -m owner --uid-owner 1'],
    [0, ''],
    [4, 'iptables v1.8.9 (nf_tables):  RULE_APPEND failed (Invalid argument): rule in chain INPUT\n'],
  ],
  [
    ['iptables -A INPUT -j ACCEPT', 'iptables -A INPUT -m owner --uid-owner 1', 'iptables -D INPUT 1'],
    [1, "iptables: Invalid argument. Run `dmesg' for more information.\n"],
    [0, ''],
  ],
  [
    ['iptables -N a', 'iptables -A a -j RETURN', 'iptables -A a -j a', 'iptables -A INPUT -j a', 'iptables -D a 1'],
    [1, 'iptables: Too many levels of symbolic links.\n'],
    [0, ''],
  ],
  [
    ['iptables -N a', 'iptables -A INPUT -j a', 'iptables -X a'],
    [1, 'iptables: Too many links.\n'],
    [4, 'iptables v1.8.9 (nf_tables):  CHAIN_DEL failed (Device or resource busy): chain a\n'],
  ],
  [
    ['iptables -A INPUT -j LOG', 'iptables -C INPUT -j LOG --log-prefix x'],
    [1, 'iptables: No chain/target/match by that name.\n'],
    [1, 'iptables: Bad rule (does a matching rule exist in that chain?).\n'],
  ],
  [
    ['iptables -A INPUT ! -s 0.0.0.0/0'],
    [0, ''],
    [4, 'iptables v1.8.9 (nf_tables):  RULE_APPEND failed (Invalid argument): rule in chain INPUT\n'],
  ],
  [
    ['iptables -A INPUT', 'iptables -D INPUT 3'],
    [1, 'iptables: Index of deletion too big.\n'],
    [1, 'iptables: Index of deletion too big.\n'],
  ],
  [
    ['iptables -P INPUT drop'],
    [1, "iptables: Bad policy name. Run `dmesg' for more information.\n"],
    [1, "iptables: Bad policy name. Run `dmesg' for more information.\n"],
  ],
];

describe.each(['legacy', 'nft'] as const)('iptables, %s', (variant) => {
  it.each(REFUSALS)('refuses %j', (commands, legacy, nft) => {
    const last = commands.map((command) => run(variant, command)).at(-1);
    const [status, err] = variant === 'legacy' ? legacy : nft;
    expect(last).toEqual({ status, out: '', err });
  });

  it('expands address lists, sources outside; -I turns them round', () => {
    run(variant, 'iptables -A INPUT -s 1.1.1.1,2.2.2.2 -d 3.3.3.3,4.4.4.4');
    run(variant, 'iptables -I OUTPUT -s 1.1.1.1,2.2.2.2');
    expect(run(variant, 'iptables -S').out.split('\n').slice(3, -1)).toEqual([
      '-A INPUT -s 1.1.1.1/32 -d 3.3.3.3/32',
      '-A INPUT -s 1.1.1.1/32 -d 4.4.4.4/32',
      '-A INPUT -s 2.2.2.2/32 -d 3.3.3.3/32',
      '-A INPUT -s 2.2.2.2/32 -d 4.4.4.4/32',
      '-A OUTPUT -s 2.2.2.2/32',
      '-A OUTPUT -s 1.1.1.1/32',
    ]);
  });

  it('leaves everything as it was when a command fails', () => {
    run(variant, 'iptables -A INPUT -s 1.1.1.1');
    const before = readFileSync(path.join(directory, 'rules.v4'), 'latin1');
    expect(run(variant, 'iptables -D INPUT -s 1.1.1.1,2.2.2.2').status).toBe(1);
    expect(readFileSync(path.join(directory, 'rules.v4'), 'latin1')).toBe(before);
  });

  it('keeps comments that have quotes, backslashes and newlines', () => {
    const comment = 'it\'s "a" \\ b\nCOMMIT';
    run(variant, ['iptables', '-A', 'INPUT', '-m', 'comment', '--comment', comment]);
    expect(run(variant, ['iptables', '-C', 'INPUT', '-m', 'comment', '--comment', comment]).status).toBe(0);
  });

  it('gives back through restore what it saved', () => {
    const text =
      '*filter\n:INPUT DROP [1:2]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:a - [0:0]\n[3:4] -A INPUT -p tcp -m tcp --dport 22 -j a\n[18446744073709551615:0] -A a -s 10.0.0.0/8 -g a2\nCOMMIT\n';
    expect(run(variant, 'iptables-restore -c', text).status).toBe(2);
    const good = text.replace('-g a2', '-j RETURN');
    expect(run(variant, 'iptables-restore -c', good)).toEqual({ status: 0, out: '', err: '' });
    expect(run(variant, 'iptables-save -c').out.replace(/^#.*\n/gm, '')).toBe(good);
  });

  it('reads a rules file that people wrote, and names file and line of a bad one', () => {
    const file = path.join(directory, 'rules.v4');
    writeFileSync(
      file,
      '# mine\n*filter\n:INPUT DROP\n-A INPUT -p tcp --dport ssh -j ACCEPT\n-I INPUT -i lo -j ACCEPT\nCOMMIT\n',
    );
    expect(run(variant, 'iptables -S INPUT').out).toBe(
      '-P INPUT DROP\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n',
    );
    writeFileSync(file, '*filter\n-A INPUT -p tcp --dprot 22\nCOMMIT\n');
    expect(() => run(variant, 'iptables -A INPUT')).toThrow(`${file}:2: unknown option "--dprot"`);
    expect(readFileSync(file, 'latin1')).toContain('--dprot');
  });
});

describe('tables', () => {
  it('come into being by being looked at with legacy only, the last one first', () => {
    run('nft', 'iptables -t raw -L');
    expect(existsSync(path.join(directory, 'rules.v4'))).toBe(false);
    run('legacy', 'iptables -t raw -L');
    run('legacy', 'iptables -t nat -S');
    expect(run('legacy', 'iptables-save').out.match(/^\*\w+/gm)).toEqual(['*nat', '*raw']);
  });

  it('are gone with nft after a restore without content', () => {
    run('nft', 'iptables -A INPUT');
    run('nft', 'iptables-restore', '*filter\nCOMMIT\n');
    expect(run('nft', 'iptables-save').out).toBe('');
  });
});

describe('hints', () => {
  it('follow the real error, and only where they are wanted', () => {
    const line = 'iptables -A input -p tcp -dport 22 -j Accept';
    expect(run('nft', line).err).not.toContain('hint');
    expect(run('nft', line, '', true).err.match(/hint: .*/g)).toHaveLength(3);
    expect(run('nft', 'iptables -A INPUT -p tcp --dport 22 -j ACCEPT', '', true).err).toBe('');
  });
});
