import type { Conntrack } from '../conntrack/service.ts';
import type { Device } from '../host/device.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import type { Packet } from '../packet/packet.ts';
import { setTtl, tosOf } from '../packet/rewrite.ts';
import type { LearnedMacs } from './bridge/learning.ts';
import type { RandomGenerator, SimulationClock } from './clock.ts';
import type { FragmentQueues } from './defragment.ts';
import type { Host, RouteAnswer, SocketAnswer } from './environment.ts';
import type { HookRunner } from './hook-runner.ts';
import { HOOK_NAMES, Hook } from './hooks.ts';
import type { Peers } from './ipv4/peers.ts';
import type { KernelLog } from './kernel-log.ts';
import type { Recorder } from './recorder.ts';
import type { ConnectionRequest } from './requests.ts';
import type { Share } from './share.ts';
import { Stage } from './stages.ts';

/** What all parts of the simulated network stack share. */
export interface Kernel {
  readonly host: Host;
  readonly clock: SimulationClock;
  readonly random: RandomGenerator;
  readonly recorder: Recorder;
  readonly runner: HookRunner;
  readonly conntrack: Conntrack;
  readonly fragments: FragmentQueues;
  readonly macs: LearnedMacs;
  readonly peers: Peers;
  readonly log: KernelLog;
  /** Where this machine handles only a part of the packets; null: all. */
  readonly share: Share | null;
  readonly loopback: Device;
  /** What was sent to the machine itself over `lo` and is received when the current packet is done (netif_rx). */
  readonly backlog: Packet[];
  /** While the kernel's ICMP socket of a family sends: nothing else can be sent by it meanwhile (icmp_xmit_lock). */
  readonly icmpBusy: Record<Family, boolean>;
  /** While TEE sends a copy. */
  duplicating: boolean;
  /** Connected sockets of processes that sent something in this run, by `socketKey`. */
  readonly connected: Map<string, SocketAnswer>;
  /** Those of them whose other end has closed, likewise. */
  readonly finished: Set<string>;
  /** Connections that listening sockets have answered and nobody has acknowledged, likewise. */
  readonly requests: Map<string, ConnectionRequest>;
  /** Every packet that may hold a connection which was never confirmed. */
  readonly held: Packet[];
  /** An input packet whose way is over and that nobody has kept; the next one may take its place. */
  spare: Packet | null;
}

/** An address as plain words, as routing takes it. */
export function addressOf(words: Uint32Array): AddressWords {
  return [words[0]!, words[1]!, words[2]!, words[3]!];
}

/** Whether packets can take this route. */
export function usable(route: RouteAnswer): boolean {
  switch (route.type) {
    case 'unicast':
    case 'local':
    case 'broadcast':
    case 'multicast':
      return route.device !== null;
    default:
      return false;
  }
}

/** Routes a packet of this machine by what it carries now; false if there is no way. */
export function routeLocal(kernel: Kernel, packet: Packet, hook: Hook = Hook.output, again = false): boolean {
  const route = kernel.host.route({
    family: packet.family,
    destination: addressOf(packet.dst),
    source: addressOf(packet.src),
    mark: packet.mark,
    tos: tosOf(packet),
    protocol: packet.protocol,
    ...(packet.owner === null ? {} : { uid: packet.owner.uid }),
    // Addresses of a link mean the one on which it was to leave (ip6_route_me_harder).
    ...(again && isOfLink(packet) ? { outDevice: packet.route!.device } : {}),
  });
  noteRoute(kernel, route, hook, again);
  if (!usable(route)) return false;
  packet.route = route;
  packet.outDevice = route.device;
  packet.realm = route.realm;
  return true;
}

/** Whether the destination is an IPv6 group or link-local. */
function isOfLink({ family, dst }: Packet): boolean {
  const first = dst[0]!;
  return family === 6 && (first >>> 24 === 0xff || first >>> 22 === 0xfe80 >>> 6);
}

export function noteRoute(kernel: Kernel, route: RouteAnswer, hook: Hook, again = false): void {
  kernel.recorder.observer?.({
    kind: 'route',
    hook: HOOK_NAMES[hook],
    text: route.text,
    device: route.device?.name ?? null,
    gateway: route.gateway === null ? null : gatewayText(route.gateway),
    type: route.type,
    ...(again ? { again: true } : {}),
  });
}

function gatewayText(gateway: AddressWords): string {
  return gateway.map((word) => word.toString(16).padStart(8, '0')).join('');
}

/** What a socket that was told nothing else sends to a group stays on the link (`mc_ttl`, `mcast_hops`). */
const MULTICAST_TTL = 1;

function isMulticast({ family, route, dst }: Packet): boolean {
  return family === 4 ? route!.type === 'multicast' : dst[0]! >>> 24 === 0xff;
}

/** Runs a packet of the machine, already routed, through OUTPUT (`__ip_local_out`). */
export function localOut(kernel: Kernel, packet: Packet): void {
  kernel.share?.checkSent(packet.bytes);
  packet.time = kernel.clock.real;
  packet.realm = packet.route!.realm;
  if (packet.controlSocket && packet.local && isMulticast(packet)) setTtl(packet, MULTICAST_TTL);
  if (packet.kernelMade || packet.isCopy) kernel.held.push(packet);
  kernel.runner.run(packet, Hook.output, null, packet.route!.device, Stage.output);
}

/** Sends an ICMP answer, already routed; false, and nothing is sent, while another one of the family is on its way out. */
export function sendFromIcmp(kernel: Kernel, answer: Packet, text: string): boolean {
  const { icmpBusy } = kernel;
  const { family } = answer;
  if (icmpBusy[family]) return false;
  icmpBusy[family] = true;
  answer.controlSocket = true;
  noteAnswer(kernel, text);
  localOut(kernel, answer);
  icmpBusy[family] = false;
  return true;
}

/** Routes and sends a packet that the machine makes itself; silent if there is no route. */
export function sendFromKernel(kernel: Kernel, packet: Packet): void {
  if (routeLocal(kernel, packet)) localOut(kernel, packet);
}

/** The mark of an answer: that of the packet, or 0 (`IP4_REPLY_MARK`, `IP6_REPLY_MARK`). */
export function replyMark(kernel: Kernel, family: Family, cause: Packet): number {
  return kernel.host.sysctl(`net.ipv${family}.fwmark_reflect`) !== 0 ? cause.mark : 0;
}

/** Tells that the machine answers. */
export function noteAnswer(kernel: Kernel, text: string): void {
  kernel.recorder.observer?.({ kind: 'answer', text });
}
