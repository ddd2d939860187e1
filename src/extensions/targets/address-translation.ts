import type { TargetDeclaration } from '../contract.ts';
import { explainFlags, explainRange, type NatTarget, natRange, natTexts, newNatTarget } from './nat-range.ts';
import { type Placement, refusePlacement } from './placement.ts';

/** What DNAT and SNAT have in common: how a target that gives connections another address is printed and acts. */
export function addressTranslation(
  end: 'source' | 'destination',
  placement: Placement,
): Pick<TargetDeclaration<NatTarget>, 'init' | 'save' | 'print' | 'check' | 'explain' | 'compile'> {
  return {
    init: newNatTarget,
    save: (data, { family }) => natTexts(data, family, { option: `--to-${end} `, flags: '--', bare: false }),
    print: (data, { family }) => natTexts(data, family, { option: 'to:', flags: '', bare: false }),
    check: (_, site) => refusePlacement(site, placement),
    explain: (data, { family }) => `the connection's ${end} becomes ${explainRange(data, family)}${explainFlags(data)}`,
    compile(data, { machine: { nat } }) {
      const range = natRange(data);
      return (packet, at) => nat.setup(packet, at, range, end);
    },
  };
}
