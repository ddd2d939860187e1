import { expect, it } from 'vitest';
import type { NameServices, OptionDeclaration, ParsedOption } from '../extensions/contract.ts';
import { NO_NAMES } from '../extensions/no-names.ts';
import { emptyOption, readValue } from './option-values.ts';

const names: NameServices = { ...NO_NAMES, serviceByName: (name) => (name === 'ssh' ? 22 : null) };

function read(type: OptionDeclaration['type'], text: string, more: Partial<OptionDeclaration> = {}): ParsedOption {
  const option = emptyOption('o', false, text);
  readValue(option, { name: 'o', type, ...more }, { family: 4, names, extension: 'x' });
  return option;
}

/** Texts of libxtables/xtoptions.c, as iptables 1.8.9 prints them for extensions with such options. */
it.each<[OptionDeclaration['type'], string, Partial<OptionDeclaration>, string]>([
  ['uint8', '256', {}, 'x: bad value for option "--o", or out of range (0-255).\n'],
  ['uint32', '0', { min: 1, max: 10 }, 'x: bad value for option "--o", or out of range (1-10).\n'],
  ['uint32', '12a', {}, 'x: bad value for option "--o", or out of range (0-4294967295).\n'],
  ['uint16-range', '1:70000', {}, 'x: bad value for option "--o" near "70000", or out of range (0-65535).\n'],
  ['uint16-range', '1-2', {}, 'x: Argument to "--o" has unexpected characters near "-2".\n'],
  ['uint16-range', '1:2:3', {}, 'x: Too many components for option "--o" (max: 2)\n'],
  ['string', 'abc', { max: 2 }, 'Argument must have a maximum length of 2 characters\n'],
  ['mark-mask', '0x1/', {}, 'x: bad integer value for option "--o", or out of range.\n'],
  ['mark-mask', '1x', {}, 'x: trailing garbage after value for option "--o".\n'],
  ['syslog-level', 'loud', {}, 'log level "loud" unknown\n'],
  ['host', 'no.such', {}, 'getaddrinfo: Name or service not known\n'],
  ['port', '-1', {}, 'Port "-1" does not resolve to anything.\n'],
  ['prefix-mask', 'x', {}, 'x: bad value for option "--o", neither a valid network mask nor valid CIDR (0-32).\n'],
  ['ethernet', '1:2:3', {}, 'Invalid MAC address specified.'],
  ['tos-mask', 'fast', {}, 'Symbolic name "fast" is unknown'],
])('%s refuses %s', (type, text, more, message) => {
  expect(() => read(type, text, more)).toThrow(message);
});

it('reads what the real types read', () => {
  expect(read('uint32', '0x10').number).toBe(16);
  expect(read('uint32', '010').number).toBe(8);
  expect(read('uint64', '18446744073709551615').big).toBe(18446744073709551615n);
  expect(read('uint64-range', '5:').bigs).toEqual([5n, 18446744073709551615n]);
  expect(read('uint16-range', ':5').numbers).toEqual([0, 5]);
  expect(read('port-range', 'ssh:').numbers).toEqual([22, 65535]);
  expect(read('port', '65536').number).toBe(0);
  expect(read('mark-mask', '0x1/0xf')).toMatchObject({ value: 1, mask: 15 });
  expect(read('host-mask', '10.1.2.3/255.255.0.0')).toMatchObject({ prefixLength: 16, address: [0x0a010203, 0, 0, 0] });
  expect(read('ethernet', '0:1a:2:3:4:ff').mac).toEqual([0, 0x1a, 2, 3, 4, 0xff]);
});
