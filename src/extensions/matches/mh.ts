import { Protocol } from '../../packet/protocol.ts';
import { parseUnsigned } from '../../syntax/numbers.ts';
import { defineMatch, UsageError } from '../contract.ts';
import { not, rangeText, rangeWords } from '../words.ts';

interface MhMatch {
  types: [number, number];
  invert: boolean;
}

/** Names of mobility header types; of two for one type the first is printed. */
const TYPES: readonly [name: string, type: number][] = [
  ['binding-refresh-request', 0],
  ['brr', 0],
  ['home-test-init', 1],
  ['hoti', 1],
  ['careof-test-init', 2],
  ['coti', 2],
  ['home-test', 3],
  ['hot', 3],
  ['careof-test', 4],
  ['cot', 4],
  ['binding-update', 5],
  ['bu', 5],
  ['binding-acknowledgement', 6],
  ['ba', 6],
  ['binding-error', 7],
  ['be', 7],
];

/** A type by number or name; of several that begin so the first counts, or one that is no longer. */
function parseType(text: string): number {
  const fitting = TYPES.filter(([name]) => name.startsWith(text.toLowerCase()));
  const found = fitting.filter(([name]) => name.length === text.length).at(-1) ?? fitting[0];
  if (found !== undefined) return found[1];
  const type = parseUnsigned(text, 0, 0xff);
  if (type === null) throw new UsageError(`Invalid MH type \`${text}'`);
  return type;
}

function parseTypes(text: string): [number, number] {
  const colon = text.indexOf(':');
  if (colon < 0) {
    const type = parseType(text);
    return [type, type];
  }
  const [low, high] = [text.slice(0, colon), text.slice(colon + 1)];
  const types: [number, number] = [low === '' ? 0 : parseType(low), high === '' ? 0xff : parseType(high)];
  if (types[0] > types[1]) throw new UsageError('Invalid MH type range (min > max)');
  return types;
}

const isAny = ([min, max]: readonly [number, number]): boolean => min === 0 && max === 0xff;

const HELP = `mh match options:
[!] --mh-type type[:type]	match mh type
Valid MH types:
binding-refresh-request (brr)
home-test-init (hoti)
careof-test-init (coti)
home-test (hot)
careof-test (cot)
binding-update (bu)
binding-acknowledgement (ba)
binding-error (be)
`;

/** `mh_mt6` (net/ipv6/netfilter/ip6t_mh.c). */
export const mh = defineMatch<MhMatch>({
  name: 'mh',
  families: [6],
  options: [{ name: 'mh-type', type: 'string', invert: true }],
  init: () => ({ types: [0, 0xff], invert: false }),
  parse(data, option) {
    data.types = parseTypes(option.text);
    data.invert = option.invert;
  },
  save: ({ types, invert }) => (isAny(types) ? '' : `${not(invert)} --mh-type ${rangeText(types)}`),
  print({ types: [min, max], invert }, { numeric }) {
    if (isAny([min, max]) && !invert) return ' mh';
    const word = (type: number) => (numeric ? undefined : TYPES.find(([, known]) => known === type)?.[0]) ?? type;
    return ` mh ${invert ? '!' : ''}${word(min)}${min === max ? '' : `:${word(max)}`}`;
  },
  help: () => HELP,
  check: (_data, { rule }) => (rule.protocol === Protocol.mobility && !rule.protocolInvert ? null : 'EINVAL'),
  explain: ({ types, invert }) => `the mobility header's type is ${invert ? 'not ' : ''}${rangeWords(types)}`,
  pure: true,
  compile({ types: [min, max], invert }) {
    return (packet) => {
      if (packet.fragmentOffset !== 0) return false;
      const { bytes, transport } = packet;
      // Nothing may follow a mobility header.
      if (transport + 6 > bytes.length || bytes[transport] !== Protocol.noNextHeader) {
        packet.hotdrop = true;
        return false;
      }
      const type = bytes[transport + 2]!;
      return (type >= min && type <= max) !== invert;
    };
  },
});
