import { Verdict } from '../../datapath/verdicts.ts';
import { setTos, tosOf } from '../../packet/rewrite.ts';
import { defineTarget, UsageError } from '../contract.ts';
import { NAMED_TOS_MASK, TOS_NAMES } from '../tos-names.ts';
import { changeWords } from './MARK.ts';
import { paddedHex } from './numbers.ts';
import { MANGLE, refusePlacement } from './placement.ts';

/** `struct xt_tos_target_info`: clear the bits of `mask`, then exclusive-or `value`. */
interface TosTarget {
  value: number;
  mask: number;
}

const HELP = `TOS target vlibxtables.so.12 options:
  --set-tos value[/mask]  Set Type of Service/Priority field to value
                          (Zero out bits in mask and XOR value into TOS)
  --set-tos symbol        Set TOS field (IPv4 only) by symbol
                          (this zeroes the 4-bit Precedence part!)
                          Accepted symbolic names for value are:
                            (0x10) 16 Minimize-Delay
                            (0x08)  8 Maximize-Throughput
                            (0x04)  4 Maximize-Reliability
                            (0x02)  2 Minimize-Cost
                            (0x00)  0 Normal-Service

  --and-tos bits          Binary AND the TOS value with bits
  --or-tos  bits          Binary OR the TOS value with bits
  --xor-tos bits          Binary XOR the TOS value with bits
`;

const OPERATIONS = ['set-tos', 'and-tos', 'or-tos', 'xor-tos'] as const;

function maskedText({ value, mask }: TosTarget): string {
  return `${paddedHex(value, 2)}/${paddedHex(mask, 2)}`;
}

export const TOS = defineTarget<TosTarget>({
  name: 'TOS',
  families: [4, 6],
  options: [
    { name: 'set-tos', type: 'tos-mask', max: NAMED_TOS_MASK, excludes: OPERATIONS },
    { name: 'and-tos', type: 'uint8', excludes: OPERATIONS },
    { name: 'or-tos', type: 'uint8', excludes: OPERATIONS },
    { name: 'xor-tos', type: 'uint8', excludes: OPERATIONS },
  ],
  init: () => ({ value: 0, mask: 0 }),
  parse(data, { name, value, mask, number }) {
    switch (name) {
      case 'set-tos':
        data.value = value;
        data.mask = mask;
        break;
      case 'and-tos':
        data.value = 0;
        data.mask = ~number & 0xff;
        break;
      case 'or-tos':
        data.value = data.mask = number;
        break;
      case 'xor-tos':
        data.value = number;
        data.mask = 0;
        break;
    }
  },
  finish(_, { seen }) {
    if (seen.size === 0) throw new UsageError('TOS: An action is required');
  },
  save: (data) => ` --set-tos ${maskedText(data)}`,
  print(data, { numeric }) {
    const { value, mask } = data;
    const name = mask === NAMED_TOS_MASK ? TOS_NAMES.get(value) : undefined;
    if (!numeric) {
      if (name !== undefined) return `  TOS set${name}`;
      if (value === 0) return ` TOS and ${paddedHex(~mask & 0xff, 2)}`;
      if (value === mask) return ` TOS or ${paddedHex(value, 2)}`;
      if (mask === 0) return ` TOS xor ${paddedHex(value, 2)}`;
    }
    return ` TOS set ${maskedText(data)}`;
  },
  help: () => HELP,
  check: (_, site) => refusePlacement(site, MANGLE),
  explain: ({ value, mask }) => `the packet's TOS byte ${changeWords(value, mask, 0xff)}`,
  memory: 'flow',
  compile({ value, mask }) {
    const keep = ~mask & 0xff;
    return (packet) => {
      setTos(packet, (tosOf(packet) & keep) ^ value);
      return Verdict.next;
    };
  },
});
