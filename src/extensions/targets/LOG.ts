import { Verdict } from '../../datapath/verdicts.ts';
import { formatLogLine, LogFlag } from '../../trace/reporters/kernel-log/line.ts';
import { defineTarget, UsageError } from '../contract.ts';
import { saveString } from '../words.ts';

/** `struct xt_log_info`. */
interface LogTarget {
  level: number;
  /** `LogFlag` bits. */
  flags: number;
  prefix: string;
}

const WARNING = 4;
const LONGEST_PREFIX = 29;
/** By level, as syslog.h names it first. */
const LEVEL_NAMES = ['emerg', 'alert', 'crit', 'err', 'warn', 'notice', 'info', 'debug'];
/** In the order in which they are printed. */
const FLAGS: readonly (readonly [string, number])[] = [
  ['tcp-sequence', LogFlag.tcpSequence],
  ['tcp-options', LogFlag.tcpOptions],
  ['ip-options', LogFlag.ipOptions],
  ['uid', LogFlag.uid],
  ['macdecode', LogFlag.macDecode],
];

const HELP = `LOG target options:
 --log-level level		Level of logging (numeric or see syslog.conf)
 --log-prefix prefix		Prefix log messages with this prefix.
 --log-tcp-sequence		Log TCP sequence numbers.
 --log-tcp-options		Log TCP options.
 --log-ip-options		Log IP options.
 --log-uid			Log UID owning the local socket.
 --log-macdecode		Decode MAC addresses and protocol.
`;

function flagTexts(flags: number, prefix: string): string {
  return FLAGS.map(([name, flag]) => (flags & flag ? ` ${prefix}${name}` : '')).join('');
}

export const LOG = defineTarget<LogTarget>({
  name: 'LOG',
  families: [4, 6],
  options: [
    { name: 'log-level', type: 'syslog-level' },
    { name: 'log-prefix', type: 'string', min: 1 },
    { name: 'log-tcp-sequence', type: 'none' },
    { name: 'log-tcp-options', type: 'none' },
    { name: 'log-ip-options', type: 'none' },
    { name: 'log-uid', type: 'none' },
    { name: 'log-macdecode', type: 'none' },
  ],
  init: () => ({ level: WARNING, flags: 0, prefix: '' }),
  parse(data, { name, number, text }) {
    if (name === 'log-level') data.level = number;
    else if (name === 'log-prefix') {
      if (text.includes('\n')) throw new UsageError('Newlines not allowed in --log-prefix');
      data.prefix = text.slice(0, LONGEST_PREFIX);
    } else data.flags |= FLAGS.find(([flag]) => `log-${flag}` === name)![1];
  },
  save({ level, flags, prefix }) {
    const prefixText = prefix === '' ? '' : ` --log-prefix${saveString(prefix)}`;
    return `${prefixText}${level === WARNING ? '' : ` --log-level ${level}`}${flagTexts(flags, '--log-')}`;
  },
  print({ level, flags, prefix }, { numeric }) {
    const how = numeric ? ` flags ${flags} level ${level}` : ` level ${LEVEL_NAMES[level]}${flagTexts(flags, '')}`;
    return ` LOG${how}${prefix === '' ? '' : ` prefix "${prefix}"`}`;
  },
  help: () => HELP,
  explain({ prefix, level }) {
    const how = level === WARNING ? '' : ` at level ${LEVEL_NAMES[level]}`;
    return `the packet is logged${prefix === '' ? '' : ` as "${prefix}"`}${how}`;
  },
  memory: 'flow',
  compile({ level, flags, prefix }, { machine }) {
    const style = { prefix, flags };
    return (packet, at) => {
      machine.log(packet, at, { level, line: formatLogLine(packet, at, style) });
      return Verdict.next;
    };
  },
});
