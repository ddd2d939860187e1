import { Verdict } from '../../datapath/verdicts.ts';
import { defineTarget } from '../contract.ts';
import { storedName } from '../words.ts';

/** `struct idletimer_tg_info_v1`. */
interface IdletimerTarget {
  /** Seconds. */
  timeout: number;
  label: string;
  alarm: boolean;
}

const HELP = `IDLETIMER target options:
 --timeout time	Timeout until the notification is sent (in seconds)
 --label string	Unique rule identifier
 --alarm	Use alarm instead of default timer

`;

const LONGEST_LABEL = 27;
/** INT_MAX / 1000: the kernel counts in milliseconds. */
const TIMEOUT_LIMIT = 2_147_483;
/** Names that are taken in the timer's directory of sysfs, or are no file names. */
const TAKEN = ['', '.', '..', 'power', 'subsystem', 'uevent'];

function saved({ timeout, alarm }: IdletimerTarget, label: string): string {
  return ` --timeout ${timeout} --label ${label}${alarm ? ' --alarm' : ''}`;
}

export const IDLETIMER = defineTarget<IdletimerTarget>({
  name: 'IDLETIMER',
  families: [4, 6],
  options: [
    { name: 'timeout', type: 'uint32', mandatory: true },
    { name: 'label', type: 'string', mandatory: true },
    { name: 'alarm', type: 'none' },
  ],
  init: () => ({ timeout: 0, label: '', alarm: false }),
  parse(data, { name, number, text }) {
    if (name === 'timeout') data.timeout = number;
    else if (name === 'label') data.label = text.slice(0, LONGEST_LABEL);
    else data.alarm = true;
  },
  save: (data) => saved(data, data.label),
  store: (data) => saved(data, storedName(data.label)),
  print: ({ timeout, label, alarm }) => ` timeout:${timeout} label:${label}${alarm ? ' alarm' : ''}`,
  help: () => HELP,
  check({ timeout, label }) {
    if (timeout === 0 || timeout >= TIMEOUT_LIMIT) return 'EINVAL';
    return TAKEN.includes(label) || label.includes('/') ? 'EINVAL' : null;
  },
  explain: ({ timeout, label }) => `timer ${label} starts again from ${timeout} s`,
  compile({ timeout, label }, { machine }) {
    const timer = machine.namedState('idletimer', label, () => ({ expires: 0 }));
    const period = timeout * 1_000_000;
    return () => {
      timer.expires = machine.now() + period;
      return Verdict.next;
    };
  },
});
