import type { Extension, OptionDeclaration } from '../../src/extensions/contract.ts';
import { matches, targets } from '../../src/extensions/registry.ts';
import type { Random } from '../kernel/random.ts';
import type { Coverage } from './coverage.ts';
import { CHAINS, MANGLE, PLACES, PROTOCOLS } from './places.ts';
import { rightValue, wrongValue } from './values.ts';

/** A rule specification: groups of words that belong together, so that shortening can leave each out. */
export interface Specification {
  family: 4 | 6;
  table: string;
  chain: string;
  groups: string[][];
}

const ADDRESSES = {
  4: [
    '10.0.0.1',
    '10.0.0.0/8',
    '10.1.2.3/24',
    '1.2.3.4/255.0.255.0',
    '0.0.0.0/0',
    '1.2.3',
    '10',
    '010.0.0.9',
    '0x7f.1',
    'localhost',
    'loopback',
    'link-local/16',
    'nosuch.invalid',
    '1.2.3.4/33',
    '1.2.3.4/',
    '1.2.3.4/255.255',
    '1.2.3.4/0xff',
    '1.2.3.999',
    'any/0',
    '255.255.255.255',
    '::1',
    '::ffff:9.8.7.6',
    '',
  ],
  6: [
    '2001:db8::1',
    '2001:db8::/32',
    '2001:DB8:0:0:1::/65',
    '::/0',
    '::1',
    '::1.2.3.4',
    '2001:db8::1/ffff::',
    '2001:db8::1/ff00:ff::',
    '1.2.3.4',
    'localhost',
    '::/129',
    'fe80::/10',
    ':::1',
    '2001:db8::1/',
  ],
} as const;
const ODD_DEVICES = ['', 'averyverylongname0', 'fifteen-letters', 'a b', 'a/b', 'eth0.5', 'e+h', '-x', '"'];
/** Counters at the boundaries of the units in which listings write them. */
export const COUNTERS = [
  0,
  1,
  99999,
  100000,
  999499,
  999500,
  9999999,
  10000000,
  12345678901,
  9999500000,
  123456789012345n,
  9999999999999n,
  18446744073709551615n,
] as const;

const OTHER_TARGETS = ['ACCEPT', 'DROP', 'RETURN', 'QUEUE', 'foo', 'LOG', 'REJECT', 'NOSUCH', 'MARK', ''];

export class Generator {
  private readonly random: Random;
  private readonly extensions: readonly Extension[];
  private readonly family: 4 | 6 | null;
  private readonly coverage: Coverage | null;

  constructor(random: Random, only: string | null, family: 4 | 6 | null, coverage: Coverage | null = null) {
    this.random = random;
    this.family = family;
    this.coverage = coverage;
    this.extensions = [...matches, ...targets].filter((each) => only === null || each.name === only);
    if (this.extensions.length === 0) throw new Error(`no extension is called ${only}`);
  }

  specification(): Specification {
    const { random } = this;
    const possible = this.extensions.filter((each) => this.family === null || each.families.includes(this.family));
    const extension = random.pick(possible.length > 0 ? possible : this.extensions);
    // Sometimes the family that does not have it.
    const family =
      this.family ?? (random.chance(0.97) ? random.pick(extension.families) : random.pick([4, 6] as const));
    const [table, chain] = this.place(extension);
    const groups: string[][] = [];
    const protocol = this.protocol(extension, family);
    if (protocol !== null) groups.push(protocol);
    if (random.chance(0.12)) groups.push(this.plain(family));
    if (extension.kind === 'match') {
      groups.push(...this.use(extension, family));
      if (random.chance(0.15)) groups.push(...this.use(this.another('match', family), family));
      if (random.chance(0.04)) groups.push(...this.use(extension, family));
      if (random.chance(0.35)) groups.push(...this.target(family));
    } else {
      if (random.chance(0.12)) groups.push(...this.use(this.another('match', family), family));
      groups.push(...this.use(extension, family));
    }
    if (random.chance(0.03)) groups.splice(random.int(0, groups.length), 0, this.plain(family));
    if (random.chance(0.03)) [groups[0], groups[groups.length - 1]] = [groups[groups.length - 1]!, groups[0]!];
    this.coverage?.specification();
    return { family, table, chain, groups };
  }

  private another(kind: 'match' | 'target', family: 4 | 6): Extension {
    const all: readonly Extension[] = kind === 'match' ? matches : targets;
    return this.random.pick(all.filter((each) => each.families.includes(family)));
  }

  private place(extension: Extension): readonly [string, string] {
    const { random } = this;
    const table = random.chance(0.06)
      ? random.pick(Object.keys(CHAINS))
      : MANGLE.test(extension.name)
        ? 'mangle'
        : 'filter';
    const places = PLACES[extension.name];
    if (places !== undefined && random.chance(0.9)) return random.pick(places);
    if (random.chance(0.08)) return [table, 'user'];
    return [table, random.pick(random.chance(0.03) ? CHAINS.nat! : CHAINS[table]!)];
  }

  private protocol(extension: Extension, family: 4 | 6): string[] | null {
    const { random } = this;
    const wanted = PROTOCOLS[extension.name];
    if (wanted !== undefined && random.chance(0.9)) {
      return [...(random.chance(0.04) ? ['!'] : []), '-p', random.pick(wanted)];
    }
    if (!random.chance(0.15)) return null;
    const usual = [
      'tcp',
      'udp',
      family === 4 ? 'icmp' : 'icmpv6',
      'all',
      '6',
      '47',
      'sctp',
      'TCP',
      'foo',
      '256',
      '0',
      'ipv6-frag',
      'esp',
    ];
    return [...(random.chance(0.15) ? ['!'] : []), random.pick(['-p', '--protocol', '--proto']), random.pick(usual)];
  }

  /** One of iptables' own options. */
  private plain(family: 4 | 6): string[] {
    const { random } = this;
    const not = random.chance(0.2) ? ['!'] : [];
    const address = (): string => {
      const one = (): string => random.pick(ADDRESSES[family]);
      return random.chance(0.25)
        ? Array.from({ length: random.int(2, 3) }, one).join(random.pick([',', ',', ', ']))
        : one();
    };
    return random.pick([
      [...not, random.pick(['-s', '--source', '--src', '--sou']), address()],
      [...not, random.pick(['-d', '--destination', '--dst', '--dest']), address()],
      [...not, random.pick(['-s', '-d']), address()],
      [...not, random.pick(['-i', '--in-interface', '--in']), random.pick(['eth0', 'eth+', '+', 'lo', ...ODD_DEVICES])],
      [...not, random.pick(['-o', '--out-interface', '--out']), random.pick(['eth0', 'eth+', '+', ...ODD_DEVICES])],
      [...not, random.pick(['-f', '--fragment'])],
      random.pick([
        ['-c', '5', '700'],
        ['--set-counters', String(random.pick(COUNTERS)), String(random.pick(COUNTERS))],
        ['-c', `${random.pick(COUNTERS)},${random.pick(COUNTERS)}`],
        ['-c', random.pick(['x', '-1', '5', '5,', ',5'])],
      ]),
      random.pick([
        ['-v'],
        ['--verbose'],
        ['-n'],
        ['--numeric'],
        ['-x'],
        ['--exact'],
        ['--line-numbers'],
        ['-w'],
        ['-w', '5'],
      ]),
      random.pick([
        ['-4'],
        ['-6'],
        ['--ipv4'],
        ['--ipv6'],
        ['--modprobe=/bin/true'],
        ['-M', '/bin/true'],
        ['--wait=3'],
        ['-W', '9'],
      ]),
    ]);
  }

  private target(family: 4 | 6): string[][] {
    const { random } = this;
    if (random.chance(0.6)) return [['-j', random.pick(OTHER_TARGETS.slice(0, random.chance(0.8) ? 3 : 99))]];
    if (random.chance(0.1)) return [['-g', random.pick(['foo', 'ACCEPT', 'LOG'])]];
    return this.use(this.another('target', family), family);
  }

  /** `-m NAME` or `-j NAME` with options. */
  private use(extension: Extension, family: 4 | 6): string[][] {
    const { random } = this;
    this.coverage?.extension(extension);
    const name = random.pick([extension.name, extension.name, extension.name, ...(extension.aliases ?? [])]);
    const head = [extension.kind === 'match' ? '-m' : '-j', name];
    const chosen = this.choose(extension.options);
    const groups = chosen.map((option) => this.option(extension, option, family));
    if (groups.length > 0 && random.chance(0.05)) groups.push(random.pick(groups));
    if (groups.length > 0 && random.chance(0.05)) groups.splice(random.int(0, groups.length - 1), 1);
    if (extension.options.length > 0 && random.chance(0.06))
      groups.push(this.option(extension, random.pick(extension.options), family));
    if (random.chance(0.004)) groups.push(['-h']);
    return [head, ...groups];
  }

  /** What goes together by the declaration: all mandatory options, some of the others. */
  private choose(options: readonly OptionDeclaration[]): OptionDeclaration[] {
    const { random } = this;
    const chosen: OptionDeclaration[] = [];
    const order = [...options].sort(() => random.next() - 0.5);
    const share = random.pick([0.1, 0.3, 0.5, 1.5 / Math.max(1, options.length)]);
    for (const option of order) {
      const id = option.synonymOf ?? option.name;
      if (chosen.some((other) => (other.synonymOf ?? other.name) === id)) continue;
      if (option.mandatory !== true && !random.chance(share)) continue;
      const clash = chosen.some(
        (other) => option.excludes?.includes(other.name) === true || other.excludes?.includes(id) === true,
      );
      if (clash && random.chance(0.93)) continue;
      chosen.push(option);
      for (const other of option.requires ?? []) {
        const needed = options.find((each) => each.name === other);
        if (needed !== undefined && !chosen.includes(needed) && random.chance(0.9)) chosen.push(needed);
      }
    }
    if (chosen.length === 0 && order[0] !== undefined && random.chance(0.9)) chosen.push(order[0]);
    return chosen;
  }

  private option(extension: Extension, option: OptionDeclaration, family: 4 | 6): string[] {
    const { random } = this;
    this.coverage?.option(extension, option);
    const words: string[] = [];
    if (random.chance(option.invert === true ? 0.25 : 0.02)) words.push('!');
    let name = option.name;
    if (random.chance(0.04)) name = name.slice(0, random.int(1, name.length));
    const needsValue = option.type !== 'none' || option.second === true;
    if (!needsValue) {
      words.push(`--${name}`);
      if (random.chance(0.01)) words.push('extra');
      return words;
    }
    if (random.chance(0.01)) return [...words, `--${name}`];
    const value = random.chance(0.07) ? wrongValue(random) : rightValue(random, extension.name, option, family);
    const values = option.second === true ? value.split(' ') : [value];
    if (random.chance(0.03) && option.type !== 'none') return [...words, `--${name}=${values[0]}`, ...values.slice(1)];
    return [...words, `--${name}`, ...values];
  }
}
