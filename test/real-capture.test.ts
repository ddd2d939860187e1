import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readCapture } from '../src/capture/reader.ts';
import { bytesSource } from '../src/capture/source.ts';
import { trace } from '../src/cli/commands/trace.ts';
import type { Io } from '../src/cli/io.ts';
import { toHex } from '../src/packet/bytes.ts';

// What fixtures/real-capture/record.sh recorded: programs behind a Linux NAT router. Fed what came in, iptsim must send what Linux sent.
const FIXTURE = new URL('../fixtures/real-capture/', import.meta.url).pathname;
const INTERFACES = ['eth0', 'eth1', 'eth2'];

let folder = '';
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'iptsim-real-'));
  for (const name of ['host.yaml', 'rules.v4']) copyFileSync(path.join(FIXTURE, name), path.join(folder, name));
  const io: Io = {
    out: () => undefined,
    err: () => undefined,
    readStdin: () => '',
    env: {},
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    directory: folder,
    variant: 'nft',
    hints: false,
  };
  const pcaps = INTERFACES.flatMap((name) => ['--pcap', `${name}=${path.join(FIXTURE, `${name}-in.pcap`)}`]);
  const status = await trace(
    'trace',
    [...pcaps, '--write-pcap', path.join(folder, 'out'), '--summary', '--commit'],
    io,
  );
  expect(status).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** IPv4 packets of a capture; identifications that the router itself draws (in its ICMP errors and answers) are left out. */
function packets(file: string): string[] {
  const own = new Set(['cb00710a', '0a000001', '0a000101']);
  return readCapture(bytesSource(readFileSync(file)))
    .map(({ data }) => data.slice(12))
    .filter((frame) => frame[0] === 8 && frame[1] === 0)
    .map((frame) => frame.subarray(2))
    .map((packet) => {
      const made = packet[9] === 1 && own.has(toHex(packet, 12, 16));
      if (made) packet.fill(0, 4, 6);
      packet.fill(0, 10, 12);
      return toHex(packet);
    })
    .sort();
}

it.each(INTERFACES)('sends by %s what Linux sent', (name) => {
  const sent = packets(path.join(folder, 'out', `${name}.pcap`));
  expect(sent.length).toBeGreaterThan(10);
  expect(sent).toEqual(packets(path.join(FIXTURE, `${name}-out.pcap`)));
});

it('counts what Linux counted', () => {
  // The order of tables depends on the variant.
  const lines = (text: string): string[] => text.split('\n').filter((line) => /^[:[]/.test(line)).sort();
  const counted = lines(readFileSync(path.join(folder, 'rules.v4'), 'utf8'));
  expect(counted).toEqual(lines(readFileSync(path.join(FIXTURE, 'counters.v4'), 'utf8')));
});
