import { Verdict } from '../../datapath/verdicts.ts';
import { formatAddress6, maskLength4 } from '../../packet/address-text.ts';
import type { AddressWords, Family } from '../../packet/family.ts';
import { jhash3words, reciprocalScale } from '../../packet/jhash.ts';
import { defineTarget, UsageError } from '../contract.ts';
import { connectionTuple, type HashedTuple, packetTuple4, packetTuple6 } from './hmark-tuple.ts';
import { hex, paddedHex } from './numbers.ts';

/** `struct xt_hmark_info`; null: not given. Ports and SPI share one field in the kernel: ports are its halves. */
interface HmarkTarget {
  sourcePrefix: AddressWords | null;
  destinationPrefix: AddressWords | null;
  portMask: number;
  portSet: number;
  /** Which of the options below were given. */
  given: string[];
  protocolMask: number;
  seed: number;
  modulus: number;
  offset: number;
}

const HELP = `HMARK target options, i.e. modify hash calculation by:
  --hmark-tuple [src|dst|sport|dport|spi|proto|ct][,...]
  --hmark-mod value		    nfmark modulus value
  --hmark-offset value		    Last action add value to nfmark

  --hmark-rnd			    Random see for hashing
 Alternatively, fine tuning of what will be included in hash calculation
  --hmark-src-prefix length	    Source address mask CIDR prefix
  --hmark-dst-prefix length	    Dest address mask CIDR prefix
  --hmark-sport-mask value	    Mask src port with value
  --hmark-dport-mask value	    Mask dst port with value
  --hmark-spi-mask value	    For esp and ah AND spi with value
  --hmark-sport value		    OR src port with value
  --hmark-dport value		    OR dst port with value
  --hmark-spi value		    For esp and ah OR spi with value
  --hmark-proto-mask value	    Mask Protocol with value
`;

const ALL: Readonly<Record<Family, AddressWords>> = {
  4: [0xffffffff, 0, 0, 0],
  6: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
};
/** In the order in which a beginning is looked for. */
const PARTS = ['ct', 'src', 'dst', 'sport', 'dport', 'proto', 'spi'];

function high(field: number, half: number): number {
  return ((field & 0xffff) | (half << 16)) >>> 0;
}

function low(field: number, half: number): number {
  return ((field & 0xffff0000) | half) >>> 0;
}

function give(data: HmarkTarget, name: string): void {
  if (!data.given.includes(name)) data.given.push(name);
}

/** One word of `--hmark-tuple`; false if there is no such part. */
function readPart(data: HmarkTarget, text: string, family: Family): boolean {
  const part = PARTS.find((name) => name.startsWith(text.toLowerCase()));
  switch (part) {
    case 'ct':
      give(data, 'ct');
      return true;
    case 'src':
      data.sourcePrefix = ALL[family];
      return true;
    case 'dst':
      data.destinationPrefix = ALL[family];
      return true;
    case 'sport':
      data.portMask = high(data.portMask, 0xffff);
      give(data, 'sport-mask');
      return true;
    case 'dport':
      data.portMask = low(data.portMask, 0xffff);
      give(data, 'dport-mask');
      return true;
    case 'proto':
      data.protocolMask = 0xffff;
      give(data, 'proto-mask');
      return true;
    case 'spi':
      data.portMask = 0xffffffff;
      give(data, 'spi-mask');
      return true;
    default:
      return false;
  }
}

/** A part of the tuple counts as a use of the option that says the same in full. */
function refuseRepeat(data: HmarkTarget, name: string): void {
  const repeated =
    (name === 'src-prefix' && data.sourcePrefix !== null) ||
    (name === 'dst-prefix' && data.destinationPrefix !== null) ||
    (name.endsWith('-mask') && data.given.includes(name));
  if (repeated) throw new UsageError(`HMARK: option "--hmark-${name}" can only be used once.\n`);
}

function readTuple(data: HmarkTarget, text: string, family: Family): void {
  let rest = text;
  for (let comma = rest.indexOf(','); comma >= 0; comma = rest.indexOf(',')) {
    if (comma === 0 || !readPart(data, rest.slice(0, comma), family)) throw new UsageError(`Bad type "${rest}"`);
    rest = rest.slice(comma + 1);
  }
  if (rest === '') {
    throw new UsageError('"--hmark-tuple" requires a list of types with no spaces, e.g. src,dst,sport,dport,proto');
  }
  if (!readPart(data, rest, family)) throw new UsageError(`Bad type "${rest}"`);
}

function prefixLength(mask: AddressWords, family: Family): number {
  let length = 0;
  for (const word of family === 4 ? mask.slice(0, 1) : mask) length += maskLength4(word);
  return length;
}

/** The mask of an IPv6 prefix as a listing has it: its length, all else as an address. */
function listedPrefix(mask: AddressWords, family: Family): string {
  const length = prefixLength(mask, family);
  if (family === 6 && length < 0) return formatAddress6(mask);
  // What the real tool puts after the address of a whole IPv6 mask: nothing.
  return family === 6 && length === 128 ? '' : String(length);
}

function saved(data: HmarkTarget, family: Family): string {
  const { given, portMask, portSet } = data;
  let text = '';
  if (data.sourcePrefix !== null) text += ` --hmark-src-prefix ${prefixLength(data.sourcePrefix, family)}`;
  if (data.destinationPrefix !== null) text += ` --hmark-dst-prefix ${prefixLength(data.destinationPrefix, family)}`;
  const add = (name: string, value: string): void => {
    if (given.includes(name)) text += ` --hmark-${name} ${value}`;
  };
  add('sport-mask', paddedHex(portMask >>> 16, 4));
  add('dport-mask', paddedHex(portMask & 0xffff, 4));
  add('spi-mask', paddedHex(portMask, 8));
  add('sport', paddedHex(portSet >>> 16, 4));
  add('dport', paddedHex(portSet & 0xffff, 4));
  add('spi', paddedHex(portSet, 8));
  add('proto-mask', paddedHex(data.protocolMask, 2));
  add('rnd', paddedHex(data.seed, 8));
  add('mod', String(data.modulus));
  add('offset', String(data.offset));
  return given.includes('ct') ? `${text} --hmark-tuple ct` : text;
}

function listed(data: HmarkTarget, family: Family): string {
  const { given, portMask, portSet } = data;
  let text = ' HMARK ';
  const add = (name: string, value: string): void => {
    if (given.includes(name)) text += `${value} `;
  };
  add('mod', `mod ${data.modulus}`);
  add('offset', `+ ${hex(data.offset)}`);
  add('ct', 'ct,');
  if (data.sourcePrefix !== null) text += `src-prefix ${listedPrefix(data.sourcePrefix, family)} `;
  if (data.destinationPrefix !== null) text += `dst-prefix ${listedPrefix(data.destinationPrefix, family)} `;
  add('sport-mask', `sport-mask ${hex(portMask >>> 16)}`);
  add('dport-mask', `dport-mask ${hex(portMask & 0xffff)}`);
  add('spi-mask', `spi-mask ${hex(portMask)}`);
  add('sport', `sport ${hex(portSet >>> 16)}`);
  add('dport', `dport ${hex(portSet & 0xffff)}`);
  add('spi', `spi ${hex(portSet)}`);
  add('proto-mask', `proto-mask ${hex(data.protocolMask)}`);
  add('rnd', `rnd ${hex(data.seed)}`);
  return text;
}

export const HMARK = defineTarget<HmarkTarget>({
  name: 'HMARK',
  families: [4, 6],
  options: [
    { name: 'hmark-tuple', type: 'string' },
    { name: 'hmark-src-prefix', type: 'prefix-mask' },
    { name: 'hmark-dst-prefix', type: 'prefix-mask' },
    { name: 'hmark-sport-mask', type: 'uint16' },
    { name: 'hmark-dport-mask', type: 'uint16' },
    { name: 'hmark-spi-mask', type: 'uint32' },
    { name: 'hmark-sport', type: 'uint16' },
    { name: 'hmark-dport', type: 'uint16' },
    { name: 'hmark-spi', type: 'uint32' },
    { name: 'hmark-proto-mask', type: 'uint16' },
    { name: 'hmark-rnd', type: 'uint32' },
    { name: 'hmark-mod', type: 'uint32', min: 1, mandatory: true },
    { name: 'hmark-offset', type: 'uint32' },
  ],
  init: () => ({
    sourcePrefix: null,
    destinationPrefix: null,
    portMask: 0,
    portSet: 0,
    given: [],
    protocolMask: 0,
    seed: 0,
    modulus: 0,
    offset: 0,
  }),
  parse(data, { name, number, text, addressMask }, { family }) {
    const what = name.slice('hmark-'.length);
    refuseRepeat(data, what);
    switch (what) {
      case 'tuple':
        readTuple(data, text, family);
        return;
      case 'src-prefix':
        data.sourcePrefix = addressMask;
        return;
      case 'dst-prefix':
        data.destinationPrefix = addressMask;
        return;
      case 'sport-mask':
        data.portMask = high(data.portMask, number);
        break;
      case 'dport-mask':
        data.portMask = low(data.portMask, number);
        break;
      case 'spi-mask':
        data.portMask = number;
        break;
      case 'sport':
        data.portSet = high(data.portSet, number);
        break;
      case 'dport':
        data.portSet = low(data.portSet, number);
        break;
      case 'spi':
        data.portSet = number;
        break;
      case 'proto-mask':
        data.protocolMask = number;
        break;
      case 'rnd':
        data.seed = number;
        break;
      case 'mod':
        data.modulus = number;
        break;
      case 'offset':
        data.offset = number;
        break;
    }
    give(data, what);
  },
  finish(data, { seen }) {
    const { given } = data;
    if (!seen.has('hmark-mod')) throw new UsageError('--hmark-mod is mandatory');
    if (!seen.has('hmark-rnd')) throw new UsageError('--hmark-rnd is mandatory');
    if (given.includes('spi-mask') && (given.includes('sport-mask') || given.includes('dport-mask'))) {
      throw new UsageError('you cannot use --hmark-spi-mask and --hmark-?port-mask,at the same time');
    }
    const parts = ['ct', 'sport-mask', 'dport-mask', 'spi-mask', 'sport', 'dport', 'spi', 'proto-mask'];
    const any = data.sourcePrefix !== null || data.destinationPrefix !== null;
    if (!any && !parts.some((part) => given.includes(part))) {
      throw new UsageError('you have to specify --hmark-tuple at least');
    }
  },
  save: (data, { family }) => saved(data, family),
  print: (data, { family }) => listed(data, family),
  help: () => HELP,
  check: ({ given }) =>
    given.includes('spi') && (given.includes('sport') || given.includes('dport')) ? 'EINVAL' : null,
  same: (a, b) => saved(a, 6) === saved(b, 6),
  explain: ({ modulus, offset }) => `the packet is marked ${offset} to ${offset + modulus - 1}, by a hash of its flow`,
  memory: 'flow',
  compile(data, { family }) {
    const { seed, modulus, offset, protocolMask, portMask, portSet, given } = data;
    const none = [0, 0, 0, 0];
    const rule = {
      sourceMask: data.sourcePrefix ?? none,
      destinationMask: data.destinationPrefix ?? none,
      portMask,
      portSet,
    };
    const tuple: HashedTuple = { source: 0, destination: 0, ports: 0, protocol: 0 };
    const read = given.includes('ct') ? connectionTuple : family === 4 ? packetTuple4 : packetTuple6;
    return (packet) => {
      if (!read(packet, tuple, rule)) return Verdict.next;
      const { source, destination } = tuple;
      const hash = jhash3words(Math.min(source, destination), Math.max(source, destination), tuple.ports, seed);
      packet.mark = (reciprocalScale((hash ^ (tuple.protocol & protocolMask)) >>> 0, modulus) + offset) >>> 0;
      return Verdict.next;
    };
  },
});
