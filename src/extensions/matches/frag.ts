import { readUint16, readUint32 } from '../../packet/bytes.ts';
import { Protocol } from '../../packet/protocol.ts';
import { defineMatch } from '../contract.ts';
import { findExtensionHeader, TRUNCATED } from '../header-search.ts';
import { listSpis, saveSpis, storeSpis } from '../spi-range.ts';
import { not, rangeWords } from '../words.ts';

/** `struct ip6t_frag`. */
interface FragMatch {
  ids: [number, number];
  invertIds: boolean;
  /** Kept, but not tested by the kernel. */
  length: { bytes: number; invert: boolean } | null;
  reserved: boolean;
  first: boolean;
  more: boolean;
  last: boolean;
}

function restText(data: FragMatch): string {
  let text = '';
  if (data.length) text += `${not(data.length.invert)} --fraglen ${data.length.bytes}`;
  if (data.reserved) text += ' --fragres';
  if (data.first) text += ' --fragfirst';
  if (data.more) text += ' --fragmore';
  return data.last ? `${text} --fraglast` : text;
}

const HELP = `frag match options:
[!] --fragid id[:id]           match the id (range)
[!] --fraglen length           total length of this header
 --fragres                     check the reserved field too
 --fragfirst                   matches on the first fragment
 [--fragmore|--fraglast]       there are more fragments or this
                               is the last one
`;

/** `frag_mt6` (net/ipv6/netfilter/ip6t_frag.c). */
export const frag = defineMatch<FragMatch>({
  name: 'frag',
  families: [6],
  options: [
    { name: 'fragid', type: 'uint32-range', invert: true },
    { name: 'fraglen', type: 'uint32', invert: true },
    { name: 'fragres', type: 'none' },
    { name: 'fragfirst', type: 'none' },
    { name: 'fragmore', type: 'none', excludes: ['fraglast'] },
    { name: 'fraglast', type: 'none', excludes: ['fragmore'] },
  ],
  init: () => ({
    ids: [0, 0xffffffff],
    invertIds: false,
    length: null,
    reserved: false,
    first: false,
    more: false,
    last: false,
  }),
  parse(data, option) {
    switch (option.name) {
      case 'fragid':
        data.ids = [option.numbers[0]!, option.numbers[1] ?? option.numbers[0]!];
        data.invertIds = option.invert;
        break;
      case 'fraglen':
        data.length = { bytes: option.number, invert: option.invert };
        break;
      case 'fragres':
        data.reserved = true;
        break;
      case 'fragfirst':
        data.first = true;
        break;
      case 'fragmore':
        data.more = true;
        break;
      case 'fraglast':
        data.last = true;
        break;
    }
  },
  save: (data) => saveSpis('fragid', { spis: data.ids, invert: data.invertIds }) + restText(data),
  store: (data) => storeSpis('fragid', { spis: data.ids, invert: data.invertIds }) + restText(data),
  print(data) {
    let text = ` frag ${listSpis('id', { spis: data.ids, invert: data.invertIds })}`;
    if (data.length) text += ` length:${data.length.invert ? '!' : ''}${data.length.bytes}`;
    if (data.reserved) text += ' reserved';
    if (data.first) text += ' first';
    if (data.more) text += ' more';
    return data.last ? `${text} last` : text;
  },
  help: () => HELP,
  explain(data) {
    const parts = ['the packet is a fragment'];
    if (data.ids[0] !== 0 || data.ids[1] !== 0xffffffff)
      parts.push(`its identification ${data.invertIds ? 'not ' : ''}${rangeWords(data.ids)}`);
    if (data.reserved) parts.push('with reserved fields of 0');
    if (data.first) parts.push('the first');
    if (data.more) parts.push('not the last');
    if (data.last) parts.push('the last');
    return parts.join(', ');
  },
  pure: true,
  looksAnywhere: true,
  compile({ ids: [min, max], invertIds, reserved, first, more, last }) {
    return (packet) => {
      const { bytes } = packet;
      const start = findExtensionHeader(bytes, Protocol.fragment);
      if (start < 0 || start + 8 > bytes.length) {
        if (start === TRUNCATED || start >= 0) packet.hotdrop = true;
        return false;
      }
      const field = readUint16(bytes, start + 2);
      const id = readUint32(bytes, start + 4);
      if ((id >= min && id <= max) === invertIds) return false;
      if (reserved && (bytes[start + 1] !== 0 || (field & 6) !== 0)) return false;
      if (first && (field & 0xfff8) !== 0) return false;
      if (more && (field & 1) === 0) return false;
      return !(last && (field & 1) !== 0);
    };
  },
});
