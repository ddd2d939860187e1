import type { Device } from '../../host/device.ts';
import type { Packet } from '../../packet/packet.ts';
import type { Kernel } from '../kernel.ts';
import { pieceOf } from '../output.ts';

/** A packet routed out over a bridge: to the port of its destination, or to all (br_dev_xmit). No hook sees it any more. */
export function sendOverBridge(kernel: Kernel, packet: Packet, bridge: Device, header: Uint8Array): void {
  const { recorder } = kernel;
  const port = header[0]! & 1 ? null : kernel.macs.find(bridge, header, kernel.clock.now);
  if (port !== null) {
    recorder.observer?.({ kind: 'bridge', text: `${bridge.name} knows the destination`, port: port.name });
    recorder.emitted(packet, port, header);
    return;
  }
  recorder.observer?.({ kind: 'bridge', text: `${bridge.name} floods`, port: null });
  for (const each of floodOrder(bridge)) recorder.emitted(pieceOf(packet, packet.bytes), each, header);
}

/** The kernel keeps the port added last at the head of its list. */
export function floodOrder(bridge: Device): readonly Device[] {
  return [...bridge.ports].reverse();
}
