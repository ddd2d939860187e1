import { RandomGenerator, SimulationClock } from '../datapath/clock.ts';
import type { Host, SocketAnswer } from '../datapath/environment.ts';
import { loadRuleset, storeCounters } from '../datapath/load.ts';
import { createMachine } from '../datapath/machine.ts';
import type { LoadedRuleset, Machine, MachineMemory, MachineOptions } from '../datapath/machine-contract.ts';
import type { NameServices, Variant } from '../extensions/contract.ts';
import { HostError } from '../host/description.ts';
import { createHost } from '../host/host.ts';
import { createSets, readSetHeaders, type SetPlaces, SetTextError } from '../ipset/index.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';
import type { RuleTextSettings } from '../syntax/rule-text.ts';
import { readRules } from '../syntax/rules-reader.ts';
import { RulesError } from '../syntax/save-format.ts';
import type { Step } from '../trace/steps.ts';
import { NetworkError } from './description.ts';
import type { HostPlan } from './plan.ts';

/** What all machines of a network share. */
export interface NodeSettings {
  names: NameServices;
  variant: Variant;
  /** Of the random generators; each host has its own. */
  seed: number;
}

/** A host that is switched on. */
export interface NetworkNode {
  readonly name: string;
  readonly host: Host;
  readonly machine: Machine;
  readonly ruleset4: Ruleset;
  readonly ruleset6: Ruleset;
  readonly settings4: RuleTextSettings;
  readonly settings6: RuleTextSettings;
  /** Steps of the packet at hand; cleared by whoever gives the machine a packet. */
  readonly steps: Step[];
  /** Sockets that processes connected for conversations, as `socketKey`. */
  readonly sockets: Set<string>;
  /** Writes the counters into the rulesets; returns what else the host would keep. */
  keep(): KeptNode;
}

/** Sets of a host as `ipset save` text with what is kept beside it, and what its machine remembers. */
export interface KeptNode {
  sets: string;
  places: SetPlaces | null;
  memory: MachineMemory;
}

const OWN_SOCKET: SocketAnswer = { owner: { uid: 0, gid: 0 }, wildcard: false, transparent: false, mark: 0 };

/** A connected socket: its own port, and the other end. */
export function socketKey(protocol: number, port: number, remote: ArrayLike<number>, remotePort: number): string {
  return [protocol, port, ...Array.from(remote), remotePort].join(' ');
}

/** Who has an address on the segment of a device: its MAC; null if nobody. */
export type Resolve = (family: Family, address: AddressWords, device: string) => Uint8Array | null;

/**
 * Switches a host on. Throws NetworkError where its rules or sets are wrong.
 *
 * @param host of the plan (`hostOf`); from now on it knows its neighbours and the sockets of conversations
 * @param learned what its bridges know of the network already
 */
export function createNode(
  plan: HostPlan,
  host: Host,
  index: number,
  settings: NodeSettings,
  resolve: Resolve,
  learned: MachineMemory['learnedMacs'],
): NetworkNode {
  const { texts } = plan;
  const memory = plan.memory ?? null;
  const headers = new Map(readSetHeaders(texts.sets.text).map((header) => [header.name, header]));
  const shared = {
    variant: settings.variant,
    names: settings.names,
    setByName: (name: string) => headers.get(name),
  };
  const settings4: RuleTextSettings = { family: 4, ...shared };
  const settings6: RuleTextSettings = { family: 6, ...shared };
  const neighbourMac = host.neighbourMac.bind(host);
  host.neighbourMac = (family, address, device) =>
    resolve(family, address, device.name) ?? neighbourMac(family, address, device);
  const sockets = new Set<string>();
  const findSocket = host.findSocket.bind(host);
  host.findSocket = (protocol, family, source, sourcePort, destination, destinationPort, device) =>
    findSocket(protocol, family, source, sourcePort, destination, destinationPort, device) ??
    (sockets.has(socketKey(protocol, destinationPort, source, sourcePort)) ? OWN_SOCKET : null);
  const [ruleset4, loaded4] = rulesOf(plan, texts.rules4, plan.added?.rules4, settings4);
  const [ruleset6, loaded6] = rulesOf(plan, texts.rules6, plan.added?.rules6, settings6);
  const clock = new SimulationClock(memory?.uptime ?? 0);
  const random = new RandomGenerator(settings.seed + index * 7919);
  const steps: Step[] = [];
  const sets = setsOf(plan, settings.names, clock, random);
  const options: MachineOptions = {
    host,
    ruleset4: loaded4,
    ruleset6: loaded6,
    sets,
    variant: settings.variant,
    clock,
    random,
    memory,
    observer: (step) => steps.push(step),
    collect: true,
  };
  let machine = createMachine(options);
  if (Object.keys(learned).length > 0) {
    machine = createMachine({ ...options, memory: { ...machine.memory(), learnedMacs: learned } });
  }
  const keep = (): KeptNode => {
    machine.writeCounters();
    storeCounters(loaded4, ruleset4);
    storeCounters(loaded6, ruleset6);
    return { sets: sets.toText(), places: sets.places(), memory: machine.memory() };
  };
  return { name: plan.name, host, machine, ruleset4, ruleset6, settings4, settings6, steps, sockets, keep };
}

/** The machine of a plan, not yet switched on. Throws NetworkError where the description is wrong. */
export function hostOf(plan: HostPlan): Host {
  try {
    return createHost(plan.description);
  } catch (error) {
    if (error instanceof HostError) throw new NetworkError([...plan.path, ...error.path], error.message);
    throw error;
  }
}

function rulesOf(
  plan: HostPlan,
  { text, from }: { text: string; from: string },
  added: string | undefined,
  settings: RuleTextSettings,
): [Ruleset, LoadedRuleset] {
  try {
    // A table that comes again goes on.
    const ruleset = readRules(added === undefined ? text : `${text.trimEnd()}\n${added}`, settings);
    return [ruleset, loadRuleset(ruleset, settings)];
  } catch (error) {
    if (error instanceof RulesError) throw new NetworkError(plan.path, `${from}, line ${error.line}: ${error.message}`);
    throw error;
  }
}

function setsOf(plan: HostPlan, names: NameServices, clock: SimulationClock, random: RandomGenerator) {
  try {
    return createSets({
      text: plan.texts.sets.text,
      names: { ...names, hostByName: () => [], hostByAddress: () => null },
      clock,
      random: () => random.next(),
    });
  } catch (error) {
    if (!(error instanceof SetTextError)) throw error;
    throw new NetworkError(plan.path, `${plan.texts.sets.from}, line ${error.line}: ${error.message}`);
  }
}
