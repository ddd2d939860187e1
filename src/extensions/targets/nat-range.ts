import type { NatRange } from '../../datapath/environment.ts';
import { formatAddress, parseAddress4, parseAddress6 } from '../../packet/address-text.ts';
import type { AddressWords, Family } from '../../packet/family.ts';
import { Protocol } from '../../packet/protocol.ts';
import { parseUnsigned, scanUnsignedWithin } from '../../syntax/numbers.ts';
import { type ParseContext, UsageError } from '../contract.ts';
import { rangeWords } from '../words.ts';

/** What SNAT, DNAT, MASQUERADE and REDIRECT are told (`struct nf_nat_range2`). */
export interface NatTarget {
  /** Null: no address was given. */
  addresses: readonly [AddressWords, AddressWords] | null;
  ports: readonly [number, number] | null;
  /** `/base` of a shifted port range. */
  basePort: number | null;
  random: boolean;
  randomFully: boolean;
  persistent: boolean;
}

export function newNatTarget(): NatTarget {
  return { addresses: null, ports: null, basePort: null, random: false, randomFully: false, persistent: false };
}

const WITH_PORTS: readonly number[] = [Protocol.tcp, Protocol.udp, Protocol.sctp, Protocol.dccp, Protocol.icmp];
const MAX_PORT = 0xffff;

function service(text: string, { names }: ParseContext): number {
  const port = names.serviceByName(text, null);
  if (port === null) throw new UsageError(`Port \`${text}' not valid`);
  return port;
}

/** Reads `80`, `http`, `80-90`, `80-90/1000` into the target (`parse_ports` of libxt_NAT). Throws UsageError. */
export function readPorts(data: NatTarget, text: string, context: ParseContext): void {
  if (!WITH_PORTS.includes(context.rule.protocol)) {
    throw new UsageError('Need TCP, UDP, SCTP or DCCP with port specification');
  }
  const first = scanUnsignedWithin(text, 0, MAX_PORT);
  const low = first?.value ?? service(text, context);
  const after = first === null ? '' : text.slice(first.end);
  if (after === '') {
    data.ports = [low, low];
    return;
  }
  if (after[0] === ':') throw new UsageError('Invalid port:port syntax - use dash');
  if (after[0] !== '-') throw new UsageError(`Garbage after port value: \`${after}'`);
  const rest = after.slice(1);
  const last = scanUnsignedWithin(rest, 0, MAX_PORT);
  if (last === null) throw new UsageError(`Port \`${rest}' not valid`);
  if (last.value < low) throw new UsageError(`Port range \`${rest}' funky`);
  data.ports = [low, last.value];
  const base = rest.slice(last.end);
  if (base === '') return;
  if (base[0] !== '/') throw new UsageError(`Garbage after port range: \`${base}'`);
  data.basePort = parseUnsigned(base.slice(1), 1, MAX_PORT) ?? service(base.slice(1), context);
}

function readAddress(text: string, family: Family): AddressWords {
  if (family === 6) {
    const address = parseAddress6(text);
    if (address !== null) return address;
  } else {
    const address = parseAddress4(text);
    if (address >= 0) return [address, 0, 0, 0];
  }
  throw new UsageError(`Bad IP address "${text}"`);
}

/** Reads `[address[-address]][:ports]`, IPv6 with ports in brackets (`parse_to` of libxt_NAT). Throws UsageError. */
export function readDestination(data: NatTarget, text: string, context: ParseContext): void {
  const { family } = context;
  const bracket = text.indexOf('[');
  let start = 0;
  let end = text.length;
  let colon: number;
  if (bracket < 0) {
    // One colon stands before ports; several belong to an IPv6 address.
    colon = text.indexOf(':');
    if (colon >= 0 && text.indexOf(':', colon + 1) >= 0) colon = -1;
  } else {
    start = bracket + 1;
    end = text.indexOf(']', start);
    if (end < 0 || family === 4) throw new UsageError('Invalid address format');
    colon = text.indexOf(':', end + 1);
  }
  if (colon >= 0) {
    readPorts(data, text.slice(colon + 1), context);
    if (colon === 0 || colon === 2) return;
    end = Math.min(end, colon);
  }
  const addresses = text.slice(start, end);
  const dash = addresses.indexOf('-');
  const first = readAddress(dash < 0 ? addresses : addresses.slice(0, dash), family);
  data.addresses = [first, dash < 0 ? first : readAddress(addresses.slice(dash + 1), family)];
}

/** Notes `--random`, `--random-fully`, `--persistent`. */
export function readFlag(data: NatTarget, name: string): void {
  if (name === 'random') data.random = true;
  else if (name === 'random-fully') data.randomFully = true;
  else if (name === 'persistent') data.persistent = true;
}

function same(a: AddressWords, b: AddressWords): boolean {
  return a.every((word, i) => word === b[i]);
}

/** `10.0.0.1-10.0.0.9:80-90`, `[2001:db8::1]:80`, `:80`. */
export function rangeText({ addresses, ports, basePort }: NatTarget, family: Family): string {
  let text = '';
  if (addresses !== null) {
    const [first, last] = addresses;
    text = formatAddress(family, first);
    if (!same(first, last)) text += `-${formatAddress(family, last)}`;
    if (family === 6 && ports !== null) text = `[${text}]`;
  }
  if (ports !== null) {
    text += `:${ports[0]}`;
    if (ports[0] !== ports[1]) text += `-${ports[1]}`;
    if (basePort !== null) text += `/${basePort}`;
  }
  return text;
}

/** The target's part of -S (`flags` with `--`) and -L; `bare` leaves out a colon at the start. */
export function natTexts(
  data: NatTarget,
  family: Family,
  { option, flags, bare }: { option: string; flags: string; bare: boolean },
): string {
  let range = rangeText(data, family);
  if (bare && range.startsWith(':')) range = range.slice(1);
  let text = range === '' ? '' : ` ${option}${range}`;
  if (data.random) text += ` ${flags}random`;
  if (data.randomFully) text += ` ${flags}random-fully`;
  if (data.persistent) text += ` ${flags}persistent`;
  return text;
}

/** What NAT is asked for. All ranges have the same properties in the same order, so that reading them stays fast. */
export function natRange({ addresses, ports, basePort, random, randomFully, persistent }: NatTarget): NatRange {
  return {
    minAddress: addresses?.[0],
    maxAddress: addresses?.[1],
    minPort: ports?.[0],
    maxPort: ports?.[1],
    basePort: basePort ?? undefined,
    random,
    randomFully,
    persistent,
  };
}

/** "10.0.0.1", "port 80 of 10.0.0.1", "any free port". */
export function explainRange({ addresses, ports, basePort }: NatTarget, family: Family): string {
  const texts = addresses?.map((address) => formatAddress(family, address));
  const address = texts === undefined ? '' : rangeWords([texts[0]!, texts[1]!]);
  if (ports === null) return address || 'any free port';
  const shifted = basePort === null ? '' : ` (counted from ${basePort})`;
  return `port ${rangeWords(ports)}${shifted}${address === '' ? '' : ` of ${address}`}`;
}

/** How a port or an address is chosen, where it was said. */
export function explainFlags({ random, randomFully, persistent }: NatTarget): string {
  return `${random || randomFully ? ', its port chosen at random' : ''}${persistent ? ', the same for each client' : ''}`;
}
