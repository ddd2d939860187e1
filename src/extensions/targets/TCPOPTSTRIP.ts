import { Verdict } from '../../datapath/verdicts.ts';
import { pullHeader } from '../../packet/fragmentation.ts';
import { setTransportByte } from '../../packet/rewrite.ts';
import { parseUnsigned } from '../../syntax/numbers.ts';
import { defineTarget, UsageError } from '../contract.ts';
import { MANGLE_TCP, refusePlacement } from './placement.ts';
import { optionLength } from './tcp-options.ts';

/** Option kinds, ascending. */
interface TcpoptstripTarget {
  kinds: number[];
}

const NAMES: readonly (readonly [name: string, description: string, kind: number])[] = [
  ['wscale', 'Window scale', 3],
  ['mss', 'Maximum Segment Size', 2],
  ['sack-permitted', 'SACK permitted', 4],
  ['sack', 'Selective ACK', 5],
  ['timestamp', 'Timestamp', 8],
  ['md5', 'MD5 signature', 19],
];

const NOP = 1;
const TCP_HEADER = 20;

const HELP = `TCPOPTSTRIP target options:
  --strip-options value     strip specified TCP options denoted by value
                            (separated by comma) from TCP header
  Instead of the numeric value, you can also use the following names:
${NAMES.map(([name, description]) => `    ${name.padEnd(14)}    strip "${description}" option\n`).join('')}`;

export const TCPOPTSTRIP = defineTarget<TcpoptstripTarget>({
  name: 'TCPOPTSTRIP',
  families: [4, 6],
  options: [{ name: 'strip-options', type: 'string' }],
  init: () => ({ kinds: [] }),
  parse(data, { text }) {
    for (const item of text.split(',')) {
      const kind = NAMES.find(([name]) => name === item)?.[2] ?? parseUnsigned(item, 0, 0xff);
      if (kind === null) throw new UsageError(`Bad TCP option value "${item}"`);
      if (kind < 2) throw new UsageError('Option value may not be 0 or 1');
      if (data.kinds.includes(kind)) throw new UsageError(`Option "${item}" already specified`);
      data.kinds.push(kind);
    }
    data.kinds.sort((a, b) => a - b);
  },
  save: ({ kinds }) => (kinds.length === 0 ? '' : ` --strip-options ${kinds.join(',')}`),
  print({ kinds }, { numeric }) {
    if (kinds.length === 0) return '';
    const name = (kind: number): string => NAMES.find(([, , known]) => known === kind)?.[0] ?? String(kind);
    return ` TCPOPTSTRIP options ${(numeric ? kinds : kinds.map(name)).join(',')}`;
  },
  help: () => HELP,
  check: (_, site) => refusePlacement(site, MANGLE_TCP),
  explain: ({ kinds }) =>
    kinds.length === 0 ? 'no TCP option is overwritten' : `the TCP options ${kinds.join(', ')} are overwritten`,
  memory: 'flow',
  compile({ kinds }) {
    const stripped = new Uint8Array(256);
    for (const kind of kinds) stripped[kind] = 1;
    return (packet) => {
      if (packet.fragmentOffset !== 0) return Verdict.next;
      const { bytes, transport } = packet;
      if (transport + TCP_HEADER > bytes.length) return Verdict.drop;
      const headerLength = (bytes[transport + 12]! >>> 4) * 4;
      if (headerLength < TCP_HEADER || transport + headerLength > bytes.length) return Verdict.drop;
      pullHeader(packet, headerLength);
      packet.sharesBytes = false;
      for (let i = TCP_HEADER; i < headerLength - 1; ) {
        const length = optionLength(bytes, transport + i);
        if (i + length > headerLength) break;
        if (stripped[bytes[transport + i]!] === 1) {
          for (let j = i; j < i + length; j++) setTransportByte(packet, j, NOP);
        }
        i += length;
      }
      return Verdict.next;
    };
  },
});
