import { addressBytes, icmp, words16 } from '../frames.ts';
import type { Random } from '../random.ts';
import type { PlannedPacket } from '../scenario.ts';
import { ROUTER_ADDRESSES } from './hosts.ts';
import { type End, packet } from './packets.ts';

const LINK_ADDRESS = Buffer.from('02000000ff11', 'hex');

/** Link-layer addresses of the sender: as they should be, too long, of no length. */
const OPTIONS = [
  Buffer.alloc(0),
  Buffer.concat([Buffer.from([1, 1]), LINK_ADDRESS]),
  Buffer.concat([Buffer.from([1, 1]), LINK_ADDRESS, Buffer.from([5, 1, 0, 0, 0, 0, 0, 0])]),
  Buffer.concat([Buffer.from([1, 2]), LINK_ADDRESS, Buffer.alloc(8)]),
  Buffer.concat([Buffer.from([1, 0]), LINK_ADDRESS]),
];

/** A message of neighbour discovery to one address, mostly a solicitation for one of the router's. */
export function discovery(random: Random, from: End, to: string): PlannedPacket[] {
  const own = random.chance(0.8) ? random.pick(ROUTER_ADDRESSES.v6) : to;
  const target = random.chance(0.7) ? own : random.pick([...ROUTER_ADDRESSES.v6, '2001:db8:1:0:0:0:0:0', from.address]);
  const type = random.pick([135, 135, 135, 135, 136, 133, 137]);
  const rest = type === 136 ? words16(random.pick([0x6000, 0x4000, 0]), 0) : words16(0, 0);
  const named = type === 133 ? Buffer.alloc(0) : addressBytes(target);
  const body = Buffer.concat([named, random.pick(OPTIONS)]);
  const ends = { source: from.address, destination: own };
  const message = icmp(type, random.chance(0.9) ? 0 : 1, rest, body, ends, random.chance(0.05));
  return [packet(random, 6, from, own, 58, message, { ttl: random.chance(0.85) ? 255 : 64 })];
}
