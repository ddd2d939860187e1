import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SetKernel } from './kernel.ts';
import { narrowText } from './narrow.ts';
import { loadSets, saveSets } from './text.ts';
import { TEST_NAMES } from './tool/fixture.ts';
import { Tool } from './tool/tool.ts';

interface Answer {
  status: number;
  out: string;
  err: string;
  text: string;
}

function run(text: string, args: readonly string[]): Answer {
  const kernel = new SetKernel({ clock: { now: 0 }, random: () => 1 });
  loadSets(kernel, text, TEST_NAMES);
  const answer: Answer = { status: 0, out: '', err: '', text: '' };
  const tool = new Tool(kernel, TEST_NAMES, {
    out(part) {
      answer.out += part;
    },
    err(part) {
      answer.err += part;
    },
    readStdin: () => '',
    readFile: () => null,
    writeFile: () => null,
  });
  answer.status = tool.run(args);
  answer.text = saveSets(kernel, TEST_NAMES);
  return answer;
}

const sorted = (text: string): string[] => text.split('\n').sort();
const address = fc.tuple(fc.constantFrom('10.0.0', '10.0.1', '10.1.0'), fc.nat(7)).map(([a, b]) => `${a}.${b}`);
const network = fc.tuple(address, fc.constantFrom('', '/8', '/24', '/30', '/31', '/32')).map(([a, b]) => a + b);

describe('part of the text of sets', () => {
  it.each([
    ['hash:ip', ''],
    ['hash:ip', ' timeout 100 counters'],
    ['hash:net', ''],
    ['hash:net', ' counters'],
  ])('%s%s: a command does the same to it as to all', (type, extensions) => {
    const element = type === 'hash:ip' ? address : network;
    fc.assert(
      fc.property(
        fc.array(element, { maxLength: 12 }),
        element,
        fc.constantFrom('add', 'del', 'test'),
        fc.constantFrom([], ['-!']),
        fc.constantFrom(3, 100),
        (elements, one, command, flags, maximum) => {
          const create = `create s ${type} family inet hashsize 64 maxelem ${maximum}${extensions}\n`;
          const adds = elements.map((each) => `add s ${each}\n`).slice(0, maximum);
          const other =
            'create t hash:ip family inet hashsize 64 maxelem 9 bucketsize 12 initval 0x1\nadd t 10.0.0.1\n';
          const whole = run(`${create}${adds.join('')}${other}`, ['list']).text;
          const args = [...flags, command, 's', one];
          const narrowed = narrowText(whole, args);
          if (narrowed === null) return;
          const wanted = run(whole, args);
          const got = run(narrowed.text, args);
          expect({ ...got, text: '' }).toEqual({ ...wanted, text: '' });
          expect(sorted(narrowed.merge(got.text))).toEqual(sorted(wanted.text));
        },
      ),
    );
  });

  it('is not given where a command can concern more than that', () => {
    const text = 'create s hash:ip family inet hashsize 64 maxelem 1\nadd s 10.0.0.1\ncreate n hash:net,iface\n';
    expect(narrowText(text, ['add', 's', '10.0.0.2'])).toBeNull();
    expect(narrowText(text, ['del', 's', '10.0.0.0-10.0.0.9'])).toBeNull();
    expect(narrowText(text, ['test', 's', '10.0.0.1/24'])).toBeNull();
    expect(narrowText(text, ['add', 'n', '10.0.0.0/8,eth0'])).toBeNull();
    expect(narrowText(text, ['list', 's'])).toBeNull();
    expect(narrowText(text, ['test', 's', '10.0.0.1'])?.text).toBe(text.slice(0, text.indexOf('create n')));
  });
});
