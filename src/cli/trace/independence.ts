import { statSync } from 'node:fs';
import { tieOfKept } from '../../conntrack/kept-ties.ts';
import type { Host } from '../../datapath/environment.ts';
import type { LoadedRuleset } from '../../datapath/machine-contract.ts';
import { needsOf } from '../../datapath/needs.ts';
import { type TiedRule, tiedRule } from '../../datapath/ties.ts';
import type { ReassemblyMemory } from '../../packet/reassembly-memory.ts';
import type { StoredMemory } from '../../state/machine-memory.ts';
import type { ReadInputs } from './inputs.ts';
import type { TraceOptions } from './options.ts';

/** Why what was asked for cannot be done on several cores at all; null if it can, as far as the machine allows. */
export function findOrder(options: TraceOptions, { written }: Pick<ReadInputs, 'written'>): string | null {
  if (options.format !== 'summary') return 'without --summary packets are told of in their order';
  if (options.writePcap !== null) return '--write-pcap writes packets in their order';
  if (options.queues.length > 0) return 'the handlers of --queue get packets in their order';
  if (written.length > 0) return 'only captures are shared out';
  const { rules, rules6, sets, host, pcaps, inputs } = options;
  for (const file of [rules, rules6, sets, host, ...pcaps.map((pcap) => pcap.file), ...inputs]) {
    if (file === null || statSync(file, { throwIfNoEntry: false })?.isFile() !== false) continue;
    return `${file} can be read only once`;
  }
  return inputs.includes('-') ? 'standard input can be read only once' : null;
}

/** What a machine is made of, as far as it can tie flows together. */
interface Ties {
  host: Host;
  /** Of IPv4 and IPv6. */
  rulesets: readonly [LoadedRuleset, LoadedRuleset];
  memory: StoredMemory | null;
  setText: string;
  commit: boolean;
  /** `FILE:LINE` of a rule. */
  placeOf(rule: TiedRule): string;
}

/** Why the packets of this machine depend on those of other flows, as far as that is known before the first one; null if they do not. */
export function findTie({ host, rulesets, memory, setText, commit, placeOf }: Ties): string | null {
  const rule = tiedRule(rulesets[0], 4) ?? tiedRule(rulesets[1], 6);
  if (rule !== null) return `at ${placeOf(rule)} what ${rule.use} does depends on packets of other flows`;
  const bridge = host.devices.find((device) => device.kind === 'bridge');
  if (bridge !== undefined) return `the bridge ${bridge.name} learns from the frames of all flows`;
  if (memory !== null) {
    const kept = tieOfKept(String(memory.conntrack));
    if (kept !== null) return `a connection in the state directory ${kept}`;
    if (((memory.fragments as ReassemblyMemory | null)?.queues.length ?? 0) > 0) {
      return 'fragments wait in the state directory';
    }
  }
  if (!commit) return null;
  if (rulesets.some((ruleset) => needsOf(ruleset).conntrack)) {
    return '--commit numbers connections in the order in which they begin';
  }
  return /^create .* counters\b/m.test(setText) ? '--commit keeps what sets have counted' : null;
}
