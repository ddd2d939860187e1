import type { SetChangeOptions, SetServices, SetTestOptions } from '../datapath/environment.ts';
import type { PacketTest, SetClock } from './extensions.ts';
import { commandTest } from './extensions.ts';
import { SetKernel } from './kernel.ts';
import type { IpSet, PacketChange } from './set.ts';
import type { SetNames } from './syntax/session.ts';
import type { SetPlaces } from './text.ts';
import { loadSets, placesOf, saveSets } from './text.ts';

/** What sets for the datapath are made of. */
export interface SetSource {
  /** `ipset save` text; '' for no sets. */
  text: string;
  /** What is kept beside the text. */
  places?: SetPlaces;
  names: SetNames;
  /** Microseconds since the epoch; timeouts run by it. At loading it stands where the remaining times of the text begin. */
  clock: SetClock;
  /** 32 random bits: `initval` of hashes that have none in the text. */
  random: () => number;
}

/** Sets for the rules of a trace, and their text after it. */
export interface TraceSets extends SetServices {
  /** `ipset save` text of the sets as they are now. */
  toText(): string;
  /** What is to be kept beside the text; null if nothing is. */
  places(): SetPlaces | null;
}

/** Longest timeout that the SET target gives: (UINT_MAX / 2) / 1000 seconds. */
const MAX_TIMEOUT = 2147483;

/** Loads sets for a trace. Throws SetTextError. */
export function createSets(source: SetSource): TraceSets {
  const { names, clock, random } = source;
  const kernel = new SetKernel({ clock, random });
  loadSets(kernel, source.text, names, source.places);
  const setOf = (name: string): IpSet => {
    const set = kernel.find(name);
    if (set === undefined) throw new Error(`set ${name} does not exist`);
    return set;
  };
  return {
    has: (name) => kernel.find(name) !== undefined,
    onFull(listener) {
      kernel.onFull = listener;
    },
    tester(name, options) {
      const set = setOf(name);
      const test = testOf(options);
      const invert = options.invert === true;
      const { directions } = options;
      return (packet, at) => {
        test.length = packet.bytes.length;
        return kernel.testPacket(set, packet, at, directions, test) > 0 !== invert;
      };
    },
    adder(name, options) {
      const set = setOf(name);
      const change = changeOf(options);
      return (packet, at) => {
        kernel.addPacket(set, packet, at, change);
      };
    },
    deleter(name, options) {
      const set = setOf(name);
      const change = changeOf(options);
      return (packet, at) => {
        kernel.deletePacket(set, packet, at, change);
      };
    },
    mapper(name, options) {
      const set = setOf(name);
      const { directions, map = {} } = options;
      const test = commandTest();
      return (packet, at) => {
        test.length = packet.bytes.length;
        test.skbmark = 0;
        test.skbmarkMask = 0;
        test.skbprio = 0;
        if (kernel.testPacket(set, packet, at, directions, test) <= 0) return;
        if (map.mark) packet.mark = ((packet.mark & ~test.skbmarkMask) ^ test.skbmark) >>> 0;
        // The transmit queue shows in no packet: devices have one.
        if (map.priority) packet.priority = test.skbprio;
      };
    },
    toText: () => saveSets(kernel, names),
    places: () => placesOf(kernel),
  };
}

function testOf(options: SetTestOptions): PacketTest {
  return {
    ...commandTest(),
    skipCounters: options.updateCounters === false,
    skipSubcounters: options.updateSubcounters === false,
    matchCounters: options.packets !== undefined || options.bytes !== undefined,
    packets: options.packets ?? null,
    bytes: options.bytes ?? null,
    returnNomatch: options.returnNomatch === true,
  };
}

function changeOf(options: SetChangeOptions): PacketChange {
  return {
    directions: options.directions,
    exist: options.exist === true,
    timeout: options.timeout === undefined ? null : Math.min(options.timeout, MAX_TIMEOUT),
  };
}
