import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { conntrack } from '../../src/cli/commands/conntrack.ts';
import { iptablesFamily } from '../../src/cli/commands/family.ts';
import { ipset } from '../../src/cli/commands/ipset.ts';
import type { Io } from '../../src/cli/io.ts';
import { main } from '../../src/cli/main.ts';
import { FINGERPRINTS } from './generate/fingerprints.ts';
import { DEFAULT_SOURCE_MAC } from './kernel.ts';
import type { HostDescription, Outcome, Scenario, SentPacket } from './scenario.ts';

/** host.yaml of a scenario. JSON is YAML. */
export function hostYaml(host: HostDescription): string {
  return `${JSON.stringify(host, null, 1)}\n`;
}

/** Writes a classic pcap with microseconds. */
export function pcap(linkType: number, records: { time: number; data: Buffer }[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(262144, 16);
  header.writeUInt32LE(linkType, 20);
  const parts: Buffer[] = [header];
  for (const { time, data } of records) {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(Math.floor(time / 1e6), 0);
    record.writeUInt32LE(time % 1e6, 4);
    record.writeUInt32LE(data.length, 8);
    record.writeUInt32LE(data.length, 12);
    parts.push(record, data);
  }
  return Buffer.concat(parts);
}

/** Reads a classic pcap of either resolution, little-endian: link type and records in microseconds. */
export function readPcap(file: Buffer): { linkType: number; records: { time: number; data: Buffer }[] } {
  const nano = file.readUInt32LE(0) === 0xa1b23c4d;
  const records: { time: number; data: Buffer }[] = [];
  for (let at = 24; at + 16 <= file.length; ) {
    const length = file.readUInt32LE(at + 8);
    const fraction = file.readUInt32LE(at + 4);
    records.push({
      time: file.readUInt32LE(at) * 1e6 + (nano ? Math.floor(fraction / 1000) : fraction),
      data: file.subarray(at + 16, at + 16 + length),
    });
    at += 16 + length;
  }
  return { linkType: file.readUInt32LE(20), records };
}

function frame(packet: SentPacket, host: HostDescription): Buffer {
  const l3 = Buffer.from(packet.hex, 'hex');
  if (packet.dev === 'local') return l3;
  const mac = (text: string): Buffer => Buffer.from(text.replaceAll(':', ''), 'hex');
  const type = Buffer.from(packet.hex.startsWith('6') ? '86dd' : '0800', 'hex');
  return Buffer.concat([
    mac(packet.destinationMac ?? host.interfaces[packet.dev].mac),
    mac(packet.sourceMac ?? DEFAULT_SOURCE_MAC),
    type,
    l3,
  ]);
}

/** Writes the state directory and captures of a scenario into `folder`; gives the trace's arguments. */
export function writeInputs(scenario: Scenario, sent: SentPacket[], folder: string): string[] {
  const state = path.join(folder, 'state');
  mkdirSync(state, { recursive: true });
  mkdirSync(path.join(folder, 'out'), { recursive: true });
  const files = {
    'host.yaml': hostYaml(scenario.host),
    'rules.v4': scenario.rulesV4,
    'rules.v6': scenario.rulesV6,
    ipsets: scenario.ipsets,
    'pf.os': scenario.rulesV4.includes('-m osf') ? FINGERPRINTS : '',
  };
  for (const [name, text] of Object.entries(files)) if (text !== '') writeFileSync(path.join(state, name), text);
  const args: string[] = [];
  for (const dev of new Set(sent.map((packet) => packet.dev))) {
    const file = path.join(folder, `in-${dev}.pcap`);
    const records = sent
      .filter((packet) => packet.dev === dev)
      .map((packet) => ({ time: packet.time, data: frame(packet, scenario.host) }));
    writeFileSync(file, pcap(dev === 'local' ? 101 : 1, records));
    args.push('--pcap', `${dev}=${file}`);
  }
  return args;
}

type ToolRunner = (words: string[], told?: string[]) => Promise<string>;

/** Calls iptsim's commands in this process: as the program does, without its start. */
export function toolRunner(directory: string, variant: 'legacy' | 'nft'): ToolRunner {
  return async ([name = '', ...args], errors = []) => {
    const outs: string[] = [];
    const io: Io = {
      out: (text) => void outs.push(text),
      err: (text) => void errors.push(text),
      readStdin: () => '',
      env: { IPTSIM_VARIANT: variant },
      stdoutIsTerminal: false,
      stderrIsTerminal: false,
      directory,
      variant,
      hints: false,
    };
    const status =
      name === 'ipset'
        ? await ipset(name, args, io)
        : name === 'conntrack'
          ? await conntrack(name, args, io)
          : /^ip6?tables/.test(name)
            ? await iptablesFamily(name, args, io)
            : await main([name, ...args], io);
    if (status !== 0) throw new Error(`iptsim ${name}: status ${status}: ${errors.join('').trim().slice(0, 500)}`);
    return outs.join('');
  };
}

interface TracedObject {
  log?: { level: number; line: string }[];
  nflog?: {
    group: number;
    hook: string;
    mark: number;
    in?: string;
    out?: string;
    prefix: string;
    hex: string;
  }[];
}

/** As wire.c writes it. */
function nflogText(shown: NonNullable<TracedObject['nflog']>[number]): string {
  const hook = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'].indexOf(shown.hook);
  const { group, mark, hex, prefix } = shown;
  return `${group} ${hook} ${mark} ${shown.in ?? '-'} ${shown.out ?? '-'} ${hex || '-'} ${prefix}`;
}

/** How the packets of a scenario are played, beside what it says itself. */
export interface Simulation {
  /** What `conntrack -E` printed meanwhile: NAT chooses the ports that the kernel chose. */
  events?: string;
  /** What `conntrack -L` printed in the end, for events that were missed. */
  conntrack?: string;
  /** Further options of the trace. */
  options?: readonly string[];
}

/**
 * Plays the packets, as the kernel was sent them, through iptsim; `drew`: although it was told the ports that the kernel had drawn it had to draw
 * some itself, for connections that the kernel has refused.
 */
export async function runSimulation(
  scenario: Scenario,
  sent: SentPacket[],
  folder: string,
  variant: 'legacy' | 'nft',
  { events, conntrack: listed = '', options = [] }: Simulation = {},
): Promise<{ outcome: Outcome; lines: string[]; drew: boolean }> {
  const args = writeInputs(scenario, sent, folder);
  if (events !== undefined) {
    const file = path.join(folder, 'choices');
    writeFileSync(file, events + listed);
    args.push('--choices', file);
  }
  const out = path.join(folder, 'out');
  const tool = toolRunner(path.join(folder, 'state'), variant);
  for (const words of scenario.entries ?? []) await tool(['conntrack', ...words]).catch(() => undefined);
  const told: string[] = [];
  const words = ['trace', ...args, ...options, '--write-pcap', out, '--json', '--commit'];
  const lines = (await tool(words, told)).split('\n');
  const outputs: Outcome['outputs'] = sent.map(() => []);
  for (const file of readdirSync(out).sort()) {
    if (!file.endsWith('.pcap')) continue;
    const dev = file.slice(0, -5);
    const { linkType, records } = readPcap(readFileSync(path.join(out, file)));
    for (const { time, data } of records) {
      let n = -1;
      while (n + 1 < sent.length && sent[n + 1].time <= time) n++;
      if (n >= 0) outputs[n].push({ dev, hex: data.subarray(linkType === 1 ? 14 : 0).toString('hex') });
    }
  }
  const traced = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as TracedObject);
  return {
    outcome: {
      outputs,
      nflog: traced.map(({ nflog = [] }) => nflog.map(nflogText)),
      log: traced.map(({ log = [] }) => log.map(({ level, line }) => `${level} ${line}`)),
      ...(await stateAfter(scenario, tool)),
    },
    lines,
    drew: events !== undefined && /drawn at random/.test(told.join('')),
  };
}

/** What is left of a run: counters, members of sets, connections, expectations. */
export type StateAfter = Pick<Outcome, 'saveV4' | 'saveV6' | 'ipset' | 'conntrack' | 'expectations'>;

async function stateAfter(scenario: Scenario, tool: ToolRunner): Promise<StateAfter> {
  return {
    saveV4: scenario.rulesV4 === '' ? '' : await tool(['iptables-save', '-c']),
    saveV6: scenario.rulesV6 === '' ? '' : await tool(['ip6tables-save', '-c']),
    ipset: scenario.ipsets === '' ? '' : await tool(['ipset', 'save']),
    conntrack:
      (await tool(['conntrack', '-L', '-f', 'ipv4', '-o', 'extended'])) +
      (await tool(['conntrack', '-L', '-f', 'ipv6', '-o', 'extended'])),
    expectations:
      (await tool(['conntrack', '-L', 'expect', '-f', 'ipv4', '-o', 'extended'])) +
      (await tool(['conntrack', '-L', 'expect', '-f', 'ipv6', '-o', 'extended'])),
  };
}

/** The same with `--events`: what was told of connections. */
export async function runEvents(
  scenario: Scenario,
  sent: SentPacket[],
  folder: string,
  variant: 'legacy' | 'nft',
): Promise<string> {
  const args = writeInputs(scenario, sent, folder);
  return toolRunner(path.join(folder, 'state'), variant)(['trace', ...args, '--events']);
}

/** The same with `--summary`: only the number of packets by verdict, and what is left. */
export async function runSummary(
  scenario: Scenario,
  sent: SentPacket[],
  folder: string,
  variant: 'legacy' | 'nft',
  options: readonly string[] = [],
): Promise<{ verdicts: Record<string, number>; after: StateAfter }> {
  const args = writeInputs(scenario, sent, folder);
  const tool = toolRunner(path.join(folder, 'state'), variant);
  for (const words of scenario.entries ?? []) await tool(['conntrack', ...words]).catch(() => undefined);
  const line = await tool(['trace', ...args, ...options, '--summary', '--commit']);
  const verdicts = Object.fromEntries([...line.matchAll(/(\d+) ([a-z]+)(?=[,;])/g)].map((m) => [m[2], Number(m[1])]));
  return { verdicts, after: await stateAfter(scenario, tool) };
}
