import { Hook } from '../../datapath/hooks.ts';
import { defineMatch, type NameServices } from '../contract.ts';
import { mappedText, type NameMap, parseMapped, readNameMap } from '../name-map.ts';
import { not } from '../words.ts';

interface RealmMatch {
  id: number;
  mask: number;
  invert: boolean;
}

const realms = (names: NameServices): NameMap | null => readNameMap('/etc/iproute2/rt_realms', names);

const HELP = `realm match options:
[!] --realm value[/mask]
				Match realm
`;

export const realm = defineMatch<RealmMatch>({
  name: 'realm',
  families: [4],
  options: [{ name: 'realm', type: 'string', invert: true, mandatory: true }],
  init: () => ({ id: 0, mask: 0, invert: false }),
  parse(data, option, { names }) {
    const { value, mask } = parseMapped(option, 'realm', realms(names));
    data.id = value;
    data.mask = mask;
    data.invert = option.invert;
  },
  save: (data, { names }) => `${not(data.invert)} --realm${mappedText(data.id, data.mask, realms(names))}`,
  print: (data, { names, numeric }) =>
    `${not(data.invert)} realm${mappedText(data.id, data.mask, numeric ? null : realms(names))}`,
  help: () => HELP,
  check: (_data, { hooks }) => (hooks.has(Hook.prerouting) ? 'EINVAL' : null),
  explain: (data) => `the route's realm is ${data.invert ? 'not ' : ''}${mappedText(data.id, data.mask, null).trim()}`,
  pure: true,
  compile({ id, mask, invert }) {
    return (packet) => ((packet.realm & mask) >>> 0 === id) !== invert;
  },
});
