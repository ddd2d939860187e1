import { fragment4, fragment6 } from '../packet/fragmentation.ts';
import type { Packet } from '../packet/packet.ts';
import { sendIcmpError, sendIcmpv6Error } from './icmp-error.ts';
import type { Kernel } from './kernel.ts';

/** The pieces in which an IPv4 packet that does not fit leaves by its route; null if it may not be cut (an ICMP 3/4 has then gone back). */
export function fragmentIpv4(kernel: Kernel, packet: Packet): Uint8Array[] | null {
  const { mtu } = packet.route!;
  const pieces = fragment4(packet, mtu);
  if (pieces === null) {
    sendIcmpError(kernel, packet, 3, 4, mtu);
    kernel.recorder.dropped(packet, `does not fit MTU ${mtu} and must not be fragmented`);
    return null;
  }
  note(kernel, packet, pieces);
  return pieces;
}

/** The pieces in which an IPv6 packet that does not fit leaves by its route; null if it may not be cut (an ICMPv6 2/0 has then gone back). */
export function fragmentIpv6(kernel: Kernel, packet: Packet): Uint8Array[] | null {
  const { mtu } = packet.route!;
  const pieces = fragment6(packet, mtu, kernel.random.identification(), packet.local);
  if (pieces === null) {
    sendIcmpv6Error(kernel, packet, 2, 0, mtu);
    kernel.recorder.dropped(packet, `does not fit MTU ${mtu}`);
    return null;
  }
  note(kernel, packet, pieces);
  return pieces;
}

/**
 * The pieces in which a bridged packet leaves by a port: it is cut if it does not fit or is larger than the fragments in which it came, and
 * silently lost where that may not be (br_nf_dev_queue_xmit).
 */
export function fragmentOnBridge(kernel: Kernel, packet: Packet, mtu: number): Uint8Array[] | null {
  const { bytes, fragmentMaxSize } = packet;
  if (bytes.length <= (fragmentMaxSize > 0 ? Math.min(mtu, fragmentMaxSize) : mtu)) return [bytes];
  // What IP noted about them does not survive the bridge (IPSKB_FRAG_PMTU).
  packet.fragmentDontFragment = false;
  const pieces = packet.family === 4 ? fragment4(packet, mtu) : fragment6(packet, mtu, kernel.random.identification());
  if (pieces === null) {
    kernel.recorder.dropped(packet, `does not fit MTU ${mtu} of the port`);
    return null;
  }
  note(kernel, packet, pieces);
  return pieces;
}

function note(kernel: Kernel, packet: Packet, pieces: readonly Uint8Array[]): void {
  kernel.recorder.observer?.({
    kind: 'defrag',
    event: 'refragmented',
    text: `${packet.bytes.length} bytes in ${pieces.length} fragments`,
  });
}
