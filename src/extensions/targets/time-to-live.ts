import { Verdict } from '../../datapath/verdicts.ts';
import type { Family } from '../../packet/family.ts';
import { setTtl, ttlOf } from '../../packet/rewrite.ts';
import { defineTarget, type TargetExtension, UsageError } from '../contract.ts';
import { MANGLE, refusePlacement } from './placement.ts';

/** `struct ipt_TTL_info`, `struct ip6t_HL_info`. */
interface TimeToLiveTarget {
  mode: 'set' | 'inc' | 'dec';
  value: number;
}

const MODES = { set: 'set to', dec: 'decrement by', inc: 'increment by' } as const;

/** TTL (IPv4) and HL (IPv6): the same target under two names. */
export function timeToLiveTarget(name: 'TTL' | 'HL', family: Family): TargetExtension {
  const lower = name.toLowerCase();
  const operations = (['set', 'inc', 'dec'] as const).map((mode) => `${lower}-${mode}`);
  return defineTarget<TimeToLiveTarget>({
    name,
    families: [family],
    options: [
      { name: `${lower}-set`, type: 'uint8', excludes: operations },
      { name: `${lower}-dec`, type: 'uint8', min: 1, excludes: operations },
      { name: `${lower}-inc`, type: 'uint8', min: 1, excludes: operations },
    ],
    init: () => ({ mode: 'set', value: 0 }),
    parse(data, option) {
      data.mode = option.name.slice(lower.length + 1) as TimeToLiveTarget['mode'];
      data.value = option.number;
    },
    finish(_, { seen }) {
      if (seen.size === 0) throw new UsageError(`${name}: You must specify an action`);
    },
    save: ({ mode, value }) => ` --${lower}-${mode} ${value}`,
    print: ({ mode, value }) => ` ${name} ${MODES[mode]} ${value}`,
    help: () => `${name} target options
  --${lower}-set value		Set ${name} to <value 0-255>
  --${lower}-dec value		Decrement ${name} by <value 1-255>
  --${lower}-inc value		Increment ${name} by <value 1-255>
`,
    check: (_, site) => refusePlacement(site, MANGLE),
    explain: ({ mode, value }) =>
      `the packet's ${name === 'TTL' ? 'TTL' : 'hop limit'} is ${MODES[mode].replace('ment by', 'mented by')} ${value}`,
    memory: 'flow',
    compile({ mode, value }) {
      if (mode === 'set') {
        return (packet) => {
          setTtl(packet, value);
          return Verdict.next;
        };
      }
      const step = mode === 'inc' ? value : -value;
      return (packet) => {
        const ttl = ttlOf(packet) + step;
        setTtl(packet, Math.max(0, Math.min(ttl, 255)));
        return Verdict.next;
      };
    },
  });
}
