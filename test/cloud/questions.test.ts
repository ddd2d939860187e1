import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { whoCanReach } from '../../src/groups/answers.ts';
import { groupMatrix } from '../../src/groups/matrix.ts';
import type { Cloud, Service, VmPort } from '../../src/groups/model.ts';
import { decide, type End } from '../../src/groups/reach.ts';
import { readCloud } from '../../src/groups/read.ts';
import { planNetwork } from '../../src/network/plan.ts';
import { cloudArbitrary, describeCloud, PROBES } from './clouds.ts';

// What the questions answer, against the decision for each pair of machines (random-clouds.test.ts plays these).

const PROTOCOLS = { tcp: 6, udp: 17, icmp: 1 } as const;

function serviceOf(protocol: 'tcp' | 'udp' | 'icmp', port: number, family: 4 | 6): Service {
  if (protocol !== 'icmp') return { protocol: PROTOCOLS[protocol], port, icmp: null };
  return { protocol: family === 4 ? 1 : 58, port: null, icmp: { type: family === 4 ? 8 : 128, code: 0 } };
}

/** Whether the words of a cell (`tcp/80-81`, `udp`, `anything`, `icmp`) say that the service passes. */
function says(matter: string, { protocol, port }: Service): boolean {
  if (matter === 'anything') return true;
  const [name, ports] = matter.split('/');
  const numbers: Record<string, number> = { tcp: 6, udp: 17, icmp: 1, 'ipv6-icmp': 58 };
  if (numbers[name!] !== protocol) return false;
  if (ports === undefined) return true;
  const [low, high = low] = ports.split('-').map(Number);
  return port !== null && port >= low! && port <= high!;
}

function endOf(port: VmPort, family: 4 | 6): End {
  return { port, family, address: port.addresses.find((prefix) => prefix.family === family)!.address };
}

function each(cloud: Cloud, ask: (from: End, to: End, service: Service, family: 4 | 6) => void): void {
  for (const from of cloud.ports) {
    for (const to of cloud.ports) {
      if (from === to) continue;
      for (const family of [4, 6] as const) {
        for (const [protocol, port] of PROBES) {
          ask(endOf(from, family), endOf(to, family), serviceOf(protocol, port, family), family);
        }
      }
    }
  }
}

function cloudOf(declared: Parameters<typeof describeCloud>[0]): Cloud {
  const description = describeCloud(declared);
  return readCloud(
    description,
    planNetwork(description, () => null),
  );
}

describe('questions about random clouds', () => {
  it('who can reach lists the machines that may, and no others', () => {
    fc.assert(
      fc.property(cloudArbitrary, (declared) => {
        const cloud = cloudOf(declared);
        each(cloud, (from, to, service) => {
          const listed = whoCanReach(cloud, to, service).machines.some(({ port }) => port === from.port);
          expect(listed).toBe(decide(cloud, from, to, service).allowed);
        });
      }),
      { numRuns: 40, seed: 5 },
    );
  });

  it('the matrix says of machines in one group each what may pass between them', () => {
    let said = 0;
    fc.assert(
      fc.property(cloudArbitrary, fc.constantFrom('A', 'B', 'C'), (declared, group) => {
        const vms = declared.vms.map((vm) => ({ ...vm, groups: [vm.groups?.[0] ?? group] }));
        const cloud = cloudOf({ ...declared, vms });
        if (cloud.ports.some(({ stateful }) => !stateful)) return;
        const { cells } = groupMatrix(cloud);
        each(cloud, (from, to, service, family) => {
          // Of ICMPv6 machines may send more than groups say.
          if (service.icmp !== null && family === 6) return;
          const cell = cells.get(from.port!.groups[0]!)!.get(to.port!.groups[0]!)!;
          const fitting = cell.filter(({ matter }) => says(matter, service));
          const { allowed } = decide(cloud, from, to, service);
          if (allowed) {
            said++;
            expect(fitting.length).toBeGreaterThan(0);
          } else {
            // What the cell says for all members holds in one of the families at least.
            const whole = fitting.filter(({ partly }) => !partly);
            const other = decide(cloud, endOf(from.port!, 4), endOf(to.port!, 4), service).allowed;
            const six = decide(cloud, endOf(from.port!, 6), endOf(to.port!, 6), service).allowed;
            if (whole.length > 0) expect(other || six).toBe(true);
          }
        });
      }),
      { numRuns: 150, seed: 6 },
    );
    expect(said).toBeGreaterThan(100);
  });
});
