import type { Machine } from '../../datapath/machine-contract.ts';
import { type Listener, type QueueRange, queueListener, withHandlers } from '../../queue/listener.ts';
import { openHandler, type QueueOption } from '../../queue/open.ts';
import type { Patience } from '../../queue/patience.ts';
import { readStateFile, writeStateFile } from '../../state/files.ts';
import type { InputPacket } from '../../trace/input.ts';
import { mergeSources } from '../../trace/input.ts';
import { jsonReporter } from '../../trace/reporters/json.ts';
import { summaryLine } from '../../trace/reporters/summary.ts';
import { textReporter } from '../../trace/reporters/text.ts';
import { type Reporter, type RunResult, run } from '../../trace/run.ts';
import type { Step } from '../../trace/steps.ts';
import { EVENTS_FILE, EventRecorder } from '../conntrack/events.ts';
import type { Io } from '../io.ts';
import { collectGarbage } from './garbage.ts';
import { findOrder } from './independence.ts';
import { openInputs, type ReadInputs, readInputs } from './inputs.ts';
import type { LoadedMachine } from './load.ts';
import { loadMachine } from './load.ts';
import type { TraceOptions } from './options.ts';
import { palette } from './palette.ts';
import { runPart, shareOf } from './part.ts';
import { capturedDevices, pcapReporter } from './pcap-output.ts';
import { progressLine } from './progress.ts';
import { playInThread, Team } from './team.ts';
import { kernelLogReporter, monitorReporter } from './views.ts';
import { wallTimer } from './wall-timer.ts';

const WIDTH = 80;

/** Builds the machine, gives it all packets, reports, and writes the state back if asked to. */
export async function runTrace(options: TraceOptions, read: ReadInputs, io: Io): Promise<void> {
  const patience = { milliseconds: options.queueTimeout, option: '--queue-timeout' };
  const open = (queue: QueueOption): Promise<QueueRange> => openHandler(queue, process.cwd(), patience);
  let unlock = (): void => {};
  try {
    // Handlers end before anything is written back: one that then turns out to be broken leaves the state as it was.
    const commit = await withHandlers(options.queues, open, (ranges) =>
      playOnCores(options, read, io, listenerOf(options, ranges, patience), (loaded) => {
        unlock = loaded.close;
      }),
    );
    commit();
  } finally {
    unlock();
  }
}

/** Handlers behind the queues, and the number of the packet under way. */
interface Handlers {
  queues: Listener;
  number: number;
}

function listenerOf(options: TraceOptions, ranges: readonly QueueRange[], patience: Patience): Handlers | null {
  if (ranges.length === 0) return null;
  const listener: Handlers = {
    number: 0,
    queues: queueListener({
      ranges,
      patience,
      timer: wallTimer,
      packetNumber: () => listener.number,
      limit: { length: options.queueLength, failOpen: options.queueFailOpen },
    }),
  };
  return listener;
}

/** As `play`, on as many cores as were asked for if the packets can be shared out, else on one. */
async function playOnCores(
  options: TraceOptions,
  read: ReadInputs,
  io: Io,
  listener: Handlers | null,
  onLoaded: (loaded: LoadedMachine) => void,
): Promise<() => void> {
  if (options.jobs === 1) return play(options, read, io, listener, onLoaded);
  const order = findOrder(options, read);
  if (order !== null) {
    tellOneCore(options, io, order);
    return play(options, read, io, listener, onLoaded);
  }
  let close = (): void => {};
  const team = new Team(options, io, playInThread);
  try {
    return await play(
      options,
      read,
      io,
      listener,
      (loaded) => {
        close = loaded.close;
        onLoaded(loaded);
      },
      team,
    );
  } catch (error) {
    const reason = await team.conflictOf(error);
    if (reason === null) throw error;
    await team.dismiss();
    tellOneCore(options, io, reason);
    close();
    return await play(options, readInputs(options), io, listener, onLoaded, null, true);
  } finally {
    await team.dismiss();
  }
}

function tellOneCore({ jobs }: TraceOptions, io: Io, reason: string): void {
  io.err(`iptsim trace: --jobs ${jobs}: on one core, because ${reason}\n`);
}

/** Gives all packets to the machine, or with a team those of part 0; what it returns writes the state back if that was asked for. */
async function play(
  options: TraceOptions,
  read: ReadInputs,
  io: Io,
  listener: Handlers | null,
  onLoaded: (loaded: LoadedMachine) => void,
  team: Team | null = null,
  isLoadedAgain = false,
): Promise<() => void> {
  const started = process.hrtime.bigint();
  const steps: Step[] = [];
  const observed = options.format === 'text' || (options.format === 'json' && options.steps);
  const events = options.format === 'events' ? new EventRecorder(io.out, options.commit) : null;
  // What there is to say of the machine's files is said once.
  const loadIo = isLoadedAgain ? { ...io, err: () => undefined } : io;
  const loaded = loadMachine(options, read, loadIo, {
    events,
    observer: observed ? (step) => steps.push(step) : null,
    collect: options.format !== 'summary' || options.writePcap !== null || hasFlows(read),
    queues: listener?.queues ?? null,
  });
  onLoaded(loaded);
  collectGarbage();
  const tie = team === null ? null : loaded.tie();
  if (tie !== null) {
    tellOneCore(options, io, tie);
    await team!.dismiss();
  }
  const share = team === null || tie !== null ? null : shareOf(loaded, options, 0);
  const inputs = openInputs(read, loaded, options.at ?? loaded.startClock, share);
  const { notes, remarks } = inputs;
  for (const remark of remarks) io.err(`iptsim trace: ${remark}\n`);
  const progress = io.stderrIsTerminal ? progressLine(io, started) : null;
  const running = process.hrtime.bigint();
  let machine: Machine;
  let result: RunResult;
  if (share === null) {
    const source = mergeSources(inputs.sources);
    machine = loaded.start(source.nextTime);
    const { before } = loaded;
    const watched = events !== null || observed || listener !== null || loaded.watches;
    const reporters = reportersOf(options, loaded, steps, io);
    if (read.written.some(({ line }) => line.kind === 'packet' && line.packet.out !== undefined)) {
      reporters.push(wayReporter(io));
    }
    result = await run({
      machine,
      source,
      reporters,
      keepOriginals: options.format === 'text',
      ...(watched
        ? {
            before: (input: InputPacket) => {
              if (listener !== null) listener.number++;
              before(input);
              if (events !== null) events.time = Math.max(events.time, input.time);
              steps.length = 0;
            },
          }
        : {}),
      ...(progress === null ? {} : { progress: progress.show }),
    });
  } else {
    const played = await runPart(loaded, share, inputs, (count) => {
      progress?.show(count);
      team!.watch();
    });
    machine = played.machine;
    result = await team!.join(played, notes);
  }
  progress?.clear();
  if (notes.cut > 0) {
    io.err(
      `iptsim trace: ${notes.cut} packets were cut by the capture (snap length): zeros stand for what is missing\n`,
    );
  }
  if (loaded.unlisted() > 0) {
    io.err(`iptsim trace: ${loaded.unlisted()} ports were drawn at random: ${options.choices} does not have them\n`);
  }
  for (const [queue, count] of listener?.queues.waiting() ?? []) {
    io.err(`iptsim trace: ${count} packets still wait in queue ${queue}: lost, now that its handler ends\n`);
  }
  if (options.format === 'summary') {
    io.out(summaryLine(result, Number(process.hrtime.bigint() - running) / 1e9));
  }
  const { commit } = loaded;
  return () => {
    if (!options.commit) return;
    commit(machine);
    // Events of an earlier trace are past.
    if (events !== null || readStateFile(io.directory, EVENTS_FILE) !== null) {
      writeStateFile(io.directory, EVENTS_FILE, events?.text() ?? '');
    }
  };
}

/** Says where a packet did not leave by the interface that it names: routing decides. */
function wayReporter(io: Io): Reporter {
  return {
    packet({ n, input, outcome }) {
      const left = outcome.out?.name ?? null;
      if (input.out === null || left === null || left === input.out) return;
      io.err(`iptsim trace: packet ${n} says out=${input.out}, but is routed out ${left}\n`);
    },
  };
}

function hasFlows(read: ReadInputs): boolean {
  return read.written.some(({ line }) => line.kind === 'flow');
}

function reportersOf(options: TraceOptions, loaded: LoadedMachine, steps: readonly Step[], io: Io): Reporter[] {
  const reporters: Reporter[] = [];
  if (options.writePcap !== null) reporters.push(pcapReporter(options.writePcap, capturedDevices(loaded.host.devices)));
  switch (options.format) {
    case 'json':
      reporters.push(jsonReporter(io.out, options.steps ? steps : null));
      break;
    case 'text':
      reporters.push(
        textReporter({
          write: io.out,
          steps,
          rules: loaded.ruleTexts,
          palette: palette(options.color !== false && io.stdoutIsTerminal, io.env),
          verbose: options.verbose,
          width: WIDTH,
        }),
      );
      break;
    case 'kernel-log':
      reporters.push(kernelLogReporter(io.out));
      break;
    case 'xtables-monitor':
      reporters.push(monitorReporter(io.out, loaded.ruleTexts));
      break;
    case 'events':
    case 'summary':
      break;
  }
  return reporters;
}
