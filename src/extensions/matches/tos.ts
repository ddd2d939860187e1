import { defineMatch } from '../contract.ts';
import { NAMED_TOS_MASK, TOS_NAMES } from '../tos-names.ts';
import { not } from '../words.ts';

/** `struct xt_tos_match_info`. */
interface TosMatch {
  value: number;
  mask: number;
  invert: boolean;
}

const hex2 = (value: number): string => `0x${value.toString(16).padStart(2, '0')}`;

const HELP = `tos match options:
[!] --tos value[/mask]    Match Type of Service/Priority field value
[!] --tos symbol          Match TOS field (IPv4 only) by symbol
                          Accepted symbolic names for value are:
                          (0x10) 16 Minimize-Delay
                          (0x08)  8 Maximize-Throughput
                          (0x04)  4 Maximize-Reliability
                          (0x02)  2 Minimize-Cost
                          (0x00)  0 Normal-Service

`;

export const tos = defineMatch<TosMatch>({
  name: 'tos',
  families: [4, 6],
  options: [{ name: 'tos', type: 'tos-mask', invert: true, mandatory: true, max: NAMED_TOS_MASK }],
  init: () => ({ value: 0, mask: 0, invert: false }),
  parse(data, option) {
    data.value = option.value;
    data.mask = option.mask;
    data.invert = option.invert;
  },
  save: (data) => `${not(data.invert)} --tos ${hex2(data.value)}/${hex2(data.mask)}`,
  print(data, { numeric }) {
    const name = numeric || data.mask !== NAMED_TOS_MASK ? undefined : TOS_NAMES.get(data.value);
    return ` tos match${data.invert ? '!' : ''}${name === undefined ? `${hex2(data.value)}/${hex2(data.mask)}` : ` ${name}`}`;
  },
  help: () => HELP,
  explain: (data) =>
    `the TOS byte under the mask ${hex2(data.mask)} is ${data.invert ? 'not ' : ''}${hex2(data.value)}`,
  pure: true,
  compile({ value, mask, invert }, { family }) {
    if (family === 4) return ({ bytes }) => ((bytes[1]! & mask) === value) !== invert;
    return ({ bytes }) => (((((bytes[0]! & 15) << 4) | (bytes[1]! >> 4)) & mask) === value) !== invert;
  },
});
