import { describe, expect, it } from 'vitest';
import { importedText, importGroups } from './import.ts';

// Shapes as `aws ec2 ... --output json` prints them.
const group = (id: string, permissions: object[], more: object = {}): object => ({
  GroupId: id,
  GroupName: `name of ${id}`,
  Description: 'd',
  IpPermissions: permissions,
  IpPermissionsEgress: [],
  ...more,
});
const groups = (...list: object[]): string => JSON.stringify({ SecurityGroups: list });
const read = (...files: [string, string][]) =>
  importGroups(
    files.map(([name, text]) => ({ name, text })),
    null,
  );
const everybody = [{ CidrIp: '0.0.0.0/0' }];

describe('aws ec2 describe-security-groups', () => {
  it.each([
    ['all protocols', { IpProtocol: '-1', IpRanges: everybody }, { remote: '0.0.0.0/0' }],
    [
      'a port',
      { IpProtocol: 'tcp', FromPort: 22, ToPort: 22, IpRanges: everybody },
      { protocol: 'tcp', ports: '22', remote: '0.0.0.0/0' },
    ],
    [
      'a range',
      { IpProtocol: 'udp', FromPort: 1, ToPort: 9, Ipv6Ranges: [{ CidrIpv6: '::/0' }] },
      { protocol: 'udp', ports: '1-9', remote: '::/0' },
    ],
    [
      'all ports',
      { IpProtocol: 'tcp', FromPort: 0, ToPort: 65535, IpRanges: everybody },
      { protocol: 'tcp', remote: '0.0.0.0/0' },
    ],
    [
      'any ICMP',
      { IpProtocol: 'icmp', FromPort: -1, ToPort: -1, IpRanges: everybody },
      { protocol: 'icmp', remote: '0.0.0.0/0' },
    ],
    [
      'a type of ICMP, any code',
      { IpProtocol: 'icmp', FromPort: 8, ToPort: -1, IpRanges: everybody },
      { protocol: 'icmp', icmp: '8', remote: '0.0.0.0/0' },
    ],
    [
      'type 0 of ICMP, code 0',
      { IpProtocol: '1', FromPort: 0, ToPort: 0, IpRanges: everybody },
      { protocol: 'icmp', icmp: '0/0', remote: '0.0.0.0/0' },
    ],
    [
      'ICMP from a group: of IPv4',
      { IpProtocol: 'icmp', FromPort: -1, ToPort: -1, UserIdGroupPairs: [{ GroupId: 'sg-1' }] },
      { ethertype: 'IPv4', protocol: 'icmp', remote_group: 'sg-1' },
    ],
    [
      'ICMPv6',
      { IpProtocol: 'icmpv6', FromPort: -1, ToPort: -1, UserIdGroupPairs: [{ GroupId: 'sg-1' }] },
      { protocol: 'ipv6-icmp', remote_group: 'sg-1' },
    ],
    ['a number', { IpProtocol: '50', IpRanges: everybody }, { protocol: '50', remote: '0.0.0.0/0' }],
  ])('%s', (_what, permission, rule) => {
    const { groups: found, warnings } = read(['a.json', groups(group('sg-1', [permission], { GroupName: 'sg-1' }))]);
    expect(found.get('sg-1')!.rules).toEqual([rule]);
    expect(found.get('sg-1')!.egress).toBe('none');
    expect(warnings).toEqual([]);
  });

  it('groups of one name in several VPCs are called by their ids', () => {
    const { groups: found } = read([
      'a.json',
      groups(group('sg-1', [], { GroupName: 'default' }), group('sg-2', [], { GroupName: 'default' })),
    ]);
    expect([...found.keys()]).toEqual(['sg-1', 'sg-2']);
  });

  it('prefix lists: the entries of a managed one, the addresses of one of AWS, an unknown one', () => {
    const permission = {
      IpProtocol: '-1',
      PrefixListIds: ['pl-1a', 'pl-2b', 'pl-3c'].map((id) => ({ PrefixListId: id })),
    };
    const {
      prefixLists,
      groups: found,
      warnings,
    } = read(
      ['a.json', groups(group('sg-1', [permission], { GroupName: 'web' }))],
      ['lists/pl-1a.json', JSON.stringify({ Entries: [{ Cidr: '10.0.0.0/8' }] })],
      ['lists.json', JSON.stringify({ PrefixLists: [{ PrefixListId: 'pl-1a', PrefixListName: 'office' }] })],
      [
        's3.json',
        JSON.stringify({
          PrefixLists: [{ PrefixListId: 'pl-2b', PrefixListName: 'com.amazonaws.s3', Cidrs: ['52.0.0.0/15'] }],
        }),
      ],
    );
    expect(Object.fromEntries(prefixLists)).toEqual({
      office: ['10.0.0.0/8'],
      'com.amazonaws.s3': ['52.0.0.0/15'],
      'pl-3c': [],
    });
    expect(found.get('web')!.rules).toEqual([
      { prefix_list: 'office' },
      { prefix_list: 'com.amazonaws.s3' },
      { prefix_list: 'pl-3c' },
    ]);
    expect(warnings).toEqual([
      'a.json: SecurityGroups[0] (sg-1).IpPermissions[0].PrefixListIds[2]: the entries of prefix list pl-3c are in none of the files: it is empty; aws ec2 get-managed-prefix-list-entries --prefix-list-id pl-3c > pl-3c.json',
    ]);
  });

  it('rules listed one by one', () => {
    const rule = { GroupId: 'sg-1', IsEgress: false, IpProtocol: 'tcp', FromPort: 22, ToPort: 22, Description: 'ssh' };
    const rules = [
      { ...rule, CidrIpv4: '10.0.0.0/8' },
      { ...rule, ReferencedGroupInfo: { GroupId: 'sg-1', UserId: '1' } },
      { ...rule, IsEgress: true, IpProtocol: '-1', FromPort: -1, ToPort: -1, CidrIpv6: '::/0' },
    ];
    const { groups: found } = read(['r.json', JSON.stringify({ SecurityGroupRules: rules })]);
    expect(found.get('sg-1')).toEqual({
      description: 'sg-1',
      rules: [
        { protocol: 'tcp', ports: '22', remote: '10.0.0.0/8', description: 'ssh' },
        { protocol: 'tcp', ports: '22', remote_group: 'sg-1', description: 'ssh' },
        { direction: 'egress', remote: '::/0', description: 'ssh' },
      ],
    });
  });

  it('tells what cannot be', () => {
    const never = { IpProtocol: 'icmpv6', FromPort: -1, ToPort: -1, IpRanges: everybody };
    expect(read(['a.json', groups(group('sg-1', [never]))]).warnings).toEqual([
      'a.json: SecurityGroups[0] (sg-1).IpPermissions[0].IpRanges[0]: ICMPv6 with addresses of the other family never matches: left out',
    ]);
    expect(() => read(['entries.json', JSON.stringify({ Entries: [] })])).toThrow(
      'entries.json: entries of a prefix list do not say which',
    );
    expect(() => read(['a.json', JSON.stringify({ SecurityGroups: [{}] })])).toThrow(
      'a.json: SecurityGroups[0]: "GroupId" is missing',
    );
    expect(() => read(['a.json', '{"Reservations": []}'])).toThrow('a.json: neither JSON of aws');
    expect(() => read(['a.json', groups(group('sg-1', []))], ['b.json', '[{"id": "1", "name": "x"}]'])).toThrow(
      'b.json is of openstack, a.json of aws',
    );
  });

  it('machines without the source check send from any address', () => {
    const interfaces = {
      NetworkInterfaces: [
        {
          NetworkInterfaceId: 'eni-1',
          Groups: [{ GroupId: 'sg-1' }],
          PrivateIpAddresses: [{ PrivateIpAddress: '10.0.0.4' }],
          SourceDestCheck: false,
        },
      ],
    };
    const imported = read(
      ['a.json', groups(group('sg-1', [], { GroupName: 'nat' }))],
      ['i.json', JSON.stringify(interfaces)],
    );
    expect(importedText(imported, ['a.json'])).toContain(
      'eni-1: {on: cloud, bridge: br0, tap: tap000001, addresses: [10.0.0.4/24], groups: [nat], allowed_address_pairs: [{address: 0.0.0.0/0}, {address: ::/0}]}',
    );
  });
});
