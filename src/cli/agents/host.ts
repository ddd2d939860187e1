import { cpSync, existsSync } from 'node:fs';
import path from 'node:path';
import { CONNTRACK_FILE, type EntryLine } from '../../conntrack/store.ts';
import { type AgentCommand, type HostState, restoreInput } from '../../groups/agent/plan.ts';
import { type ConnectionJudge, deletionOf } from '../../groups/agent/stale.ts';
import { tablesOf } from '../../groups/agent/tables.ts';
import type { StandingRules } from '../../groups/agent/watch.ts';
import { contentKey } from '../../groups/keys.ts';
import type { Family } from '../../packet/family.ts';
import { readStateFile, writeStateFile } from '../../state/files.ts';
import { systemNames } from '../../state/names.ts';
import { loadRules } from '../../state/rules-file.ts';
import { anySet } from '../../state/set-names.ts';
import { conntrack } from '../commands/conntrack.ts';
import { parseFamilyName } from '../commands/family-name.ts';
import { ipset, SETS_FILE } from '../commands/ipset.ts';
import { restore } from '../commands/restore.ts';
import type { Io } from '../io.ts';

/** A command that a host refused; `message` names the host, the command and what it said. */
export class AgentError extends Error {
  readonly exitStatus = 1;
}

/** What an agent remembers between two runs: what it brought the host to, and the files that it left (JSON). */
const MEMORY_FILE = 'agent.json';
/** Files whose content the agent answers for. */
const FILES = ['rules.v4', 'rules.v6', SETS_FILE] as const;

/** The state directory of a simulated host, as its agent sees it. */
export class AgentHost {
  readonly name: string;
  directory: string;
  private readonly io: Io;

  constructor(name: string, directory: string, io: Io) {
    this.name = name;
    this.directory = directory;
    this.io = io;
  }

  get exists(): boolean {
    return existsSync(this.directory);
  }

  /** Rules and sets as they are. Throws StateError. */
  state(): HostState {
    const tables = (family: Family) =>
      tablesOf(
        loadRules(this.directory, {
          family,
          variant: this.io.variant,
          names: systemNames(),
          setByName: anySet(this.directory),
        }),
      );
    return { tables4: tables(4), tables6: tables(6), sets: readStateFile(this.directory, SETS_FILE) ?? '' };
  }

  /** Rules and sets as text. */
  standing(): StandingRules {
    const text = (name: string): string => readStateFile(this.directory, name) ?? '';
    return { rules4: text('rules.v4'), rules6: text('rules.v6'), sets: text(SETS_FILE) };
  }

  /** From now on works on a copy of the directory, for a trial. */
  moveTo(directory: string): void {
    if (this.exists) cpSync(this.directory, directory, { recursive: true });
    this.directory = directory;
  }

  /** Connections that the judge finds no longer allowed. */
  stale(judge: ConnectionJudge): EntryLine[] {
    return judge.stale((readStateFile(this.directory, CONNTRACK_FILE) ?? '').split('\n'));
  }

  /** Whether the host is as the agent left it when it brought it to this goal. */
  isAt(goal: string): boolean {
    return readStateFile(this.directory, MEMORY_FILE) === this.memoryText(goal);
  }

  /** Takes down that the host is at a goal; writes only what is new. */
  remember(goal: string): void {
    const text = this.memoryText(goal);
    if (readStateFile(this.directory, MEMORY_FILE) !== text) writeStateFile(this.directory, MEMORY_FILE, text);
  }

  private memoryText(goal: string): string {
    const files = FILES.map((name) => [name, contentKey(readStateFile(this.directory, name) ?? '')]);
    return `${JSON.stringify({ goal, ...Object.fromEntries(files) })}\n`;
  }

  /** Runs a command, as `conntrack` one for each connection given. Throws AgentError. */
  async run(command: AgentCommand, stale: readonly EntryLine[]): Promise<void> {
    switch (command.tool) {
      case 'ipset':
        return this.call('ipset restore', `${command.lines.join('\n')}\n`, (io) => ipset('ipset', ['restore'], io));
      case 'restore': {
        const name = restoreName(command.family);
        return this.call(`${name} --noflush`, restoreInput(command), (io) =>
          restore(parseFamilyName(name, io.variant)!, name, ['--noflush'], io),
        );
      }
      case 'conntrack':
        for (const entry of stale) {
          const args = deletionOf(entry);
          await this.call(`conntrack ${args.join(' ')}`, '', (io) => conntrack('conntrack', args, io));
        }
    }
  }

  private async call(words: string, input: string, work: (io: Io) => number | Promise<number>): Promise<void> {
    let said = '';
    const status = await work({
      out() {},
      err(text) {
        said += text;
      },
      readStdin: () => input,
      env: this.io.env,
      stdoutIsTerminal: false,
      stderrIsTerminal: false,
      directory: this.directory,
      variant: this.io.variant,
      hints: false,
    });
    if (status !== 0) throw new AgentError(`${this.name}: ${words}: ${said.trim() || `status ${status}`}`);
  }
}

export function restoreName(family: Family): string {
  return family === 4 ? 'iptables-restore' : 'ip6tables-restore';
}

/** The state directories of hosts lie beside each other. */
export function hostDirectory(state: string, host: string): string {
  return path.join(state, host);
}
