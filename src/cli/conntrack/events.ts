import type { ConntrackEntries } from '../../conntrack/entries.ts';
import type { Entry } from '../../conntrack/entry.ts';
import type { EntryEvent, EventListener } from '../../conntrack/events.ts';
import type { Expectation } from '../../conntrack/expectations.ts';
import type { ConntrackService } from '../../conntrack/service.ts';
import {
  describeEntry,
  describeExpectation,
  type EntryLine,
  type ExpectationLine,
  loadEntry,
  loadExpectation,
} from '../../conntrack/store.ts';
import { entryLine, expectationLine } from './print.ts';
import type { EventWord, Request } from './request.ts';
import { selects } from './select.ts';
import type { Life, Style } from './style.ts';
import { XML_HEAD } from './xml.ts';

/** File of the state directory that holds the events of the last trace with `--commit --events`. */
export const EVENTS_FILE = 'conntrack-events';

/** A line of the file. Times are microseconds since the epoch. */
type EventRecord =
  | { time: number; event: EntryEvent; entry: EntryLine; stopped?: number }
  | { time: number; event: 'new' | 'destroy'; expectation: ExpectationLine; master: EntryLine };

const LIVE: Omit<Style, 'clock'> = { output: new Set(['timestamp']), labelNames: new Map(), use: 1 };

/** Shows events of a trace while they happen, as `conntrack -E -o timestamp` does, and remembers them if asked to. */
export class EventRecorder implements EventListener {
  /** Of the packet under way, microseconds since the epoch. */
  time = 0;
  private readonly lines: string[] = [];
  private readonly keep: boolean;
  private readonly write: (text: string) => void;

  constructor(write: (text: string) => void, keep: boolean) {
    this.write = write;
    this.keep = keep;
  }

  entry(event: EntryEvent, entry: Entry, entries: ConntrackEntries): void {
    const now = entries.now();
    const timestamp = entries.sidelines.timestamps.get(entry.slot);
    this.write(entryLine(entry, now, { ...LIVE, clock: this.time }, lifeOf(timestamp, event), event));
    if (!this.keep) return;
    this.remember({
      time: this.time,
      event,
      entry: describeEntry(entries, entry, now),
      ...(timestamp === undefined ? {} : { stopped: timestamp.stop }),
    });
  }

  expectation(kind: 'new' | 'destroy', expectation: Expectation, entries: ConntrackEntries): void {
    const now = entries.now();
    this.write(expectationLine(entries, expectation, now, { ...LIVE, clock: this.time }, kind));
    if (!this.keep) return;
    const master = describeEntry(entries, entries.entry(expectation.master), now);
    this.remember({
      time: this.time,
      event: kind,
      expectation: describeExpectation(entries, expectation, now),
      master,
    });
  }

  private remember(record: EventRecord): void {
    this.lines.push(JSON.stringify(record));
  }

  /** The events as text of `EVENTS_FILE`. */
  text(): string {
    return this.lines.map((line) => `${line}\n`).join('');
  }
}

function lifeOf(timestamp: { start: number; stop: number } | undefined, event: EntryEvent): Life | null {
  if (timestamp === undefined) return null;
  return { started: timestamp.start, stopped: event.kind === 'destroy' ? timestamp.stop : null };
}

const WORD_OF = { new: 'NEW', update: 'UPDATES', destroy: 'DESTROY' } as const satisfies Record<string, EventWord>;

/**
 * `-E`: prints the events in `text` (of `EVENTS_FILE`) that the request asks for; gives back how many they were. `scratch`: an empty table,
 * `styleAt`: how to print what happened at a time. Throws an Error if the text is not of that kind.
 */
export function showEvents(
  text: string,
  request: Request,
  scratch: ConntrackService,
  styleAt: (time: number) => Style,
  write: (text: string) => void,
): number {
  const expectations = request.command === 'expect-event';
  const root = expectations ? 'expect' : 'conntrack';
  const xml = request.output.has('xml');
  const asked = (kind: keyof typeof WORD_OF) =>
    request.events.size === 0 || request.events.has('ALL') || request.events.has(WORD_OF[kind]);
  let count = 0;
  const show = (line: string): void => {
    if (count++ === 0 && xml) write(`${XML_HEAD}<${root}>\n`);
    write(line);
  };
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const record = JSON.parse(line) as EventRecord;
    if ('expectation' in record !== expectations) continue;
    const style = styleAt(record.time);
    if ('expectation' in record) {
      if (!asked(record.event)) continue;
      const master = loadEntry(scratch, record.master, 0);
      loadExpectation(scratch, record.expectation, new Map([[record.master.id, master.slot]]), 0);
      const [expectation] = scratch.expectations.all();
      if (request.family === null || master.family === request.family) {
        show(expectationLine(scratch, expectation!, 0, style, record.event));
      }
      scratch.destroy(master, '');
      continue;
    }
    if (!asked(record.event.kind)) continue;
    const entry = loadEntry(scratch, record.entry, 0);
    // A mark of 0 is not told, so that `-m` finds nothing to compare with.
    if (selects(request, entry) && !(request.options.has('m') && entry.mark === 0 && !record.event.mark)) {
      const timestamp =
        record.entry.started === undefined ? undefined : { start: record.entry.started, stop: record.stopped ?? 0 };
      show(entryLine(entry, 0, style, lifeOf(timestamp, record.event), record.event));
    }
    scratch.destroy(entry, '');
  }
  if (count > 0 && xml) write(`</${root}>\n`);
  return count;
}
