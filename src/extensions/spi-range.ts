import type { MatchFunction, ParsedOption } from './contract.ts';
import { not, rangeText, rangeWords } from './words.ts';

/** A range of SPIs (or compression indices) with its inversion. */
export interface SpiRange {
  spis: [number, number];
  invert: boolean;
}

const MAX_SPI = 0xffffffff;

/** The range that an option gives; a single number stands for itself. */
export function takeSpis(data: SpiRange, option: ParsedOption): void {
  data.spis = [option.numbers[0]!, option.numbers[1] ?? option.numbers[0]!];
  data.invert = option.invert;
}

/** ` ! --ahspi 5:9`; '' for all of them. */
export function saveSpis(option: string, { spis, invert }: SpiRange): string {
  if (spis[0] === 0 && spis[1] === MAX_SPI) return '';
  return `${not(invert)} --${option} ${rangeText(spis)}`;
}

/** As `saveSpis`, but an inverted range of all of them is kept, for it is listed. */
export function storeSpis(option: string, range: SpiRange): string {
  return saveSpis(option, range) || (range.invert ? ` ! --${option} 0:${MAX_SPI}` : '');
}

/** `spi:5`, `spis:!5:9`; '' for all of them. */
export function listSpis(name: string, { spis: [min, max], invert }: SpiRange): string {
  if (min === 0 && max === MAX_SPI && !invert) return '';
  const inverted = invert ? '!' : '';
  return min === max ? `${name}:${inverted}${min}` : `${name}s:${inverted}${min}:${max}`;
}

/** "the SPI is not 5 to 9", or that there is one at all. */
export function explainSpis(what: string, { spis, invert }: SpiRange): string {
  if (spis[0] === 0 && spis[1] === MAX_SPI && !invert) return `the packet has ${what}`;
  return `${what} is ${invert ? 'not ' : ''}${rangeWords(spis)}`;
}

/** Tests the number that `read` finds in a transport header of at least `length` bytes; drops the packet if that is cut off. */
export function matchSpi(
  { spis: [min, max], invert }: SpiRange,
  length: number,
  read: (bytes: Uint8Array, offset: number) => number,
): MatchFunction {
  return (packet) => {
    if (packet.fragmentOffset !== 0) return false;
    const { bytes, transport } = packet;
    if (transport + length > bytes.length) {
      packet.hotdrop = true;
      return false;
    }
    const spi = read(bytes, transport);
    return (spi >= min && spi <= max) !== invert;
  };
}
