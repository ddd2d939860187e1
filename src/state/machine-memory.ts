import { CONNTRACK_FILE } from '../conntrack/store.ts';
import type { MachineMemory } from '../datapath/machine-contract.ts';
import { readStateFile, StateError, writeStateFile } from './files.ts';

/** State of single rules, by `"FAMILY TABLE CHAIN RULE SLOT"`; commands that insert and delete rules renumber its keys. */
export const RULE_STATE_FILE = 'rule-state.json';
/** State that rules share by name: recent lists, hashlimit tables, ... */
export const NAMED_STATE_FILE = 'named-state.json';
/** Clock, random generator, learned MACs, waiting fragments. */
export const MACHINE_FILE = 'machine.json';

/** What a state directory remembers; where only commands have left something (`conntrack -I`), no clock has begun to run. */
export type StoredMemory = Omit<MachineMemory, 'clock' | 'uptime'> & { clock: number | null; uptime: number | null };

type MachineFile = Omit<MachineMemory, 'ruleState' | 'namedState' | 'conntrack'>;

/** What the machine remembered when it was last committed; null in a directory in which nothing was. Throws StateError. */
export function readMachineMemory(directory: string): StoredMemory | null {
  const machine = readJson<MachineFile>(directory, MACHINE_FILE);
  const ruleState = readJson<MachineMemory['ruleState']>(directory, RULE_STATE_FILE);
  const namedState = readJson<MachineMemory['namedState']>(directory, NAMED_STATE_FILE);
  const conntrack = readStateFile(directory, CONNTRACK_FILE);
  if (machine === null && ruleState === null && namedState === null && conntrack === null) return null;
  return {
    clock: machine?.clock ?? null,
    uptime: machine?.uptime ?? null,
    random: machine?.random ?? [],
    learnedMacs: machine?.learnedMacs ?? {},
    fragments: machine?.fragments ?? null,
    stack: machine?.stack ?? null,
    ruleState: ruleState ?? {},
    namedState: namedState ?? {},
    conntrack: conntrack ?? '',
  };
}

/** Writes each part into its file, atomically; the caller holds the lock of the directory. Throws StateError. */
export function writeMachineMemory(directory: string, memory: MachineMemory): void {
  const { ruleState, namedState, conntrack, ...machine } = memory;
  writeStateFile(directory, CONNTRACK_FILE, String(conntrack));
  writeStateFile(directory, RULE_STATE_FILE, toText(ruleState));
  writeStateFile(directory, NAMED_STATE_FILE, toText(namedState));
  writeStateFile(directory, MACHINE_FILE, toText(machine));
}

/** JSON in ASCII: state files hold one byte in each character. */
function toText(value: unknown): string {
  const text = JSON.stringify(value, null, 1);
  return `${text.replace(/[\u0080-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`;
}

function readJson<T extends object>(directory: string, name: string): T | null {
  const text = readStateFile(directory, name);
  if (text === null) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new StateError(`${directory}/${name}: not JSON`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new StateError(`${directory}/${name}: not an object`);
  }
  return value as T;
}
