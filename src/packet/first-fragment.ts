/**
 * What a datagram put together has from its first fragment, beside the bytes: the kernel makes the packet that came last look like that one
 * (`skb_morph` in inet_frag_reasm_prepare, net/ipv4/inet_fragment.c). Interface and route stay those of the packet that came last.
 */
import type { Connection } from '../conntrack/connection.ts';
import { fromHex, toHex } from './bytes.ts';
import { ConntrackInfo, type Packet, type PacketType } from './packet.ts';

/** Of a first fragment that waits. */
export interface FirstFragment {
  mark: number;
  priority: number;
  secmark: number;
  trace: boolean;
  packetType: PacketType;
  linkHeader: Uint8Array | null;
  connection: Connection | null;
  conntrackInfo: ConntrackInfo;
}

/** The same as plain data. A connection is not kept: only a fragment within a fragment has one while it waits. */
export type StoredFirstFragment = Pick<FirstFragment, 'mark' | 'priority' | 'secmark' | 'trace' | 'packetType'> & {
  linkHeader: string | null;
};

export function firstFragment(packet: Packet): FirstFragment {
  const { mark, priority, secmark, trace, packetType, linkHeader, connection, conntrackInfo } = packet;
  return { mark, priority, secmark, trace, packetType, linkHeader, connection, conntrackInfo };
}

export function storedFirstFragment(first: FirstFragment): StoredFirstFragment {
  const { mark, priority, secmark, trace, packetType, linkHeader } = first;
  return { mark, priority, secmark, trace, packetType, linkHeader: linkHeader === null ? null : toHex(linkHeader) };
}

export function loadedFirstFragment(stored: StoredFirstFragment): FirstFragment {
  const { linkHeader } = stored;
  return {
    ...stored,
    linkHeader: linkHeader === null ? null : fromHex(linkHeader),
    connection: null,
    conntrackInfo: ConntrackInfo.new,
  };
}
