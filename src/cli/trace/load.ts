import { readFileSync } from 'node:fs';
import path from 'node:path';
import { RandomGenerator, SimulationClock } from '../../datapath/clock.ts';
import type { Host } from '../../datapath/environment.ts';
import { loadRuleset, storeCounters } from '../../datapath/load.ts';
import { createMachine } from '../../datapath/machine.ts';
import type { Machine, MachineOptions } from '../../datapath/machine-contract.ts';
import type { Share } from '../../datapath/share.ts';
import { looksAnywhere } from '../../datapath/ties.ts';
import { type Fingerprint, fingerprintState, parseFingerprints } from '../../extensions/matches/osf-fingerprints.ts';
import type { Device } from '../../host/device.ts';
import { HostFileError, readHostYaml } from '../../host/yaml.ts';
import type { SetSource, TraceSets } from '../../ipset/index.ts';
import { createSets, readSetHeaders, SetTextError } from '../../ipset/index.ts';
import { ChoicesError, NatChoices } from '../../nat/choices.ts';
import type { Ruleset } from '../../ruleset/ruleset.ts';
import { readStateFile, writeStateFile } from '../../state/files.ts';
import { lockDirectory } from '../../state/lock.ts';
import { readMachineMemory, writeMachineMemory } from '../../state/machine-memory.ts';
import { systemNames } from '../../state/names.ts';
import { loadRules, rulesFileName, saveRules } from '../../state/rules-file.ts';
import { lineOfRule } from '../../syntax/rule-line.ts';
import type { RuleTextSettings } from '../../syntax/rule-text.ts';
import { readRules } from '../../syntax/rules-reader.ts';
import { RulesError } from '../../syntax/save-format.ts';
import { AssumedHost, namedInterfaces, placementOnAssumed } from '../../trace/assumed-host.ts';
import { explainRule } from '../../trace/explain.ts';
import type { InputPacket } from '../../trace/input.ts';
import type { RuleTexts } from '../../trace/reporters/text.ts';
import { type Placement, placementOn } from '../../trace/written.ts';
import { readSetPlaces, SETS_FILE, setNames, writeSetPlaces } from '../commands/ipset.ts';
import type { Io } from '../io.ts';
import { findTie } from './independence.ts';
import type { ReadInputs } from './inputs.ts';

/** A file of the machine that cannot be read: status 1. */
export class LoadError extends Error {}

/** The machine of a trace, ready to start. */
export interface LoadedMachine {
  host: Host;
  placement: Placement;
  /** Whether the description gives a device its MAC; a made-up one cannot be in anybody's frames. */
  hasOwnMac(device: Device): boolean;
  /** Microseconds since the epoch: where packets without a time start. */
  startClock: number;
  ruleTexts: RuleTexts;
  /** Called before each packet where `watches` is set. */
  before(input: InputPacket): void;
  watches: boolean;
  /** Why packets of different flows cannot be handled by several machines; null if they can. */
  tie(): string | null;
  /** Whether rules look at bytes that nothing else looks at. */
  looksAnywhere(): boolean;
  /** How many ports were drawn at random because the list of choices does not have them. */
  unlisted(): number;
  /** Switches the machine on; `first` is the time of its first packet. */
  start(first: number, share?: Share | null): Machine;
  /** Writes counters, sets and memory back to the state directory. */
  commit(machine: Machine): void;
  /** Lets other commands at the state directory again. */
  close(): void;
}

/** Where the machine comes from: files that stand in for those of the state directory. */
export interface MachineFiles {
  rules: string | null;
  rules6: string | null;
  sets: string | null;
  host: string | null;
  seed: number | null;
  /** Connections of a real machine: NAT chooses ports as it did. */
  choices?: string | null;
  /** Whether the state is to be written back: other commands wait until then. */
  commit: boolean;
}

/** Fingerprints of operating systems in the state directory, in the format of pf.os. */
const FINGERPRINTS_FILE = 'pf.os';

type Listeners = Pick<MachineOptions, 'observer' | 'collect' | 'queues' | 'events'>;

const DEFAULT_SEED = 1;

/** Reads the machine: the files of the state directory, or those that stand in for them. Throws LoadError. */
export function loadMachine(
  files: MachineFiles,
  read: Pick<ReadInputs, 'pcaps' | 'written'>,
  io: Io,
  listeners: Listeners,
): LoadedMachine {
  // Commands that come meanwhile wait until the counters are written back.
  const unlock = files.commit ? lockDirectory(io.directory) : null;
  try {
    return readMachine(files, read, io, listeners, unlock);
  } catch (error) {
    unlock?.();
    throw error;
  }
}

function readMachine(
  files: MachineFiles,
  read: Pick<ReadInputs, 'pcaps' | 'written'>,
  io: Io,
  listeners: Listeners,
  unlock: (() => void) | null,
): LoadedMachine {
  const described = readHost(files, io);
  const host = described?.host ?? assumeHost(read, io);
  const names = systemNames();
  const setText = files.sets === null ? (readStateFile(io.directory, SETS_FILE) ?? '') : readNamed(files.sets);
  const settings = { variant: io.variant, names, setByName: headersOf(setText) };
  const settings4: RuleTextSettings = { family: 4, ...settings };
  const settings6: RuleTextSettings = { family: 6, ...settings };
  const ruleset4 = rulesOf(files.rules, settings4, io);
  const ruleset6 = rulesOf(files.rules6, settings6, io);
  const memory = readMachineMemory(io.directory);
  const clock = new SimulationClock();
  const random = new RandomGenerator(files.seed ?? DEFAULT_SEED, files.seed === null ? memory?.random : undefined);
  const loaded4 = loadRuleset(ruleset4, settings4);
  const loaded6 = loadRuleset(ruleset6, settings6);
  const fingerprints = readFingerprints(io);
  const choices = files.choices == null ? null : readChoices(files.choices);
  let sets: TraceSets;
  return {
    host,
    placement: host instanceof AssumedHost ? placementOnAssumed(host) : placementOn(host),
    hasOwnMac: (device) => typeof described?.description.interfaces?.[device.name]?.mac === 'string',
    startClock: memory?.clock ?? 0,
    ruleTexts: ruleTexts(ruleset4, ruleset6, (family, table, chain, rule) => {
      const loaded = (family === 4 ? loaded4 : loaded6).tables.find(({ name }) => name === table);
      const spec = loaded?.chains.find(({ name }) => name === chain)?.rules[rule - 1]?.spec;
      return spec === undefined ? null : utf8(explainRule(spec, settings));
    }),
    watches: host instanceof AssumedHost,
    before(input) {
      if (host instanceof AssumedHost) host.see(input);
    },
    tie: () =>
      findTie({
        host,
        rulesets: [loaded4, loaded6],
        memory,
        setText,
        commit: files.commit,
        placeOf: ({ family, table, chain, rule }) => {
          const name = (family === 4 ? files.rules : files.rules6) ?? path.join(io.directory, rulesFileName(family));
          const line = lineOfRule(readNamed(name), table, chain, rule);
          return line === null ? `${name}, rule ${rule} of ${chain} in ${table},` : `${name}:${line}`;
        },
      }),
    looksAnywhere: () => looksAnywhere(loaded4, 4) || looksAnywhere(loaded6, 6),
    unlisted: () => choices?.unlisted ?? 0,
    start(first, share = null) {
      const start = Number.isFinite(first) ? first : (memory?.clock ?? 0);
      // Timers count by the machine's own clock, which goes on where it was committed.
      clock.now = memory?.uptime ?? start;
      sets = loadSetsOf(files, setText, io, { names: setNames(names), clock, random: () => random.next() });
      return createMachine({
        host,
        ruleset4: loaded4,
        ruleset6: loaded6,
        sets,
        variant: io.variant,
        clock,
        random,
        choices,
        memory:
          memory === null
            ? null
            : { ...memory, uptime: memory.uptime ?? start, clock: Math.min(memory.clock ?? start, start) },
        share,
        ...(fingerprints === null ? {} : { namedState: fingerprintState(fingerprints) }),
        ...listeners,
      });
    },
    commit(machine) {
      machine.writeCounters();
      storeCounters(loaded4, ruleset4);
      storeCounters(loaded6, ruleset6);
      // A family without rules needs no file.
      if (ruleset4.tables.size > 0) saveRules(io.directory, ruleset4, settings4);
      if (ruleset6.tables.size > 0) saveRules(io.directory, ruleset6, settings6);
      if (setText !== '') {
        writeStateFile(io.directory, SETS_FILE, sets.toText());
        writeSetPlaces(io.directory, sets.places());
      }
      writeMachineMemory(io.directory, machine.memory());
    },
    close() {
      unlock?.();
    },
  };
}

function loadSetsOf(
  files: MachineFiles,
  text: string,
  io: Io,
  source: Pick<SetSource, 'names' | 'clock' | 'random'>,
): TraceSets {
  try {
    const places = files.sets === null ? readSetPlaces(io.directory) : {};
    return createSets({ text, places, ...source });
  } catch (error) {
    if (!(error instanceof SetTextError)) throw error;
    throw new LoadError(`${files.sets ?? path.join(io.directory, SETS_FILE)}:${error.line}: ${error.message}`);
  }
}

/** What rules may know of the sets. */
function headersOf(text: string): NonNullable<RuleTextSettings['setByName']> {
  const headers = new Map(
    readSetHeaders(text).map(({ name, dimension, family }) => [name, { name, dimension, family }]),
  );
  return (name) => headers.get(name);
}

/** The text of a file that the command line names. */
function readNamed(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new LoadError(`${file}: ${code === 'ENOENT' ? 'no such file' : code === 'EISDIR' ? 'is a directory' : code}`);
  }
}

function readHost(files: MachineFiles, io: Io): ReturnType<typeof readHostYaml> | null {
  const file = files.host ?? path.join(io.directory, 'host.yaml');
  const text = files.host === null ? readStateFile(io.directory, 'host.yaml') : readNamed(files.host);
  if (text === null) return null;
  try {
    return readHostYaml(utf8(text), file);
  } catch (error) {
    if (error instanceof HostFileError) throw new LoadError(error.message);
    throw error;
  }
}

/** Fingerprints of operating systems for `-m osf`, which nfnl_osf would load into the kernel; null where there is no file of them. */
function readFingerprints(io: Io): readonly Fingerprint[] | null {
  const text = readStateFile(io.directory, FINGERPRINTS_FILE);
  if (text === null) return null;
  const { fingerprints, bad } = parseFingerprints(text);
  if (bad.length > 0) {
    const which = bad.length === 1 ? `line ${bad[0]} is` : `lines ${bad.join(', ')} are`;
    io.err(`iptsim trace: ${path.join(io.directory, FINGERPRINTS_FILE)}: ${which} no fingerprints, and left out\n`);
  }
  return fingerprints;
}

function readChoices(file: string): NatChoices {
  try {
    return new NatChoices(readNamed(file));
  } catch (error) {
    if (error instanceof ChoicesError) throw new LoadError(`${file}:${error.line}: ${error.message}`);
    throw error;
  }
}

/** Without a description the packets name the interfaces. */
function assumeHost(read: Pick<ReadInputs, 'pcaps' | 'written'>, io: Io): Host {
  const names = [
    ...read.pcaps.map((option) => option.interface).filter((name) => name !== 'local'),
    ...read.written.flatMap(({ line }) => namedInterfaces(line.kind === 'packet' ? line.packet : line.flow.first)),
  ];
  io.err(
    'iptsim trace: no host.yaml: in= alone is for this machine, in= and out= is forwarded, out= alone is sent by it; without both: in=eth0\n',
  );
  return new AssumedHost(names);
}

function rulesOf(file: string | null, settings: RuleTextSettings, io: Io): Ruleset {
  if (file === null) return loadRules(io.directory, settings, true);
  try {
    return readRules(readNamed(file), settings, true);
  } catch (error) {
    if (error instanceof RulesError) throw new LoadError(`${file}:${error.line}: ${error.message}`);
    throw error;
  }
}

function ruleTexts(ruleset4: Ruleset, ruleset6: Ruleset, explain: NonNullable<RuleTexts['explain']>): RuleTexts {
  return {
    explain,
    rule(family, table, chain, rule) {
      const ruleset = family === 4 ? ruleset4 : ruleset6;
      return utf8(ruleset.tables.get(table)?.chains.get(chain)?.rules[rule - 1]?.text.trim() ?? '');
    },
  };
}

/** State files are read with one byte in each character. */
function utf8(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
