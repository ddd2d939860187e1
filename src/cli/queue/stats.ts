import Table from 'cli-table3';
import { Verdict } from '../../datapath/verdicts.ts';
import type { PacketDescription } from '../../packet/notation/description.ts';
import { parseLine } from '../../packet/notation/flow.ts';
import { mergeSources } from '../../trace/input.ts';
import { countedUp, type Repeat, readRepeat, repetition } from '../../trace/repeat.ts';
import { run } from '../../trace/run.ts';
import { type WrittenItem, writtenSources } from '../../trace/written.ts';
import type { Io } from '../io.ts';
import { loadMachine, type MachineFiles } from '../trace/load.ts';

/** What `iptsim queue stats` was asked for. */
export interface StatsOptions extends Omit<MachineFiles, 'commit'> {
  packet: string;
  /** As `repeat` of files of cases. */
  repeat: Record<string, unknown>;
}

/** How connections were spread. */
export interface QueueStatistics {
  connections: number;
  /** Connections by the first queue that their packet got into, in the order of the numbers. */
  queues: { queue: number; connections: number }[];
  /** Connections whose packet no queue got. */
  unqueued: number;
}

/** Makes many connections of one packet and counts into which queues they fall. Every queue has a listener that accepts. */
export async function queueStatistics(options: StatsOptions, outer: Io): Promise<QueueStatistics> {
  const io: Io = { ...outer, err: (text) => outer.err(text.replace(/^iptsim trace: /, 'iptsim queue: ')) };
  const line = parseLine(options.packet);
  const item: WrittenItem = { line, label: options.packet };
  const repeat = readRepeat(options.repeat);
  if (repeat.vary.length === 0) repeat.vary.push(countedUp('source', firstOf(item), repeat.times));
  const loaded = loadMachine({ ...options, commit: false }, { pcaps: [], written: [item] }, io, {
    observer: null,
    collect: true,
    queues: { listens: () => true, handle: () => ({ verdict: Verdict.accept }) },
  });
  const items = all(item, repeat);
  const source = mergeSources(writtenSources(items, loaded.host, loaded.placement, loaded.startClock));
  const counts = new Map<number, number>();
  let unqueued = 0;
  await run({
    machine: loaded.start(source.nextTime),
    source,
    keepOriginals: false,
    before: (input) => loaded.before(input),
    reporters: [
      {
        packet({ outcome }) {
          const queue = outcome.queue[0]?.queue;
          if (queue === undefined) unqueued++;
          else counts.set(queue, (counts.get(queue) ?? 0) + 1);
        },
      },
    ],
  });
  loaded.close();
  const queues = [...counts].map(([queue, connections]) => ({ queue, connections })).sort((a, b) => a.queue - b.queue);
  return { connections: repeat.times, queues, unqueued };
}

/** The opening packets: of a flow its first. */
function all(item: WrittenItem, repeat: Repeat): WrittenItem[] {
  const opening: WrittenItem = { line: { kind: 'packet', packet: firstOf(item) }, label: item.label };
  return Array.from({ length: repeat.times }, (_, index) => repetition(opening, repeat, index));
}

function firstOf({ line }: WrittenItem): PacketDescription {
  return line.kind === 'packet' ? line.packet : line.flow.first;
}

const BAR = 40;

/** The picture of a spread. */
export function statisticsText({ connections, queues, unqueued }: QueueStatistics): string {
  const most = Math.max(1, ...queues.map((queue) => queue.connections));
  const table = new Table({
    head: ['queue', 'connections', 'share', ''],
    colAligns: ['right', 'right', 'right', 'left'],
    style: { head: [], border: [], compact: true },
  });
  for (const { queue, connections: count } of queues) {
    const share = `${((100 * count) / connections).toFixed(2)}%`;
    const bar = '█'.repeat(Math.round((BAR * count) / most));
    table.push([queue, count, share, bar]);
  }
  const queued = connections - unqueued;
  const counts = queues.map((queue) => queue.connections);
  const spread =
    counts.length < 2
      ? ''
      : `; ${(queued / counts.length).toFixed(1)} each if even, from ${Math.min(...counts)} to ${most}`;
  return `${table.toString()}\n${connections} connections: ${queued} queued, ${unqueued} not${spread}\n`;
}
