import { describe, expect, it } from 'vitest';
import { importGroups } from './import.ts';

// Shapes as python-openstackclient prints them with -f json.
const read = (...values: unknown[]) =>
  importGroups(
    values.map((value, index) => ({ name: `${index}.json`, text: JSON.stringify(value) })),
    null,
  );
const web = { ID: 'w', Name: 'web', Description: '', Project: 'p', Tags: [], Stateful: true };

describe('openstack security group rule list', () => {
  const row = {
    ID: 'r',
    'IP Protocol': 'tcp',
    Ethertype: 'IPv4',
    'IP Range': '0.0.0.0/0',
    'Port Range': '22:22',
    Direction: 'ingress',
    'Remote Security Group': null,
    'Remote Address Group': null,
    'Security Group': 'w',
  };
  it.each([
    ['a port', {}, { protocol: 'tcp', ports: '22', remote: '0.0.0.0/0' }],
    ['a range', { 'Port Range': '1:9' }, { protocol: 'tcp', ports: '1-9', remote: '0.0.0.0/0' }],
    ['egress', { Direction: 'egress' }, { direction: 'egress', protocol: 'tcp', ports: '22', remote: '0.0.0.0/0' }],
    [
      'a group, beside which lists show all addresses',
      { 'Remote Security Group': 'w' },
      { ethertype: 'IPv4', protocol: 'tcp', ports: '22', remote_group: 'web' },
    ],
    ['any protocol', { 'IP Protocol': null, 'Port Range': '' }, { remote: '0.0.0.0/0' }],
    [
      'ICMP',
      { 'IP Protocol': 'icmp', 'Port Range': 'type=3:code=4' },
      { protocol: 'icmp', icmp: '3/4', remote: '0.0.0.0/0' },
    ],
    [
      'ICMP of a type',
      { 'IP Protocol': '1', 'Port Range': 'type=8' },
      { protocol: 'icmp', icmp: '8', remote: '0.0.0.0/0' },
    ],
    [
      'ICMPv6',
      { 'IP Protocol': 'ipv6-icmp', Ethertype: 'IPv6', 'IP Range': '::/0', 'Port Range': 'type=128' },
      { protocol: 'icmp', icmp: '128', remote: '::/0' },
    ],
  ])('%s', (_what, change, rule) => {
    const { groups, warnings } = read([web], [{ ...row, ...change }]);
    expect(groups.get('web')!.rules).toEqual([rule]);
    expect(warnings).toEqual([]);
  });

  it('does not know a direction, or a group, that is not said', () => {
    const { Direction: _direction, ...old } = row;
    expect(() => read([web], [old])).toThrow(
      '1.json: [0] (r): no direction; openstack security group rule list --long has it',
    );
    const { 'Security Group': _group, ...one } = row;
    const { groups, warnings } = read([one, { ...one, 'Port Range': '23:23' }]);
    expect(groups.get('0')!.rules).toHaveLength(2);
    expect(warnings).toEqual([expect.stringContaining('0.json: [0] (r): the list does not say whose rules these are')]);
  });

  it('tells what lists do not say', () => {
    const { Stateful: _stateful, ...listed } = web;
    expect(read([listed]).warnings).toEqual([
      '0.json: no rules in any of the files: openstack security group rule list -f json has them',
      '0.json: lists do not say which groups are stateless: all are taken for stateful; openstack security group show -f json says it',
    ]);
    expect(read([listed], { id: 'w', name: 'web', rules: [], stateful: false })).toMatchObject({
      groups: new Map([['web', { stateful: false }]]),
      warnings: [],
    });
  });

  it('names what is in none of the files', () => {
    const { groups, prefixLists, warnings } = read([
      { ...row, 'Remote Security Group': 'other' },
      { ...row, 'Remote Address Group': 'list' },
    ]);
    expect([...groups.keys()]).toEqual(['w', 'other']);
    expect(prefixLists.get('list')).toEqual([]);
    expect(warnings).toEqual([
      '0.json: [0] (r): group other is in none of the files: a group without members stands for it',
      '0.json: [1] (r): address group list is in none of the files: it is empty; openstack address group show list -f json',
    ]);
  });
});

describe('openstack security group show', () => {
  const rules = [
    {
      id: 'a',
      direction: 'ingress',
      ethertype: 'IPv4',
      protocol: 'tcp',
      port_range_min: 80,
      port_range_max: 81,
      remote_ip_prefix: null,
    },
    { id: 'b', direction: 'egress', ether_type: 'IPv6', protocol: null, remote_group_id: 'w' },
  ];
  const expected = [
    { ethertype: 'IPv4', protocol: 'tcp', ports: '80-81' },
    { direction: 'egress', ethertype: 'IPv6', remote_group: 'web' },
  ];

  it('rules as a list', () => {
    expect(read({ id: 'w', name: 'web', description: '', rules, stateful: true }).groups.get('web')).toEqual({
      description: 'web, w',
      rules: expected,
    });
    expect(read({ id: 'w', name: 'web', security_group_rules: rules }).groups.get('web')!.rules).toEqual(expected);
  });

  it('rules as a text, as older clients print them; stateless', () => {
    const text =
      "direction='ingress', ethertype='IPv4', id='a', port_range_max='81', port_range_min='80', protocol='tcp'\ndirection='egress', ethertype='IPv6', id='b', remote_group_id='w'";
    expect(read({ id: 'w', name: 'web', rules: text, stateful: 'False' }).groups.get('web')).toEqual({
      description: 'web, w',
      stateful: false,
      rules: expected,
    });
  });

  it('a group that is shown and whose rules are listed has each once', () => {
    const listed = {
      ID: 'a',
      'IP Protocol': 'tcp',
      Ethertype: 'IPv4',
      'IP Range': null,
      'Port Range': '80:81',
      Direction: 'ingress',
      'Security Group': 'w',
    };
    expect(read({ id: 'w', name: 'web', rules }, [listed]).groups.get('web')!.rules).toEqual(expected);
  });

  it('ports of protocols without ports are told', () => {
    const odd = [
      { id: 'a', direction: 'ingress', ethertype: 'IPv4', protocol: 'gre', port_range_min: 1, port_range_max: 1 },
    ];
    const { groups, warnings } = read({ id: 'w', name: 'web', rules: odd });
    expect(groups.get('web')!.rules).toEqual([{ ethertype: 'IPv4', protocol: 'gre' }]);
    expect(warnings).toEqual(['0.json (w) rules[0]: ports of protocol gre mean nothing: left out']);
  });
});

describe('openstack port list and show', () => {
  it('machines with their groups, pairs and whether they are guarded', () => {
    const { machines } = read(
      [web],
      [
        {
          ID: 'p1',
          Name: 'one',
          'MAC Address': 'fa:16:3e:00:00:01',
          'Fixed IP Addresses': "ip_address='10.0.0.5', subnet_id='s'",
          'Security Groups': 'w',
          'Device Owner': 'compute:nova',
        },
        { ID: 'p2', Name: '', 'Fixed IP Addresses': [], 'Device Owner': 'network:dhcp' },
      ],
      {
        id: 'p3',
        name: '',
        device_id: 'd3',
        mac_address: 'fa:16:3e:00:00:03',
        fixed_ips: [{ subnet_id: 's', ip_address: '10.0.0.7' }],
        security_group_ids: ['w'],
        port_security_enabled: false,
        allowed_address_pairs: [{ ip_address: '10.0.0.9', mac_address: 'fa:16:3e:00:00:03' }],
        binding_host_id: 'compute7',
      },
    );
    expect(machines).toEqual([
      {
        name: 'one',
        host: 'cloud',
        mac: 'fa:16:3e:00:00:01',
        addresses: ['10.0.0.5'],
        groups: ['web'],
        portSecurity: true,
        pairs: [],
        listen: [],
      },
      {
        name: 'd3',
        host: 'compute7',
        mac: 'fa:16:3e:00:00:03',
        addresses: ['10.0.0.7'],
        groups: ['web'],
        portSecurity: false,
        pairs: [{ address: '10.0.0.9', mac: 'fa:16:3e:00:00:03' }],
        listen: [],
      },
    ]);
  });
});
