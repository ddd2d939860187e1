import type { DeliveredPacket, EmittedPacket, Outcome } from '../datapath/machine-contract.ts';
import type { Device } from '../host/device.ts';
import type { Step } from '../trace/steps.ts';
import { createNode, hostOf, type NetworkNode, type NodeSettings } from './node.ts';
import type { NetworkPlan } from './plan.ts';
import { Segments, type Station } from './segments.ts';

/** What one host did with one packet, and where that went. */
export interface Hop {
  kind: 'hop';
  host: string;
  /** Link and interface by which it came; null if a process of the host sent it. */
  link: string | null;
  in: Device | null;
  /** Microseconds since the start. */
  time: number;
  /** The packet as it came. */
  bytes: Uint8Array;
  outcome: Pick<Outcome, 'verdict' | 'table' | 'chain' | 'rule' | 'reason' | 'out'>;
  delivered: DeliveredPacket[];
  steps: Step[];
  next: (Hop | Lost)[];
}

/** A frame that left a host and that nobody took. */
export interface Lost {
  kind: 'lost';
  /** Interface by which it left, and its link if there is one. */
  out: string;
  link: string | null;
  reason: string;
}

/** A frame on a link. */
export interface Frame {
  link: string;
  time: number;
  linkHeader: Uint8Array;
  bytes: Uint8Array;
}

/** Microseconds that a frame takes over a link. */
const LINK_DELAY = 50;
/** A packet that crossed so many hosts goes round in a loop of bridges (routers count down its TTL). */
const HOP_LIMIT = 300;

/** Simulated hosts and the links between them. Frames go from machine to machine until none is under way. */
export class Network {
  readonly nodes: ReadonlyMap<string, NetworkNode>;
  readonly plan: NetworkPlan;
  /** Microseconds; only conversations move it. */
  now = 0;
  /** Told of every frame on every link, in order. */
  onFrame: ((frame: Frame) => void) | null = null;
  readonly #segments: Segments;

  /** Switches all hosts on. Throws NetworkError. */
  constructor(plan: NetworkPlan, settings: NodeSettings) {
    this.plan = plan;
    const hosts = new Map(plan.hosts.map((host) => [host.name, hostOf(host)]));
    const segments = new Segments(plan, hosts);
    this.#segments = segments;
    this.nodes = new Map(
      plan.hosts.map((each, index) => {
        const host = hosts.get(each.name)!;
        const node = createNode(
          each,
          host,
          index,
          settings,
          (family, address, device) =>
            segments.resolve({ host: each.name, device: host.device(device)! }, family, address),
          segments.learned(each.name),
        );
        return [each.name, node];
      }),
    );
  }

  /** A process of a host sends a packet; returns when nothing moves any more. `connected`: it has a socket for what comes back. */
  send(host: string, bytes: Uint8Array, connected = false): Hop {
    const node = this.nodes.get(host)!;
    const before = bytes.slice();
    node.steps.length = 0;
    const outcome = node.machine.send({ bytes, time: this.now, connected });
    return this.#settle(node, { link: null, in: null, bytes: before }, outcome);
  }

  #settle(node: NetworkNode, came: Pick<Hop, 'link' | 'in' | 'bytes'>, outcome: Outcome): Hop {
    const root = takeDown(node, came, outcome, this.now);
    const queue: { hop: Hop; emitted: EmittedPacket[] }[] = [{ hop: root, emitted: framesOf(outcome) }];
    let hops = 1;
    while (queue.length > 0) {
      const { hop, emitted } = queue.shift()!;
      const lost: Lost[] = [];
      let taken = false;
      for (const frame of emitted) {
        this.now = Math.max(this.now, hop.time + LINK_DELAY);
        const arrivals = this.#carry({ host: hop.host, device: frame.device }, frame, this.now);
        if (arrivals.length === 0) lost.push(this.#lostFrame(hop, frame));
        for (const { host, device } of arrivals) {
          taken = true;
          if (++hops > HOP_LIMIT) {
            const reason = 'it has crossed too many hosts: bridges joined in a loop?';
            hop.next.push({
              kind: 'lost',
              out: frame.device.name,
              link: this.#segments.linkName({ host, device }),
              reason,
            });
            return root;
          }
          const next = this.nodes.get(host)!;
          const bytes = frame.bytes.slice();
          next.steps.length = 0;
          const got = next.machine.receive({
            device,
            bytes: bytes.slice(),
            linkHeader: frame.linkHeader.slice(),
            time: this.now,
          });
          const link = this.#segments.linkName({ host, device });
          const child = takeDown(next, { link, in: device, bytes }, got, this.now);
          hop.next.push(child);
          queue.push({ hop: child, emitted: framesOf(got) });
        }
      }
      // Of a flooded frame only what somebody took is worth telling.
      if (!taken && hop.delivered.length === 0) hop.next.push(...lost.slice(0, 1));
    }
    return root;
  }

  /** The stations that take a frame. */
  #carry(from: Station, frame: EmittedPacket, time: number): Station[] {
    const link = this.#segments.linkName(from);
    if (link === null) return [];
    this.onFrame?.({ link, time, linkHeader: frame.linkHeader, bytes: frame.bytes });
    return this.#segments
      .peersFor(from, frame.linkHeader)
      .filter(({ device }) => device.bridge !== null || isFor(frame.linkHeader, device));
  }

  #lostFrame(hop: Hop, { device }: EmittedPacket): Lost {
    const link = this.#segments.linkName({ host: hop.host, device });
    const lost = { kind: 'lost', out: device.name, link } as const;
    if (link === null) return { ...lost, reason: `nothing is plugged into ${hop.host}:${device.name}` };
    const route = hop.steps.filter((step) => step.kind === 'route').at(-1);
    const gateway = route?.kind === 'route' ? route.gateway : null;
    return {
      ...lost,
      reason:
        gateway === null
          ? `nobody on ${link} has that address`
          : `nobody on ${link} has the gateway's address ${gateway}`,
    };
  }
}

function isFor(header: Uint8Array, device: Device): boolean {
  return (header[0]! & 1) === 1 || device.mac.every((byte, i) => byte === header[i]);
}

/** What left over the wire; the outcome holds only until the machine gets its next packet. */
function framesOf(outcome: Outcome): EmittedPacket[] {
  return outcome.emitted
    .filter(({ device }) => device.kind !== 'loopback')
    .map((frame) => ({ ...frame, linkHeader: frame.linkHeader.slice(), bytes: frame.bytes.slice() }));
}

function takeDown(node: NetworkNode, came: Pick<Hop, 'link' | 'in' | 'bytes'>, outcome: Outcome, time: number): Hop {
  const { verdict, table, chain, rule, reason, out } = outcome;
  return {
    kind: 'hop',
    host: node.name,
    ...came,
    time,
    outcome: { verdict, table, chain, rule, reason, out },
    delivered: outcome.delivered.map(({ family, bytes }) => ({ family, bytes: bytes.slice() })),
    steps: [...node.steps],
    next: [],
  };
}
