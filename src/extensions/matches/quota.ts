import { defineMatch } from '../contract.ts';
import { not } from '../words.ts';

/** `struct xt_quota_info`; the number of bytes as decimal text, for it has 64 bits. */
interface QuotaMatch {
  quota: string;
  invert: boolean;
}

const HELP = `quota match options:
[!] --quota quota		quota (bytes)
`;

export const quota = defineMatch<QuotaMatch>({
  name: 'quota',
  families: [4, 6],
  options: [{ name: 'quota', type: 'uint64', invert: true, mandatory: true }],
  init: () => ({ quota: '0', invert: false }),
  parse(data, option) {
    data.quota = String(option.big);
    data.invert = option.invert;
  },
  save: (data) => `${not(data.invert)} --quota ${data.quota}`,
  print: (data) => ` quota: ${data.quota} bytes`,
  help: () => HELP,
  explain: (data) =>
    data.invert
      ? `the quota of ${data.quota} bytes is used up`
      : `the packet fits into what is left of the quota of ${data.quota} bytes`,
  // `quota_mt` (net/netfilter/xt_quota.c): the first packet too large ends it for good.
  compile(data, environment) {
    const { invert } = data;
    // Beyond 2^53 bytes a double is not exact, but nobody gets there.
    const state = environment.ruleState('quota', () => ({ rest: Number(data.quota) }));
    return ({ bytes }) => {
      if (state.rest >= bytes.length) {
        state.rest -= bytes.length;
        return !invert;
      }
      state.rest = 0;
      return invert;
    };
  },
});
