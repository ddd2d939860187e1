import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { icmp, ip, words16 } from './frames.ts';
import { pcap, toolRunner } from './simulate.ts';

const ECHO = ip(
  { source: '192.0.2.9', destination: '192.0.2.1', protocol: 1 },
  icmp(8, 0, words16(1, 1), Buffer.from('abcdefgh')),
);
const HOST = `interfaces:
  eth0: { mac: "02:00:00:00:00:01", addresses: [192.0.2.1/24] }
  eth0.7: { link: eth0, vlan: 7, addresses: [192.0.2.1/24] }
`;

async function verdicts(tags: readonly string[]): Promise<string[]> {
  const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-vlan-'));
  const macs = Buffer.from('020000000001020000000009', 'hex');
  const records = tags.map((tag, i) => ({
    time: 1e6 * (i + 1),
    data: Buffer.concat([macs, Buffer.from(`${tag}0800`, 'hex'), ECHO]),
  }));
  try {
    writeFileSync(path.join(folder, 'host.yaml'), HOST);
    writeFileSync(path.join(folder, 'in.pcap'), pcap(1, records));
    const lines = await toolRunner(folder, 'legacy')(['trace', '--json', '--pcap', `eth0=${folder}/in.pcap`]);
    return lines
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { verdict: string }).verdict);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// Linux 6.18 answered an echo request without a tag and with VLAN 0, and none in a VLAN that it is not in.
it("takes frames of a VLAN that it is not in for somebody else's", async () => {
  expect(await verdicts(['', '81000005', '81006000', '81000007'])).toEqual([
    'delivered',
    'invalid',
    'delivered',
    'delivered',
  ]);
});
