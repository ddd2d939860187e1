import { defineMatch, UsageError } from '../contract.ts';

/** `struct ipt_ttl_info`. */
interface TtlMatch {
  mode: 'eq' | 'ne' | 'lt' | 'gt';
  value: number;
}

const OPERATORS = { eq: '==', ne: '!=', lt: '<', gt: '>' } as const;
const WORDS = { eq: '', ne: 'other than ', lt: 'below ', gt: 'above ' } as const;
const ANY = ['ttl-eq', 'ttl-lt', 'ttl-gt'];

const HELP = `ttl match options:
[!] --ttl-eq value	Match time to live value
  --ttl-lt value	Match TTL < value
  --ttl-gt value	Match TTL > value
`;

export const ttl = defineMatch<TtlMatch>({
  name: 'ttl',
  families: [4],
  options: [
    { name: 'ttl-lt', type: 'uint8', excludes: ANY },
    { name: 'ttl-gt', type: 'uint8', excludes: ANY },
    { name: 'ttl-eq', type: 'uint8', invert: true, excludes: ANY },
    { name: 'ttl', type: 'uint8', synonymOf: 'ttl-eq' },
  ],
  init: () => ({ mode: 'eq', value: 0 }),
  parse(data, option) {
    data.value = option.number;
    data.mode = option.name === 'ttl-lt' ? 'lt' : option.name === 'ttl-gt' ? 'gt' : option.invert ? 'ne' : 'eq';
  },
  finish(_data, { seen }) {
    if (seen.size === 0) throw new UsageError("TTL match: You must specify one of `--ttl-eq', `--ttl-lt', `--ttl-gt");
  },
  save: ({ mode, value }) => `${mode === 'ne' ? ' ! --ttl-eq' : ` --ttl-${mode}`} ${value}`,
  print: ({ mode, value }) => ` TTL match TTL ${OPERATORS[mode]} ${value}`,
  help: () => HELP,
  explain: ({ mode, value }) => `the TTL is ${WORDS[mode]}${value}`,
  pure: true,
  // `ttl_mt` (net/netfilter/xt_hl.c)
  compile({ mode, value }) {
    switch (mode) {
      case 'eq':
        return ({ bytes }) => bytes[8] === value;
      case 'ne':
        return ({ bytes }) => bytes[8] !== value;
      case 'lt':
        return ({ bytes }) => bytes[8]! < value;
      case 'gt':
        return ({ bytes }) => bytes[8]! > value;
    }
  },
});
