import { icmp, tcp, udp, words16 } from '../frames.ts';
import type { Random } from '../random.ts';
import type { PlannedPacket } from '../scenario.ts';
import { PLACES, ROUTER_ADDRESSES } from './hosts.ts';
import { type End, type Family, packet } from './packets.ts';

/** Ports on both sides of the bounds that the kernel keeps a chosen one within, and of the ranges of rules. */
const OWN = [53, 500, 511, 512, 700, 1023, 1024, 4000, 7000, 7001, 7002, 65535];

function machines(random: Random, family: Family): End[] {
  const at = (dev: 'eth1' | 'eth2', address: string): End => ({ dev, address, sourceMac: '02:00:00:00:ff:11' });
  const behind = (['eth1', 'eth2'] as const).flatMap((dev) =>
    (family === 4 ? PLACES[dev].v4 : PLACES[dev].v6).map((address) => at(dev, address)),
  );
  const own = random.pick(family === 4 ? ROUTER_ADDRESSES.v4 : ROUTER_ADDRESSES.v6);
  const all = [...behind, { dev: 'local', address: own }];
  return Array.from({ length: random.int(2, 6) }, () => random.pick(all));
}

/** Machines behind the router, and itself, that all use the same port towards the same machine: what translation must keep apart. */
export function crowd(random: Random, family: Family, at: number, from: End, to: string): PlannedPacket[] {
  const ends = machines(random, family);
  const target = from.dev === 'eth0' ? from.address : to;
  const port = random.pick(OWN);
  const destinationPort = random.pick([53, 80, 443]);
  const kind = random.pick(['tcp', 'tcp', 'udp', 'icmp']);
  const first = (end: End): PlannedPacket => {
    const { address } = end;
    if (kind === 'tcp') {
      const segment = tcp({ sourcePort: port, destinationPort, flags: 'S', sequence: 1000 }, address, target);
      return packet(random, family, end, target, 6, segment);
    }
    if (kind === 'udp') {
      const segment = udp(port, destinationPort, Buffer.from('me too'), address, target);
      return packet(random, family, end, target, 17, segment);
    }
    const v6 = family === 6 ? { source: address, destination: target } : undefined;
    const segment = icmp(family === 4 ? 8 : 128, 0, words16(port, 1), Buffer.from('and me'), v6);
    return packet(random, family, end, target, family === 4 ? 1 : 58, segment);
  };
  const list = ends.map(first);
  for (let i = 0; i < ends.length; i++) {
    const answer = (how: string): void => {
      list.push({ dev: '', answer: { to: at + i, kind: how, payload: '' } });
    };
    const chance = random.next();
    if (chance < 0.2) continue;
    if (chance < 0.3) answer(family === 4 ? 'error 3 1' : 'error 1 3');
    else if (kind !== 'tcp') answer('reply');
    else answer(chance < 0.45 ? 'RA' : 'SA');
  }
  // Once more: some are known by now, others have been refused.
  if (random.chance(0.5)) list.push(...ends.slice(0, random.int(1, ends.length)).map(first));
  return list;
}
