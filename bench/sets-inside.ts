// Run by sets.js: FILE COUNT TYPE, addresses to test on standard input. Prints bytes an entry and packet tests a second as JSON.
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { setNames } from '../src/cli/commands/ipset.ts';
import type { HookState } from '../src/datapath/hooks.ts';
import { Hook } from '../src/datapath/hooks.ts';
import { createSets } from '../src/ipset/index.ts';
import { Packet } from '../src/packet/packet.ts';
import { systemNames } from '../src/state/names.ts';

const TESTS = 2_000_000;
const [file, count] = process.argv.slice(2);
const collect = (globalThis as { gc?: () => void }).gc!;
/** Memory is given back in the background: what is left after several rounds counts. */
const used = async (): Promise<number> => {
  for (let round = 0; round < 4; round++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};

const names = setNames(systemNames());
const load = () => createSets({ text: readFileSync(file!, 'latin1'), names, clock: { now: 0 }, random: () => 7 });
const before = await used();
const sets = load();
const memory = ((await used()) - before) / Number(count);

const test = sets.tester('big', { directions: [true] });
const packets = readFileSync(0, 'latin1')
  .split('\n')
  .map((text) => {
    const packet = new Packet(4, new Uint8Array(40));
    packet.headerLength = 20;
    packet.transport = 20;
    packet.protocol = 17;
    packet.src[0] = text.split('.').reduce((word, part) => word * 256 + Number(part), 0);
    return packet;
  });
const at: HookState = { hook: Hook.forward, family: 4, inDevice: null, outDevice: null };
let found = 0;
const started = process.hrtime.bigint();
for (let i = 0; i < TESTS; i++) if (test(packets[i % packets.length]!, at)) found++;
const seconds = Number(process.hrtime.bigint() - started) / 1e9;
if (found !== TESTS) throw new Error(`${found} of ${TESTS} packets are in the set: all should be`);
process.stdout.write(JSON.stringify({ memory, tests: TESTS / seconds }));
