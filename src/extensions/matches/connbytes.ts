import { type Connection, Direction, Status } from '../../conntrack/connection.ts';
import { defineMatch, UsageError } from '../contract.ts';
import { rangeWords } from '../words.ts';

/** `struct xt_connbytes_info`: 64-bit bounds as decimal text; `from` above `to` means inverted. */
interface ConnbytesMatch {
  from: string;
  to: string;
  mode: 'packets' | 'bytes' | 'avgpkt';
  direction: 'original' | 'reply' | 'both';
}

const MAX = 0xffffffffffffffffn;

function describe(data: ConnbytesMatch, prefix: string): string {
  let low = BigInt(data.from);
  let high = BigInt(data.to);
  const inverted = low > high;
  if (inverted) [low, high] = [high, low];
  const end = high !== 0n && high < MAX ? `:${high}` : '';
  return `${inverted ? ' !' : ''} ${prefix}connbytes ${low}${end}`;
}

const HELP = `connbytes match options:
 [!] --connbytes from:[to]
     --connbytes-dir [original, reply, both]
     --connbytes-mode [packets, bytes, avgpkt]
`;

export const connbytes = defineMatch<ConnbytesMatch>({
  name: 'connbytes',
  families: [4, 6],
  options: [
    { name: 'connbytes', type: 'uint64-range', invert: true, mandatory: true },
    { name: 'connbytes-dir', type: 'string', mandatory: true },
    { name: 'connbytes-mode', type: 'string', mandatory: true },
  ],
  init: () => ({ from: '0', to: '0', mode: 'packets', direction: 'original' }),
  parse(data, option) {
    const { text } = option;
    switch (option.name) {
      case 'connbytes': {
        const from = option.bigs[0]!;
        const to = option.bigs[1] ?? MAX;
        if (to < from) throw new UsageError(`${from} should be less than ${to}`);
        [data.from, data.to] = option.invert ? [String(to), String(from)] : [String(from), String(to)];
        break;
      }
      case 'connbytes-dir':
        if (text !== 'original' && text !== 'reply' && text !== 'both')
          throw new UsageError(`Unknown --connbytes-dir \`${text}'`);
        data.direction = text;
        break;
      case 'connbytes-mode':
        if (text !== 'packets' && text !== 'bytes' && text !== 'avgpkt')
          throw new UsageError(`Unknown --connbytes-mode \`${text}'`);
        data.mode = text;
        break;
    }
  },
  save: (data) => `${describe(data, '--')} --connbytes-mode ${data.mode} --connbytes-dir ${data.direction}`,
  print: (data) => `${describe(data, '')} connbytes mode ${data.mode} connbytes direction ${data.direction}`,
  help: () => HELP,
  explain(data) {
    const what =
      data.mode === 'avgpkt'
        ? 'average packet size'
        : data.mode === 'packets'
          ? 'number of packets'
          : 'number of bytes';
    const where = data.direction === 'both' ? 'in both directions' : `in the ${data.direction} direction`;
    const [from, to] = [BigInt(data.from), BigInt(data.to)];
    const [low, high] = from > to ? [to, from] : [from, to];
    const range = high === MAX ? `at least ${low}` : rangeWords([low, high]);
    return `the connection's ${what} ${where} is ${from > to ? 'not ' : ''}${range}`;
  },
  pure: true,
  // `connbytes_mt` (net/netfilter/xt_connbytes.c)
  compile({ from, to, mode, direction }) {
    const [first, last] = [BigInt(from), BigInt(to)];
    const original = direction !== 'reply';
    const reply = direction !== 'original';
    const packets = (connection: Connection): bigint =>
      (original ? connection.packets(Direction.original) : 0n) + (reply ? connection.packets(Direction.reply) : 0n);
    const bytes = (connection: Connection): bigint =>
      (original ? connection.bytes(Direction.original) : 0n) + (reply ? connection.bytes(Direction.reply) : 0n);
    return ({ connection }) => {
      // What a CT rule has left on the packet counts nothing.
      if (connection === null || (connection.status & Status.template) !== 0) return false;
      let count = mode === 'packets' ? packets(connection) : bytes(connection);
      if (mode === 'avgpkt') {
        const number = packets(connection);
        count = number === 0n ? 0n : count / number;
      }
      return last >= first ? count <= last && count >= first : count < last || count > first;
    };
  },
});
