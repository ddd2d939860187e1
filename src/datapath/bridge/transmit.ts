import type { Device } from '../../host/device.ts';
import type { Packet } from '../../packet/packet.ts';
import type { Kernel } from '../kernel.ts';

/** A frame leaves by a port as it is. */
export function transmitOnPort(kernel: Kernel, packet: Packet, port: Device, header: Uint8Array): void {
  kernel.recorder.emitted(packet, port, header);
}
