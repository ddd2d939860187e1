import { readUint32 } from '../../packet/bytes.ts';
import { Protocol } from '../../packet/protocol.ts';
import { defineMatch } from '../contract.ts';
import { explainSpis, listSpis, matchSpi, type SpiRange, saveSpis, storeSpis, takeSpis } from '../spi-range.ts';

const HELP = `esp match options:
[!] --espspi spi[:spi]
				match spi (range)
`;

/** `esp_mt` (net/netfilter/xt_esp.c). */
export const esp = defineMatch<SpiRange>({
  name: 'esp',
  families: [4, 6],
  options: [{ name: 'espspi', type: 'uint32-range', invert: true }],
  init: () => ({ spis: [0, 0xffffffff], invert: false }),
  parse: takeSpis,
  save: (data) => saveSpis('espspi', data),
  store: (data) => storeSpis('espspi', data),
  print(data) {
    const spis = listSpis('spi', data);
    return spis === '' ? ' esp' : ` esp ${spis}`;
  },
  help: () => HELP,
  check: (_data, { rule }) => (rule.protocol === Protocol.esp && !rule.protocolInvert ? null : 'EINVAL'),
  explain: (data) => explainSpis('an ESP SPI', data),
  pure: true,
  compile: (data) => matchSpi(data, 8, readUint32),
});
