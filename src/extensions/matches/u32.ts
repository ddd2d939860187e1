import { readUint32 } from '../../packet/bytes.ts';
import { scanUnsignedWithin } from '../../syntax/numbers.ts';
import { defineMatch, UsageError } from '../contract.ts';
import { not } from '../words.ts';

type Operator = '&' | '<<' | '>>' | '@';

/** `struct xt_u32_test`: a number, what is done with it, and the ranges it must fall into. */
interface Test {
  location: number;
  steps: { operator: Operator; number: number }[];
  values: [number, number][];
}

interface U32Match {
  tests: Test[];
  invert: boolean;
}

/** XT_U32_MAXSIZE */
const MAX_SIZE = 10;

function parseTests(text: string): Test[] {
  let at = 0;
  const fail = (what: string): UsageError => new UsageError(`u32: at char ${at}: ${what}`);
  const skipBlanks = (): void => {
    while (/[\t-\r ]/.test(text[at] ?? 'x')) at++;
  };
  const number = (): number => {
    const scanned = scanUnsignedWithin(text.slice(at), 0, 0xffffffff);
    if (scanned === null) throw fail('not a number or out of range');
    at += scanned.end;
    return scanned.value;
  };
  const newTest = (): Test => ({ location: 0, steps: [], values: [] });
  const tests: Test[] = [newTest()];
  let numbers = 0;
  let inValues = false;
  for (;;) {
    const test = tests[tests.length - 1]!;
    skipBlanks();
    const next = text[at];
    if (next === undefined) {
      if (!inValues) throw new UsageError('u32: abrupt end of input after location specifier');
      if (test.values.length === 0) throw new UsageError('u32: test ended with no value specified');
      if (tests.length > MAX_SIZE) throw fail('too many "&&"s');
      return tests;
    }
    if (!inValues && next === '=') {
      if (numbers === 0) throw fail('location spec missing');
      at++;
      inValues = true;
    } else if (!inValues) {
      if (numbers === 0) {
        test.location = number();
      } else {
        const operator = parseOperator();
        test.steps.push({ operator, number: number() });
      }
      if (++numbers > MAX_SIZE) throw fail('too many operators');
    } else if (next === '&') {
      at++;
      if (text[at] !== '&') throw fail("a second '&' was expected");
      if (test.values.length === 0) throw fail('value spec missing');
      if (tests.length > MAX_SIZE) throw fail('too many "&&"s');
      tests.push(newTest());
      at++;
      inValues = false;
      numbers = 0;
    } else {
      if (test.values.length > 0) {
        if (next !== ',') throw fail('expected "," or "&&"');
        at++;
      }
      const min = number();
      skipBlanks();
      let max = min;
      if (text[at] === ':') {
        at++;
        max = number();
      }
      test.values.push([min, max]);
      if (test.values.length > MAX_SIZE) throw fail('too many ","s');
    }
  }

  function parseOperator(): Operator {
    const character = text[at]!;
    if (character === '&' || character === '@') {
      at++;
      return character;
    }
    if (character !== '<' && character !== '>') throw fail('operator expected');
    at++;
    if (text[at] !== character) throw fail(`a second '${character}' was expected`);
    at++;
    return character === '<' ? '<<' : '>>';
  }
}

const hex = (value: number): string => `0x${value.toString(16)}`;

function testsText({ tests }: U32Match): string {
  const texts = tests.map(({ location, steps, values }) => {
    const left = hex(location) + steps.map(({ operator, number }) => operator + hex(number)).join('');
    return `${left}=${values.map(([min, max]) => (min === max ? hex(min) : `${hex(min)}:${hex(max)}`)).join(',')}`;
  });
  return ` "${texts.join('&&')}"`;
}

const HELP = `u32 match options:
[!] --u32 tests
		tests := location "=" value | tests "&&" location "=" value
		value := range | value "," range
		range := number | number ":" number
		location := number | location operator number
		operator := "&" | "<<" | ">>" | "@"
`;

export const u32 = defineMatch<U32Match>({
  name: 'u32',
  families: [4, 6],
  options: [{ name: 'u32', type: 'string', invert: true, mandatory: true }],
  init: () => ({ tests: [], invert: false }),
  parse(data, option) {
    data.tests = parseTests(option.text);
    data.invert = option.invert;
  },
  save: (data) => `${not(data.invert)} --u32${testsText(data)}`,
  print: (data) => ` u32${not(data.invert)}${testsText(data)}`,
  help: () => HELP,
  explain: (data) => `the packet's bytes ${data.invert ? 'do not fit' : 'fit'}${testsText(data)}`,
  pure: true,
  looksAnywhere: true,
  compile:
    ({ tests, invert }) =>
    (packet) =>
      matchesAll(tests, packet.bytes) !== invert,
});

/** `u32_match_it` (net/netfilter/xt_u32.c), in 32 bits as there. */
function matchesAll(tests: readonly Test[], bytes: Uint8Array): boolean {
  const { length } = bytes;
  for (let t = 0; t < tests.length; t++) {
    const { location, steps, values } = tests[t]!;
    if (length < 4 || location > length - 4) return false;
    let base = 0;
    let value = readUint32(bytes, location);
    for (let s = 0; s < steps.length; s++) {
      const { operator, number } = steps[s]!;
      switch (operator) {
        case '&':
          value = (value & number) >>> 0;
          break;
        case '<<':
          value = (value << number) >>> 0;
          break;
        case '>>':
          value = value >>> number;
          break;
        case '@':
          base += value;
          if (base + 4 > length || number > length - base - 4) return false;
          value = readUint32(bytes, base + number);
          break;
      }
    }
    let v = 0;
    while (v < values.length && !(value >= values[v]![0] && value <= values[v]![1])) v++;
    if (v === values.length) return false;
  }
  return true;
}
