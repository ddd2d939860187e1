import type { Family } from '../packet/family.ts';
import { linkLocal } from './link-local.ts';
import type { VmPort } from './model.ts';
import { prefixText } from './service-text.ts';
import { statefulSet } from './sets.ts';

/**
 * The raw table for machines in stateless groups: connection tracking leaves their packets alone, as Neutron has it. Neutron gives every
 * machine a bridge of its own and excepts the whole bridge; here machines share one, so what goes between a stateless and a
 * stateful machine of the host stays tracked: the stateful one needs its connections.
 *
 * @param besideStateful whether the host also has machines in stateful groups
 */
export function statelessRules(
  family: Family,
  ports: readonly VmPort[],
  binary: string,
  besideStateful: boolean,
): string[] {
  const stateless = ports.filter(({ stateful }) => !stateful);
  if (stateless.length === 0) return [];
  const not = (side: string): string => (besideStateful ? `-m set ! --match-set ${statefulSet(family)} ${side} ` : '');
  const rules: string[] = [];
  for (const port of stateless) {
    const end = `-m comment --comment "Make ${port.tap} stateless" -j CT --notrack`;
    rules.push(`-m physdev --physdev-in ${port.tap} ${not('dst')}${end}`);
    for (const address of addressesOf(port, family)) {
      rules.push(`${address}${not('src')}${not('dst')}${end}`);
    }
  }
  return [
    '*raw',
    ':PREROUTING ACCEPT [0:0]',
    ':OUTPUT ACCEPT [0:0]',
    `:${binary}-PREROUTING - [0:0]`,
    `-A PREROUTING -j ${binary}-PREROUTING`,
    ...[...new Set(rules)].map((rule) => `-A ${binary}-PREROUTING ${rule}`),
    'COMMIT',
  ];
}

/** What is sent to a machine, as matches. */
function addressesOf({ pairs }: VmPort, family: Family): string[] {
  const prefixes = pairs.map(({ prefix }) => prefix).filter((prefix) => prefix.family === family);
  if (family === 6) prefixes.push(...[...new Set(pairs.map(({ mac }) => mac))].map(linkLocal));
  return prefixes.map((prefix) => (prefix.length === 0 ? '' : `-d ${prefixText(prefix)} `));
}
