import {
  closeGroup,
  type Fields,
  ImportError,
  type ImportedGroups,
  isFields,
  Names,
  nothingImported,
  ruleOf,
  type WrittenGroup,
  type WrittenRule,
  wordOf,
} from './imported.ts';

/** A file of JSON as `openstack ... -f json` prints it. */
export interface OpenStackFile {
  name: string;
  value: unknown;
}

/** Columns by the names of the API, from the headings of lists and of older clients. */
const COLUMNS: Readonly<Record<string, string>> = {
  'ip protocol': 'protocol',
  'ip range': 'remote_ip_prefix',
  'port range': 'port_range',
  'remote security group': 'remote_group_id',
  'remote address group': 'remote_address_group_id',
  'security group': 'security_group_id',
  'security groups': 'security_group_ids',
  'mac address': 'mac_address',
  'fixed ip addresses': 'fixed_ips',
  'device owner': 'device_owner',
  ether_type: 'ethertype',
  security_group_rules: 'rules',
  security_groups: 'security_group_ids',
  host: 'binding_host_id',
  'binding:host_id': 'binding_host_id',
};

/** An entry with the names of the API. */
function normal(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      const lower = name.toLowerCase();
      return [COLUMNS[lower] ?? lower.replaceAll(' ', '_'), value];
    }),
  );
}

type Kind = 'rule' | 'port' | 'addresses' | 'group';

function kindOf(fields: Fields): Kind | null {
  if ('direction' in fields || 'port_range' in fields || 'port_range_min' in fields) return 'rule';
  if ('fixed_ips' in fields) return 'port';
  if ('addresses' in fields) return 'addresses';
  return 'id' in fields && 'name' in fields ? 'group' : null;
}

/** Whether a value is what one of the commands of `readOpenStack` prints. */
export function isOpenStack(value: unknown): boolean {
  const entries = Array.isArray(value) ? value : [value];
  return entries.length > 0 && entries.every((entry) => isFields(entry) && kindOf(normal(entry)) !== null);
}

interface Item {
  fields: Fields;
  /** File and entry. */
  at: string;
  file: string;
}

/**
 * Reads what `openstack security group list`, `security group show`, `security group rule list`, `security group rule show`, `address group
 * list` or `show`, `port list --long` and `port show` print with `-f json`, in any number of files. Throws ImportError.
 */
export function readOpenStack(files: readonly OpenStackFile[]): ImportedGroups {
  return new OpenStackReader(files).read();
}

class OpenStackReader {
  readonly #items: Record<Kind, Item[]> = { rule: [], port: [], addresses: [], group: [] };
  readonly #all = nothingImported();
  readonly #names = new Names();
  readonly #lists = new Names();
  readonly #groups = new Map<string, WrittenGroup>();
  readonly #addresses = new Map<string, string[]>();

  constructor(files: readonly OpenStackFile[]) {
    for (const { name, value } of files) {
      const entries = Array.isArray(value) ? value : [value];
      entries.forEach((entry: unknown, index) => {
        const at = Array.isArray(value) ? `${name}: [${index}]` : name;
        const fields = isFields(entry) ? normal(entry) : {};
        const kind = kindOf(fields);
        if (kind === null) throw new ImportError(`${at}: no security group, rule, address group or port of OpenStack`);
        this.#items[kind].push({
          fields,
          at: `${at}${wordOf(fields.id) === null ? '' : ` (${wordOf(fields.id)})`}`,
          file: name,
        });
      });
    }
  }

  read(): ImportedGroups {
    const { group, rule, addresses, port } = this.#items;
    for (const { fields } of addresses) {
      const list = Array.isArray(fields.addresses)
        ? fields.addresses.map(String)
        : String(fields.addresses).split(/[\s,]+/);
      this.#addresses.set(
        String(fields.id),
        list.filter((text) => text !== ''),
      );
      this.#lists.of(String(fields.id), wordOf(fields.name));
    }
    this.#nameGroups(group);
    for (const item of group) this.#group(item);
    this.#tellMissing();
    for (const item of rule) this.#rule(item.fields, this.#groupOf(item), item.at);
    for (const [id, each] of this.#groups) this.#all.groups.set(this.#names.of(id, null), closeGroup(each));
    for (const item of port) this.#port(item);
    return this.#all;
  }

  /** What lists do not say. */
  #tellMissing(): void {
    const { group, rule } = this.#items;
    if (rule.length === 0 && group.length > 0 && group.every(({ fields }) => fields.rules === undefined)) {
      this.#all.warnings.push(
        `${group[0]!.file}: no rules in any of the files: openstack security group rule list -f json has them`,
      );
    }
    const shown = new Set(group.filter(({ fields }) => fields.stateful !== undefined).map(({ fields }) => fields.id));
    const unsaid = group.find(({ fields }) => fields.rules === undefined && !shown.has(fields.id));
    if (unsaid === undefined) return;
    this.#all.warnings.push(
      `${unsaid.file}: lists do not say which groups are stateless: all are taken for stateful; openstack security group show -f json says it`,
    );
  }

  /** Every project has a group called default: where there are several of a name, ids tell them apart. */
  #nameGroups(items: readonly Item[]): void {
    const ids = new Map<string, Set<string>>();
    for (const { fields } of items) {
      const name = wordOf(fields.name) ?? '';
      ids.set(name, (ids.get(name) ?? new Set()).add(String(fields.id)));
    }
    for (const { fields } of items) {
      const name = wordOf(fields.name);
      const alone = name !== null && ids.get(name)!.size === 1;
      this.#names.of(
        String(fields.id),
        alone ? name : name === null ? null : `${name}-${String(fields.id).slice(0, 8)}`,
      );
    }
  }

  #group({ fields, at }: Item): void {
    const id = String(fields.id);
    const group = this.#make(id);
    const description = [...new Set([wordOf(fields.name), id, wordOf(fields.description)])].filter(
      (part) => part !== null,
    );
    group.description = description.join(', ');
    if (fields.stateful === false || String(fields.stateful).toLowerCase() === 'false') group.stateful = false;
    const rules = typeof fields.rules === 'string' ? readRuleLines(fields.rules) : fields.rules;
    if (rules === undefined) return;
    if (!Array.isArray(rules)) throw new ImportError(`${at}: "rules" is neither a list nor the text of one`);
    rules.forEach((rule: unknown, index) => {
      if (!isFields(rule)) throw new ImportError(`${at}: rules[${index}] is no rule`);
      this.#rule(normal(rule), group, `${at} rules[${index}]`);
    });
  }

  #make(id: string): WrittenGroup {
    let group = this.#groups.get(id);
    if (group === undefined) {
      group = { rules: [] };
      this.#groups.set(id, group);
    }
    return group;
  }

  /** The group of a rule that stands alone. A list of one group's rules does not say whose they are. */
  #groupOf({ fields, at, file }: Item): WrittenGroup {
    const id = wordOf(fields.security_group_id);
    if (id !== null) {
      if (!this.#names.has(id)) this.#names.of(id, null);
      return this.#make(id);
    }
    const name = file.replace(/^.*\//, '').replace(/\.[^.]*$/, '');
    if (!this.#groups.has(name)) {
      this.#all.warnings.push(
        `${at}: the list does not say whose rules these are: they are taken for those of group "${name}", after the file; openstack security group rule list without a group says it`,
      );
    }
    this.#names.of(name, name);
    return this.#make(name);
  }

  #rule(fields: Fields, group: WrittenGroup, at: string): void {
    const direction = wordOf(fields.direction)?.toLowerCase();
    if (direction !== 'ingress' && direction !== 'egress') {
      throw new ImportError(`${at}: no direction; openstack security group rule list --long has it`);
    }
    const [low, high] = rangeOf(fields);
    const ethertype = wordOf(fields.ethertype)?.toLowerCase() === 'ipv6' ? 'IPv6' : 'IPv4';
    const protocol = protocolOf(wordOf(fields.protocol), ethertype);
    const isIcmp = protocol === 'icmp';
    const remote = this.#remote(fields, at);
    const rule = ruleOf({
      direction: direction === 'egress' ? 'egress' : null,
      ethertype: remote.remote === undefined ? ethertype : null,
      protocol,
      ports: isIcmp || low === null ? null : high === null || low === high ? String(low) : `${low}-${high}`,
      icmp: isIcmp && low !== null ? (high === null ? String(low) : `${low}/${high}`) : null,
      ...remote,
      description: wordOf(fields.description),
    });
    if (rule.ports !== undefined && !/^(tcp|udp|sctp|dccp|udplite|6|17|33|132|136)$/.test(protocol ?? '')) {
      this.#all.warnings.push(`${at}: ports of protocol ${protocol ?? 'any'} mean nothing: left out`);
      delete rule.ports;
    }
    const text = JSON.stringify(rule);
    // A rule that stands in the group and in a list of rules.
    if (!group.rules.some((other) => JSON.stringify(other) === text)) group.rules.push(rule);
  }

  /** Lists show 0.0.0.0/0 for rules that name a group: the group is what counts. */
  #remote(fields: Fields, at: string): WrittenRule {
    const group = wordOf(fields.remote_group_id);
    if (group !== null) {
      if (!this.#names.has(group)) {
        this.#all.warnings.push(`${at}: group ${group} is in none of the files: a group without members stands for it`);
        this.#names.of(group, null);
        this.#make(group).description = 'in none of the imported files: put its members into it';
      }
      return { remote_group: this.#names.of(group, null) };
    }
    const list = wordOf(fields.remote_address_group_id);
    if (list !== null) {
      const entries = this.#addresses.get(list);
      if (entries === undefined) {
        this.#all.warnings.push(
          `${at}: address group ${list} is in none of the files: it is empty; openstack address group show ${list} -f json`,
        );
      }
      const name = this.#lists.of(list, null);
      this.#all.prefixLists.set(name, entries ?? []);
      return { prefix_list: name };
    }
    const prefix = wordOf(fields.remote_ip_prefix);
    return prefix === null ? {} : { remote: prefix };
  }

  #port({ fields, at }: Item): void {
    const owner = wordOf(fields.device_owner) ?? '';
    // Routers and DHCP servers are none of the machines that groups guard.
    if (owner.startsWith('network:')) return;
    const ids = wordsOf(fields.security_group_ids);
    for (const id of ids.filter((each) => !this.#names.has(each))) {
      this.#all.warnings.push(`${at}: group ${id} is in none of the files: it has no rules`);
      this.#all.groups.set(this.#names.of(id, null), { rules: [], egress: 'none' });
    }
    const ips = Array.isArray(fields.fixed_ips)
      ? fields.fixed_ips.flatMap((each: unknown) => (isFields(each) ? (wordOf(each.ip_address) ?? []) : []))
      : [...String(fields.fixed_ips).matchAll(/ip_address='([^']+)'/g)].map((match) => match[1]!);
    const pairs = Array.isArray(fields.allowed_address_pairs) ? fields.allowed_address_pairs.filter(isFields) : [];
    this.#all.machines.push({
      name: wordOf(fields.name) ?? wordOf(fields.device_id) ?? String(fields.id),
      host: wordOf(fields.binding_host_id) ?? 'cloud',
      mac: wordOf(fields.mac_address),
      addresses: ips,
      groups: ids.map((id) => this.#names.of(id, null)),
      portSecurity: fields.port_security_enabled !== false,
      pairs: pairs.map((pair) => ({
        address: String(pair.ip_address),
        ...(wordOf(pair.mac_address) === null ? {} : { mac: String(pair.mac_address) }),
      })),
      listen: [],
    });
  }
}

/** Texts of a list, or of one that an older client prints as text. */
function wordsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String);
  return (wordOf(value) ?? '').split(/[\s,]+/).filter((text) => text !== '');
}

/** `rules` of older clients: a rule a line, `key='value', ...`; what is empty or 0 is left out there. */
function readRuleLines(text: string): Fields[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => Object.fromEntries([...line.matchAll(/(\w+)='([^']*)'/g)].map((match) => [match[1]!, match[2]!])));
}

/** Ports, or ICMP type and code: `port_range_min` and `_max`, or `22:22`, `type=3:code=0` of lists. */
function rangeOf(fields: Fields): [number | null, number | null] {
  const number = (value: unknown): number | null => {
    const text = wordOf(value);
    return text === null || text === 'None' ? null : Number(text);
  };
  const listed = wordOf(fields.port_range);
  if (listed === null) return [number(fields.port_range_min), number(fields.port_range_max)];
  const icmp = /^(?:type=(\d+))?(?::?code=(\d+))?$/.exec(listed);
  if (icmp !== null)
    return [icmp[1] === undefined ? 0 : Number(icmp[1]), icmp[2] === undefined ? null : Number(icmp[2])];
  const [low, high] = listed.split(':');
  return [Number(low), high === undefined ? null : Number(high)];
}

/** ICMP of both families is `icmp`; the ethertype says which. */
function protocolOf(value: string | null, ethertype: 'IPv4' | 'IPv6'): string | null {
  const name = value?.toLowerCase() ?? null;
  if (name === null || name === 'any' || name === 'none' || name === '0') return null;
  if (name === 'icmp' || name === 'icmpv6' || name === 'ipv6-icmp' || name === '58') return 'icmp';
  return name === '1' && ethertype === 'IPv4' ? 'icmp' : name;
}
