import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { answerTo } from './answer.ts';
import { view } from './frames.ts';
import type { Scenario, SentPacket } from './scenario.ts';
import { runSimulation } from './simulate.ts';

/** Plays a scenario with answers to what iptsim itself sent: a cookie is drawn at random and comes back in the answers. */
async function playLive(scenario: Scenario): Promise<string[]> {
  const sent: SentPacket[] = [];
  let outputs: { dev: string; hex: string }[][] = [];
  for (const { dev, hex, answer } of scenario.packets) {
    const cause = answer && outputs[answer.to]?.find((out) => (answer.dev ?? out.dev) === out.dev);
    const time = 1_700_000_000e6 + sent.length * 10_000;
    if (answer === undefined) sent.push({ dev, hex: hex ?? '', time });
    else if (cause !== undefined) sent.push({ dev: cause.dev, hex: answerTo(cause.hex, answer) ?? '', time });
    const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-live-'));
    try {
      ({ outputs } = (await runSimulation(scenario, sent, folder, 'legacy')).outcome);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return describeSegments(outputs);
}

const FLAGS = 'FSRPAU';
const RANDOM = 1e6;

/** Segments with the cookie as 0 in place of what is drawn at random, as the kernel's are written below. */
function describeSegments(outputs: { dev: string; hex: string }[][]): string[] {
  const first = view(Buffer.from(outputs[0]?.[0]?.hex ?? '', 'hex'))?.segment;
  if (first === undefined) return ['nothing left'];
  const cookie = first.readUInt32BE(4);
  const stamp = first[20] === 2 && first[24] === 4 ? first.readUInt32BE(28) : 0;
  const number = (value: number, base: number): string =>
    Math.abs((value - base) | 0) < RANDOM && value > RANDOM ? `c${value - base}` : String(value);
  return outputs.flatMap((outs) =>
    outs.map(({ dev, hex }) => {
      const { segment } = view(Buffer.from(hex, 'hex'))!;
      const end = (segment[12]! >> 4) * 4;
      const flags = [...FLAGS].filter((_, i) => (segment[13]! >> i) & 1).join('');
      const options: string[] = [];
      for (let at = 20; at < end; at += segment[at]! <= 1 ? 1 : segment[at + 1]!) {
        const kind = segment[at]!;
        if (kind === 2) options.push(`mss ${segment.readUInt16BE(at + 2)}`);
        if (kind === 3) options.push(`wscale ${segment[at + 2]}`);
        if (kind === 4) options.push('sack');
        if (kind === 8) {
          const [value, echo] = [segment.readUInt32BE(at + 2), segment.readUInt32BE(at + 6)];
          options.push(`ts ${value >>> 0 === stamp >>> 0 ? 's0' : number(value, stamp)} ${number(echo, stamp)}`);
        }
      }
      const text = `${dev} ${flags} ${number(segment.readUInt32BE(4), cookie)} ${number(segment.readUInt32BE(8), cookie)}`;
      return [`${text} win ${segment.readUInt16BE(14)}`, ...options, segment.subarray(end).toString()].join(' ').trim();
    }),
  );
}

function scenario(name: string): Scenario {
  return JSON.parse(readFileSync(path.join(import.meta.dirname, 'live', `${name}.json`), 'utf8')) as Scenario;
}

// What Linux 6.18 sent, with its cookie written c0.
describe('SYNPROXY, both handshakes', () => {
  it('translates sequence numbers', async () => {
    expect(await playLive(scenario('synproxy'))).toEqual([
      'eth1 SA c0 101 win 0 mss 1400',
      'eth0 S 100 c0 win 8192 mss 1460',
      'eth0 A 101 5001 win 8192',
      'eth1 A c1 101 win 8192',
      'eth0 PA 101 5001 win 8192 GET',
      'eth1 PA c1 104 win 8192 hello',
      'eth0 FA 104 5006 win 8192',
      'eth1 FA c6 105 win 8192',
    ]);
  });

  it('translates time stamps, in which the options of the client are hidden', async () => {
    const lines = await playLive(scenario('synproxy-timestamps'));
    // The ACK for the server echoes what it said, moved by the distance of both clocks.
    expect(lines.splice(2, 1)[0]).toMatch(/^eth0 A 101 5001 win 8192 ts 7000 \d+$/);
    expect(lines).toEqual([
      'eth1 SA c0 101 win 0 mss 1400 sack ts s0 4096 wscale 7',
      'eth0 S 100 c0 win 8192 mss 1460 sack ts 7000 c0 wscale 2',
      'eth1 A c1 101 win 8192 ts s0 7000',
      'eth0 PA 101 5001 win 8192 ts 7002 7001 GET',
      'eth1 PA c1 104 win 8192 ts c2 7002 hello',
      'eth0 FA 104 5006 win 8192 ts 7004 7003',
      'eth1 FA c6 105 win 8192 ts c4 7004',
    ]);
  });
});
