import { formatAddress } from '../../packet/address-text.ts';
import type { AddressWords, Family } from '../../packet/family.ts';
import { compareAddresses, parseNumericAddress } from '../addresses.ts';
import { defineMatch, type ParseContext, UsageError } from '../contract.ts';
import { badValue, not } from '../words.ts';

interface Range {
  min: AddressWords;
  max: AddressWords;
  invert: boolean;
}

interface IprangeMatch {
  source: Range | null;
  destination: Range | null;
}

function parseRange(text: string, option: string, invert: boolean, context: ParseContext): Range {
  const dash = text.indexOf('-');
  const [first, last] = dash < 0 ? [text, text] : [text.slice(0, dash), text.slice(dash + 1)];
  const read = (part: string): AddressWords => {
    const address = parseNumericAddress(part, context.family);
    if (address === null) throw badValue('iprange', option, part);
    return address;
  };
  const range = { min: read(first), max: read(last), invert };
  if (dash >= 0 && compareAddresses(range.min, range.max) > 0)
    context.warn(`xt_iprange: range ${first}-${last} is reversed and will never match\n`);
  return range;
}

function rangeText({ min, max }: Range, family: Family): string {
  return ` ${formatAddress(family, min)}-${formatAddress(family, max)}`;
}

const HELP = `iprange match options:
[!] --src-range ip[-ip]    Match source IP in the specified range
[!] --dst-range ip[-ip]    Match destination IP in the specified range
`;

export const iprange = defineMatch<IprangeMatch>({
  name: 'iprange',
  families: [4, 6],
  options: [
    { name: 'src-range', type: 'string', invert: true },
    { name: 'dst-range', type: 'string', invert: true },
  ],
  init: () => ({ source: null, destination: null }),
  parse(data, option, context) {
    const range = parseRange(option.text, `--${option.name}`, option.invert, context);
    if (option.name === 'src-range') data.source = range;
    else data.destination = range;
  },
  finish(_data, { seen }) {
    if (seen.size === 0) throw new UsageError("iprange match: You must specify `--src-range' or `--dst-range'");
  },
  save({ source, destination }, { family }) {
    let text = '';
    if (source) text += `${not(source.invert)} --src-range${rangeText(source, family)}`;
    if (destination) text += `${not(destination.invert)} --dst-range${rangeText(destination, family)}`;
    return text;
  },
  print({ source, destination }, { family }) {
    let text = '';
    if (source) text += ` source IP range${not(source.invert)}${rangeText(source, family)}`;
    if (destination) text += ` destination IP range${not(destination.invert)}${rangeText(destination, family)}`;
    return text;
  },
  help: () => HELP,
  explain({ source, destination }, { family }) {
    const part = (what: string, range: Range) =>
      `the ${what} address is ${range.invert ? 'outside' : 'within'}${rangeText(range, family).replace('-', ' to ')}`;
    return [source && part('source', source), destination && part('destination', destination)]
      .filter(Boolean)
      .join(' and ');
  },
  pure: true,
  // `iprange_mt4`, `iprange_mt6` (net/netfilter/xt_iprange.c)
  compile({ source, destination }) {
    const outside = (address: ArrayLike<number>, range: Range): boolean =>
      (compareAddresses(address, range.min) < 0 || compareAddresses(range.max, address) < 0) !== range.invert;
    return (packet) => {
      if (source !== null && outside(packet.src, source)) return false;
      return destination === null || !outside(packet.dst, destination);
    };
  },
});
