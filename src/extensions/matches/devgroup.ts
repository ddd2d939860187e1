import { Hook } from '../../datapath/hooks.ts';
import { defineMatch, type NameServices, UsageError } from '../contract.ts';
import { mappedText, type NameMap, parseMapped, readNameMap } from '../name-map.ts';
import { not } from '../words.ts';

interface GroupTest {
  group: number;
  mask: number;
  invert: boolean;
}

interface DevgroupMatch {
  source: GroupTest | null;
  destination: GroupTest | null;
}

const FILE = '/etc/iproute2/group';

function describe({ source, destination }: DevgroupMatch, prefix: string, map: NameMap | null): string {
  let text = '';
  if (source) text += `${not(source.invert)} ${prefix}src-group${mappedText(source.group, source.mask, map)}`;
  if (destination)
    text += `${not(destination.invert)} ${prefix}dst-group${mappedText(destination.group, destination.mask, map)}`;
  return text;
}

const groups = (names: NameServices): NameMap | null => readNameMap(FILE, names);

const HELP = `devgroup match options:
[!] --src-group value[/mask]	Match device group of incoming device
[!] --dst-group value[/mask]	Match device group of outgoing device
`;

export const devgroup = defineMatch<DevgroupMatch>({
  name: 'devgroup',
  families: [4, 6],
  options: [
    { name: 'src-group', type: 'string', invert: true },
    { name: 'dst-group', type: 'string', invert: true },
  ],
  init: () => ({ source: null, destination: null }),
  parse(data, option, { names }) {
    const { value, mask } = parseMapped(option, 'devgroup', groups(names));
    const test = { group: value, mask, invert: option.invert };
    if (option.name === 'src-group') data.source = test;
    else data.destination = test;
  },
  finish(_data, { seen }) {
    if (seen.size === 0) throw new UsageError("devgroup match: You must specify either '--src-group' or '--dst-group'");
  },
  save: (data, { names }) => describe(data, '--', groups(names)),
  print: (data, { names, numeric }) => describe(data, '', numeric ? null : groups(names)),
  help: () => HELP,
  check({ source, destination }, { hooks }) {
    if (source && (hooks.has(Hook.output) || hooks.has(Hook.postrouting))) return 'EINVAL';
    if (destination && (hooks.has(Hook.prerouting) || hooks.has(Hook.input))) return 'EINVAL';
    return null;
  },
  explain({ source, destination }) {
    const part = (what: string, test: GroupTest) =>
      `the ${what} interface's group is ${test.invert ? 'not' : ''}${mappedText(test.group, test.mask, null)}`;
    const parts: string[] = [];
    if (source) parts.push(part('input', source));
    if (destination) parts.push(part('output', destination));
    return parts.join(' and ').replaceAll('is  ', 'is ');
  },
  pure: true,
  // `devgroup_mt` (net/netfilter/xt_devgroup.c)
  compile({ source, destination }) {
    const differs = (group: number, test: GroupTest): boolean =>
      (((group ^ test.group) & test.mask) !== 0) !== test.invert;
    return (_packet, at) => {
      if (source !== null && differs(at.inDevice?.group ?? 0, source)) return false;
      return destination === null || !differs(at.outDevice?.group ?? 0, destination);
    };
  },
});
