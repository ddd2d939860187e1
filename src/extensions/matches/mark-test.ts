import type { MatchDeclaration } from '../contract.ts';
import { maskedValue, not } from '../words.ts';

/** What `mark` and `connmark` ask of a mark (`struct xt_mark_mtinfo1`, `struct xt_connmark_mtinfo1`). */
export interface MarkTest {
  mark: number;
  mask: number;
  invert: boolean;
}

/** How the two matches read and save it. */
export const markTest: Pick<MatchDeclaration<MarkTest>, 'options' | 'init' | 'parse' | 'save'> = {
  options: [{ name: 'mark', type: 'mark-mask', invert: true, mandatory: true }],
  init: () => ({ mark: 0, mask: 0xffffffff, invert: false }),
  parse(data, option) {
    data.mark = option.value;
    data.mask = option.mask;
    data.invert = option.invert;
  },
  save: (data) => `${not(data.invert)} --mark${maskedValue(data.mark, data.mask)}`,
};
