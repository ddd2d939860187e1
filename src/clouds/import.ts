import { isMap, isScalar, parseAllDocuments } from 'yaml';
import { yamlText } from '../host/yaml-text.ts';
import { isAws, readAws } from './aws.ts';
import { ImportError, type ImportedGroups, type ImportFile, isFields, type WrittenRule } from './imported.ts';
import { describeMachines } from './machines.ts';
import { readNetworkPolicies } from './network-policy.ts';
import { isOpenStack, readOpenStack } from './openstack.ts';

/** Whose files can be imported. */
export type CloudKind = 'aws' | 'openstack' | 'networkpolicy';

export const CLOUD_KINDS: readonly CloudKind[] = ['aws', 'openstack', 'networkpolicy'];

/** Which cloud a file is of, by what is in it; null if of none. */
export function cloudOf({ text }: ImportFile): CloudKind | null {
  const value = jsonOf(text);
  if (isFields(value) && isAws(value)) return 'aws';
  if (isFields(value) && 'kind' in value) return 'networkpolicy';
  if (value !== undefined) return isOpenStack(value) ? 'openstack' : null;
  const isManifest = parseAllDocuments(text).some(
    ({ contents }) => isMap(contents) && contents.items.some(({ key }) => isScalar(key) && key.value === 'kind'),
  );
  return isManifest ? 'networkpolicy' : null;
}

/** The value of a text of JSON; undefined if it is none. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Reads files of one cloud.
 *
 * @param kind null: what the files themselves look like
 * @throws ImportError, ManifestError
 */
export function importGroups(files: readonly ImportFile[], kind: CloudKind | null): ImportedGroups {
  const kinds = files.map((file) => kind ?? cloudOf(file));
  const unknown = kinds.indexOf(null);
  if (unknown >= 0) {
    throw new ImportError(
      `${files[unknown]!.name}: neither JSON of aws ec2 describe-security-groups, nor of openstack security group ... -f json, nor manifests of NetworkPolicies and Pods`,
    );
  }
  const other = kinds.findIndex((each) => each !== kinds[0]);
  if (other >= 0) {
    throw new ImportError(
      `${files[other]!.name} is of ${kinds[other]}, ${files[0]!.name} of ${kinds[0]}: import them one after the other`,
    );
  }
  if (kinds[0] === 'networkpolicy') return readNetworkPolicies(files);
  const values = files.map(({ name, text }) => {
    const value = jsonOf(text);
    if (value === undefined) throw new ImportError(`${name}: not JSON`);
    return { name, value };
  });
  if (kinds[0] === 'openstack') return readOpenStack(values);
  return readAws(
    values.map(({ name, value }) => {
      if (!isFields(value)) throw new ImportError(`${name}: not what the AWS command line prints`);
      return { name, value };
    }),
  );
}

/** Single ports and types as numbers, as people write them. */
function writtenRule(rule: WrittenRule): Record<string, unknown> {
  const plain = (text: string | undefined): string | number | undefined =>
    text !== undefined && /^\d+$/.test(text) ? Number(text) : text;
  return Object.fromEntries(
    Object.entries({ ...rule, ports: plain(rule.ports), icmp: plain(rule.icmp), protocol: plain(rule.protocol) })
      .filter(([, value]) => value !== undefined)
      .sort(([a], [b]) => ORDER.indexOf(a) - ORDER.indexOf(b)),
  );
}

const ORDER = [
  'direction',
  'ethertype',
  'protocol',
  'ports',
  'icmp',
  'remote',
  'except',
  'remote_group',
  'prefix_list',
  'description',
];

/** What was imported, as the text of a network.yaml. Warnings go into the comment above it. */
export function importedText(imported: ImportedGroups, sources: readonly string[]): string {
  const warnings = [...imported.warnings];
  const { hosts, links, vms } = describeMachines(imported.machines, (text) => warnings.push(text));
  imported.warnings.splice(0, imported.warnings.length, ...warnings);
  const value: Record<string, unknown> = {};
  if (imported.machines.length > 0) Object.assign(value, { hosts, vms });
  if (Object.keys(links).length > 0) value.links = links;
  value.groups = Object.fromEntries(
    [...imported.groups].map(([name, group]) => [
      name,
      {
        ...(group.description === undefined ? {} : { description: group.description }),
        ...(group.stateful === undefined ? {} : { stateful: group.stateful }),
        rules: group.rules.map(writtenRule),
        ...(group.egress === undefined ? {} : { egress: group.egress }),
      },
    ]),
  );
  if (imported.prefixLists.size > 0) value.prefix_lists = Object.fromEntries(imported.prefixLists);
  const comment = [
    `Imported from ${sources.join(', ')}.`,
    ...(warnings.length > 0 ? ['Not as there:', ...warnings.map((text) => `- ${text}`)] : []),
  ];
  return yamlText(value, { groups: 3 }, comment.join('\n'));
}
