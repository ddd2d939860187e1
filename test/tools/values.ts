import type { OptionDeclaration } from '../../src/extensions/contract.ts';
import type { Random } from '../kernel/random.ts';
import { HEADER_TEXTS } from './header-texts.ts';
import { MATCH_TEXTS } from './match-texts.ts';
import { TARGET_TEXTS } from './target-texts.ts';

const TEXTS: Readonly<Record<string, readonly string[]>> = { ...HEADER_TEXTS, ...MATCH_TEXTS, ...TARGET_TEXTS };

const INTEGERS: Readonly<Record<string, number>> = { uint8: 255, uint16: 65535, uint32: 4294967295 };

const HOSTS = {
  4: [
    '10.0.0.1',
    '192.0.2.7',
    '0.0.0.0',
    '255.255.255.255',
    'localhost',
    '1.2.3',
    '010.1.1.1',
    '1.2.3.256',
    'nosuch.invalid',
  ],
  6: ['2001:db8::1', '::', '::1', 'fe80::1', '::ffff:1.2.3.4', '2001:db8', 'localhost', 'g::'],
} as const;

function integer(random: Random, declaration: OptionDeclaration, typeMax: number): string {
  const { min = 0, max = typeMax } = declaration;
  if (random.chance(0.5)) return String(random.int(min, Math.min(max === 0 ? typeMax : max, min + 60)));
  return random.pick([String(min), String(max), `0x${min.toString(16)}`, '7', '1', '012', '+3', '0', ' 4']);
}

function range(random: Random, limit: string): string {
  return random.pick([
    '5',
    '1:9',
    ':9',
    '1:',
    '0',
    limit,
    `0:${limit}`,
    '9:1',
    '3:3',
    ':',
    '0x10:0x20',
    '1:2:3',
    `7:${limit}`,
  ]);
}

/** An argument as the option's type has it: mostly right, often at a boundary. */
export function rightValue(random: Random, extension: string, option: OptionDeclaration, family: 4 | 6): string {
  const name = option.synonymOf ?? option.name;
  const texts = TEXTS[`${extension} ${name}`];
  if (texts !== undefined)
    return random.chance(0.6) ? texts[random.int(0, Math.min(2, texts.length - 1))]! : random.pick(texts);
  switch (option.type) {
    case 'uint8':
    case 'uint16':
    case 'uint32':
      return integer(random, option, INTEGERS[option.type]!);
    case 'uint64':
      return random.pick(['0', '1', '1000', '18446744073709551615', '4294967296', '50', '33']);
    case 'uint8-range':
      return range(random, '255');
    case 'uint16-range':
      return range(random, '65535');
    case 'uint32-range':
      return range(random, '4294967295');
    case 'uint64-range':
      return range(random, '18446744073709551615');
    case 'double':
      return random.pick(['0.5', '0', '1', '0.33', '.1', '1e-3', '0.000000001', '0.999999', '0x1', '1.0']);
    case 'string':
      return random.pick(['1', 'a', 'foo', '10']);
    case 'tos-mask':
      return random.pick([
        '0x10',
        '0x10/0x3f',
        'Minimize-Delay',
        'normal-service',
        '0xff/0xff',
        '0',
        '8/0',
        'maximize-throughput',
        '0x3f/',
      ]);
    case 'mark-mask':
      return random.pick([
        '1',
        '0x1/0xff',
        '0',
        '0xffffffff',
        '0xffffffff/0xffffffff',
        '0x10/0',
        '0xf0/0x0f',
        '12/5',
        '1/',
      ]);
    case 'syslog-level':
      return random.pick([
        '4',
        '0',
        '7',
        'debug',
        'info',
        'warning',
        'emerg',
        'panic',
        'error',
        'notice',
        'alert',
        'crit',
      ]);
    case 'host':
      return random.pick(HOSTS[family]);
    case 'host-mask':
      return (
        random.pick(HOSTS[family].slice(0, 6)) +
        random.pick(
          family === 4
            ? ['', '/24', '/255.255.0.0', '/0', '/255.0.255.0', '/32']
            : ['', '/64', '/0', '/128', '/ffff::', '/48'],
        )
      );
    case 'protocol':
      return random.pick(['tcp', 'udp', '6', '0', '255', 'all', 'icmp', 'TCP', '50']);
    case 'port':
      return random.pick(['80', 'http', '0', '65535', '1024']);
    case 'port-range':
      return random.pick(['80', 'http', '1:1024', ':80', '80:', '0:65535', 'ssh:http', '80:22', '0', '65535']);
    case 'prefix-length':
    case 'prefix-mask':
      return random.pick([
        '24',
        '0',
        '32',
        '16',
        ...(family === 6 ? ['64', '128', 'ffff::'] : ['255.255.0.0', '255.0.255.0']),
      ]);
    case 'ethernet':
      return random.pick([
        '00:11:22:33:44:55',
        'ff:ff:ff:ff:ff:ff',
        '0:1:2:3:4:5',
        'AA:bb:CC:dd:EE:0f',
        '01:00:5e:00:00:20',
      ]);
    default:
      return '1';
  }
}

const WRONG = [
  '',
  'x',
  '-1',
  '256',
  '65536',
  '4294967296',
  '18446744073709551616',
  '1x',
  '1:',
  ':',
  '/',
  '1/',
  '!',
  '-j',
  '1.5',
  '1,2',
  '0x',
  '1 2',
  '300:400',
  'ff',
  '00:11:22:33:44',
  '10.0.0.1/33',
  '::/129',
  'http:',
  'foo/bar',
  '99999:1',
  '1/x',
  'nan',
  '2',
  '-5:5',
  '+',
] as const;

/** An argument that hardly is one. */
export function wrongValue(random: Random): string {
  return random.pick(WRONG);
}
