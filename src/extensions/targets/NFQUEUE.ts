import { queueVerdict } from '../../datapath/verdicts.ts';
import { readUint32 } from '../../packet/bytes.ts';
import type { Family } from '../../packet/family.ts';
import { jhash3words, reciprocalScale, swapBytes } from '../../packet/jhash.ts';
import type { Packet } from '../../packet/packet.ts';
import { defineTarget, UsageError } from '../contract.ts';

/** `struct xt_NFQ_info_v3`: packets are spread over `total` queues from `queue` on. */
interface NfqueueTarget {
  queue: number;
  total: number;
  bypass: boolean;
  cpuFanout: boolean;
}

const HELP = `NFQUEUE target options
  --queue-num value            Send packet to QUEUE number <value>.
                               Valid queue numbers are 0-65535
  --queue-balance first:last   Balance flows between queues <value> to <value>.
  --queue-bypass               Bypass Queueing if no queue instance exists.
  --queue-cpu-fanout	Use current CPU (no hashing)
`;

function texts({ queue, total, bypass, cpuFanout }: NfqueueTarget, prefix: string): string {
  const queues = total > 1 ? `balance ${queue}:${queue + total - 1}` : `num ${queue}`;
  return `${prefix}${queues}${bypass ? ` ${prefix}bypass` : ''}${cpuFanout ? ` ${prefix}cpu-fanout` : ''}`;
}

/**
 * The hash by which packets are spread (`nfqueue_hash`, include/net/netfilter/nf_queue.h): addresses without regard to the
 * direction and, for IPv4, the protocol. Addresses are words as a little-endian machine reads them.
 */
export function queueHash(packet: Packet, family: Family, seed: number): number {
  if (family === 4) {
    const source = swapBytes(packet.src[0]!);
    const destination = swapBytes(packet.dst[0]!);
    const protocol = packet.bytes[9]!;
    return source < destination
      ? jhash3words(source, destination, protocol, seed)
      : jhash3words(destination, source, protocol, seed);
  }
  const { bytes } = packet;
  const source = swapBytes(readUint32(bytes, 20));
  const destination = swapBytes(readUint32(bytes, 36));
  const second = Math.min(swapBytes(readUint32(bytes, 12)), swapBytes(readUint32(bytes, 28)));
  return source < destination
    ? jhash3words(source, destination, second, seed)
    : jhash3words(destination, source, second, seed);
}

export const NFQUEUE = defineTarget<NfqueueTarget>({
  name: 'NFQUEUE',
  families: [4, 6],
  options: [
    { name: 'queue-num', type: 'uint16', excludes: ['queue-balance'] },
    { name: 'queue-balance', type: 'uint16-range', excludes: ['queue-num'] },
    { name: 'queue-bypass', type: 'none' },
    { name: 'queue-cpu-fanout', type: 'none', requires: ['queue-balance'] },
  ],
  init: () => ({ queue: 0, total: 1, bypass: false, cpuFanout: false }),
  parse(data, option) {
    switch (option.name) {
      case 'queue-num':
        data.queue = option.number;
        break;
      case 'queue-balance': {
        const [first, last] = option.numbers;
        if (last === undefined) throw new UsageError(`Bad range "${option.text}"`);
        if (first! >= last) throw new UsageError(`${first} should be less than ${last}`);
        data.queue = first!;
        // A 16-bit field: the whole range 0:65535 becomes 0, which the kernel refuses.
        data.total = (last - first! + 1) & 0xffff;
        break;
      }
      case 'queue-bypass':
        data.bypass = true;
        break;
      case 'queue-cpu-fanout':
        data.cpuFanout = true;
        break;
    }
  },
  save: (data) => ` ${texts(data, '--queue-')}`,
  print({ queue, total, bypass, cpuFanout }) {
    const queues = total > 1 ? `balance ${queue}:${queue + total - 1}` : `num ${queue}`;
    return ` NFQUEUE ${queues}${bypass ? ' bypass' : ''}${cpuFanout ? ' cpu-fanout' : ''}`;
  },
  help: () => HELP,
  check({ queue, total }) {
    if (total === 0) return 'EINVAL';
    return total - 1 + queue > 0xffff ? 'ERANGE' : null;
  },
  explain({ queue, total, bypass }) {
    const to = total > 1 ? `one of the queues ${queue} to ${queue + total - 1}` : `queue ${queue}`;
    return `the packet goes to ${to}${bypass ? ', or on if nobody listens there' : ''}`;
  },
  // Where several queues are spread over, the seed is random.
  memory: ({ total }) => (total > 1 ? 'machine' : 'flow'),
  compile({ queue, total, bypass, cpuFanout }, { family, machine }) {
    if (total <= 1) {
      const verdict = queueVerdict(queue, bypass);
      return () => verdict;
    }
    const verdicts = Array.from({ length: total }, (_, i) => queueVerdict(queue + i, bypass));
    if (cpuFanout) return (packet) => verdicts[packet.cpu % total]!;
    const { seed } = machine.namedState('nfqueue', 'hash', () => ({ seed: machine.random() >>> 0 }));
    return (packet) => verdicts[reciprocalScale(queueHash(packet, family, seed), total)]!;
  },
});
