import { Verdict } from '../../datapath/verdicts.ts';
import { defineTarget, UsageError } from '../contract.ts';
import { saveString } from '../words.ts';

/** `struct xt_nflog_info`. */
interface NflogTarget {
  group: number;
  prefix: string;
  threshold: number;
  /** `--nflog-size`; null: not given. */
  size: number | null;
  /** `--nflog-range`, which never had an effect. */
  range: number;
}

const LONGEST_PREFIX = { legacy: 63, nft: 127 } as const;

const HELP = `NFLOG target options:
 --nflog-group NUM		NETLINK group used for logging
 --nflog-range NUM		This option has no effect, use --nflog-size
 --nflog-size NUM		Number of bytes to copy
 --nflog-threshold NUM		Message threshold of in-kernel queue
 --nflog-prefix STRING		Prefix string for log messages
`;

function texts({ group, prefix, threshold, size, range }: NflogTarget, dashes: string): string {
  let text = '';
  if (prefix !== '') text += ` ${dashes}nflog-prefix${saveString(prefix)}`;
  if (group !== 0) text += ` ${dashes}nflog-group ${group}`;
  if (size !== null) text += ` ${dashes}nflog-size ${size}`;
  else if (range !== 0) text += ` ${dashes}nflog-range ${range}`;
  if (threshold !== 0) text += ` ${dashes}nflog-threshold ${threshold}`;
  return text;
}

export const NFLOG = defineTarget<NflogTarget>({
  name: 'NFLOG',
  families: [4, 6],
  options: [
    { name: 'nflog-group', type: 'uint16' },
    { name: 'nflog-prefix', type: 'string', min: 1 },
    { name: 'nflog-range', type: 'uint32', excludes: ['nflog-size'] },
    { name: 'nflog-size', type: 'uint32', excludes: ['nflog-range'] },
    { name: 'nflog-threshold', type: 'uint16' },
  ],
  init: () => ({ group: 0, prefix: '', threshold: 0, size: null, range: 0 }),
  parse(data, { name, number, text }, { variant }) {
    switch (name) {
      case 'nflog-group':
        data.group = number;
        break;
      case 'nflog-prefix':
        if (text.includes('\n')) throw new UsageError('Newlines not allowed in --log-prefix');
        data.prefix = text.slice(0, LONGEST_PREFIX[variant]);
        break;
      case 'nflog-range':
        // nft's log expression has no place for it.
        if (variant === 'legacy') data.range = number;
        break;
      case 'nflog-size':
        data.size = number;
        break;
      case 'nflog-threshold':
        data.threshold = number;
        break;
    }
  },
  finish(_, { seen, warn }) {
    if (seen.has('nflog-range')) {
      warn('warn: --nflog-range has never worked and is no longer supported, please use --nflog-size instead\n');
    }
  },
  save: (data) => texts(data, '--'),
  print: (data) => texts(data, ''),
  help: () => HELP,
  explain: ({ group, prefix }) =>
    `the packet is shown to the listeners of log group ${group}${prefix === '' ? '' : ` as "${prefix}"`}`,
  memory: 'flow',
  compile({ group, prefix, size }, { machine }) {
    const record = { group, prefix, size: size ?? 0 };
    return (packet, at) => {
      machine.nflog(packet, at, record);
      return Verdict.next;
    };
  },
});
