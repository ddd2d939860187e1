import path from 'node:path';
import { fileSink } from '../../capture/files.ts';
import { LinkType } from '../../capture/linktype.ts';
import { PcapWriter } from '../../capture/write.ts';
import type { Network } from '../../network/network.ts';
import { makeDirectory } from '../../state/files.ts';

/** Writes `DIRECTORY/LINK.pcap` for every link of a network, empty or not; the function returned closes them. */
export function captureLinks(network: Network, directory: string): () => void {
  makeDirectory(directory);
  const writers = new Map(
    network.plan.links.map(({ name }) => {
      const file = path.join(directory, `${name.replaceAll('/', '_')}.pcap`);
      return [name, new PcapWriter(fileSink(file), LinkType.ethernet)];
    }),
  );
  network.onFrame = ({ link, time, linkHeader, bytes }) => writers.get(link)!.write(time, 0, linkHeader, bytes);
  return () => {
    for (const writer of writers.values()) writer.close();
  };
}
