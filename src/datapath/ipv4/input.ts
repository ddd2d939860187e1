import { formatAddress4 } from '../../packet/address-text.ts';
import { forgetSum } from '../../packet/checksum.ts';
import { decode } from '../../packet/decode.ts';
import { pullHeader } from '../../packet/fragmentation.ts';
import { type Packet, PacketType } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { setTtl, ttlOf } from '../../packet/rewrite.ts';
import { validateReceived } from '../../packet/validate.ts';
import { Hook } from '../hooks.ts';
import { sendIcmpError } from '../icmp-error.ts';
import { type Kernel, noteRoute } from '../kernel.ts';
import { LogLevel } from '../log-level.ts';
import { send } from '../output.ts';
import { Stage } from '../stages.ts';
import { logMartian } from './martian.ts';
import { readOptions, recordWayOut } from './options.ts';
import { redirect } from './redirect.ts';
import { followSourceRoute, PARAMETER_PROBLEM } from './source-route.ts';

const TIME_EXCEEDED = 11;
const UNREACHABLE = 3;
const FRAGMENTATION_NEEDED = 4;
const SOURCE_ROUTE_FAILED = 5;

/** The checks of ip_rcv; what fails is never seen by a hook. */
export function acceptIpv4(kernel: Kernel, packet: Packet): boolean {
  const refusal = validateReceived(packet);
  if (refusal !== null) {
    kernel.recorder.invalid(packet, refusal.reason);
    return false;
  }
  decode(packet);
  return true;
}

/** PREROUTING is done: routing, options, and on to this machine, to others, or to nowhere (ip_rcv_finish). */
export function routeIpv4(kernel: Kernel, packet: Packet): void {
  const { recorder, host } = kernel;
  const device = packet.inDevice!;
  let action: 'local' | 'forward' | 'drop' | 'error' = 'local';
  let icmpType = 0;
  let icmpCode = 0;
  let limited = false;
  let redirects = false;
  let swallowed = '';
  if (packet.route === null) {
    lookForSocket(kernel, packet);
    const input = host.routeInput(packet, device);
    ({ action, icmpType, icmpCode, limited, redirect: redirects } = input);
    noteRoute(kernel, input.route, Hook.prerouting);
    if (input.isTaken) swallowed = input.reason;
    else if (action === 'drop') {
      if (input.martian !== null) logMartian(kernel, packet, device, input.martian);
      recorder.dropped(packet, input.reason);
      return;
    }
    packet.route = input.route;
    packet.realm = input.realm;
    packet.outDevice = action === 'forward' ? input.route.device : null;
  }
  if (packet.headerLength > 20) {
    const options = readOptions(kernel, packet);
    packet.options = options;
    if (options.errorPointer >= 0) {
      sendIcmpError(kernel, packet, PARAMETER_PROBLEM, 0, (options.errorPointer << 24) >>> 0);
      recorder.dropped(packet, 'malformed IP options');
      return;
    }
    if (options.sourceRoute !== 0 && host.interfaceSysctl(4, device, 'accept_source_route') === 0) {
      if (host.interfaceSysctl(4, device, 'log_martians') !== 0) {
        const [from, to] = [formatAddress4(packet.src[0]!), formatAddress4(packet.dst[0]!)];
        kernel.log.limited(LogLevel.info, `IPv4: source route option ${from} -> ${to}`);
      }
      recorder.dropped(packet, 'source-routed');
      return;
    }
    if (options.sourceRoute !== 0) {
      const to = followSourceRoute(kernel, packet, options, device, action);
      if (to === 'nowhere') return;
      if (to !== 'as before') action = to;
      redirects = false;
    }
  }
  switch (action) {
    case 'local':
      deliverIpv4(kernel, packet);
      break;
    case 'forward':
      forwardIpv4(kernel, packet, redirects);
      break;
    case 'drop':
      recorder.dropped(packet, swallowed);
      break;
    default:
      if (!limited || kernel.peers.allowsRouteError(packet.src[0]!, kernel.clock.now)) {
        sendIcmpError(kernel, packet, icmpType, icmpCode);
      }
      recorder.dropped(packet, 'no route');
  }
}

/** For this machine: put together if it is a fragment, then INPUT (ip_local_deliver). */
export function deliverIpv4(kernel: Kernel, packet: Packet): void {
  if (
    (packet.moreFragments || packet.fragmentOffset !== 0) &&
    !kernel.fragments.reassemble(packet, 'local', kernel.recorder)
  ) {
    return;
  }
  kernel.runner.run(packet, Hook.input, packet.inDevice, null, Stage.deliver);
}

/** For another machine: TTL, size, FORWARD (ip_forward). */
function forwardIpv4(kernel: Kernel, packet: Packet, redirects: boolean): void {
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
    sendIcmpError(kernel, packet, TIME_EXCEEDED, 0);
    recorder.dropped(packet, 'TTL exceeded');
    return;
  }
  if (packet.options?.strict && route.gateway !== null) {
    sendIcmpError(kernel, packet, UNREACHABLE, SOURCE_ROUTE_FAILED);
    recorder.dropped(packet, 'strict source route over a gateway');
    return;
  }
  if (exceedsMtu(packet, route.mtu)) {
    sendIcmpError(kernel, packet, UNREACHABLE, FRAGMENTATION_NEEDED, route.mtu);
    recorder.dropped(packet, `does not fit MTU ${route.mtu} and must not be fragmented`);
    return;
  }
  setTtl(packet, ttlOf(packet) - 1);
  if (redirects) redirect(kernel, packet);
  kernel.runner.run(packet, Hook.forward, packet.inDevice, route.device, Stage.forward);
}

/** Larger than the MTU with DF; what was put together from fragments goes by the largest of them (ip_exceeds_mtu). */
function exceedsMtu(packet: Packet, mtu: number): boolean {
  if (packet.bytes.length <= mtu || !(packet.bytes[6]! & 0x40)) return false;
  return packet.fragmentMaxSize > mtu || (packet.fragmentMaxSize === 0 && !packet.ignoreDontFragment);
}

/** FORWARD is done (ip_forward_finish). */
export function forwardedIpv4(kernel: Kernel, packet: Packet): void {
  if (packet.options !== null) recordWayOut(kernel, packet, packet.options);
  send(kernel, packet);
}

const TCP_HEADER = 20;

/** The look for a connected socket before routing (tcp_v4_early_demux): all that is seen of it is that the TCP header is in one piece afterwards. */
function lookForSocket({ host }: Kernel, packet: Packet): void {
  if (packet.fragmentSizes === null || packet.protocol !== Protocol.tcp || packet.packetType !== PacketType.host)
    return;
  if (packet.socket !== null || host.sysctl('net.ipv4.ip_early_demux') === 0) return;
  if (host.sysctl('net.ipv4.tcp_early_demux') !== 0) pullHeader(packet, TCP_HEADER);
}
