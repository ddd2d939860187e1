import { Verdict } from '../../datapath/verdicts.ts';
import { defineTarget, type TargetFunction, UsageError } from '../contract.ts';
import { changeWords, markOperation, readMarkOperation } from './MARK.ts';
import { hex } from './numbers.ts';

/** `struct xt_connmark_tginfo2`. */
interface ConnmarkTarget {
  mode: 'set' | 'save' | 'restore';
  ctmark: number;
  ctmask: number;
  nfmask: number;
  shiftRight: boolean;
  shiftBits: number;
}

const HELP = `CONNMARK target options:
  --set-xmark value[/ctmask]    Zero mask bits and XOR ctmark with value
  --save-mark [--ctmask mask] [--nfmask mask]
                                Copy ctmark to nfmark using masks
  --restore-mark [--ctmask mask] [--nfmask mask]
                                Copy nfmark to ctmark using masks
  --set-mark value[/mask]       Set conntrack mark value
  --save-mark [--mask mask]     Save the packet nfmark in the connection
  --restore-mark [--mask mask]  Restore saved nfmark value
  --and-mark value              Binary AND the ctmark with bits
  --or-mark value               Binary OR  the ctmark with bits
  --xor-mark value              Binary XOR the ctmark with bits
  --left-shift-mark value       Left shift the ctmark with bits
  --right-shift-mark value      Right shift the ctmark with bits
`;

const OPERATIONS = ['set-mark', 'save-mark', 'restore-mark', 'and-mark', 'or-mark', 'xor-mark', 'set-xmark'] as const;
const ALL = 0xffffffff;

function shift({ shiftRight, shiftBits }: ConnmarkTarget): string {
  return `${shiftRight ? 'right' : 'left'}-shift-mark ${shiftBits}`;
}

function operation({ mode, ctmark, ctmask, nfmask }: ConnmarkTarget): string {
  if (mode === 'set') return markOperation(ctmark, ctmask);
  if (nfmask === ALL && ctmask === ALL) return mode;
  if (nfmask === ctmask) return `${mode} mask ${hex(nfmask)}`;
  return mode === 'save'
    ? `save nfmask ${hex(nfmask)} ctmask ~${hex(ctmask)}`
    : `restore ctmask ${hex(ctmask)} nfmask ~${hex(nfmask)}`;
}

function saved(data: ConnmarkTarget): string {
  const { mode, ctmark, ctmask, nfmask, shiftBits } = data;
  const text =
    mode === 'set'
      ? ` --set-xmark ${hex(ctmark)}/${hex(ctmask)}`
      : ` --${mode}-mark --nfmask ${hex(nfmask)} --ctmask ${hex(ctmask)}`;
  return shiftBits === 0 ? text : `${text} --${shift(data)}`;
}

function explain(data: ConnmarkTarget): string {
  const all = data.ctmask === ALL && data.nfmask === ALL;
  const masks = all ? '' : ` (bits ${hex(data.nfmask)} of the packet's, ${hex(data.ctmask)} of the connection's)`;
  if (data.mode === 'save') return `the connection gets the packet's mark${masks}`;
  if (data.mode === 'restore') return `the packet gets the connection's mark${masks}`;
  return `the connection's mark ${changeWords(data.ctmark, data.ctmask)}`;
}

export const CONNMARK = defineTarget<ConnmarkTarget>({
  name: 'CONNMARK',
  families: [4, 6],
  options: [
    { name: 'set-xmark', type: 'mark-mask', excludes: OPERATIONS },
    { name: 'set-mark', type: 'mark-mask', excludes: OPERATIONS },
    { name: 'and-mark', type: 'uint32', excludes: OPERATIONS },
    { name: 'or-mark', type: 'uint32', excludes: OPERATIONS },
    { name: 'xor-mark', type: 'uint32', excludes: OPERATIONS },
    { name: 'save-mark', type: 'none', excludes: OPERATIONS },
    { name: 'restore-mark', type: 'none', excludes: OPERATIONS },
    { name: 'left-shift-mark', type: 'uint8', min: 0, max: 32 },
    { name: 'right-shift-mark', type: 'uint8', min: 0, max: 32 },
    { name: 'ctmask', type: 'uint32', excludes: ['mask'] },
    { name: 'nfmask', type: 'uint32', excludes: ['mask'] },
    { name: 'mask', type: 'uint32', excludes: ['ctmask', 'nfmask'] },
  ],
  init: () => ({ mode: 'set', ctmark: 0, ctmask: ALL, nfmask: ALL, shiftRight: false, shiftBits: 0 }),
  parse(data, option) {
    const set = readMarkOperation(option.name, option);
    if (set !== null) {
      data.mode = 'set';
      data.ctmark = set.mark;
      data.ctmask = set.mask;
      return;
    }
    switch (option.name) {
      case 'save-mark':
        data.mode = 'save';
        break;
      case 'restore-mark':
        data.mode = 'restore';
        break;
      case 'left-shift-mark':
      case 'right-shift-mark':
        data.shiftRight = option.name === 'right-shift-mark';
        data.shiftBits = option.number;
        break;
      case 'ctmask':
        data.ctmask = option.number;
        break;
      case 'nfmask':
        data.nfmask = option.number;
        break;
      case 'mask':
        data.nfmask = data.ctmask = option.number;
        break;
    }
  },
  finish(_, { seen }) {
    if (!OPERATIONS.some((name) => seen.has(name))) throw new UsageError('CONNMARK target: No operation specified');
  },
  save: saved,
  print: (data) => ` CONNMARK ${operation(data)}${data.shiftBits === 0 ? '' : ` ${shift(data)}`}`,
  help: () => HELP,
  check: ({ shiftBits }) => (shiftBits > 31 ? 'EINVAL' : null),
  // A mask that the mode does not use is not in any text.
  same: (a, b) => saved(a) === saved(b),
  explain,
  memory: 'flow',
  compile: (data) => compile(data),
});

/** connmark_tg_shift */
function compile({ mode, ctmark, ctmask, nfmask, shiftRight, shiftBits }: ConnmarkTarget): TargetFunction {
  const shifted = (value: number): number => (shiftRight ? value >>> shiftBits : (value << shiftBits) >>> 0);
  const keepConnection = ~ctmask;
  const keepPacket = ~nfmask;
  switch (mode) {
    case 'set':
      return ({ connection }) => {
        if (connection !== null) {
          const mark = shifted(((connection.mark & keepConnection) ^ ctmark) >>> 0);
          if (connection.mark !== mark) connection.mark = mark;
        }
        return Verdict.next;
      };
    case 'save':
      return (packet) => {
        const { connection } = packet;
        if (connection !== null) {
          const mark = ((connection.mark & keepConnection) ^ shifted((packet.mark & nfmask) >>> 0)) >>> 0;
          if (connection.mark !== mark) connection.mark = mark;
        }
        return Verdict.next;
      };
    case 'restore':
      return (packet) => {
        const { connection } = packet;
        if (connection !== null) {
          packet.mark = ((packet.mark & keepPacket) ^ shifted((connection.mark & ctmask) >>> 0)) >>> 0;
        }
        return Verdict.next;
      };
  }
}
