import { parseIp, parseIp4Net6, parseIp4Single6, parseSingleIp, separator } from './addresses.ts';
import { parseEther, parseIface, tooLongName } from './options.ts';
import { parseMark, parseProtoPort, parseTcpUdpPort } from './ports.ts';
import type { Session } from './session.ts';
import type { SetTypeSyntax } from './type-syntax.ts';

/** One part of an element. */
function parsePart(session: Session, type: SetTypeSyntax, index: number, text: string): number {
  const { parse, field } = type.elements[index]!;
  const address = field === 'ip2' ? 'ip2' : 'ip';
  switch (parse) {
    case 'ip':
      return parseIp(session, address, text);
    case 'singleIp':
      return parseSingleIp(session, address, text);
    case 'ip4Single6':
      return parseIp4Single6(session, address, text);
    case 'ip4Net6':
      return parseIp4Net6(session, address, text);
    case 'ether':
      return parseEther(session, text);
    case 'tcpUdpPort':
      return parseTcpUdpPort(session, text);
    case 'protoPort':
      return parseProtoPort(session, text);
    case 'mark':
      return parseMark(session, text);
    case 'iface':
      return parseIface(session, text);
    case 'setName':
      if (tooLongName(session, text)) return -1;
      session.values.name = text;
      return 0;
  }
}

/** The old form of list:set elements: NAME,before,NAME. */
function parseOldListElement(session: Session, text: string): number {
  const [name, side, reference] = [text.slice(0, text.indexOf(',')), text.slice(text.indexOf(',') + 1), ''];
  const comma = separator(side, ',');
  const word = comma < 0 ? side : side.slice(0, comma);
  const other = comma < 0 ? reference : side.slice(comma + 1);
  if (comma < 0 || (word !== 'before' && word !== 'after')) {
    return session.error('you must specify elements as setname,[before|after],setname');
  }
  if (tooLongName(session, name)) return -1;
  session.values.name = name;
  if (tooLongName(session, other)) return -1;
  session.values.nameref = other;
  if (word === 'before') session.values.before = true;
  return 0;
}

/** Reads an element of the session's set type. 0, or -1 after a report. */
export function parseElement(session: Session, text: string): number {
  const type = session.type!;
  const parts = [text];
  const first = separator(text, ',');
  if (type.elements.length > 1) {
    if (first < 0) {
      if (!type.lastElementOptional) return session.syntaxError(`Second element is missing from ${text}.`);
    } else {
      parts[0] = text.slice(0, first);
      parts.push(text.slice(first + 1));
    }
  } else if (first >= 0) {
    if (type.name === 'list:set') return parseOldListElement(session, text);
    return session.syntaxError(`Elem separator in ${text}, but settype ${type.name} supports none.`);
  }
  const second = parts[1] !== undefined ? separator(parts[1], ',') : -1;
  if (type.elements.length > 2) {
    if (second < 0) {
      if (!type.lastElementOptional) return session.syntaxError(`Third element is missing from ${text}.`);
    } else {
      parts.push(parts[1]!.slice(second + 1));
      parts[1] = parts[1]!.slice(0, second);
    }
  } else if (second >= 0) {
    return session.syntaxError(`Two elem separators in ${text}, but settype ${type.name} supports one.`);
  }
  if (parts[2] !== undefined && separator(parts[2], ',') >= 0) {
    return session.syntaxError(`Three elem separators in ${text}, but settype ${type.name} supports two.`);
  }
  for (let i = 0; i < parts.length; i++) {
    const error = parsePart(session, type, i, parts[i]!);
    if (error !== 0) return error;
  }
  return 0;
}
