import type { Variant } from '../../extensions/contract.ts';
import type { Family } from '../../packet/family.ts';

/** A command name of the iptables family, taken apart. */
export interface FamilyName {
  family: Family;
  variant: Variant;
  /** `iptables` or `ip6tables`. */
  base: string;
  /** '' for the command itself. */
  part: '' | 'save' | 'restore' | 'xml' | 'apply';
  /** `1.8.9 (legacy)`. */
  version: string;
}

export const IPTABLES_VERSION = '1.8.9';

const NAME = /^(ip6?tables)(?:-(legacy|nft))?(?:-(save|restore|xml|apply))?$/;

/** What a name stands for, or null. `variant` holds where the name does not say. */
export function parseFamilyName(name: string, variant: Variant): FamilyName | null {
  const match = NAME.exec(name);
  if (match === null) return null;
  const [, base, said, part = ''] = match as unknown as [string, string, Variant | undefined, FamilyName['part']];
  const actual = said ?? variant;
  return {
    family: base === 'iptables' ? 4 : 6,
    variant: actual,
    base,
    part,
    version: `${IPTABLES_VERSION} (${actual === 'nft' ? 'nf_tables' : 'legacy'})`,
  };
}
