import { readUint16, readUint32 } from '../../packet/bytes.ts';
import { Protocol } from '../../packet/protocol.ts';
import { defineMatch } from '../contract.ts';
import { findExtensionHeader, TRUNCATED } from '../header-search.ts';
import { explainSpis, listSpis, matchSpi, type SpiRange, saveSpis, storeSpis, takeSpis } from '../spi-range.ts';
import { not } from '../words.ts';

const HELP_4 = `ah match options:
[!] --ahspi spi[:spi]
				match spi (range)
`;

/** `ah_mt` (net/ipv4/netfilter/ipt_ah.c). */
export const ah4 = defineMatch<SpiRange>({
  name: 'ah',
  families: [4],
  options: [{ name: 'ahspi', type: 'uint32-range', invert: true }],
  init: () => ({ spis: [0, 0xffffffff], invert: false }),
  parse: takeSpis,
  save: (data) => saveSpis('ahspi', data),
  store: (data) => storeSpis('ahspi', data),
  print: (data) => ` ah ${listSpis('spi', data)}`,
  help: () => HELP_4,
  check: (_data, { rule }) => (rule.protocol === Protocol.ah && !rule.protocolInvert ? null : 'EINVAL'),
  explain: (data) => explainSpis('an authentication header SPI', data),
  pure: true,
  compile: (data) => matchSpi(data, 12, (bytes, offset) => readUint32(bytes, offset + 4)),
});

/** `struct ip6t_ah`. */
interface Ah6Match extends SpiRange {
  /** Bytes; 0: not tested. */
  length: number;
  invertLength: boolean;
  reserved: boolean;
}

function restText(data: Ah6Match): string {
  const length = data.length !== 0 || data.invertLength ? `${not(data.invertLength)} --ahlen ${data.length}` : '';
  return length + (data.reserved ? ' --ahres' : '');
}

const HELP_6 = `ah match options:
[!] --ahspi spi[:spi]          match spi (range)
[!] --ahlen length             total length of this header
 --ahres                       check the reserved field too
`;

/** `ah_mt6` (net/ipv6/netfilter/ip6t_ah.c): the first authentication header of the chain. */
export const ah6 = defineMatch<Ah6Match>({
  name: 'ah',
  families: [6],
  options: [
    { name: 'ahspi', type: 'uint32-range', invert: true },
    { name: 'ahlen', type: 'uint32', invert: true },
    { name: 'ahres', type: 'none' },
  ],
  init: () => ({ spis: [0, 0xffffffff], invert: false, length: 0, invertLength: false, reserved: false }),
  parse(data, option) {
    if (option.name === 'ahspi') {
      takeSpis(data, option);
    } else if (option.name === 'ahlen') {
      data.length = option.number;
      data.invertLength = option.invert;
    } else {
      data.reserved = true;
    }
  },
  save: (data) => saveSpis('ahspi', data) + restText(data),
  store: (data) => storeSpis('ahspi', data) + restText(data),
  print(data) {
    let text = ` ah ${listSpis('spi', data)}`;
    if (data.length !== 0 || data.invertLength) text += `length:${data.invertLength ? '!' : ''}${data.length}`;
    return data.reserved ? `${text} reserved` : text;
  },
  help: () => HELP_6,
  explain(data) {
    const parts = [explainSpis('an authentication header SPI', data)];
    if (data.length !== 0) parts.push(`that header is ${data.invertLength ? 'not ' : ''}${data.length} bytes long`);
    if (data.reserved) parts.push('its reserved field is 0');
    return parts.join(' and ');
  },
  pure: true,
  compile({ spis: [min, max], invert, length, invertLength, reserved }) {
    return (packet) => {
      const { bytes } = packet;
      const offset = findExtensionHeader(bytes, Protocol.ah);
      if (offset < 0) {
        if (offset === TRUNCATED) packet.hotdrop = true;
        return false;
      }
      if (offset + 12 > bytes.length) {
        packet.hotdrop = true;
        return false;
      }
      const spi = readUint32(bytes, offset + 4);
      if ((spi >= min && spi <= max) === invert) return false;
      if (length !== 0 && (length === (bytes[offset + 1]! + 2) << 2) === invertLength) return false;
      return !(reserved && readUint16(bytes, offset + 2) !== 0);
    };
  },
});
