import { formatAddress4 } from '../packet/address-text.ts';
import { decode } from '../packet/decode.ts';
import { Packet } from '../packet/packet.ts';
import { DEFAULT_REASSEMBLY, type DefragUser, type ExpiredDatagram, Reassembly } from '../packet/reassembly.ts';
import type { ReassemblyMemory } from '../packet/reassembly-memory.ts';
import type { SimulationClock } from './clock.ts';
import type { Host } from './environment.ts';
import { sendIcmpError, sendIcmpv6Error } from './icmp-error.ts';
import type { Kernel } from './kernel.ts';
import type { KernelLog } from './kernel-log.ts';
import { LogLevel } from './log-level.ts';
import type { Recorder } from './recorder.ts';
import type { Share } from './share.ts';

const SECOND = 1e6;

/** The fragments that wait in this machine. */
export class FragmentQueues {
  readonly #clock: SimulationClock;
  readonly #reassembly: Reassembly;
  /** The ICMPv6 parameter problem that the last refused fragment asks for. */
  parameterProblem: { code: number; pointer: number } | null = null;

  readonly #share: Share | null;
  readonly #maxDistance: number;

  readonly #log: KernelLog;

  constructor(host: Host, clock: SimulationClock, share: Share | null, log: KernelLog) {
    this.#log = log;
    this.#clock = clock;
    this.#share = share;
    this.#maxDistance = host.sysctl('net.ipv4.ipfrag_max_dist');
    const parts = share?.parts ?? 1;
    this.#reassembly = new Reassembly({
      ...DEFAULT_REASSEMBLY,
      timeout4: host.sysctl('net.ipv4.ipfrag_time') * SECOND,
      timeout6: host.sysctl('net.ipv6.ip6frag_time') * SECOND,
      conntrackTimeout6: host.sysctl('net.netfilter.nf_conntrack_frag6_timeout') * SECOND,
      highThreshold4: host.sysctl('net.ipv4.ipfrag_high_thresh') / parts,
      highThreshold6: host.sysctl('net.ipv6.ip6frag_high_thresh') / parts,
      ...(share === null ? {} : { onFull: () => share.conflict('many fragments wait') }),
      maxDistance: this.#maxDistance,
    });
  }

  /**
   * Takes a fragment: true if `packet` is now the whole datagram (or no fragment to be put together), false if it waits or is refused, which
   * the recorder then knows.
   */
  reassemble(packet: Packet, user: 'in' | 'out' | 'local', recorder: Recorder): boolean {
    const device = user === 'out' ? 0 : (packet.inDevice?.index ?? 0);
    const { now } = this.#clock;
    if (this.#share !== null) {
      if (this.#share.keeps) this.#share.conflict('fragments are put together');
      if (packet.family === 4) this.#share.checkSender(packet.src[0]!, this.#maxDistance);
    }
    const gathered = this.#reassembly.gather(packet, defragUser(packet, user), 0, device, now);
    this.parameterProblem = gathered.parameterProblem;
    switch (gathered.result) {
      case 'waiting':
        recorder.observer?.({ kind: 'defrag', event: 'waiting', text: fragmentText(packet) });
        recorder.stolen(packet, 'a fragment that waits for the others');
        return false;
      case 'oversized':
      case 'refused':
        if (gathered.result === 'oversized') {
          const sender = formatAddress4(packet.src[0]!);
          this.#log.limited(LogLevel.info, `IPv4: Oversized IP packet from ${sender}`);
        }
        recorder.observer?.({ kind: 'defrag', event: 'discarded', text: gathered.reason });
        recorder.dropped(packet, gathered.reason);
        return false;
      case 'complete': {
        const pieces = packet.fragmentSizes?.length ?? 0;
        recorder.observer?.({
          kind: 'defrag',
          event: 'reassembled',
          text: `${packet.bytes.length} bytes of ${pieces} fragment${pieces === 1 ? '' : 's'}`,
        });
        return true;
      }
      default:
        return true;
    }
  }

  get isEmpty(): boolean {
    return this.#reassembly.size === 0;
  }

  takeExpired(): ExpiredDatagram[] {
    return this.#reassembly.expire(this.#clock.now);
  }

  load(memory: unknown): void {
    if (memory !== null && memory !== undefined) this.#reassembly.load(memory as ReassemblyMemory);
  }

  save(): ReassemblyMemory {
    return this.#reassembly.save();
  }
}

function defragUser(packet: Packet, user: 'in' | 'out' | 'local'): DefragUser {
  if (user === 'local') return 'local';
  if (packet.physicalIn !== null) return 'conntrack-bridge';
  return user === 'in' ? 'conntrack-in' : 'conntrack-out';
}

function fragmentText(packet: Packet): string {
  const end = packet.fragmentOffset + packet.bytes.length - packet.transport;
  return `bytes ${packet.fragmentOffset} to ${end - 1}${packet.moreFragments ? '' : ', the last'}`;
}

/**
 * Gives up datagrams whose time is over and tells their senders (ICMP 11/1, ICMPv6 3/1), if the first fragment is there; in IPv4 a datagram
 * that connection tracking gathered for another machine is given up silently (ip_expire).
 */
export function expireFragments(kernel: Kernel): void {
  if (kernel.fragments.isEmpty) return;
  for (const { family, user, first, device: index } of kernel.fragments.takeExpired()) {
    const device = kernel.host.deviceByIndex(index);
    if (first === null || device === null) continue;
    const packet = new Packet(family, first);
    decode(packet);
    packet.inDevice = device;
    packet.time = kernel.clock.real;
    if (family === 6) {
      tellConflict(kernel);
      sendIcmpv6Error(kernel, packet, 3, 1);
      continue;
    }
    const input = kernel.host.routeInput(packet, device);
    if (input.action === 'drop' || (user !== 'local' && input.action !== 'local')) continue;
    packet.route = input.route;
    tellConflict(kernel);
    sendIcmpError(kernel, packet, 11, 1);
  }
}

/** That would be told as soon as a packet comes, of whatever part. */
function tellConflict({ share }: Kernel): void {
  share?.conflict('fragments waited too long for the others');
}
