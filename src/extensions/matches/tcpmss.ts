import { readUint16 } from '../../packet/bytes.ts';
import { Protocol } from '../../packet/protocol.ts';
import { defineMatch, UsageError } from '../contract.ts';
import { not, rangeText, rangeWords } from '../words.ts';

interface TcpmssMatch {
  range: [number, number];
  invert: boolean;
}

const MSS_OPTION = 2;
const MSS_LENGTH = 4;

const HELP = `tcpmss match options:
[!] --mss value[:value]	Match TCP MSS range.
				(only valid for TCP SYN or SYN/ACK packets)
`;

export const tcpmss = defineMatch<TcpmssMatch>({
  name: 'tcpmss',
  families: [4, 6],
  options: [{ name: 'mss', type: 'uint16-range', invert: true, mandatory: true }],
  init: () => ({ range: [0, 0], invert: false }),
  parse(data, option) {
    const min = option.numbers[0]!;
    const max = option.numbers[1] ?? min;
    if (max < min) throw new UsageError('tcpmss: invalid range given');
    data.range = [min, max];
    data.invert = option.invert;
  },
  save: (data) => `${not(data.invert)} --mss ${rangeText(data.range)}`,
  print: (data) => ` tcpmss match ${data.invert ? '!' : ''}${rangeText(data.range)}`,
  help: () => HELP,
  check: (_data, { rule }) => (rule.protocol === Protocol.tcp && !rule.protocolInvert ? null : 'EINVAL'),
  explain: (data) =>
    `the TCP maximum segment size is ${data.invert ? 'not given or not ' : ''}${rangeWords(data.range)}`,
  pure: true,
  // `tcpmss_mt` (net/netfilter/xt_tcpmss.c)
  compile({ range: [min, max], invert }) {
    return (packet) => {
      const { bytes, transport } = packet;
      const headerLength = transport + 20 > bytes.length ? 0 : (bytes[transport + 12]! >> 4) * 4;
      const end = transport + headerLength;
      if (headerLength < 20 || end > bytes.length) {
        packet.hotdrop = true;
        return false;
      }
      for (let i = transport + 20; i < end; ) {
        const kind = bytes[i]!;
        if (kind === MSS_OPTION && end - i >= MSS_LENGTH && bytes[i + 1] === MSS_LENGTH) {
          const mss = readUint16(bytes, i + 2);
          return (mss >= min && mss <= max) !== invert;
        }
        i += kind < 2 ? 1 : (i + 1 < end ? bytes[i + 1]! : 1) || 1;
      }
      return invert;
    };
  },
});
