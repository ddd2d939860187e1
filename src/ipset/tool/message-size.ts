import type { Entry } from '../entry.ts';

/** Bytes of a netlink message that restore collects additions in. */
export const MESSAGE_LIMIT = 4096;
/** What must stay free for the answer's header. */
const ANSWER = 20;

function string(text: string): number {
  return 4 + ((text.length + 4) & ~3);
}

/** Bytes of the message before its first element: headers, protocol, set name, line, opening of the list. */
export function headSize(setName: string): number {
  return 20 + 8 + string(setName) + 8 + 4;
}

/** Bytes of one element in the message. */
export function entrySize(entry: Entry, family: 4 | 6 | 0): number {
  const address = family === 6 ? 24 : 12;
  let size = 4 + 8;
  if (entry.ip !== undefined) size += address;
  if (entry.ipTo !== undefined) size += address;
  if (entry.cidr !== undefined) size += 8;
  if (entry.port !== undefined) size += 8;
  if (entry.portTo !== undefined) size += 8;
  if (entry.timeout !== undefined) size += 8;
  if (entry.proto !== undefined) size += 8;
  if (entry.before || entry.physdev || entry.nomatch || entry.wildcard) size += 8;
  if (entry.mark !== undefined) size += 8;
  if (entry.ether !== undefined) size += 12;
  if (entry.name !== undefined) size += string(entry.name);
  if (entry.nameref !== undefined) size += string(entry.nameref);
  if (entry.ip2 !== undefined) size += address;
  if (entry.cidr2 !== undefined) size += 8;
  if (entry.ip2To !== undefined) size += address;
  if (entry.iface !== undefined) size += string(entry.iface);
  if (entry.bytes !== undefined) size += 12;
  if (entry.packets !== undefined) size += 12;
  if (entry.comment !== undefined) size += string(entry.comment);
  if (entry.skbmark !== undefined) size += 12;
  if (entry.skbprio !== undefined) size += 8;
  if (entry.skbqueue !== undefined) size += 8;
  return size;
}

/** Whether an element of `size` bytes still goes into a message that has `used`. */
export function fits(used: number, size: number): boolean {
  return used + size + ANSWER <= MESSAGE_LIMIT;
}
