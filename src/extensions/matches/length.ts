import { defineMatch } from '../contract.ts';
import { not, rangeText } from '../words.ts';

interface LengthMatch {
  range: [number, number];
  invert: boolean;
}

const HELP = `length match options:
[!] --length length[:length]    Match packet length against value or range
                                of values (inclusive)
`;

export const length = defineMatch<LengthMatch>({
  name: 'length',
  families: [4, 6],
  options: [{ name: 'length', type: 'uint16-range', invert: true, mandatory: true }],
  init: () => ({ range: [0, 0], invert: false }),
  parse(data, option) {
    data.range = [option.numbers[0]!, option.numbers[1] ?? option.numbers[0]!];
    data.invert = option.invert;
  },
  save: (data) => `${not(data.invert)} --length ${rangeText(data.range)}`,
  print: (data) => ` length ${data.invert ? '!' : ''}${rangeText(data.range)}`,
  help: () => HELP,
  explain: (data) =>
    `the packet is ${data.invert ? 'not ' : ''}${rangeText(data.range).replace(':', ' to ')} bytes long`,
  pure: true,
  // Both families count the whole packet with its IP header.
  compile({ range: [min, max], invert }) {
    return ({ bytes }) => (bytes.length >= min && bytes.length <= max) !== invert;
  },
});
