import type { Packet } from '../../../packet/packet.ts';

/** What a line is to hold besides the usual (`NF_LOG_*`, include/uapi/linux/netfilter/nf_log.h). */
export const LogFlag = { tcpSequence: 1, tcpOptions: 2, ipOptions: 4, uid: 8, macDecode: 32 } as const;

/** What is shown where no rule says it, by legacy TRACE and of packets that the kernel logs by itself: all but decoded MAC addresses (NF_LOG_DEFAULT_MASK). */
export const DEFAULT_FLAGS = LogFlag.tcpSequence | LogFlag.tcpOptions | LogFlag.ipOptions | LogFlag.uid;

export interface LogStyle {
  /** Stands before the line, with nothing in between. */
  prefix: string;
  /** `LogFlag` bits. */
  flags: number;
}

/** What is said of the packet's process and mark at the end of a line. */
export function ownerAndMark({ owner, mark }: Packet, flags: number): string {
  const uid = flags & LogFlag.uid && owner !== null ? `UID=${owner.uid} GID=${owner.gid} ` : '';
  return mark === 0 ? uid : `${uid}MARK=0x${mark.toString(16)} `;
}
