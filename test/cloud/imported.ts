import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type CollectedMachine, readMachine } from '../../src/collected/machine.ts';
import type { RouteAnswer } from '../../src/datapath/environment.ts';
import { formatAddress, parseAddress, parseMac } from '../../src/packet/address-text.ts';
import { fromHex, toHex } from '../../src/packet/bytes.ts';
import { buildPacket } from '../../src/packet/notation/build.ts';
import { parsePacket } from '../../src/packet/notation/parse.ts';
import { type Simulation, simulate } from '../../src/simulation/simulate.ts';

/** A frame that left: interface of the router and bytes in hex. */
export type PlayedFrame = [device: string, hex: string];

/** What became of a packet of sent.txt. */
export interface PlayedPacket {
  packet: string;
  /** Microseconds. */
  time: number;
  frames: PlayedFrame[];
}

/** What the kernel did, kept for machines on which it cannot be asked. */
export interface Recorded {
  played: PlayedPacket[];
  /** By the words of `ip route get`. */
  routes: Record<string, string>;
}

/** Interfaces as fixtures/imported-router/build.sh numbers them in their MACs. */
const DEVICES = ['wan', 'lan', 'dmz', 'port1', 'port2', 'port3'];
const SENDER = '02:00:00:00:ff:01';

/** Reads sent.txt: packets as frames on the wire. */
export function readPackets(text: string): { line: string; device: string; frame: Uint8Array }[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const packet = parsePacket(line);
      const device = packet.in!;
      const bytes = buildPacket(packet);
      const frame = new Uint8Array(14 + bytes.length);
      frame.set(packet.destinationMac ?? parseMac(`02:00:00:00:00:0${DEVICES.indexOf(device) + 1}`)!, 0);
      frame.set(packet.sourceMac ?? parseMac(SENDER)!, 6);
      frame.set(packet.family === 4 ? [0x08, 0x00] : [0x86, 0xdd], 12);
      frame.set(bytes, 14);
      return { line, device, frame };
    });
}

/** What `ip route get` is asked: destinations, sources, interfaces, marks. */
export const ROUTE_QUESTIONS = [
  '8.8.8.8',
  '203.0.113.77',
  '10.0.0.5',
  '10.7.0.9',
  '10.8.0.8',
  '10.9.0.2',
  '10.9.0.1',
  '10.20.0.1',
  '10.30.0.1',
  '10.31.0.1',
  '10.41.0.1',
  '10.42.0.1',
  '10.43.0.1',
  '10.43.0.1 tos 0x10',
  '10.50.1.1',
  '10.66.0.7',
  '172.16.0.99',
  '198.51.100.7',
  '8.8.8.8 mark 1',
  '10.33.0.1 mark 1',
  '8.8.8.8 mark 0x101',
  '8.8.8.8 oif dmz',
  '192.0.2.1',
  '2001:db8:99::1',
  '2001:db8:30::1',
  '2001:db8:31::1',
  '2001:db8:7::9',
  '2001:db8:2::9',
  '2001:db8:60::1 mark 1',
  '2001:db8:60::1',
];

/** The router as imported from a collected directory. */
export class ImportedRouter {
  readonly machine: CollectedMachine;
  readonly #simulation: Simulation;

  /** @param time of the first packet, microseconds: what bridges know is new then */
  constructor(collected: string, time: number) {
    this.machine = readMachine((name) => {
      try {
        return readFileSync(path.join(collected, name), 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw error;
      }
    });
    const { rules4, rules6, sets, description, learnedMacs } = this.machine;
    const begin = simulate({ rules: rules4, rules6, sets, host: description });
    const memory = { ...begin.memory(), clock: time, learnedMacs };
    this.#simulation = simulate({ rules: rules4, rules6, sets, host: description, memory });
  }

  /** Plays packets at the times at which the kernel got them; each difference is a line. */
  compare(text: string, played: readonly PlayedPacket[]): string[] {
    const { machine, host } = this.#simulation;
    const wrong: string[] = [];
    readPackets(text).forEach(({ line, device, frame }, index) => {
      const { packet, time, frames } = played[index]!;
      if (packet !== line) throw new Error(`sent.txt is not as recorded: ${line}`);
      const outcome = machine.receive({
        device: host.device(device)!,
        bytes: frame.slice(14),
        linkHeader: frame.slice(0, 14),
        time,
      });
      const simulated = outcome.emitted
        .filter((each) => each.device.kind !== 'loopback')
        .map((each): PlayedFrame => [each.device.name, toHex(each.linkHeader) + toHex(each.bytes)]);
      const told = (all: readonly PlayedFrame[]): string =>
        all
          .filter(([, hex]) => !isOfItsOwn(hex))
          .map(([name, hex]) => `${name} ${normal(hex)}`)
          .sort()
          .join('\n    ') || 'nothing';
      const [want, have] = [told(frames), told(simulated)];
      if (want !== have) wrong.push(`${line}\n  Linux:\n    ${want}\n  iptsim:\n    ${have}`);
    });
    return wrong;
  }

  /** What `ip route get` with these words would say: device, gateway and source. */
  routeGet(words: string): string {
    const { host } = this.#simulation;
    const [to, ...options] = words.split(' ');
    const option = (name: string): string | null => {
      const at = options.indexOf(name);
      return at < 0 ? null : options[at + 1]!;
    };
    const { family, words: destination } = parseAddress(to!)!;
    const out = option('oif');
    const answer: RouteAnswer = host.route({
      family,
      destination,
      mark: Number(option('mark') ?? 0),
      tos: Number(option('tos') ?? 0),
      outDevice: out === null ? null : host.device(out),
    });
    if (answer.type !== 'unicast' && answer.type !== 'local') return 'none';
    const { device, gateway, preferredSource } = answer;
    const source =
      preferredSource ?? (answer.type === 'local' ? destination : host.sourceAddress(family, device!, destination));
    const via = gateway === null ? '-' : formatAddress(answer.gatewayFamily ?? family, gateway);
    return `${answer.type} dev ${device!.name} via ${via} src ${source === null ? '-' : formatAddress(family, source)}`;
  }
}

/** Neighbour discovery and group reports, which simulations leave out. */
function isOfItsOwn(hex: string): boolean {
  const bytes = fromHex(hex)!;
  if (bytes[12] !== 0x86) return bytes[23] === 2;
  const hopByHop = bytes[20] === 0;
  const at = hopByHop ? 54 + 8 : 54;
  return (hopByHop ? bytes[54] : bytes[20]) === 58 && bytes[at]! >= 130 && bytes[at]! <= 143;
}

/** Without what the machine makes up in its own answers (IPv4 identification, IPv6 flow label), and what follows from it. */
function normal(hex: string): string {
  const bytes = fromHex(hex)!;
  if (bytes[12] === 0x08) {
    if (bytes[23] !== 17) bytes.fill(0, 18, 20);
    bytes.fill(0, 24, 26);
  } else bytes.fill(0, 15, 18);
  return toHex(bytes);
}
