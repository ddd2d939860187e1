import { RandomGenerator, SimulationClock } from '../datapath/clock.ts';
import type { Host, LogRecord } from '../datapath/environment.ts';
import { loadRuleset, storeCounters } from '../datapath/load.ts';
import { createMachine } from '../datapath/machine.ts';
import type {
  DeliveredPacket,
  EmittedPacket,
  Machine,
  MachineMemory,
  NflogEvent,
  QueueEvent,
  TraceVerdict,
} from '../datapath/machine-contract.ts';
import type { QueueListener } from '../datapath/queueing.ts';
import type { NameServices, Variant } from '../extensions/contract.ts';
import { fingerprintState, parseFingerprints } from '../extensions/matches/osf-fingerprints.ts';
import type { HostDescription } from '../host/description.ts';
import { createHost } from '../host/host.ts';
import { readHostYaml } from '../host/yaml.ts';
import { createSets } from '../ipset/index.ts';
import { parseLine } from '../packet/notation/flow.ts';
import { formatRuleset } from '../syntax/save-format.ts';
import { AssumedHost, placementOnAssumed } from '../trace/assumed-host.ts';
import { mergeSources } from '../trace/input.ts';
import { run } from '../trace/run.ts';
import type { Step } from '../trace/steps.ts';
import { placementOn, type WrittenItem, writtenSources } from '../trace/written.ts';
import { wellKnownNames } from './names.ts';
import { parseRuleset, ruleSettings } from './ruleset.ts';

/** What a simulated machine is made of; everything may be left out. */
export interface SimulationOptions {
  /** `iptables-save` text. */
  rules?: string;
  /** `ip6tables-save` text. */
  rules6?: string;
  /** `ipset save` text. */
  sets?: string;
  /** The text of a host.yaml, or its content as data. Without it the packets' `in=` and `out=` decide their way. */
  host?: string | HostDescription;
  /** Without a host: the interfaces that packets may name; default eth0 to eth3. */
  interfaces?: readonly string[];
  /** Default nft. */
  variant?: Variant;
  /** Of the random generator; default 1. */
  seed?: number;
  /** Fingerprints of operating systems for `-m osf`, in the format of pf.os. */
  fingerprints?: string;
  /** Who listens on NFQUEUE. */
  queues?: QueueListener;
  /** What an earlier simulation left behind (`Simulation.memory()`). */
  memory?: MachineMemory;
  names?: NameServices;
}

/** What became of one packet, and all the steps of its way. */
export interface Traced {
  /** From 1, over the life of the simulation. */
  n: number;
  /** Microseconds since the epoch. */
  time: number;
  /** Interface where it arrived; null if the machine sent it. */
  in: string | null;
  /** As it was given; of a flow also which end sent it. */
  label: string | null;
  bytes: Uint8Array;
  verdict: TraceVerdict;
  table: string | null;
  chain: string | null;
  rule: number | null;
  reason: string | null;
  out: string | null;
  emitted: EmittedPacket[];
  delivered: DeliveredPacket[];
  queue: QueueEvent[];
  log: LogRecord[];
  nflog: NflogEvent[];
  steps: Step[];
}

export interface Simulation {
  readonly host: Host;
  readonly machine: Machine;
  /** Sends packets and flows in the one-line notation through the machine. Throws NotationError. */
  trace(...lines: string[]): Promise<Traced[]>;
  /** The rules as `iptables-save -c` text with the counters as they are now. */
  rules(family?: 4 | 6): string;
  /** The sets as `ipset save` text as they are now. */
  sets(): string;
  memory(): MachineMemory;
}

/** Microseconds between packets that have no time of their own. */
const SPACING = 1000;

/** Interfaces of a machine without a description, if nothing else is said. */
const USUAL_INTERFACES = ['eth0', 'eth1', 'eth2', 'eth3'];

/** Switches on a simulated machine. Throws RulesError, HostError, HostFileError, SetTextError where a text is wrong. */
export function simulate(options: SimulationOptions = {}): Simulation {
  const names = options.names ?? wellKnownNames();
  const shared = { variant: options.variant ?? 'nft', names, sets: options.sets ?? '' } as const;
  const host = hostOf(options);
  const ruleset4 = parseRuleset(options.rules ?? '', { family: 4, ...shared });
  const ruleset6 = parseRuleset(options.rules6 ?? '', { family: 6, ...shared });
  const loaded4 = loadRuleset(ruleset4, ruleSettings({ family: 4, ...shared }));
  const loaded6 = loadRuleset(ruleset6, ruleSettings({ family: 6, ...shared }));
  const memory = options.memory ?? null;
  const clock = new SimulationClock(memory?.uptime ?? 0);
  const random = new RandomGenerator(options.seed ?? 1, memory?.random);
  const sets = createSets({
    text: shared.sets,
    names: {
      ...names,
      hostByName: () => [],
      hostByAddress: () => null,
    },
    clock,
    random: () => random.next(),
  });
  const steps: Step[] = [];
  const machine = createMachine({
    host,
    ruleset4: loaded4,
    ruleset6: loaded6,
    sets,
    variant: shared.variant,
    clock,
    random,
    memory,
    namedState:
      options.fingerprints === undefined ? {} : fingerprintState(parseFingerprints(options.fingerprints).fingerprints),
    queues: options.queues ?? null,
    observer: (step) => steps.push(step),
    collect: true,
  });
  const placement = host instanceof AssumedHost ? placementOnAssumed(host) : placementOn(host);
  let next = memory?.clock ?? 0;
  let count = 0;
  return {
    host,
    machine,
    async trace(...lines) {
      const items: WrittenItem[] = lines.map((label) => ({ line: parseLine(label), label }));
      const results: Traced[] = [];
      if (items.length === 0) return results;
      await run({
        machine,
        source: mergeSources(writtenSources(items, host, placement, next)),
        keepOriginals: true,
        before(input) {
          steps.length = 0;
          if (host instanceof AssumedHost) host.see(input);
        },
        reporters: [
          {
            packet({ input, original, outcome }) {
              const { out, emitted, delivered, queue, log, nflog, verdict, table, chain, rule, reason } = outcome;
              next = Math.max(next, input.time + SPACING);
              results.push({
                n: ++count,
                time: input.time,
                in: input.device?.name ?? null,
                label: input.label,
                bytes: original,
                verdict,
                table,
                chain,
                rule,
                reason: reason ?? input.refused,
                out: out?.name ?? null,
                emitted: emitted.map((packet) => ({ ...packet, bytes: packet.bytes.slice() })),
                delivered: delivered.map((packet) => ({ ...packet, bytes: packet.bytes.slice() })),
                queue: [...queue],
                log: [...log],
                nflog: [...nflog],
                steps: [...steps],
              });
            },
          },
        ],
      });
      return results;
    },
    rules(family = 4) {
      machine.writeCounters();
      const [loaded, ruleset] = family === 4 ? [loaded4, ruleset4] : [loaded6, ruleset6];
      storeCounters(loaded, ruleset);
      return formatRuleset(ruleset);
    },
    sets: () => sets.toText(),
    memory: () => machine.memory(),
  };
}

function hostOf(options: SimulationOptions): Host {
  if (typeof options.host === 'string') return readHostYaml(options.host, 'host.yaml').host;
  return options.host === undefined
    ? new AssumedHost(options.interfaces ?? USUAL_INTERFACES)
    : createHost(options.host);
}
