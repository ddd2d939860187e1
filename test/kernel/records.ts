import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Scenario, SentPacket } from './scenario.ts';

/** Records of what a real kernel was sent, which stand beside the project where there are any: their files. */
export function recordsIn(folder: string): string[] {
  const files = existsSync(folder) ? readdirSync(folder) : [];
  return files.filter((file) => file.endsWith('.json')).map((file) => path.join(folder, file));
}

/** One of them, as a scenario whose packets are those that were sent. */
export function readRecord(file: string): { scenario: Scenario; sent: SentPacket[] } {
  const { host, rules_v4, rules_v6, ipsets, packets, name } = JSON.parse(readFileSync(file, 'utf8')) as Record<
    'rules_v4' | 'rules_v6' | 'ipsets' | 'name',
    string
  > & {
    host: Scenario['host'];
    packets: { dev: string; hex: string; src_mac?: string; dst_mac?: string; t_us: number }[];
  };
  const sent = packets.map(({ dev, hex, src_mac, dst_mac, t_us }) => ({
    dev,
    hex,
    time: 1_700_000_000e6 + t_us,
    ...(src_mac && { sourceMac: src_mac }),
    ...(dst_mac && { destinationMac: dst_mac }),
  }));
  const scenario = { name, profile: 'record', seed: 1, host, rulesV4: rules_v4, rulesV6: rules_v6, ipsets };
  return { scenario: { ...scenario, packets: [] }, sent };
}
