import { Hook } from '../../datapath/hooks.ts';
import { Verdict } from '../../datapath/verdicts.ts';
import { defineTarget, UsageError } from '../contract.ts';
import { type Placement, refusePlacement } from './placement.ts';

/** `skb->priority`: major number in the upper half, minor in the lower. */
interface ClassifyTarget {
  priority: number;
}

const HELP = `CLASSIFY target options:
--set-class MAJOR:MINOR    Set skb->priority value (always hexadecimal!)
`;

const PLACEMENT: Placement = { hooks: [Hook.forward, Hook.output, Hook.postrouting] };
/** What `sscanf("%x:%x")` takes; whatever follows is ignored. */
const CLASS = /^[\t-\r ]*([+-]?)(?:0x)?([0-9a-f]+):[\t-\r ]*([+-]?)(?:0x)?([0-9a-f]+)/i;

function lowerHalf(sign: string, digits: string): number {
  const magnitude = BigInt(`0x${digits}`);
  if (magnitude > 0xffffffffffffffffn) return 0xffff;
  return Number(BigInt.asUintN(16, sign === '-' ? -magnitude : magnitude));
}

function classText({ priority }: ClassifyTarget, digits: number): string {
  const part = (value: number): string => value.toString(16).padStart(digits, '0');
  return `${part(priority >>> 16)}:${part(priority & 0xffff)}`;
}

export const CLASSIFY = defineTarget<ClassifyTarget>({
  name: 'CLASSIFY',
  families: [4, 6],
  options: [{ name: 'set-class', type: 'string', mandatory: true }],
  init: () => ({ priority: 0 }),
  parse(data, { text }) {
    const match = CLASS.exec(text);
    if (match === null) throw new UsageError(`Bad class value "${text}"`);
    const [, majorSign, major, minorSign, minor] = match;
    data.priority = ((lowerHalf(majorSign!, major!) << 16) | lowerHalf(minorSign!, minor!)) >>> 0;
  },
  save: (data) => ` --set-class ${classText(data, 4)}`,
  print: (data) => ` CLASSIFY set ${classText(data, 1)}`,
  help: () => HELP,
  check: (_, site) => refusePlacement(site, PLACEMENT),
  explain: (data) => `the packet gets traffic class ${classText(data, 1)}`,
  memory: 'flow',
  compile({ priority }) {
    return (packet) => {
      packet.priority = priority;
      return Verdict.next;
    };
  },
});
