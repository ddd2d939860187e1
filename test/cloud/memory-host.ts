import type { AgentCommand, HostState } from '../../src/groups/agent/plan.ts';
import { restoreInput } from '../../src/groups/agent/plan.ts';
import type { ConnectionJudge } from '../../src/groups/agent/stale.ts';
import { tablesOf } from '../../src/groups/agent/tables.ts';
import type { StandingRules } from '../../src/groups/agent/watch.ts';
import { loadSets, readSetHeaders, SetKernel, saveSets, setReferences } from '../../src/ipset/index.ts';
import { Tool } from '../../src/ipset/tool/tool.ts';
import type { Family } from '../../src/packet/family.ts';
import { emptyRuleset, type Ruleset } from '../../src/ruleset/ruleset.ts';
import { wellKnownNames } from '../../src/simulation/names.ts';
import { restoreNft } from '../../src/syntax/restore-nft.ts';
import { formatRuleset } from '../../src/syntax/save-format.ts';
import type { Session } from '../../src/syntax/session.ts';

const NAMES = wellKnownNames();
const SET_NAMES = { ...NAMES, hostByName: () => [], hostByAddress: () => null };

/** A host in memory, changed by the emulated tools themselves. */
export class MemoryHost {
  private readonly rulesets: Record<Family, Ruleset>;
  private sets: string;
  connections: readonly string[];

  constructor(from: MemoryHost | null = null) {
    this.rulesets = from === null ? { 4: emptyRuleset(4), 6: emptyRuleset(6) } : { ...from.rulesets };
    this.sets = from?.sets ?? '';
    this.connections = from?.connections ?? [];
  }

  state(): HostState {
    return { tables4: tablesOf(this.rulesets[4]), tables6: tablesOf(this.rulesets[6]), sets: this.sets };
  }

  standing(): StandingRules {
    return { rules4: formatRuleset(this.rulesets[4]), rules6: formatRuleset(this.rulesets[6]), sets: this.sets };
  }

  /** What may be compared: no counters, sets and elements by name. */
  comparable(): StandingRules {
    const { rules4, rules6, sets } = this.standing();
    const plain = (text: string): string =>
      text
        .replaceAll(/^\[\d+:\d+\] /gm, '')
        .replaceAll(/\[\d+:\d+\]/g, '')
        // A table that was used once stays; nobody can take it away.
        .replaceAll(/^\*\w+\n(?::[A-Z]+ ACCEPT \n)*COMMIT\n/gm, '');
    const named = sets.split('\n').map((line) => line.replace(/ (hashsize|bucketsize|initval) \S+/g, ''));
    return { rules4: plain(rules4), rules6: plain(rules6), sets: named.sort().join('\n') };
  }

  run(command: AgentCommand, judge: ConnectionJudge): void {
    if (command.tool === 'ipset') this.ipset(command.lines);
    else if (command.tool === 'restore') this.restore(command.family, restoreInput(command), true);
    else {
      const ids = new Set(judge.stale(this.connections).map(({ id }) => id));
      this.connections = this.connections.filter((line) => !ids.has((JSON.parse(line) as { id: number }).id));
    }
  }

  restore(family: Family, text: string, noflush: boolean, counters = false): void {
    const headers = new Map(readSetHeaders(this.sets).map((header) => [header.name, header]));
    const session: Session = {
      family,
      variant: 'nft',
      program: 'iptables-restore',
      version: '1.8.9 (nf_tables)',
      names: NAMES,
      setByName: (name) => headers.get(name),
      ruleset: { family, tables: new Map(this.rulesets[family].tables) },
      changed: false,
      touched: false,
      renewed: new Map(),
      out() {},
      warn(message) {
        throw new Error(message);
      },
    };
    restoreNft(text, { counters, verbose: 0, test: false, noflush, table: null }, session);
    this.rulesets[family] = session.ruleset;
  }

  ipset(lines: readonly string[]): void {
    const used = new Map<string, number>();
    for (const family of [4, 6] as const) setReferences(formatRuleset(this.rulesets[family]), used);
    const kernel = new SetKernel({
      clock: { now: 0 },
      random: () => 1,
      missingTypes: new Set(),
      rulesUsing: (name) => used.get(name) ?? 0,
    });
    loadSets(kernel, this.sets, SET_NAMES);
    const tool = new Tool(kernel, SET_NAMES, {
      out() {},
      err(text) {
        throw new Error(`${text} in\n${lines.join('\n')}`);
      },
      readStdin: () => `${lines.join('\n')}\n`,
      readFile: () => null,
      writeFile: () => null,
    });
    if (tool.run(['restore']) !== 0) throw new Error('ipset restore');
    this.sets = saveSets(kernel, SET_NAMES);
  }
}
