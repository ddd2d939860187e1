import { defineMatch, UsageError } from '../contract.ts';

/** `struct ip6t_hl_info`. */
interface HlMatch {
  mode: 'eq' | 'ne' | 'lt' | 'gt';
  value: number;
}

const OPERATORS = { eq: '==', ne: '!=', lt: '<', gt: '>' } as const;
const WORDS = { eq: '', ne: 'other than ', lt: 'below ', gt: 'above ' } as const;
const ANY = ['hl-eq', 'hl-lt', 'hl-gt'];

const HELP = `hl match options:
[!] --hl-eq value	Match hop limit value
  --hl-lt value	Match HL < value
  --hl-gt value	Match HL > value
`;

export const hl = defineMatch<HlMatch>({
  name: 'hl',
  families: [6],
  options: [
    { name: 'hl-lt', type: 'uint8', excludes: ANY },
    { name: 'hl-gt', type: 'uint8', excludes: ANY },
    { name: 'hl-eq', type: 'uint8', invert: true, excludes: ANY },
    { name: 'hl', type: 'uint8', synonymOf: 'hl-eq' },
  ],
  init: () => ({ mode: 'eq', value: 0 }),
  parse(data, option) {
    data.value = option.number;
    data.mode = option.name === 'hl-lt' ? 'lt' : option.name === 'hl-gt' ? 'gt' : option.invert ? 'ne' : 'eq';
  },
  finish(_data, { seen }) {
    if (seen.size === 0) throw new UsageError("HL match: You must specify one of `--hl-eq', `--hl-lt', `--hl-gt'");
  },
  save: ({ mode, value }) => `${mode === 'ne' ? ' ! --hl-eq' : ` --hl-${mode}`} ${value}`,
  print: ({ mode, value }) => ` HL match HL ${OPERATORS[mode]} ${value}`,
  help: () => HELP,
  explain: ({ mode, value }) => `the hop limit is ${WORDS[mode]}${value}`,
  pure: true,
  // `hl_mt6` (net/netfilter/xt_hl.c)
  compile({ mode, value }) {
    switch (mode) {
      case 'eq':
        return ({ bytes }) => bytes[7] === value;
      case 'ne':
        return ({ bytes }) => bytes[7] !== value;
      case 'lt':
        return ({ bytes }) => bytes[7]! < value;
      case 'gt':
        return ({ bytes }) => bytes[7]! > value;
    }
  },
});
