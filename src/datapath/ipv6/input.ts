import { forgetSum } from '../../packet/checksum.ts';
import { decode } from '../../packet/decode.ts';
import { type Packet, PacketType } from '../../packet/packet.ts';
import { setTtl, ttlOf } from '../../packet/rewrite.ts';
import { validateReceived } from '../../packet/validate.ts';
import { Hook } from '../hooks.ts';
import { sendIcmpv6Error } from '../icmp-error.ts';
import { type Kernel, noteRoute } from '../kernel.ts';
import { Stage } from '../stages.ts';

const UNREACHABLE = 1;
const NOT_NEIGHBOUR = 2;
const TOO_BIG = 2;
const TIME_EXCEEDED = 3;
const PARAMETER_PROBLEM = 4;
const MINIMUM_MTU = 1280;

/** The checks of ip6_rcv_core; what fails is never seen by a hook, but some unknown options are answered. */
export function acceptIpv6(kernel: Kernel, packet: Packet): boolean {
  const loopback = packet.inDevice === kernel.loopback;
  const refusal = validateReceived(packet, loopback, kernel.host.sysctl('net.ipv6.max_hbh_opts_number'));
  decode(packet);
  if (refusal === null) return true;
  const problem = refusal.parameterProblem;
  if (problem !== null) sendIcmpv6Error(kernel, packet, PARAMETER_PROBLEM, problem.code, problem.pointer);
  kernel.recorder.invalid(packet, refusal.reason);
  return false;
}

/** PREROUTING is done: routing, and on to this machine, to others, or to nowhere (ip6_rcv_finish). */
export function routeIpv6(kernel: Kernel, packet: Packet): void {
  const { recorder, host } = kernel;
  if (packet.route !== null) {
    // What was sent to a group and comes back is asked for it again (ip6_mc_input).
    if (packet.route.type === 'multicast' && !host.inGroup6(packet.inDevice!, packet.dst)) {
      recorder.dropped(packet, 'multicast group without member');
      return;
    }
    // A copy by TEE keeps its way to the gateway, so it is none for this machine.
    if (packet.route.type === 'unicast') forwardIpv6(kernel, packet);
    else deliverIpv6(kernel, packet);
    return;
  }
  const input = host.routeInput(packet, packet.inDevice!);
  noteRoute(kernel, input.route, Hook.prerouting);
  packet.route = input.route;
  packet.realm = input.route.realm;
  switch (input.action) {
    case 'local':
      deliverIpv6(kernel, packet);
      break;
    case 'forward':
      packet.outDevice = input.route.device;
      forwardIpv6(kernel, packet);
      break;
    case 'error':
      sendIcmpv6Error(kernel, packet, input.icmpType, input.icmpCode);
      recorder.dropped(packet, input.reason);
      break;
    case 'drop':
      recorder.dropped(packet, input.reason);
  }
}

/** For this machine: INPUT sees fragments one by one, they are put together behind it (ip6_input). */
function deliverIpv6(kernel: Kernel, packet: Packet): void {
  kernel.runner.run(packet, Hook.input, packet.inDevice, null, Stage.deliver);
}

/** For another machine: hop limit, size, FORWARD (ip6_forward). */
function forwardIpv6(kernel: Kernel, packet: Packet): void {
  const { recorder } = kernel;
  const route = packet.route!;
  if (packet.packetType !== PacketType.host) {
    recorder.dropped(packet, 'link broadcasts and multicasts are not forwarded');
    return;
  }
  if (packet.socket !== null) {
    recorder.dropped(packet, 'TPROXY gave it to a socket, but it is not routed to this machine');
    return;
  }
  forgetSum(packet);
  if (ttlOf(packet) <= 1) {
    sendIcmpv6Error(kernel, packet, TIME_EXCEEDED, 0);
    recorder.dropped(packet, 'hop limit exceeded');
    return;
  }
  const { src } = packet;
  if (route.device !== packet.inDevice) {
    const last = (src[0]! | src[1]! | src[2]!) === 0;
    if (src[0]! >>> 24 === 0xff || (last && src[3]! <= 1)) {
      recorder.dropped(packet, 'a source that is no unicast address');
      return;
    }
    if ((src[0]! & 0xffc00000) >>> 0 === 0xfe800000) {
      sendIcmpv6Error(kernel, packet, UNREACHABLE, NOT_NEIGHBOUR);
      recorder.dropped(packet, 'a link-local source is not forwarded');
      return;
    }
  }
  const mtu = Math.max(route.mtu, MINIMUM_MTU);
  const largest = packet.fragmentMaxSize;
  if (packet.bytes.length > mtu && (largest > mtu || (largest === 0 && !packet.ignoreDontFragment))) {
    sendIcmpv6Error(kernel, packet, TOO_BIG, 0, mtu);
    recorder.dropped(packet, `does not fit MTU ${mtu}`);
    return;
  }
  setTtl(packet, ttlOf(packet) - 1);
  kernel.runner.run(packet, Hook.forward, packet.inDevice, route.device, Stage.forward);
}
