import { Verdict } from '../../datapath/verdicts.ts';
import { defineTarget, UsageError } from '../contract.ts';
import { hex } from './numbers.ts';

/** `struct xt_mark_tginfo2`: clear the bits of `mask`, then exclusive-or `mark`. */
interface MarkTarget {
  mark: number;
  mask: number;
}

const HELP = `MARK target options:
  --set-xmark value[/mask]  Clear bits in mask and XOR value into nfmark
  --set-mark value[/mask]   Clear bits in mask and OR value into nfmark
  --and-mark bits           Binary AND the nfmark with bits
  --or-mark bits            Binary OR the nfmark with bits
  --xor-mark bits           Binary XOR the nfmark with bits
`;

const OPERATIONS = ['set-mark', 'and-mark', 'or-mark', 'xor-mark', 'set-xmark'] as const;

/** "set 0x1", "or 0x4": the shortest name of an operation. */
export function markOperation(mark: number, mask: number): string {
  if (mark === 0) return `and ${hex(~mask)}`;
  if (mark === mask) return `or ${hex(mark)}`;
  if (mask === 0) return `xor ${hex(mark)}`;
  if (mask === 0xffffffff) return `set ${hex(mark)}`;
  return `xset ${hex(mark)}/${hex(mask)}`;
}

/** What becomes of a value whose bits `mask` are cleared and then those of `bits` toggled: "becomes 0x1", "gets the bits 0x4". */
export function changeWords(bits: number, mask: number, all = 0xffffffff): string {
  if (mask === all) return `becomes ${hex(bits)}`;
  if (mask === 0) return bits === 0 ? 'stays as it is' : `has the bits ${hex(bits)} toggled`;
  if (bits === 0) return `loses the bits ${hex(mask)}`;
  if (bits === mask) return `gets the bits ${hex(bits)}`;
  const cleared = `has ${hex(bits)} in the bits ${hex(mask)}`;
  return (bits & ~mask) === 0 ? cleared : `loses the bits ${hex(mask)}, then has the bits ${hex(bits)} toggled`;
}

/** Mark and mask of `--set-mark value/mask` and its relatives, all but the names of the modes shared with CONNMARK. */
export function readMarkOperation(
  name: string,
  { value, mask, number }: { value: number; mask: number; number: number },
): MarkTarget | null {
  switch (name) {
    case 'set-xmark':
      return { mark: value, mask };
    case 'set-mark':
      return { mark: value, mask: (value | mask) >>> 0 };
    case 'and-mark':
      return { mark: 0, mask: ~number >>> 0 };
    case 'or-mark':
      return { mark: number, mask: number };
    case 'xor-mark':
      return { mark: number, mask: 0 };
    default:
      return null;
  }
}

export const MARK = defineTarget<MarkTarget>({
  name: 'MARK',
  families: [4, 6],
  options: [
    { name: 'set-xmark', type: 'mark-mask', excludes: OPERATIONS },
    { name: 'set-mark', type: 'mark-mask', excludes: OPERATIONS },
    { name: 'and-mark', type: 'uint32', excludes: OPERATIONS },
    { name: 'or-mark', type: 'uint32', excludes: OPERATIONS },
    { name: 'xor-mark', type: 'uint32', excludes: OPERATIONS },
  ],
  init: () => ({ mark: 0, mask: 0 }),
  parse(data, option) {
    Object.assign(data, readMarkOperation(option.name, option));
  },
  finish(_, { seen }) {
    if (seen.size === 0) {
      throw new UsageError('MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required');
    }
  },
  save: ({ mark, mask }) => ` --set-xmark ${hex(mark)}/${hex(mask)}`,
  print: ({ mark, mask }) => ` MARK ${markOperation(mark, mask)}`,
  help: () => HELP,
  explain: ({ mark, mask }) => `the packet's mark ${changeWords(mark, mask)}`,
  memory: 'flow',
  compile({ mark, mask }) {
    const keep = ~mask;
    return (packet) => {
      packet.mark = ((packet.mark & keep) ^ mark) >>> 0;
      return Verdict.next;
    };
  },
});
