import { parseUnsigned } from '../syntax/numbers.ts';
import { type NameServices, UsageError } from './contract.ts';

/** A port by number or service name, as `xtables_parse_port` reads it; throws UsageError. */
export function parsePort(text: string, protocol: string | null, names: NameServices): number {
  const port = parseUnsigned(text, 0, 0xffff) ?? names.serviceByName(text, protocol);
  if (port === null) throw new UsageError(`invalid port/service \`${text}' specified`);
  return port;
}

/** `22`, `1:5`, `:5`, `1:` as the TCP and SCTP matches read them; throws UsageError. */
export function parsePortRange(text: string, protocol: string, names: NameServices): [number, number] {
  const colon = text.indexOf(':');
  if (colon < 0) {
    const port = parsePort(text, protocol, names);
    return [port, port];
  }
  const [low, high] = [text.slice(0, colon), text.slice(colon + 1)];
  const min = low === '' ? 0 : parsePort(low, protocol, names);
  const max = high === '' ? 0xffff : parsePort(high, protocol, names);
  if (min > max) throw new UsageError('invalid portrange (min > max)');
  return [min, max];
}

/** A range of ports, or all others. */
export interface PortTest {
  ports: readonly [number, number];
  invert: boolean;
}

export function fitsPorts(port: number, { ports, invert }: PortTest): boolean {
  return (port >= ports[0] && port <= ports[1]) !== invert;
}

/** A port for a listing: by its service name unless `numeric`. */
export function portText(port: number, protocol: string | null, numeric: boolean, names: NameServices): string {
  return (numeric ? null : names.serviceByPort(port, protocol)) ?? String(port);
}

/** ` spt:22`, ` dpts:!1:5`; '' where any port fits. */
export function listPorts(
  name: 'spt' | 'dpt',
  [min, max]: readonly [number, number],
  invert: boolean,
  text: (port: number) => string,
): string {
  if (min === 0 && max === 0xffff && !invert) return '';
  const not = invert ? '!' : '';
  return min === max ? ` ${name}:${not}${text(min)}` : ` ${name}s:${not}${text(min)}:${text(max)}`;
}

/** ` --sport 22`, ` ! --dport 1:5`; '' for 0:65535 (inverted or not: the real save drops it). */
export function savePorts(option: string, [min, max]: readonly [number, number], invert: boolean): string {
  if (min === 0 && max === 0xffff) return '';
  return `${invert ? ' !' : ''} --${option} ${min === max ? min : `${min}:${max}`}`;
}

/** "port 22", "a port other than 22", "a port from 1 to 5". */
export function explainPorts([min, max]: readonly [number, number], invert: boolean): string {
  const what = min === max ? String(min) : `${min} to ${max}`;
  if (invert) return `a port other than ${what}`;
  return min === max ? `port ${what}` : `a port from ${what}`;
}
