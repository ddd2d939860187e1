import { view } from '../frames.ts';
import { Random } from '../random.ts';
import type { Scenario } from '../scenario.ts';

/** Words of `conntrack -I` for one end of a planned packet's connection; null if it has none that can be made by hand. */
function entryOf(random: Random, hex: string): string[] | null {
  const seen = view(Buffer.from(hex, 'hex'));
  if (seen === null || seen.offset > 0 || seen.segment.length < 8 || seen.source === seen.destination) return null;
  const [sport, dport] = [seen.segment.readUInt16BE(0), seen.segment.readUInt16BE(2)];
  const words = ['-I', '-s', seen.source, '-d', seen.destination, '-t', '600'];
  const icmp = seen.version === 4 ? 1 : 58;
  if (seen.protocol === 6 || seen.protocol === 17) {
    words.push('-p', seen.protocol === 6 ? 'tcp' : 'udp', '--sport', String(sport), '--dport', String(dport));
    if (seen.protocol === 6)
      words.push('--state', random.pick(['SYN_SENT', 'SYN_RECV', 'ESTABLISHED', 'TIME_WAIT', 'CLOSE']));
  } else if (seen.protocol === icmp && (seen.version === 4 ? seen.segment[0] === 8 : seen.segment[0] === 128)) {
    const name = seen.version === 4 ? 'icmp' : 'icmpv6';
    const id = String(seen.segment.readUInt16BE(4));
    words.push('-p', name, `--${name}-type`, String(seen.segment[0]), `--${name}-code`, '0', `--${name}-id`, id);
  } else return null;
  if (random.chance(0.6))
    words.push('-u', random.pick(['SEEN_REPLY', 'SEEN_REPLY,ASSURED', 'ASSURED', 'FIXED_TIMEOUT']));
  if (random.chance(0.3)) words.push('-m', String(random.int(1, 9)));
  const other = seen.version === 4 ? ['10.0.2.20', '198.51.100.7', '10.0.0.11'] : ['2001:db8:2::20', '2001:db8:f::7'];
  // A translation must change something: the same address again says nothing about ports.
  const target = random.pick(other);
  if (random.chance(0.3) && target !== seen.destination) words.push('-g', target);
  else if (random.chance(0.25) && target !== seen.source) words.push('-n', target);
  return words;
}

/** The scenario with entries made by hand (`conntrack -I`) for some of the connections whose packets come later. */
export function withEntries(scenario: Scenario): Scenario {
  const random = new Random(scenario.seed ^ 0x5eed);
  const entries: string[][] = [];
  const seen = new Set<string>();
  for (const { hex } of scenario.packets) {
    if (hex === undefined || !random.chance(0.5)) continue;
    const words = entryOf(random, hex);
    const key = words?.slice(1, 12).join(' ') ?? '';
    if (words === null || seen.has(key)) continue;
    seen.add(key);
    entries.push(words);
  }
  return { ...scenario, entries };
}
