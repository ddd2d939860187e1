import type { SetTestOptions } from '../../datapath/environment.ts';
import { MAX_64, parseUnsigned64 } from '../../syntax/numbers.ts';
import { defineMatch, UsageError } from '../contract.ts';
import type { SetReference } from '../set-reference.ts';
import { readSetReference, setReferenceText, setReferenceWords } from '../set-reference.ts';

/** A condition on a counter; the value in decimal. */
interface CounterTest {
  operator: 'eq' | 'ne' | 'lt' | 'gt';
  value: string;
}

/** `struct xt_set_info_match_v4`. */
interface SetMatch {
  set: SetReference | null;
  invert: boolean;
  returnNomatch: boolean;
  skipCounters: boolean;
  skipSubcounters: boolean;
  packets: CounterTest | null;
  bytes: CounterTest | null;
}

const HELP = `set match options:
 [!] --match-set name flags [--return-nomatch]
   [! --update-counters] [! --update-subcounters]
   [[!] --packets-eq value | --packets-lt value | --packets-gt value
   [[!] --bytes-eq value | --bytes-lt value | --bytes-gt value
		 'name' is the set name from to match,
		 'flags' are the comma separated list of
		 'src' and 'dst' specifications.
`;

function counterText(name: string, dashes: string, test: CounterTest | null): string {
  if (test === null) return '';
  if (test.operator === 'ne') return ` ! ${dashes}${name}-eq ${test.value}`;
  return ` ${dashes}${name}-${test.operator} ${test.value}`;
}

function text(data: SetMatch, dashes: string): string {
  let words = `${data.invert ? ' !' : ''} ${dashes}match-set ${setReferenceText(data.set!)}`;
  if (data.returnNomatch) words += ` ${dashes}return-nomatch`;
  if (data.skipCounters) words += ` ! ${dashes}update-counters`;
  if (data.skipSubcounters) words += ` ! ${dashes}update-subcounters`;
  return words + counterText('packets', dashes, data.packets) + counterText('bytes', dashes, data.bytes);
}

function counterOf(test: CounterTest): { operator: CounterTest['operator']; value: bigint } {
  return { operator: test.operator, value: BigInt(test.value) };
}

export const set = defineMatch<SetMatch>({
  name: 'set',
  families: [4, 6],
  style: 'classic',
  options: [
    { name: 'match-set', type: 'string', invert: true, second: true },
    { name: 'set', type: 'string', invert: true, second: true },
    { name: 'return-nomatch', type: 'none', invert: true },
    { name: 'update-counters', type: 'none', invert: true },
    { name: 'packets-eq', type: 'string', invert: true },
    { name: 'packets-lt', type: 'string', invert: true },
    { name: 'packets-gt', type: 'string', invert: true },
    { name: 'bytes-eq', type: 'string', invert: true },
    { name: 'bytes-lt', type: 'string', invert: true },
    { name: 'bytes-gt', type: 'string', invert: true },
    { name: 'update-subcounters', type: 'none', invert: true },
  ],
  init: () => ({
    set: null,
    invert: false,
    returnNomatch: false,
    skipCounters: false,
    skipSubcounters: false,
    packets: null,
    bytes: null,
  }),
  parse(data, option, context) {
    const { name, invert } = option;
    switch (name) {
      case 'set':
      case 'match-set':
        if (name === 'set') context.warn('--set option deprecated, please use --match-set\n');
        if (invert && data.set === null) data.invert = true;
        data.set = readSetReference(option, 'match-set', data.set !== null, context);
        return;
      case 'return-nomatch':
        if (invert) throw new UsageError('--return-nomatch flag cannot be inverted');
        data.returnNomatch = true;
        return;
      case 'update-counters':
        if (invert) data.skipCounters = true;
        return;
      case 'update-subcounters':
        if (invert) data.skipSubcounters = true;
        return;
    }
    const counter = name.startsWith('packets') ? 'packets' : 'bytes';
    const operator = name.slice(-2) as 'eq' | 'lt' | 'gt';
    if (data[counter] !== null) throw new UsageError(`only one of the --${counter}-[eq|lt|gt] is allowed`);
    if (invert && operator !== 'eq') throw new UsageError(`--${name} option cannot be inverted`);
    const value = parseUnsigned64(option.text, 0n, MAX_64);
    if (value === null) throw new UsageError(`Cannot parse ${option.text} as a counter value`);
    data[counter] = { operator: invert ? 'ne' : operator, value: String(value) };
  },
  finish(data) {
    if (data.set === null) throw new UsageError("You must specify `--match-set' with proper arguments");
  },
  save: (data) => text(data, '--'),
  print: (data) => text(data, ''),
  help: () => HELP,
  explain: (data) => `the packet's ${setReferenceWords(data.set!, data.invert ? 'is not in' : 'is in')}`,
  memory: ({ packets, bytes }) => (packets === null && bytes === null ? 'flow' : 'machine'),
  // `set_match_v4` (net/netfilter/xt_set.c); a test may count, and what it finds may change from packet to packet.
  compile(data, { machine }) {
    const { name, directions } = data.set!;
    const options: SetTestOptions = {
      directions,
      invert: data.invert,
      returnNomatch: data.returnNomatch,
      updateCounters: !data.skipCounters,
      updateSubcounters: !data.skipSubcounters,
    };
    if (data.packets !== null) options.packets = counterOf(data.packets);
    if (data.bytes !== null) options.bytes = counterOf(data.bytes);
    return machine.sets.tester(name, options);
  },
});
