import { describe, expect, it } from 'vitest';
import type { ParseContext, ParsedOption, PrintContext } from '../contract.ts';
import { UsageError } from '../contract.ts';
import { SET } from '../targets/SET.ts';
import { set } from './set.ts';

const SETS = [
  { name: 's4', dimension: 1, family: 4 as const },
  { name: 's6', dimension: 1, family: 6 as const },
  { name: 'p', dimension: 1, family: 0 as const },
];

const context = {
  family: 4,
  seen: new Set(),
  warn: () => undefined,
  setByName: (name: string) => SETS.find((each) => each.name === name),
} as unknown as ParseContext;

/** Reads `[!] --option [word [word]]...` and gives the save text back, or the error. */
function save(extension: typeof set | typeof SET, line: string): string {
  const data = extension.init(context);
  const words = line.split(' ').filter((word) => word !== '');
  try {
    for (let i = 0; i < words.length; ) {
      const invert = words[i] === '!';
      if (invert) i++;
      const name = words[i++]!.slice(2);
      const declared = extension.options.find((each) => each.name === name)!;
      const text = declared.type === 'none' ? '' : words[i++]!;
      const second = declared.second && words[i] !== undefined && !/^[-!]/.test(words[i]!) ? words[i++]! : null;
      extension.parse(data, { name, invert, text, second } as unknown as ParsedOption, context);
    }
    extension.finish?.(data, context);
    return extension.save(data, {} as PrintContext);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
}

// Read off iptables 1.8.9, both variants.
describe('match set', () => {
  it.each([
    ['--match-set s4 src', ' --match-set s4 src'],
    ['--set s4 srcx,dst', ' --match-set s4 src,dst'],
    ['! --match-set p src,dst', ' ! --match-set p src,dst'],
    [
      '--match-set s4 src --update-counters --packets-eq 5 ! --bytes-eq 7',
      ' --match-set s4 src --packets-eq 5 ! --bytes-eq 7',
    ],
    [
      '--match-set s4 src ! --update-counters ! --update-subcounters ! --packets-eq 5 --bytes-gt 18446744073709551615 --return-nomatch',
      ' --match-set s4 src --return-nomatch ! --update-counters ! --update-subcounters ! --packets-eq 5 --bytes-gt 18446744073709551615',
    ],
    ['', "You must specify `--match-set' with proper arguments"],
    ['--match-set s4', '--match-set requires two args.'],
    ['--match-set no src', "Set no doesn't exist.\n"],
    ['--match-set s6 src', 'The protocol family of set s6 is IPv6, which is not applicable.\n'],
    ['--match-set s4 foo', "You must spefify (the comma separated list of) 'src' or 'dst'."],
    ['--match-set s4 src,src,src,src,src,src,src', "Can't be more src/dst options than 6."],
    ['--match-set s4 src --match-set s4 dst', '--match-set can be specified only once'],
    ['--match-set s4 src --packets-lt 1 --packets-gt 2', 'only one of the --packets-[eq|lt|gt] is allowed'],
    ['--match-set s4 src ! --bytes-lt 1', '--bytes-lt option cannot be inverted'],
    ['--match-set s4 src --packets-lt x', 'Cannot parse x as a counter value'],
  ])('%s', (line, expected) => {
    expect(save(set, line)).toBe(expected);
  });
});

describe('target SET', () => {
  it.each([
    ['! --add-set s4 src', ' --add-set s4 src'],
    ['--del-set p dst --add-set s4 src --timeout 5 --exist', ' --add-set s4 src --exist --timeout 5 --del-set p dst'],
    ['--map-set s4 src --map-queue --map-mark --map-prio', ' --map-set s4 src --map-mark --map-prio --map-queue'],
    ['--exist', "You must specify either `--add-set' or `--del-set' or `--map-set'"],
    ['--del-set s4 src --exist', "Flag `--exist' can be used with `--add-set' only"],
    ['--map-set s4 src', "You must specify flags `--map-mark' or '--map-prio` or `--map-queue'"],
    ['--add-set s4 src --map-prio', "Flag `--map-prio' can be used with `--map-set' only"],
    ['--add-set s4 src --timeout 4294967295', 'Invalid value for option --timeout or out of range 0-4294967294'],
  ])('%s', (line, expected) => {
    expect(save(SET, line)).toBe(expected);
  });
});
