import { Status } from './connection.ts';
import type { ConntrackEntries } from './entries.ts';
import type { Entry } from './entry.ts';
import type { Expectation } from './expectations.ts';
import { Extra, Field } from './table.ts';

export type EntryEventKind = 'new' | 'update' | 'destroy';

/** What a message of ctnetlink says besides the entry itself. */
export interface EntryEvent {
  kind: EntryEventKind;
  /** The protocol's state is told; an update says it only if it changed. */
  state: boolean;
  /** Labels are told: they changed. */
  labels: boolean;
  /** The mark changed: it is told even if it is 0 now. */
  mark: boolean;
}

/** Who hears of changes in the tables, as a listener on ctnetlink's groups does. What is passed holds during the call only. */
export interface EventListener {
  entry(event: EntryEvent, entry: Entry, entries: ConntrackEntries): void;
  expectation(kind: 'new' | 'destroy', expectation: Expectation, entries: ConntrackEntries): void;
}

/** What listeners were told of an entry last. */
interface Told {
  status: number;
  state: number;
  mark: number;
  secmark: number;
  labels: string;
  /** Whether SYNPROXY shifts sequence numbers; of helpers that do so nobody is told. */
  shifted: boolean;
}

const TOLD_STATUS = Status.seenReply | Status.assured;

function picture(entry: Entry): Told {
  return {
    status: entry.status & TOLD_STATUS,
    state: entry.stateName === null ? 0 : entry.words[entry.base + Field.protocol]! & 0xff,
    mark: entry.mark,
    secmark: entry.secmark,
    labels: entry.has(Extra.labels) ? entry.labels().join() : '',
    shifted: entry.has(Extra.synproxy) && (entry.status & Status.sequenceAdjust) !== 0,
  };
}

/**
 * Finds out what is to be told of an entry after a packet. The kernel marks each change where it happens and sends all marks of
 * an entry when a packet of it passes confirmation (nf_ct_deliver_cached_events); here the entry is compared with what
 * was told last, so that nothing is spent while nobody listens.
 */
export class EventTeller {
  private readonly told = new Map<number, Told>();
  private readonly listener: EventListener;
  private readonly entries: ConntrackEntries;

  constructor(listener: EventListener, entries: ConntrackEntries) {
    this.listener = listener;
    this.entries = entries;
  }

  /** Takes an entry as known: it was there before anybody listened. */
  know(entry: Entry): void {
    this.told.set(entry.slot, picture(entry));
  }

  /** A packet of a confirmed entry has passed. */
  passed(entry: Entry): void {
    const before = this.told.get(entry.slot);
    if (before === undefined) {
      this.know(entry);
      this.listener.entry(
        { kind: 'new', state: true, labels: entry.has(Extra.labels), mark: false },
        entry,
        this.entries,
      );
      return;
    }
    const now = picture(entry);
    const state = now.state !== before.state;
    const labels = now.labels !== before.labels;
    const mark = now.mark !== before.mark;
    if (
      !state &&
      !labels &&
      now.status === before.status &&
      !mark &&
      now.secmark === before.secmark &&
      now.shifted === before.shifted
    ) {
      return;
    }
    this.told.set(entry.slot, now);
    this.listener.entry({ kind: 'update', state, labels, mark }, entry, this.entries);
  }

  /** The entry is about to leave the table. */
  ended(entry: Entry): void {
    // Nobody was told of it: it never was confirmed.
    if (!this.told.delete(entry.slot)) return;
    this.listener.entry({ kind: 'destroy', state: true, labels: false, mark: false }, entry, this.entries);
  }

  expectation(kind: 'new' | 'destroy', expectation: Expectation): void {
    this.listener.expectation(kind, expectation, this.entries);
  }
}
