import { defineTarget, UsageError } from '../contract.ts';
import { compileMissing, warnMissing } from '../missing.ts';
import { saveString } from '../words.ts';

/** `struct ipt_ulog_info`. */
interface UlogTarget {
  /** From 1; the kernel has it as a bit. */
  group: number;
  prefix: string;
  copyRange: number;
  threshold: number;
}

const HELP = `ULOG target options:
 --ulog-nlgroup nlgroup		NETLINK group used for logging
 --ulog-cprange size		Bytes of each packet to be passed
 --ulog-qthreshold		Threshold of in-kernel queue
 --ulog-prefix prefix		Prefix log messages with this prefix.
`;

const LONGEST_PREFIX = 31;
const MAX_THRESHOLD = 50;

/** NFLOG took its place; the kernel removed it in Linux 3.17, so its rules are read, and then refused. */
export const ULOG = defineTarget<UlogTarget>({
  name: 'ULOG',
  families: [4],
  options: [
    { name: 'ulog-nlgroup', type: 'uint8', min: 1, max: 32 },
    { name: 'ulog-prefix', type: 'string', min: 1 },
    { name: 'ulog-cprange', type: 'uint64' },
    { name: 'ulog-qthreshold', type: 'uint64', min: 1, max: MAX_THRESHOLD },
  ],
  init(context) {
    warnMissing('ULOG', context);
    return { group: 1, prefix: '', copyRange: 0, threshold: 1 };
  },
  parse(data, { name, number, big, text }) {
    switch (name) {
      case 'ulog-nlgroup':
        data.group = number;
        break;
      case 'ulog-prefix':
        if (text.includes('\n')) throw new UsageError('Newlines not allowed in --ulog-prefix');
        data.prefix = text.slice(0, LONGEST_PREFIX);
        break;
      case 'ulog-cprange':
        data.copyRange = Number(BigInt.asUintN(32, big));
        break;
      case 'ulog-qthreshold':
        data.threshold = number;
        break;
    }
  },
  save({ group, prefix, copyRange, threshold }) {
    let text = prefix === '' ? '' : ` --ulog-prefix${saveString(prefix)}`;
    if (group !== 1) text += ` --ulog-nlgroup ${group}`;
    if (copyRange !== 0) text += ` --ulog-cprange ${copyRange}`;
    return threshold === 1 ? text : `${text} --ulog-qthreshold ${threshold}`;
  },
  print({ group, prefix, copyRange, threshold }) {
    const prefixText = prefix === '' ? '' : ` prefix "${prefix}"`;
    return ` ULOG copy_range ${copyRange} nlgroup ${group}${prefixText} queue_threshold ${threshold}`;
  },
  help: () => HELP,
  absent: true,
  explain: ({ group }) => `the packet is shown to log group ${group}`,
  compile: () => compileMissing('ULOG'),
});
