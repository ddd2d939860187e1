import { rangeSeparator, separator, stripEscape } from './addresses.ts';
import { icmpByName } from './icmp.ts';
import { readUint } from './numbers.ts';
import type { Session } from './session.ts';
import { ReportType } from './session.ts';

const PORT_PROTOCOLS: readonly number[] = [6, 132, 17, 136];

function portByName(session: Session, text: string, protocol: string): number | null {
  const name = stripEscape(session, text);
  if (name !== null) {
    let protocolName: string | null = protocol;
    const number = readUint(session, protocol, 255, ReportType.warning);
    if (number !== null) protocolName = session.names.protocolByNumber(number);
    if (protocolName !== null) {
      const port = session.names.serviceByName(name, protocolName);
      if (port !== null) return port;
    }
  }
  session.message(ReportType.warning, `cannot parse '${text}' as a ${protocol} port`);
  return null;
}

/** A port number or service name. */
export function parsePort(session: Session, field: 'port' | 'portTo', text: string, protocol: string): number {
  let port = readUint(session, text, 65535, ReportType.warning);
  if (port === null) {
    port = portByName(session, text, protocol);
    if (port === null) return session.warningAsError();
    session.clearReport();
  }
  session.values[field] = port;
  return 0;
}

/** A port or a range of ports. */
export function parsePorts(session: Session, text: string, protocol: string): number {
  const dash = rangeSeparator(session, text);
  if (dash === -2) return -1;
  if (dash < 0) return parsePort(session, 'port', text, protocol);
  const error = parsePort(session, 'portTo', text.slice(dash + 1), protocol);
  return error !== 0 ? error : parsePort(session, 'port', text.slice(0, dash), protocol);
}

function parseProtocol(session: Session, text: string): number {
  const number = readUint(session, text, 255, ReportType.warning);
  if (number !== null) {
    session.values.proto = number;
    return 0;
  }
  session.clearReport();
  const found = session.names.protocolByName(text.toLowerCase() === 'icmpv6' ? 'ipv6-icmp' : text);
  if (found === null) return session.syntaxError(`cannot parse '${text}' as a protocol`);
  if (found === 0) return session.syntaxError(`Unsupported protocol '${text}'`);
  session.values.proto = found;
  return 0;
}

function parseIcmp(session: Session, text: string, family: 4 | 6): number {
  const named = icmpByName(text, family);
  if (named !== null) {
    session.values.port = named;
    return 0;
  }
  const slash = separator(text, '/');
  if (slash < 0) return session.error(`Cannot parse ${text} as an ${family === 4 ? 'ICMP' : 'ICMPv6'} type/code.`);
  const type = readUint(session, text.slice(0, slash), 255);
  if (type === null) return -1;
  const code = readUint(session, text.slice(slash + 1), 255);
  if (code === null) return -1;
  session.values.port = (type << 8) | code;
  return 0;
}

/** [PROTO:]PORT, [PROTO:]PORT-PORT, icmp:TYPE/CODE or PROTO:0. */
export function parseProtoPort(session: Session, text: string): number {
  const colon = separator(text, ':');
  if (colon < 0) {
    session.values.proto = 6;
    return parsePorts(session, text, 'tcp');
  }
  const protocol = text.slice(0, colon);
  const rest = text.slice(colon + 1);
  const family = session.family;
  const error = parseProtocol(session, protocol);
  if (error !== 0) return error;
  const number = session.values.proto!;
  if (PORT_PROTOCOLS.includes(number)) return parsePorts(session, rest, protocol);
  // A wrong family is reported, but the real tool goes on without what it has read.
  if (number === 1) {
    if (family === 4) return parseIcmp(session, rest, 4);
    session.syntaxError('Protocol ICMP can be used with family inet only');
    return 0;
  }
  if (number === 58) {
    if (family === 6) return parseIcmp(session, rest, 6);
    session.syntaxError('Protocol ICMPv6 can be used with family inet6 only');
    return 0;
  }
  if (rest !== '0') return session.syntaxError(`Protocol ${protocol} can be used with pseudo port value 0 only.`);
  session.values.port = 0;
  return 0;
}

/** As above, but the protocol only helps to find the port. */
export function parseTcpUdpPort(session: Session, text: string): number {
  const error = parseProtoPort(session, text);
  if (error !== 0) return error;
  const { proto } = session.values;
  if (proto !== 6 && proto !== 17) return session.syntaxError('Only protocols TCP and UDP are valid');
  delete session.values.proto;
  return 0;
}

export function parseMark(session: Session, text: string): number {
  const mark = readUint(session, text, 0xffffffff);
  if (mark === null) return -1;
  session.values.mark = mark;
  session.clearReport();
  return 0;
}
