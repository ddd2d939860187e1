/**
 * iptsim as a library: rulesets, packets and the machine that they meet in. Nothing here touches files, clocks or processes;
 * it runs wherever JavaScript does.
 *
 * ```ts
 * const simulation = simulate({ rules: '*filter\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n' });
 * simulation.trace('in=eth0 tcp 198.51.100.7:40000 > 203.0.113.10:22');
 * ```
 */

export { LinkType } from './capture/linktype.ts';
export { type CapturedPacket, isCapture, openCapture, readCapture } from './capture/reader.ts';
export { type ByteSource, bytesSource, CaptureError } from './capture/source.ts';
export { parseTcpdump, type TcpdumpPacket, type TcpdumpText } from './capture/tcpdump.ts';
export { type ByteSink, PcapWriter } from './capture/write.ts';
export { type CaseFile, CaseFileError, parseCaseFile } from './check/case-file.ts';
export { type Expectation, ExpectationError, readExpectation } from './check/expectation.ts';
export { type Failure, judge, type Observed, observe } from './check/judge.ts';
export { RandomGenerator, SimulationClock } from './datapath/clock.ts';
export type { Host } from './datapath/environment.ts';
export { createMachine } from './datapath/machine.ts';
export type {
  Arrival,
  DeliveredPacket,
  EmittedPacket,
  LocalSend,
  Machine,
  MachineMemory,
  MachineOptions,
  NflogEvent,
  Outcome,
  QueueEvent,
  TraceVerdict,
} from './datapath/machine-contract.ts';
export type { QueueAnswer, QueuedPacket, QueueListener } from './datapath/queueing.ts';
export { type HostDescription, HostError, type InterfaceDescription } from './host/description.ts';
export type { Device } from './host/device.ts';
export { createHost } from './host/host.ts';
export { HostFileError, parseHostYaml } from './host/yaml.ts';
export type { AddressWords, Family } from './packet/family.ts';
export { buildPacket } from './packet/notation/build.ts';
export { describePacket } from './packet/notation/describe.ts';
export type { PacketDescription, PacketTime } from './packet/notation/description.ts';
export { NotationError } from './packet/notation/error.ts';
export { type FlowDescription, type Line, parseFlow, parseLine } from './packet/notation/flow.ts';
export { formatPacket } from './packet/notation/format.ts';
export { parsePacket } from './packet/notation/parse.ts';
export type {
  HandlerAnswer,
  HandlerChange,
  HandlerConnection,
  HandlerPacket,
  HandlerRelease,
  HandlerTuple,
  HandlerVerdict,
  ModulePacket,
  QueueHandler,
} from './queue/handler.ts';
export type { AddressMatch, InterfaceMatch, MatchUse, RuleSpec, TargetUse } from './ruleset/rule.ts';
export type { Chain, Ruleset, StoredRule, Table } from './ruleset/ruleset.ts';
export { makeRule, parseRuleset, type RulesetOptions, ruleData } from './simulation/ruleset.ts';
export { type Simulation, type SimulationOptions, simulate, type Traced } from './simulation/simulate.ts';
export { formatRuleset, RulesError } from './syntax/save-format.ts';
export { packetText } from './trace/packet-text.ts';
export type { PacketPicture, Step } from './trace/steps.ts';
