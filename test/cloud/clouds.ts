import fc from 'fast-check';
import type { NetworkDescription } from '../../src/network/description.ts';

export interface DeclaredRule {
  direction: 'ingress' | 'egress';
  ethertype?: 'IPv4' | 'IPv6';
  protocol?: 'tcp' | 'udp' | 'icmp';
  ports?: string;
  remote?: string;
  except?: string[];
  remote_group?: string;
  prefix_list?: string;
}
export interface DeclaredVm {
  on: string;
  groups?: string[];
}
export interface DeclaredCloud {
  groups: Record<string, { rules: DeclaredRule[]; egress?: 'none'; stateful?: boolean }>;
  vms: DeclaredVm[];
}

const GROUPS = ['A', 'B', 'C'];
export const LISTS: Record<string, string[]> = { office: ['10.0.0.2/31', '2001:db8::2/127'], nobody: [] };
/** What is tried between every two machines. */
export const PROBES = [
  ['tcp', 22],
  ['tcp', 81],
  ['udp', 80],
  ['udp', 3306],
  ['icmp', 0],
] as const;
const PORTS = [22, 80, 81, 3306];
export const address = (vm: number, family: 4 | 6): string =>
  family === 4 ? `10.0.0.${vm + 1}` : `2001:db8::${vm + 1}`;

const remoteArbitrary: fc.Arbitrary<Partial<DeclaredRule>> = fc.oneof(
  fc.constant({}),
  fc.constantFrom(...GROUPS).map((remote_group) => ({ remote_group })),
  fc
    .constantFrom('10.0.0.0/30', '10.0.0.2/32', '0.0.0.0/0', '10.0.0.4/31', '2001:db8::/64', '2001:db8::2/127')
    .map((remote) => ({
      remote,
    })),
  fc.constantFrom<Partial<DeclaredRule>[]>(
    { remote: '10.0.0.0/29', except: ['10.0.0.2/31'] },
    { remote: '0.0.0.0/0', except: ['0.0.0.0/1', '128.0.0.0/2'] },
    { remote: '0.0.0.0/0', except: ['10.0.0.2/32', '10.0.0.4/32'] },
    { remote: '2001:db8::/64', except: ['2001:db8::1/128'] },
  ),
  fc.constantFrom(...Object.keys(LISTS)).map((prefix_list) => ({ prefix_list })),
);
const matterArbitrary: fc.Arbitrary<Partial<DeclaredRule>> = fc.oneof(
  fc.constant({}),
  fc.record({
    protocol: fc.constantFrom('tcp' as const, 'udp' as const),
    ports: fc.constantFrom('22', '80-81', '81-3306', '0-65535', '1024-65535'),
  }),
  fc.constantFrom('tcp' as const, 'udp' as const, 'icmp' as const).map((protocol) => ({ protocol })),
);
const ruleArbitrary = (direction: 'ingress' | 'egress'): fc.Arbitrary<DeclaredRule> =>
  fc.tuple(matterArbitrary, remoteArbitrary).map(([matter, remote]) => ({ direction, ...matter, ...remote }));
const groupArbitrary = fc
  .tuple(
    fc.array(ruleArbitrary('ingress'), { maxLength: 3 }),
    fc.oneof(
      fc.constant(null),
      fc.constant('none' as const),
      fc.array(ruleArbitrary('egress'), { minLength: 1, maxLength: 2 }),
    ),
  )
  .map(([ingress, egress]) =>
    egress === null
      ? { rules: ingress }
      : egress === 'none'
        ? { rules: ingress, egress }
        : { rules: [...ingress, ...egress] },
  );
/** Half of the groups are stateless; their rules are many, for every answer needs one. */
const anyGroupArbitrary = fc.tuple(groupArbitrary, groupArbitrary, fc.boolean()).map(([group, more, stateful]) =>
  stateful
    ? group
    : {
        ...group,
        rules: [...group.rules, ...more.rules.filter(({ direction }) => direction === 'ingress')],
        stateful,
      },
);
export const cloudArbitrary: fc.Arbitrary<DeclaredCloud> = fc
  .record({
    groups: fc.record({ A: anyGroupArbitrary, B: anyGroupArbitrary, C: anyGroupArbitrary }),
    vms: fc.array(
      fc.record({ on: fc.constantFrom('one', 'two'), groups: fc.subarray(GROUPS) }, { requiredKeys: ['on'] }),
      { minLength: 4, maxLength: 4 },
    ),
  })
  .map(({ groups, vms }) => ({ groups, vms: vms.map((vm) => ofOneKind(vm, groups)) }));

/** A machine is in stateful groups or in stateless ones. */
function ofOneKind(vm: DeclaredVm, groups: DeclaredCloud['groups']): DeclaredVm {
  if (vm.groups === undefined) return vm;
  const kind = (name: string): boolean => groups[name]!.stateful !== false;
  return { ...vm, groups: vm.groups.filter((name) => kind(name) === kind(vm.groups![0]!)) };
}

/** A network of two hosts and four machines that listen on all ports of the probes. */
export function describeCloud(cloud: DeclaredCloud): NetworkDescription {
  const host = { interfaces: { uplink: {}, br: { bridge: ['uplink'] } } };
  return {
    hosts: { one: host, two: host },
    links: { trunk: ['one:uplink', 'two:uplink'] },
    vms: Object.fromEntries(
      cloud.vms.map((vm, index) => [
        `vm${index}`,
        {
          ...vm,
          bridge: 'br',
          addresses: [`${address(index, 4)}/24`, `${address(index, 6)}/64`],
          listen: PORTS.flatMap((port) => [`tcp/${port}`, `udp/${port}`]),
        },
      ]),
    ),
    groups: cloud.groups,
    prefix_lists: LISTS,
  };
}
