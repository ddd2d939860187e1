import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { iptablesFamily } from '../../src/cli/commands/family.ts';
import type { Variant } from '../../src/extensions/contract.ts';
import type { Call, Scenario } from './scenario.ts';

export interface Answer {
  status: number;
  out: string;
  err: string;
}

/** Sets that rules may name; `ipset restore` and the state directory take this text. */
export const SETS = `create t1 hash:ip family inet hashsize 1024 maxelem 65536
create t2 hash:ip,port family inet hashsize 1024 maxelem 65536 counters
create t6 hash:ip family inet6 hashsize 1024 maxelem 65536
`;

const TABLES = ['filter', 'nat', 'mangle', 'raw', 'security'];

function programName({ tool, family }: Call, variant: Variant): string {
  if (tool === 'xml') return 'iptables-xml';
  return `${family === 4 ? 'iptables' : 'ip6tables'}-${variant}${tool === '' ? '' : `-${tool}`}`;
}

const shellQuoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** Plays scenarios with the real tools in the network namespace of this process, many in one run of the shell. */
export class RealTools {
  private readonly directory: string;
  private readonly variant: Variant;

  constructor(directory: string, variant: Variant) {
    this.directory = path.join(directory, `real-${variant}`);
    this.variant = variant;
    mkdirSync(this.directory, { recursive: true });
  }

  /** The answers to the calls of each scenario (`before` left out); a null is a call that crashed. */
  play(scenarios: readonly Scenario[]): (Answer | null)[][] {
    let inputs = 0;
    const command = (call: Call, how: string): string => {
      let from = '/dev/null';
      if (call.stdin !== undefined) {
        from = `${inputs++}.in`;
        writeFileSync(path.join(this.directory, from), call.stdin, 'latin1');
      }
      return `${how} ${[programName(call, this.variant), ...call.args].map(shellQuoted).join(' ')} <${from}`;
    };
    const lines = [
      'n=0',
      'x() { "$@" >$n.o 2>$n.e; s=$?; echo $s; n=$((n+1)); return $s; }',
      'q() { "$@" >/dev/null 2>&1; }',
    ];
    for (const scenario of scenarios) {
      for (const call of scenario.before) lines.push(command(call, 'q'));
      const rest = scenario.rest.map((call) => `${command(call, 'x')};`).join('\n');
      const then = scenario.regardless === true ? ';' : ' &&';
      lines.push(`${command(scenario.first, 'x')}${then} {\n${rest}\n}`, 'echo --', ...this.emptying(scenario));
    }
    const script = path.join(this.directory, 'script');
    writeFileSync(script, `${lines.join('\n')}\n`, 'latin1');
    const done = spawnSync('sh', [script], {
      cwd: this.directory,
      encoding: 'latin1',
      maxBuffer: 1 << 26,
      env: { PATH: process.env.PATH, LC_ALL: 'C', XTABLES_LOCKFILE: path.join(this.directory, 'lock') },
    });
    const answers: (Answer | null)[][] = [];
    let current: (Answer | null)[] = [];
    let n = 0;
    for (const line of done.stdout.split('\n')) {
      if (line === '--') {
        answers.push(current);
        current = [];
      } else if (line !== '') {
        const status = Number(line);
        const read = (kind: string): string => readFileSync(path.join(this.directory, `${n}.${kind}`), 'latin1');
        current.push(status >= 128 ? null : { status, out: read('o'), err: read('e') });
        n++;
      }
    }
    if (answers.length !== scenarios.length) throw new Error(`the shell stopped: ${done.stderr}`);
    return answers;
  }

  /** What makes the ruleset empty again. */
  private emptying({ first, tables, regardless }: Scenario): string[] {
    const tool = programName({ ...first, tool: '' }, this.variant);
    const lines: string[] = [];
    for (const table of tables) {
      if (this.variant === 'nft') {
        // Deletes the table with all that is in it.
        lines.push(`q nft delete table ${first.family === 4 ? 'ip' : 'ip6'} ${table}`);
      } else if (first.tool === 'restore' || regardless === true) {
        const chains =
          {
            filter: 'INPUT FORWARD OUTPUT',
            nat: 'PREROUTING INPUT OUTPUT POSTROUTING',
            mangle: 'PREROUTING INPUT FORWARD OUTPUT POSTROUTING',
            raw: 'PREROUTING OUTPUT',
            security: 'INPUT FORWARD OUTPUT',
          }[table] ?? '';
        lines.push(
          `{ echo '*${table}'; for c in ${chains}; do echo ":$c ACCEPT [0:0]"; done; echo COMMIT; } | q ${tool}-restore`,
        );
      } else {
        lines.push(`q ${tool} -t ${table} -F; q ${tool} -t ${table} -X`);
      }
    }
    return lines;
  }

  /** The tables of legacy in the order in which they are from now on. */
  prepare(): void {
    for (const family of [4, 6] as const) {
      for (const table of TABLES) {
        spawnSync(programName({ tool: '', family, args: [] }, this.variant), ['-t', table, '-S'], {
          env: { PATH: process.env.PATH, XTABLES_LOCKFILE: path.join(this.directory, 'lock') },
        });
      }
    }
  }
}

/** Plays scenarios in this process. */
export class Simulated {
  private readonly directory: string;
  private readonly variant: Variant;

  constructor(directory: string, variant: Variant) {
    this.directory = path.join(directory, `simulated-${variant}`);
    this.variant = variant;
  }

  /** @param allTables whether legacy's tables are all there from the start, as after `RealTools.prepare` */
  play(scenario: Scenario, allTables = true): Answer[] {
    rmSync(this.directory, { recursive: true, force: true });
    mkdirSync(this.directory, { recursive: true });
    writeFileSync(path.join(this.directory, 'ipsets'), SETS);
    if (this.variant === 'legacy' && allTables) {
      for (const table of TABLES) this.call({ tool: '', family: scenario.first.family, args: ['-t', table, '-S'] });
    }
    for (const call of scenario.before) this.call(call);
    const first = this.call(scenario.first);
    return first.status === 0 || scenario.regardless === true
      ? [first, ...scenario.rest.map((call) => this.call(call))]
      : [first];
  }

  private call(call: Call): Answer {
    let out = '';
    let err = '';
    const status = iptablesFamily(programName(call, this.variant), call.args, {
      out(text) {
        out += text;
      },
      err(text) {
        err += text;
      },
      readStdin: () => call.stdin ?? '',
      env: {},
      stdoutIsTerminal: false,
      stderrIsTerminal: false,
      directory: this.directory,
      variant: this.variant,
      hints: false,
    }) as number;
    return { status, out, err };
  }
}
