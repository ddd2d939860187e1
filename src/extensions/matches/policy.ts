import { Hook } from '../../datapath/hooks.ts';
import { formatAddress } from '../../packet/address-text.ts';
import type { Packet } from '../../packet/packet.ts';
import { formatMaskSuffix, parseAddress } from '../../ruleset/addresses.ts';
import { equalUnderMask, type MaskedAddress } from '../addresses.ts';
import { defineMatch, type ParsedOption, type PrintContext, UsageError } from '../contract.ts';
import { not } from '../words.ts';

interface Test<T> {
  value: T;
  invert: boolean;
}

/** `struct xt_policy_elem`: what is asked of one transform; what is not asked for is absent. */
interface Element {
  reqid?: Test<number>;
  spi?: Test<number>;
  source?: Test<MaskedAddress>;
  destination?: Test<MaskedAddress>;
  protocol?: Test<number>;
  mode?: Test<'transport' | 'tunnel'>;
}

/** `struct xt_policy_info`. */
interface PolicyMatch {
  in: boolean;
  out: boolean;
  none: boolean;
  strict: boolean;
  elements: Element[];
}

const MAX_ELEMENTS = 4;
const AH = 51;
const ESP = 50;
const IPCOMP = 108;
const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ['ah', AH],
  ['esp', ESP],
  ['ipcomp', IPCOMP],
]);

const NAMES = {
  reqid: 'reqid',
  spi: 'spi',
  source: 'tunnel-src',
  destination: 'tunnel-dst',
  protocol: 'proto',
  mode: 'mode',
} as const;

function take<K extends keyof Element>(element: Element, key: K, test: NonNullable<Element[K]>): void {
  if (element[key] !== undefined) throw new UsageError(`policy match: double --${NAMES[key]} option`);
  element[key] = test;
}

function parse(data: PolicyMatch, option: ParsedOption): void {
  const element = data.elements[data.elements.length - 1]!;
  const { text, invert } = option;
  const address = { value: { address: option.address, mask: option.addressMask }, invert };
  switch (option.name) {
    case 'dir':
      if (text !== 'in' && text !== 'out') throw new UsageError(`policy_match: invalid dir "${text}"`);
      if (text === 'in') data.in = true;
      else data.out = true;
      break;
    case 'pol':
      if (text !== 'none' && text !== 'ipsec') throw new UsageError(`policy match: invalid policy "${text}"`);
      data.none = text === 'none';
      break;
    case 'strict':
      data.strict = true;
      break;
    case 'reqid':
      take(element, 'reqid', { value: option.number, invert });
      break;
    case 'spi':
      take(element, 'spi', { value: option.number, invert });
      break;
    case 'tunnel-src':
      take(element, 'source', address);
      break;
    case 'tunnel-dst':
      take(element, 'destination', address);
      break;
    case 'proto':
      if (element.protocol !== undefined) throw new UsageError('policy match: double --proto option');
      if (option.number !== AH && option.number !== ESP && option.number !== IPCOMP)
        throw new UsageError('policy match: protocol must be ah/esp/ipcomp');
      element.protocol = { value: option.number, invert };
      break;
    case 'mode':
      if (element.mode !== undefined) throw new UsageError('policy match: double --mode option');
      if (text !== 'transport' && text !== 'tunnel') throw new UsageError(`policy match: invalid mode "${text}"`);
      element.mode = { value: text, invert };
      break;
    case 'next':
      if (data.elements.length === MAX_ELEMENTS) throw new UsageError('policy match: maximum policy depth reached');
      data.elements.push({});
      break;
  }
}

function finish(data: PolicyMatch): void {
  if (!data.in && !data.out) throw new UsageError('policy match: neither --dir in nor --dir out specified');
  if (data.none) {
    if (data.strict) throw new UsageError('policy match: policy none but --strict given');
    if (data.elements.length > 1) throw new UsageError('policy match: policy none but policy given');
    // Nothing of an element is looked at with --pol none, nor saved.
    data.elements = [];
  }
  data.elements.forEach((element, i) => {
    if (data.strict && Object.keys(element).length === 0)
      throw new UsageError(
        `policy match: empty policy element ${i}. --strict is in effect, but at least one of reqid, spi, tunnel-src, tunnel-dst, proto or mode is required.`,
      );
    const tunnel = (element.mode?.value === 'tunnel') !== (element.mode?.invert ?? false);
    if ((element.source || element.destination) && !tunnel)
      throw new UsageError('policy match: --tunnel-src/--tunnel-dst is only valid in tunnel mode');
  });
}

function elementText(element: Element, prefix: string, { family, names }: PrintContext, numeric: boolean): string {
  let text = '';
  const part = (test: Test<unknown> | undefined, option: string, value: () => string): void => {
    if (test !== undefined) text += `${not(test.invert)} ${prefix}${option} ${value()}`;
  };
  const address = ({ address, mask }: MaskedAddress) =>
    `${formatAddress(family, address)}${formatMaskSuffix(mask, family)}`;
  part(element.reqid, 'reqid', () => String(element.reqid!.value));
  part(element.spi, 'spi', () => `0x${element.spi!.value.toString(16)}`);
  part(element.protocol, 'proto', () => {
    const { value } = element.protocol!;
    return (numeric ? null : names.protocolByNumber(value)) ?? String(value);
  });
  part(element.mode, 'mode', () => element.mode!.value);
  part(element.destination, 'tunnel-dst', () => address(element.destination!.value));
  part(element.source, 'tunnel-src', () => address(element.source!.value));
  return text;
}

function flagsText(data: PolicyMatch, prefix: string): string {
  return ` ${prefix}dir ${data.in ? 'in' : 'out'} ${prefix}pol ${data.none ? 'none' : 'ipsec'}${data.strict ? ` ${prefix}strict` : ''}`;
}

const HELP = `policy match options:
  --dir in|out			match policy applied during decapsulation/
				policy to be applied during encapsulation
  --pol none|ipsec		match policy
  --strict 			match entire policy instead of single element
				at any position
These options may be used repeatedly, to describe policy elements:
[!] --reqid reqid		match reqid
[!] --spi spi			match SPI
[!] --proto proto		match protocol (ah/esp/ipcomp)
[!] --mode mode 		match mode (transport/tunnel)
[!] --tunnel-src addr/mask	match tunnel source
[!] --tunnel-dst addr/mask	match tunnel destination
  --next 			begin next element in policy
`;

export const policy = defineMatch<PolicyMatch>({
  name: 'policy',
  families: [4, 6],
  options: [
    { name: 'dir', type: 'string' },
    { name: 'pol', type: 'string' },
    { name: 'strict', type: 'none' },
    { name: 'reqid', type: 'uint32', invert: true, multiple: true },
    { name: 'spi', type: 'uint32', invert: true, multiple: true },
    { name: 'tunnel-src', type: 'host-mask', invert: true, multiple: true },
    { name: 'tunnel-dst', type: 'host-mask', invert: true, multiple: true },
    { name: 'proto', type: 'protocol', invert: true, multiple: true },
    { name: 'mode', type: 'string', invert: true, multiple: true },
    { name: 'next', type: 'none', multiple: true, requires: ['strict'] },
  ],
  init: () => ({ in: false, out: false, none: false, strict: false, elements: [{}] }),
  parse,
  finish,
  save: (data, context) =>
    flagsText(data, '--') + data.elements.map((element) => elementText(element, '--', context, false)).join(' --next'),
  print(data, context) {
    const several = data.elements.length > 1;
    const elements = data.elements.map(
      (element, i) => (several ? ` [${i}]` : '') + elementText(element, '', context, context.numeric),
    );
    return ` policy match${flagsText(data, '')}${elements.join('')}`;
  },
  help: () => HELP,
  check(data, { hooks }) {
    if (data.out && (hooks.has(Hook.prerouting) || hooks.has(Hook.input))) return 'EINVAL';
    return data.in && (hooks.has(Hook.postrouting) || hooks.has(Hook.output)) ? 'EINVAL' : null;
  },
  explain: (data, context) =>
    data.none
      ? `the packet ${data.in ? 'was not' : 'will not be'} handled by IPsec`
      : `the packet ${data.in ? 'was' : 'will be'} handled by IPsec${data.elements.map((element) => elementText(element, '', context, true)).join(' then')}`,
  unknown: () =>
    'IPsec is not simulated: a packet is under a policy only if it says so (policy=ipsec, or policy=esp/tunnel/src/dst/reqid/spi,...)',
  pure: true,
  // `policy_mt` (net/netfilter/xt_policy.c)
  compile(data) {
    return (packet) => {
      const transforms = transformsOf(packet);
      if (transforms.length === 0) return data.none;
      if (data.none) return false;
      return matchesTransforms(transforms, data, packet);
    };
  },
});

/** One transform that a packet is said to have gone through, outermost first; unsaid parts fit anything. */
interface Transform {
  protocol?: number;
  mode?: string;
  source?: string;
  destination?: string;
  reqid?: number;
  spi?: number;
}

const NO_TRANSFORMS: readonly Transform[] = [];

function transformsOf(packet: Packet): readonly Transform[] {
  const said = packet.described?.policy;
  if (said === undefined || said === 'none' || said === '') return NO_TRANSFORMS;
  return said.split(',').map((text) => {
    const [protocol = '', mode, source, destination, reqid, spi] = text.split('/');
    const transform: Transform = {};
    const number = PROTOCOLS.get(protocol);
    if (number !== undefined) transform.protocol = number;
    if (mode) transform.mode = mode;
    if (source) transform.source = source;
    if (destination) transform.destination = destination;
    if (reqid) transform.reqid = Number(reqid);
    if (spi) transform.spi = Number(spi);
    return transform;
  });
}

function matchesTransforms(transforms: readonly Transform[], data: PolicyMatch, packet: Packet): boolean {
  const { elements, strict } = data;
  if (!strict) return transforms.some((transform) => fits(transform, elements[0]!, packet));
  if (transforms.length !== elements.length) return false;
  return transforms.every((transform, i) => fits(transform, elements[i]!, packet));
}

function fits(transform: Transform, element: Element, packet: Packet): boolean {
  const same = <T>(test: Test<T> | undefined, value: T | undefined): boolean =>
    test === undefined || value === undefined || (test.value === value) !== test.invert;
  const address = (test: Test<MaskedAddress> | undefined, text: string | undefined): boolean => {
    if (test === undefined || text === undefined) return true;
    const words = parseAddress(text, packet.family);
    return words !== null && equalUnderMask(words, test.value.address, test.value.mask) !== test.invert;
  };
  return (
    same(element.protocol, transform.protocol) &&
    same<string>(element.mode, transform.mode) &&
    same(element.spi, transform.spi) &&
    same(element.reqid, transform.reqid) &&
    address(element.source, transform.source) &&
    address(element.destination, transform.destination)
  );
}
