import type { Random } from '../kernel/random.ts';

/** One call of ipset. */
export interface Call {
  args: string[];
  stdin?: string;
}

const NAMES = ['a', 'b', 'c', 'd'];

/** What goes wrong now and then: something that does not belong there. */
const ODD = [
  '',
  ',',
  '-',
  '/',
  'x',
  '1.1.1',
  '256.1.1.1',
  '::',
  'tcp:',
  ':80',
  '1-',
  '10.0.0.1,',
  'nomatch',
  '-!',
  '0',
  '99999',
];

/** Timeouts; those that pass while a comparison runs are long. */
const TIMES = [
  '0',
  '100',
  '1000',
  '2147483',
  '2147484',
  'x',
  '-1',
  '4294967295',
  '4294967296',
  '0x3e8',
  '01750',
  '1e3',
  ' 100',
];
/** Lines that stand out in a script. */
const LINES = [
  '',
  '# comment',
  '   ',
  'COMMIT ',
  ' list a',
  'list',
  'save',
  'add a "1.1.1.1',
  'help',
  'version',
  '-',
  'flush',
  'test a 10.0.0.1',
];
const LISTINGS: readonly (readonly string[])[] = [
  [],
  ['-t'],
  ['-n'],
  ['-s'],
  ['-o', 'xml'],
  ['-o', 'plain'],
  ['-o', 'save'],
  ['-s', '-o', 'xml'],
  ['-n', '-o', 'xml'],
  ['-t', '-o', 'xml'],
  ['-t', '-o', 'save'],
  ['-n', '-o', 'save'],
  ['-s', '-t'],
  ['-s', '-o', 'save'],
  ['-o', 'json'],
  ['-output', 'xml', '-sorted'],
  ['-name', '-terse'],
  ['-q'],
];

/** Writes parts of command lines: mostly right ones, some wrong. */
export class Writer {
  private readonly random: Random;
  constructor(random: Random) {
    this.random = random;
  }

  pick<T>(values: readonly T[]): T {
    return this.random.pick(values);
  }

  chance(percent: number): boolean {
    return this.random.next() * 100 < percent;
  }

  number(max: number): number {
    return Math.floor(this.random.next() * max);
  }

  ip(family: 4 | 6): string {
    if (family === 6) return this.pick(['2001:db8::', '2001:db8:1::', '::', 'fe80::']) + this.number(20).toString(16);
    return `${this.pick(['10.0', '10.1', '192.168', '0.0', '255.255'])}.${this.number(3)}.${this.number(256)}`;
  }

  /** A single address, or a range or network where these may stand. */
  ips(family: 4 | 6): string {
    if (this.chance(70)) return this.ip(family);
    if (this.chance(50)) return `${this.ip(family)}/${this.prefix(family)}`;
    if (family === 6) return `${this.ip(6)}-${this.ip(6)}`;
    const base = `10.0.${this.number(3)}.`;
    return `${base}${this.number(256)}-${base}${this.number(256)}`;
  }

  prefix(family: 4 | 6): number {
    if (this.chance(4)) return this.pick([0, 33, 129, 1, 2]);
    return family === 4 ? 20 + this.number(13) : this.pick([128, 127, 120, 64, 48, 32]);
  }

  net(family: 4 | 6): string {
    if (this.chance(60)) return `${this.ip(family)}/${this.prefix(family)}`;
    return this.ips(family);
  }

  port(family: 4 | 6): string {
    const proto = this.pick(['', 'tcp:', 'udp:', 'sctp:', 'udplite:', '6:', 'TCP:']);
    if (this.chance(20)) {
      const icmp = family === 4 ? 'icmp' : 'icmpv6';
      return this.pick([
        `${icmp}:ping`,
        `${icmp}:3/4`,
        `${icmp}:255/255`,
        `${icmp}:foo`,
        'gre:0',
        'esp:0',
        '0:0',
        '99:1',
        'icmpv6:ping',
        'icmp:ping',
        `${icmp}:echo`,
      ]);
    }
    if (this.chance(20)) return `${proto}${this.number(60)}-${this.number(60)}`;
    return `${proto}${this.pick(['80', '22', 'http', 'domain', 'nosuch', '65535', '65536', '0', '0x10', '010', String(this.number(50))])}`;
  }

  mac(): string {
    return Array.from({ length: 6 }, () => this.number(4).toString(16)).join(':');
  }

  element(type: string, family: 4 | 6): string {
    if (this.chance(3)) return this.pick(ODD);
    switch (type) {
      case 'bitmap:ip':
        return this.ips(4);
      case 'bitmap:ip,mac':
        return this.chance(50) ? this.ip(4) : `${this.ip(4)},${this.mac()}`;
      case 'bitmap:port':
        return this.chance(70)
          ? String(this.number(120))
          : this.port(family).replace(/^(icmp|icmpv6|gre|esp|99|0):.*/, '7');
      case 'hash:ip':
        return this.ips(family);
      case 'hash:mac':
        return this.mac();
      case 'hash:ip,mac':
        return `${this.ip(family)},${this.mac()}`;
      case 'hash:ip,mark':
        return `${this.ips(family)},0x${this.number(64).toString(16)}`;
      case 'hash:ip,port':
        return `${this.ips(family)},${this.port(family)}`;
      case 'hash:ip,port,ip':
        return `${this.ips(family)},${this.port(family)},${this.ip(family)}`;
      case 'hash:ip,port,net':
        return `${this.ip(family)},${this.port(family)},${this.net(family)}`;
      case 'hash:net':
        return this.net(family);
      case 'hash:net,iface':
        return `${this.net(family)},${this.pick(['eth0', 'eth1', 'eth', 'physdev:eth0', 'physdev:tap', 'averyveryverylong'])}`;
      case 'hash:net,port':
        return `${this.net(family)},${this.port(family)}`;
      case 'hash:net,net':
        return `${this.net(family)},${this.net(family)}`;
      case 'hash:net,port,net':
        return `${this.net(family)},${this.port(family)},${this.net(family)}`;
      default:
        return this.pick([...NAMES, ...NAMES, 'nosuch', `${this.pick(NAMES)},after,${this.pick(NAMES)}`]);
    }
  }

  entryOptions(type: string, command: string): string[] {
    const words: string[] = [];
    if (type.includes('net') && this.chance(15)) words.push('nomatch');
    if (type === 'list:set' && this.chance(30))
      words.push(this.pick(['before', 'after']), this.pick([...NAMES, 'nosuch']));
    if (command !== 'add' && !this.chance(3)) return words;
    if (type === 'hash:net,iface' && this.chance(15)) words.push('wildcard');
    if (this.chance(20)) words.push('timeout', this.pick(TIMES));
    if (this.chance(12)) words.push('packets', this.pick(['5', '0', '18446744073709551614', '18446744073709551615']));
    if (this.chance(12)) words.push('bytes', String(this.number(9999)));
    if (this.chance(12))
      words.push(
        'comment',
        this.pick([
          'hello',
          'two words',
          '',
          'x'.repeat(255),
          'x'.repeat(256),
          'a"b',
          'back\\slash',
          "it's",
          'a,b;#c',
          ' ',
          'tab\there',
        ]),
      );
    if (this.chance(10))
      words.push(
        'skbmark',
        this.pick([
          '0x1',
          '0x11/0xff',
          '1',
          '0x1/0x',
          '0xffffffff',
          '0xff/0',
          '0x0/0xffffffff',
          '0x1ffffffff',
          '-1',
          '0xg',
        ]),
      );
    if (this.chance(10))
      words.push('skbprio', this.pick(['1:10', 'a:b', '1', '1:fffff', ':', '1:', '0:0', 'ffff:ffff', '1:2:3']));
    if (this.chance(10)) words.push('skbqueue', this.pick(['8', '65536', '0', '65535', 'x']));
    if (this.chance(2)) words.push(this.pick(['foo', 'timeout', 'family', 'maxelem']));
    return words;
  }

  createOptions(type: string, family: 4 | 6): string[] {
    const words: string[] = [];
    if (type === 'bitmap:port') words.push('range', this.pick(['1-100', '100-1', 'udp:20-60', '50', '0-65535']));
    else if (type.startsWith('bitmap'))
      words.push(
        'range',
        this.pick(['10.0.0.0/16', '10.0.0.0/24', '10.0.0.10-10.0.2.99', '10.0.2.0-10.0.0.0', '10.0.0.0/8', '10.0.0.1']),
      );
    if (type === 'bitmap:ip' && this.chance(20)) words.push('netmask', this.pick(['24', '28', '8', '33', '32', '17']));
    if (type.startsWith('hash')) {
      if (type !== 'hash:mac') {
        if (family === 6) words.push(...this.pick([['family', 'inet6'], ['-6'], ['family', 'ipv6']]));
        else if (this.chance(20)) words.push('family', 'inet');
      }
      if (this.chance(40)) words.push('hashsize', this.pick(['1', '64', '100', '1024', '2048', 'x']));
      if (this.chance(25)) words.push('maxelem', this.pick(['0', '3', '10', '100']));
      if (this.chance(20)) words.push('bucketsize', this.pick(['1', '2', '3', '4', '12', '14', '200', '256']));
      if (this.chance(8)) words.push('forceadd');
      if (/^hash:ip(,port)?$/.test(type) && this.chance(20))
        words.push('netmask', this.pick(['24', '28', '31', '0', '64', '129']));
      if (/^hash:ip(,port)?$/.test(type) && this.chance(12))
        words.push('bitmask', family === 4 ? '255.0.255.255' : 'ffff::ff');
      if (type === 'hash:net,net' && this.chance(15))
        words.push('netmask', this.pick(family === 4 ? ['24', '16', '32'] : ['64', '120', '128']));
      if (type === 'hash:net,net' && this.chance(8))
        words.push('bitmask', this.pick(family === 4 ? ['255.255.0.255', '0.0.0.0'] : ['ffff:ffff::', '::']));
      if (type === 'hash:ip,mark' && this.chance(30)) words.push('markmask', this.pick(['0xf', '0', '0xffffffff']));
      if (this.chance(5)) words.push('probes', '4');
      words.push('initval', `0x${this.number(1 << 30).toString(16)}`);
    }
    if (type === 'list:set' && this.chance(30)) words.push('size', this.pick(['2', '8', '100']));
    if (this.chance(25)) words.push('timeout', this.pick(['1000', '0', '2147483', '2147484', '4294967', 'x']));
    if (this.chance(30)) words.push('counters');
    if (this.chance(25)) words.push('comment');
    if (this.chance(20)) words.push('skbinfo');
    if (this.chance(3)) words.push(this.pick(['foo', 'range', 'netmask', 'hashsize', 'counters']));
    return words;
  }
}

/** A sequence of calls; `types`: the set types to use. */
export function generateCalls(random: Random, types: readonly string[], length: number): Call[] {
  const writer = new Writer(random);
  const made = new Map<string, { type: string; family: 4 | 6 }>();
  const calls: Call[] = [];
  const setOf = (name: string): { type: string; family: 4 | 6 } =>
    made.get(name) ?? { type: writer.pick(types), family: writer.chance(70) ? 4 : 6 };
  const create = (): string[] => {
    const name = writer.pick(NAMES);
    const kind = { type: writer.pick(types), family: writer.chance(70) ? (4 as const) : (6 as const) };
    if (!made.has(name) || writer.chance(20)) made.set(name, kind);
    return ['create', name, kind.type, ...writer.createOptions(kind.type, kind.family)];
  };
  const change = (command: 'add' | 'del' | 'test'): string[] => {
    const name = writer.chance(97) ? writer.pick([...made.keys(), 'a']) : 'nosuch';
    const { type, family } = setOf(name);
    return [command, name, writer.element(type, family), ...writer.entryOptions(type, command)];
  };
  const one = (): string[] => {
    const dice = writer.number(100);
    if (dice < 10) return create();
    if (dice < 60) return change('add');
    if (dice < 72) return change('del');
    if (dice < 88) return change('test');
    if (dice < 90) return ['flush', ...(writer.chance(70) ? [writer.pick(NAMES)] : [])];
    if (dice < 93) {
      const name = writer.pick(NAMES);
      made.delete(name);
      return ['destroy', name];
    }
    if (dice < 96) {
      const [from, to] = [writer.pick(NAMES), writer.pick(NAMES)];
      const [a, b] = [made.get(from), made.get(to)];
      if (a !== undefined && b !== undefined) {
        made.set(from, b);
        made.set(to, a);
      }
      return ['swap', from, to];
    }
    if (dice < 97) return ['rename', writer.pick(NAMES), writer.pick([...NAMES, 'e'])];
    if (writer.chance(5))
      return writer.pick([['version'], ['help'], ['help', writer.pick(types)], ['help', 'foo'], ['-V']]);
    return [
      writer.pick(['list', 'save', '-L', '-S', 'li', '--list']),
      ...writer.pick(LISTINGS),
      ...(writer.chance(30) ? [writer.pick([...NAMES, 'nosuch'])] : []),
    ];
  };
  /** Lines for restore or the interactive mode. */
  const script = (line: () => string[]): string[] =>
    Array.from({ length: 2 + writer.number(40) }, () =>
      line()
        .map((word) => (/[\s]/.test(word) || word === '' ? `"${word}"` : word))
        .join(' '),
    );
  for (let i = 0; i < length; i++) {
    if (writer.chance(8)) {
      const lines = script(() => (writer.chance(10) ? create() : change(writer.chance(85) ? 'add' : 'del')));
      if (writer.chance(20)) lines.splice(writer.number(lines.length), 0, 'COMMIT');
      if (writer.chance(10)) lines.splice(writer.number(lines.length), 0, writer.pick(LINES));
      calls.push({ args: [...(writer.chance(60) ? ['-!'] : []), 'restore'], stdin: `${lines.join('\n')}\n` });
      continue;
    }
    if (writer.chance(3)) {
      const lines = script(() => one()).slice(0, 12);
      if (writer.chance(30))
        lines.splice(writer.number(lines.length), 0, writer.pick([...LINES, 'quit', 'restore', 'foo']));
      calls.push({ args: ['-'], stdin: `${lines.join('\n')}\n` });
      continue;
    }
    if (writer.chance(3)) {
      const name = writer.pick(NAMES);
      calls.push(
        { args: ['save', '-f', '@FILE', ...(writer.chance(40) ? [name] : [])] },
        { args: ['-!', 'restore', '-file', writer.chance(80) ? '@FILE' : '@FILE/none'] },
      );
      continue;
    }
    const words = one();
    if (writer.chance(15))
      words.splice(writer.number(words.length + 1), 0, writer.pick(['-!', '-exist', '-q', '-quiet']));
    calls.push({ args: words });
    if (writer.chance(25)) calls.push({ args: ['list'] });
  }
  calls.push({ args: ['list'] }, { args: ['save'] });
  return calls;
}
