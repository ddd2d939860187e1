import path from 'node:path';
import { fileSink } from '../../capture/files.ts';
import { LinkType } from '../../capture/linktype.ts';
import { PcapWriter } from '../../capture/write.ts';
import type { Device } from '../../host/device.ts';
import { makeDirectory } from '../../state/files.ts';
import type { Reporter } from '../../trace/run.ts';

/**
 * Writes what leaves each interface into `DIRECTORY/IFACE.pcap`, and what the machine itself gets into `local.pcap`.
 * Each record has the time of the input packet that caused it.
 *
 * @param devices interfaces that get a file, whether anything leaves by them or not
 */
export function pcapReporter(directory: string, devices: readonly Device[]): Reporter {
  makeDirectory(directory);
  const open = (name: string, linkType: (typeof LinkType)['ethernet' | 'raw']) =>
    new PcapWriter(fileSink(path.join(directory, `${name}.pcap`)), linkType);
  const writers = new Map(devices.map((device) => [device, open(device.name, LinkType.ethernet)]));
  const local = open('local', LinkType.raw);
  return {
    packet({ input, outcome }) {
      const { time, nanoseconds } = input;
      for (const { device, linkHeader, bytes } of outcome.emitted) {
        writers.get(device)?.write(time, nanoseconds, linkHeader, bytes);
      }
      for (const { bytes } of outcome.delivered) local.write(time, nanoseconds, null, bytes);
    },
    end() {
      for (const writer of writers.values()) writer.close();
      local.close();
    },
  };
}

/** The interfaces of host.yaml that have a file of their own: for a bridge its ports stand, which are interfaces as well. */
export function capturedDevices(devices: readonly Device[]): Device[] {
  return devices.filter((device) => device.kind !== 'loopback' && device.kind !== 'bridge');
}
