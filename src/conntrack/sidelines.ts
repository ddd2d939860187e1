/** A helper assigned to a connection and what it remembers of it. */
export interface AssignedHelper {
  name: string;
  /** Plain data of the helper itself (FTP: where lines end; PPTP: call ids). */
  memory: Record<string, unknown>;
}

/** Shift of sequence numbers of one direction (`struct nf_ct_seqadj`). */
export interface SequenceShift {
  /** Sequence number where the last change took place. */
  correction: number;
  before: number;
  after: number;
}

/** What SYNPROXY remembers of a connection to the server (`struct nf_conn_synproxy`). Plain data; its hook writes it. */
export interface SynproxyMemory {
  /** The sequence number with which the machine answered the client. */
  initialSequence: number;
  /** The time stamp that the client echoed. */
  initialTimestamp: number;
  /** What is added to the server's time stamps. */
  timestampOffset: number;
}

/** What few connections have, by slot (the kernel's nf_ct_ext). `Field.extras` tells which are there. */
export class Sidelines {
  readonly helpers = new Map<number, AssignedHelper>();
  /** Slot of the master. */
  readonly masters = new Map<number, number>();
  readonly labels = new Map<number, Uint32Array>();
  readonly sequences = new Map<number, [SequenceShift, SequenceShift]>();
  /** Start and, once dead, stop; microseconds since the epoch. */
  readonly timestamps = new Map<number, { start: number; stop: number }>();
  readonly synproxies = new Map<number, SynproxyMemory>();

  forget(slot: number): void {
    this.helpers.delete(slot);
    this.masters.delete(slot);
    this.labels.delete(slot);
    this.sequences.delete(slot);
    this.timestamps.delete(slot);
    this.synproxies.delete(slot);
  }
}
