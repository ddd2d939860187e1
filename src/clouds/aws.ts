import {
  closeGroup,
  type Fields,
  ImportError,
  type ImportedGroups,
  isFields,
  listOf,
  type Machine,
  Names,
  nothingImported,
  ruleOf,
  type WrittenGroup,
  type WrittenRule,
  wordOf,
} from './imported.ts';

/** A file of JSON as the AWS command line prints it. */
export interface AwsFile {
  name: string;
  value: Fields;
}

/** Whether a value is what one of the commands below prints. */
export function isAws(value: Fields): boolean {
  const keys = ['SecurityGroups', 'SecurityGroupRules', 'PrefixLists', 'Entries', 'NetworkInterfaces'];
  return keys.some((key) => Array.isArray(value[key]));
}

/**
 * Reads what `aws ec2 describe-security-groups` prints, or `describe-security-group-rules`, and beside it `describe-managed-prefix-lists`, `get-managed-prefix-list-entries`
 * (named `PREFIX-LIST-ID.json`, for the answer itself does not say whose entries these are), `describe-prefix-lists` and
 * `describe-network-interfaces`. Throws ImportError.
 */
export function readAws(files: readonly AwsFile[]): ImportedGroups {
  return new AwsReader(files).read();
}

class AwsReader {
  readonly #files: readonly AwsFile[];
  readonly #all = nothingImported();
  readonly #groupNames = new Names();
  readonly #listNames = new Names();
  /** Entries of prefix lists by id. */
  readonly #entries = new Map<string, string[]>();

  constructor(files: readonly AwsFile[]) {
    this.#files = files;
  }

  read(): ImportedGroups {
    for (const file of this.#files) this.#lists(file);
    const groups = this.#files.flatMap(({ name, value }) =>
      listOf(value.SecurityGroups).map((fields, index) => ({ fields, at: `${name}: SecurityGroups[${index}]` })),
    );
    for (const { name, value } of this.#files) groups.push(...groupsOfRules(name, value, groups));
    if (groups.length === 0) throw new ImportError(`${this.#files[0]!.name}: no security groups ("SecurityGroups")`);
    const names = groups.map(({ fields }) => wordOf(fields.GroupName));
    for (const { fields, at } of groups) {
      const id = wordOf(fields.GroupId);
      if (id === null) throw new ImportError(`${at}: "GroupId" is missing`);
      const called = wordOf(fields.GroupName);
      // Several VPCs have groups of one name: their ids tell them apart.
      this.#groupNames.of(id, names.filter((name) => name === called).length === 1 ? called : null);
    }
    for (const { fields, at } of groups) this.#group(fields, `${at} (${wordOf(fields.GroupId)})`);
    for (const { name, value } of this.#files) {
      listOf(value.NetworkInterfaces).forEach((fields, index) => {
        this.#machine(fields, `${name}: NetworkInterfaces[${index}]`);
      });
    }
    return this.#all;
  }

  #lists({ name, value }: AwsFile): void {
    listOf(value.PrefixLists).forEach((fields) => {
      const id = wordOf(fields.PrefixListId);
      if (id === null) return;
      this.#listNames.of(id, wordOf(fields.PrefixListName));
      if (Array.isArray(fields.Cidrs)) this.#entries.set(id, fields.Cidrs.map(String));
    });
    if (!Array.isArray(value.Entries)) return;
    const id = /(pl-[0-9a-f]+)/.exec(name)?.[1];
    if (id === undefined) {
      throw new ImportError(
        `${name}: entries of a prefix list do not say which: name the file after it, such as pl-0123abcd.json`,
      );
    }
    const cidrs = listOf(value.Entries).flatMap(({ Cidr }) => wordOf(Cidr) ?? []);
    this.#entries.set(id, [...(this.#entries.get(id) ?? []), ...cidrs]);
  }

  #group(fields: Fields, at: string): void {
    const id = wordOf(fields.GroupId)!;
    const group: WrittenGroup = {
      description: [wordOf(fields.GroupName), id, wordOf(fields.Description)]
        .filter((part) => part !== null)
        .join(', '),
      rules: [],
    };
    for (const [key, direction] of [
      ['IpPermissions', null],
      ['IpPermissionsEgress', 'egress'],
    ] as const) {
      listOf(fields[key]).forEach((permission, index) => {
        group.rules.push(...this.#permission(permission, direction, `${at}.${key}[${index}]`));
      });
    }
    this.#all.groups.set(this.#groupNames.of(id, null), closeGroup(group));
  }

  /** One permission: a rule for each of the ranges, groups and lists that it names. */
  #permission(fields: Fields, direction: 'egress' | null, at: string): WrittenRule[] {
    const rules: WrittenRule[] = [];
    const add = (remote: WrittenRule, description: unknown, sub: string): void => {
      const matter = this.#matter(fields, remote, `${at}.${sub}`);
      if (matter !== null) rules.push(ruleOf({ direction, ...matter, ...remote, description: wordOf(description) }));
    };
    listOf(fields.IpRanges).forEach(({ CidrIp, Description }, index) => {
      add({ remote: String(CidrIp) }, Description, `IpRanges[${index}]`);
    });
    listOf(fields.Ipv6Ranges).forEach(({ CidrIpv6, Description }, index) => {
      add({ remote: String(CidrIpv6) }, Description, `Ipv6Ranges[${index}]`);
    });
    listOf(fields.UserIdGroupPairs).forEach((pair, index) => {
      add(
        { remote_group: this.#remoteGroup(pair, `${at}.UserIdGroupPairs[${index}]`) },
        pair.Description,
        `UserIdGroupPairs[${index}]`,
      );
    });
    listOf(fields.PrefixListIds).forEach(({ PrefixListId, Description }, index) => {
      const list = this.#list(String(PrefixListId), `${at}.PrefixListIds[${index}]`);
      add({ prefix_list: list }, Description, `PrefixListIds[${index}]`);
    });
    return rules;
  }

  /** Protocol and ports, or type and code; null if the permission can never hold. */
  #matter(fields: Fields, { remote }: WrittenRule, at: string): WrittenRule | null {
    const protocol = (wordOf(fields.IpProtocol) ?? '-1').toLowerCase();
    const [from, to] = [Number(fields.FromPort ?? -1), Number(fields.ToPort ?? -1)];
    if (protocol === '-1' || protocol === 'all') return {};
    const six = protocol === 'icmpv6' || protocol === '58';
    if (six || protocol === 'icmp' || protocol === '1') {
      if (remote !== undefined && remote.includes(':') !== six) {
        this.#all.warnings.push(
          `${at}: ${six ? 'ICMPv6' : 'ICMP'} with addresses of the other family never matches: left out`,
        );
        return null;
      }
      const icmp = from < 0 ? null : to < 0 ? String(from) : `${from}/${to}`;
      // "icmp" of AWS is that of IPv4 alone.
      return ruleOf({
        ethertype: remote === undefined && !six ? 'IPv4' : null,
        protocol: six ? 'ipv6-icmp' : 'icmp',
        icmp,
      });
    }
    const name = { '6': 'tcp', '17': 'udp' }[protocol] ?? protocol;
    // Of other protocols AWS takes no ports.
    if (name !== 'tcp' && name !== 'udp') return { protocol: name };
    const whole = from < 0 || (from === 0 && to === 65535);
    return ruleOf({ protocol: name, ports: whole ? null : from === to ? String(from) : `${from}-${to}` });
  }

  #remoteGroup(pair: Fields, at: string): string {
    const id = wordOf(pair.GroupId) ?? String(pair.GroupName);
    if (!this.#groupNames.has(id)) {
      const whose = wordOf(pair.UserId);
      this.#all.warnings.push(
        `${at}: group ${id}${whose === null ? '' : ` of account ${whose}`} is in none of the files: a group without members stands for it`,
      );
      const name = this.#groupNames.of(id, null);
      this.#all.groups.set(name, {
        description: 'in none of the imported files: put its members into it',
        rules: [],
        egress: 'none',
      });
    }
    return this.#groupNames.of(id, null);
  }

  #list(id: string, at: string): string {
    const name = this.#listNames.of(id, null);
    if (!this.#all.prefixLists.has(name)) {
      const entries = this.#entries.get(id);
      if (entries === undefined) {
        this.#all.warnings.push(
          `${at}: the entries of prefix list ${id} are in none of the files: it is empty; aws ec2 get-managed-prefix-list-entries --prefix-list-id ${id} > ${id}.json`,
        );
      }
      this.#all.prefixLists.set(name, entries ?? []);
    }
    return name;
  }

  #machine(fields: Fields, at: string): void {
    const id = wordOf(fields.NetworkInterfaceId) ?? at;
    const attachment = fields.Attachment as Fields | undefined;
    const tags = listOf(fields.TagSet);
    const tag = tags.find(({ Key }) => Key === 'Name')?.Value;
    const addresses = [
      ...listOf(fields.PrivateIpAddresses).flatMap(({ PrivateIpAddress }) => wordOf(PrivateIpAddress) ?? []),
      ...listOf(fields.Ipv6Addresses).flatMap(({ Ipv6Address }) => wordOf(Ipv6Address) ?? []),
    ];
    const groups = listOf(fields.Groups).map((group) => this.#remoteGroup(group, `${at}.Groups`));
    const machine: Machine = {
      name: wordOf(tag) ?? wordOf(attachment?.InstanceId) ?? id,
      host: wordOf(fields.AvailabilityZone) ?? 'cloud',
      mac: wordOf(fields.MacAddress),
      addresses,
      groups,
      portSecurity: true,
      // Without the source/destination check it may send from any address.
      pairs: fields.SourceDestCheck === false ? [{ address: '0.0.0.0/0' }, { address: '::/0' }] : [],
      listen: [],
    };
    this.#all.machines.push(machine);
  }
}

/** What `describe-security-group-rules` prints, as the groups that `describe-security-groups` would: those that are not among the known ones. */
function groupsOfRules(
  name: string,
  value: Fields,
  known: readonly { fields: Fields }[],
): { fields: Fields; at: string }[] {
  const found = new Map<string, { IpPermissions: Fields[]; IpPermissionsEgress: Fields[] }>();
  listOf(value.SecurityGroupRules).forEach((rule, index) => {
    const id = wordOf(rule.GroupId);
    if (id === null) throw new ImportError(`${name}: SecurityGroupRules[${index}]: "GroupId" is missing`);
    if (known.some(({ fields }) => fields.GroupId === id)) return;
    const group = found.get(id) ?? { IpPermissions: [], IpPermissionsEgress: [] };
    found.set(id, group);
    const { IpProtocol, FromPort, ToPort, Description } = rule;
    group[rule.IsEgress === true ? 'IpPermissionsEgress' : 'IpPermissions'].push({
      IpProtocol,
      FromPort,
      ToPort,
      IpRanges: wordOf(rule.CidrIpv4) === null ? [] : [{ CidrIp: rule.CidrIpv4, Description }],
      Ipv6Ranges: wordOf(rule.CidrIpv6) === null ? [] : [{ CidrIpv6: rule.CidrIpv6, Description }],
      PrefixListIds: wordOf(rule.PrefixListId) === null ? [] : [{ PrefixListId: rule.PrefixListId, Description }],
      UserIdGroupPairs: isFields(rule.ReferencedGroupInfo) ? [{ ...rule.ReferencedGroupInfo, Description }] : [],
    });
  });
  return [...found].map(([GroupId, permissions]) => ({
    fields: { GroupId, ...permissions },
    at: `${name}: rules of ${GroupId}`,
  }));
}
