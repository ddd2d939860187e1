import type { HookName, TableName } from '../datapath/hooks.ts';
import type { Family } from '../packet/family.ts';
import type { Packet } from '../packet/packet.ts';

/**
 * What happened to a packet, in order: a closed union. The datapath emits steps only when somebody listens;
 * reporters turn them into text, JSON, log lines. All fields are plain data taken at that moment.
 */
export type Step =
  | { kind: 'received'; packet: PacketPicture; device: string | null }
  | { kind: 'hook'; hook: HookName; family: Family; in: string | null; out: string | null }
  | { kind: 'table'; table: TableName; hook: HookName }
  /**
   * A rule was tested. `failed` names the first part that did not fit (`-p`, `-s`, `-m NAME`, ...), absent if it matched; `has` what
   * the packet has there instead, null where it does not tell.
   */
  | {
      kind: 'rule';
      table: TableName;
      chain: string;
      rule: number;
      matched: boolean;
      failed?: string;
      has?: string | null;
    }
  | { kind: 'jump' | 'goto'; table: TableName; from: string; rule: number; chain: string }
  | { kind: 'return'; table: TableName; chain: string; to: string | null }
  | { kind: 'policy'; table: TableName; chain: string; policy: 'ACCEPT' | 'DROP' }
  /** A field of the packet or beside it changed. */
  | { kind: 'rewrite'; by: string; field: string; before: string; after: string }
  | {
      kind: 'conntrack';
      event:
        | 'looked-up'
        | 'created'
        | 'confirmed'
        | 'invalid'
        | 'untracked'
        | 'related'
        | 'destroyed'
        | 'template'
        | 'clash'
        | 'full'
        | 'expected';
      /** NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED. */
      state: string;
      /** As `conntrack -L` would print it; absent if there is none. */
      entry?: string;
      reason?: string;
    }
  | { kind: 'nat'; manip: 'source' | 'destination'; before: string; after: string; mapping: string }
  | {
      kind: 'route';
      hook: HookName;
      text: string;
      device: string | null;
      gateway: string | null;
      type: string;
      again?: boolean;
    }
  | { kind: 'defrag'; event: 'waiting' | 'reassembled' | 'refragmented' | 'discarded'; text: string }
  | { kind: 'bridge'; text: string; port: string | null }
  | { kind: 'queued'; queue: number; hook: HookName; table: TableName; listener: boolean; verdict?: string }
  | { kind: 'log'; level: number; line: string }
  | { kind: 'nflog'; group: number; prefix: string }
  /** The machine itself answers or sends something. */
  | { kind: 'answer'; text: string }
  | { kind: 'emitted'; packet: PacketPicture; device: string }
  | { kind: 'delivered'; packet: PacketPicture }
  | { kind: 'dropped'; reason: string; table?: TableName; chain?: string; rule?: number | null }
  /** Something that a simulation cannot know, said at the rule. */
  | { kind: 'note'; text: string };

/** A packet as it was at a step: its bytes copied. */
export interface PacketPicture {
  family: Family;
  bytes: Uint8Array;
}

export type Observer = (step: Step) => void;

export function picture(packet: Packet): PacketPicture {
  return { family: packet.family, bytes: packet.bytes.slice() };
}
