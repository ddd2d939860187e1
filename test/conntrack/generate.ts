import type { Random } from '../kernel/random.ts';

/** A call of conntrack. */
export type Call = readonly string[];

const ADDRESSES: Readonly<Record<4 | 6, readonly string[]>> = {
  4: ['10.0.0.1', '10.0.0.2', '10.0.0.3', '192.168.1.1'],
  6: ['2001:db8::1', '2001:db8::2', 'fd00::1'],
};
const PROTOCOLS = ['tcp', 'udp', 'udplite', 'sctp', 'icmp', 'icmpv6', 'gre', 'dccp', 'esp', '47', '6', 'all'] as const;
const PORTS = ['80', '443', '1000', '5353'];
const TIMES = ['1000', '5000', '100000', '432000'];
const TCP_STATES = [
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'TIME_WAIT',
  'CLOSE',
  'FIN_WAIT',
  'established',
  'NONE',
  'FOO',
];
const SCTP_STATES = ['ESTABLISHED', 'COOKIE_WAIT', 'CLOSED', 'SHUTDOWN_SENT'];
const STATUSES = [
  'ASSURED',
  'SEEN_REPLY',
  'SEEN_REPLY,ASSURED',
  'FIXED_TIMEOUT',
  'UNSET',
  'UNREPLIED',
  'EXPECTED',
  'FOO',
  '!ASSURED',
  'SEEN_REPLY,!ASSURED',
  '!SEEN_REPLY,!FIXED_TIMEOUT',
  'unset',
  'UN',
  'UNREPLIED,ASSURED',
  'src_nat',
  'DST_NAT,ASSURED',
  ',ASSURED',
];
const OUTPUTS = [
  'extended',
  'xml',
  'save',
  'id',
  'timestamp',
  'ktimestamp',
  'extended,id',
  'xml,id',
  'userspace',
  'foo',
  'save,id',
  'extended,id,ktimestamp',
  'xml,ktimestamp',
  'xml,extended',
  'e,i',
  'ktimestamp,userspace',
];

/** Writes calls: mostly sound ones that meet the same few connections again and again, some odd, some wrong. */
class Writer {
  readonly random: Random;
  constructor(random: Random) {
    this.random = random;
  }

  one<T>(items: readonly T[]): T {
    return this.random.pick(items);
  }

  often(percent: number): boolean {
    return this.random.chance(percent / 100);
  }

  protocol(family: 4 | 6): string {
    if (this.often(45)) return 'tcp';
    if (this.often(45)) return 'udp';
    const name = this.one(PROTOCOLS);
    if (this.often(90) && ((name === 'icmp' && family === 6) || (name === 'icmpv6' && family === 4))) return 'tcp';
    return name;
  }

  /** What the protocol adds: for a tuple (`whole`), or as a filter. */
  protocolWords(name: string, whole: boolean): string[] {
    const words: string[] = [];
    const give = (chance: number, ...some: string[]): void => {
      if (this.often(chance)) words.push(...some);
    };
    const likely = whole ? 97 : 25;
    switch (name) {
      case 'tcp':
      case '6':
      case 'udp':
      case 'udplite':
      case 'sctp':
      case 'dccp':
        give(likely, this.one(['--sport', '--orig-port-src']), this.one(PORTS));
        give(likely, this.one(['--dport', '--orig-port-dst']), this.one(PORTS));
        give(whole ? 12 : 8, '--reply-port-src', this.one(PORTS));
        give(whole ? 12 : 8, '--reply-port-dst', this.one(PORTS));
        if (name === 'tcp' || name === '6') give(whole ? 92 : 15, '--state', this.one(TCP_STATES));
        if (name === 'sctp') {
          give(whole ? 92 : 15, '--state', this.one(SCTP_STATES));
          give(whole ? 92 : 5, '--orig-vtag', '5');
          give(whole ? 92 : 5, '--reply-vtag', '6');
        }
        if (name === 'dccp') give(whole ? 92 : 15, '--state', this.one(['RESPOND', 'OPEN']));
        break;
      case 'icmp':
      case 'icmpv6':
        give(likely, `--${name}-type`, name === 'icmp' ? this.one(['8', '0', '13']) : this.one(['128', '129']));
        give(likely, `--${name}-code`, '0');
        give(likely, `--${name}-id`, this.one(['1', '77']));
        break;
      case 'gre':
      case '47':
        give(likely, this.one(['--srckey', '--orig-key-src']), this.one(['1', '0x10']));
        give(likely, this.one(['--dstkey', '--orig-key-dst']), this.one(['1', '0x20']));
        give(10, '--reply-key-src', '1');
        give(10, '--reply-key-dst', '1');
    }
    return words;
  }

  address(family: 4 | 6): string {
    return this.one(ADDRESSES[this.often(97) ? family : family === 4 ? 6 : 4]);
  }

  tuple(family: 4 | 6): string[] {
    const words = ['-s', this.address(family), '-d', this.address(family)];
    if (this.often(15)) words.push('-r', this.address(family), '-q', this.address(family));
    if (this.often(3)) words.splice(0, 2);
    return words;
  }

  create(): string[] {
    const family = this.often(80) ? 4 : 6;
    const name = this.protocol(family);
    const words = [this.one(['-I', '-I', '-I', '-A', '--create']), ...this.tuple(family)];
    if (this.often(97)) words.push('-p', name, ...this.protocolWords(name, true));
    if (this.often(96)) words.push('-t', this.one(TIMES));
    if (this.often(30)) words.push('-u', this.one(STATUSES));
    if (this.often(25)) words.push('-m', this.one(['1', '0x10', '7', '0', '0xffffffff', '4294967296', 'x', '7/0xf']));
    if (this.often(4)) words.push('-u', this.one(STATUSES));
    if (this.often(12)) words.push(this.one(['-w', '--orig-zone', '--reply-zone']), this.one(['1', '2', '0']));
    const target = this.address(family);
    if (this.often(10)) words.push('-n', this.often(60) ? target : this.place(target));
    if (this.often(10)) words.push('-g', this.often(60) ? target : this.place(target));
    if (this.often(3)) words.push('-f', this.one(['ipv4', 'ipv6', 'foo']));
    return words;
  }

  /** Options that choose entries. */
  filter(update: boolean): string[] {
    const family = this.often(80) ? 4 : 6;
    const words: string[] = [];
    if (this.often(45)) {
      const name = this.protocol(family);
      words.push('-p', name, ...this.protocolWords(name, false));
    }
    if (this.often(35)) words.push('-s', this.often(25) ? this.network(family) : this.address(family));
    if (this.often(30)) words.push('-d', this.often(25) ? this.network(family) : this.address(family));
    if (this.often(8)) words.push('-r', this.address(family));
    if (this.often(8)) words.push('-q', this.address(family));
    if (this.often(15))
      words.push('-m', this.one(update ? ['1', '9', '7/0xf', '0'] : ['1', '7', '0', '0x10/0xf0', '7/3']));
    if (this.often(12)) words.push('-u', this.one(STATUSES));
    if (this.often(3)) words.push('-m', this.one(['1', '4', '6']));
    if (this.often(8)) words.push('-w', this.one(['0', '1', '2']));
    if (this.often(3)) words.push(this.one(['--orig-zone', '--reply-zone']), this.one(['1', '2']));
    if (this.often(6)) words.push(this.one(['-n', '-g', '-j']));
    if (this.often(5)) words.push(this.one(['-n', '-g', '-j']), this.address(family));
    if (this.often(3)) words.push(this.one(['--src-nat', '--dst-nat', '--any-nat']), this.place(this.address(family)));
    if (this.often(4)) words.push('-f', family === 4 ? 'ipv4' : 'ipv6');
    if (this.often(3)) words.push('--mask-src', this.one(['255.255.255.0', '255.0.255.0', 'ffff::', '0.0.0.0']));
    if (this.often(3)) words.push('--mask-dst', this.one(['255.255.255.0', '0.0.0.255', 'ffff:ffff::']));
    if (this.often(2)) words.push('-i', '999999999');
    if (this.often(2)) words.push('-c', '1');
    if (update && this.often(50)) words.push('-t', this.one(TIMES));
    return words;
  }

  /** An address with a port. */
  place(address: string): string {
    const port = this.often(95) ? this.one(PORTS) : this.one(['', '0', '65536', 'x']);
    return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  }

  network(family: 4 | 6): string {
    return family === 4
      ? this.one(['10.0.0.0/24', '10.0.0.0/30', '0.0.0.0/0', '192.168.0.0/16', '10.0.0.1/33', '10.0.0.1/32'])
      : this.one(['2001:db8::/32', 'fd00::/8', '::/0']);
  }

  expectation(): string[] {
    const words = [this.one(['-L', '-I', '-D', '-G', '-F', '-C', '-L']), 'expect'];
    if (words[0] === '-F' || words[0] === '-C') return words;
    if (words[0] === '-L') return this.often(30) ? [...words, '-o', this.one(OUTPUTS)] : words;
    if (this.often(80)) words.push('-p', 'tcp');
    if (this.often(90)) words.push('--orig-src', '10.0.0.1', '--orig-dst', '10.0.0.2');
    if (words[0] === '-I') {
      if (this.often(90)) words.push('--tuple-src', '10.0.0.2', '--tuple-dst', '10.0.0.1');
      if (this.often(90)) words.push('--mask-src', '255.255.255.255', '--mask-dst', '255.255.255.255');
      if (this.often(90)) words.push('-t', '1000');
      if (words.includes('tcp')) {
        words.push('--sport', this.one(PORTS), '--dport', this.one(PORTS), '--tuple-port-src', '80');
        words.push('--tuple-port-dst', '443', '--mask-port-src', '0', '--mask-port-dst', '65535');
      }
    } else if (words.includes('tcp')) words.push('--sport', this.one(PORTS), '--dport', this.one(PORTS));
    return words;
  }

  odd(): string[] {
    return this.one([
      ['-L', 'dying'],
      ['-L', 'unconfirmed'],
      ['-F', 'dying'],
      ['-L', 'foo'],
      ['-C'],
      ['-V'],
      ['-S', '-x'],
      ['-L', '-F'],
      ['-L', '-z'],
      ['-L', '-z', '-p', 'tcp'],
      ['-U'],
      ['-D'],
      ['-G'],
      ['-I'],
      ['-L', '-p'],
      ['-L', '-p', 'foo'],
      ['-L', '-s', 'foo'],
      ['-L', '-l', 'foo'],
      ['-L', '--label-add', 'foo'],
      ['-L', '-o', 'labels'],
      ['-E', '-s'],
      ['-R'],
      ['--foo'],
      ['-L', '-a', '1.2.3.4'],
      ['-h', '-p', 'tcp'],
      ['-h', '-p', 'sctp'],
      ['-L', '-t', '5'],
      ['-F', '-p', 'tcp'],
      ['-L', '-j', '-n'],
      ['-L', '-b', '5'],
      ['-L', '-z', '-o', 'extended'],
      ['-L', 'conntrack', '-o', 'xml'],
      ['-L', 'conn'],
      ['-L', 'd'],
      ['-L', 'unc', '-o', 'xml'],
      ['-L', 'dying', '-o', 'extended,id'],
      ['--dump', '--family=ipv6'],
      ['--dump', '--orig', '10.0.0.1'],
      ['-D', '-l', 'foo'],
      ['-U', '--label-del'],
      ['-I', '--label-add', 'foo', '-s', '10.0.0.1', '-d', '10.0.0.2', '-p', 'udp', '-t', '1000'],
      ['-G', '-p', 'udp'],
      ['-h', '-p', 'icmp'],
      ['-h', '-p', 'gre'],
      ['-C', 'expect'],
      ['-C', 'dying'],
      ['-F', 'unconfirmed'],
      ['-E', 'foo'],
      ['-L', '-e', 'NEW'],
      ['-L', '-o', 'id,foo'],
      ['-L', '-o', ''],
      ['-L', '-o', ','],
      ['-L', '-n', '10.0.0.1:99999'],
      ['-L', '-g', '[::1'],
      ['-L', '-g', '[]:1'],
      ['-L', '-g', '10.0.0.1:'],
      ['-L', '-p', 'tcp', '--sport', '99999'],
      ['-L', '-p', 'tcp', '--sport', 'http'],
      ['-L', '-p', 'tcp', '--state', ''],
      ['-L', '--src', '10.0.0.1', '--src', '10.0.0.2'],
      ['-L', '-p', 'udp', '-p', 'tcp'],
      ['-L', 'expect', '-o', 'xml,id'],
      ['-V', '-L'],
      ['-A', 'expect'],
      ['-U', 'expect'],
      ['-L', '-w', '65536'],
      ['-L', '-w', 'x'],
      ['-S', 'expect'],
      ['-L', 'stray', 'word'],
      ['-L', 'conntrack', 'word'],
      ['--version'],
    ]);
  }

  call(): Call {
    const dice = this.random.int(0, 99);
    if (dice < 40) return this.create();
    if (dice < 62) {
      const words = ['-L', ...this.filter(false)];
      if (this.often(30)) words.push('-o', this.one(OUTPUTS));
      return words;
    }
    if (dice < 74) return ['-U', ...this.filter(true)];
    if (dice < 84) return ['-D', ...this.filter(false)];
    if (dice < 90) {
      const family = this.often(80) ? 4 : 6;
      const name = this.protocol(family);
      return [
        '-G',
        ...this.tuple(family),
        '-p',
        name,
        ...this.protocolWords(name, true).filter(
          (_, i, all) => !['--state', '--orig-vtag', '--reply-vtag'].includes(all[i - (i % 2)]!),
        ),
      ];
    }
    if (dice < 94) return this.expectation();
    if (dice < 95) return this.often(50) ? ['-F'] : ['-C'];
    return this.odd();
  }
}

/** A sequence of calls. */
export function generateCalls(random: Random, length: number): Call[] {
  const writer = new Writer(random);
  return Array.from({ length }, () => writer.call());
}
