import { Hook } from '../../datapath/hooks.ts';
import { scanUnsignedWithin } from '../../syntax/numbers.ts';
import { defineMatch, UsageError } from '../contract.ts';
import { badValue, not } from '../words.ts';

/** Bits of `match` and `invert` (XT_OWNER_*). */
const Part = { user: 1, group: 2, socket: 4, supplementary: 8 } as const;

/** `struct xt_owner_match_info`. */
interface OwnerMatch {
  match: number;
  invert: number;
  users: [number, number];
  groups: [number, number];
}

/** -1 is no id. */
const MAX_ID = 0xfffffffe;

function parseIds(text: string, option: string): [number, number] {
  const from = scanUnsignedWithin(text, 0, MAX_ID);
  if (from === null) throw badValue('owner', option, text);
  const rest = text.slice(from.end);
  if (rest === '') return [from.value, from.value];
  const to = rest.startsWith('-') || rest.startsWith(':') ? scanUnsignedWithin(rest.slice(1), 0, MAX_ID) : null;
  if (to === null || to.end !== rest.length - 1) throw badValue('owner', option, text);
  return [from.value, to.value];
}

function idsText([from, to]: readonly [number, number], name: (id: number) => string | null): string {
  return from === to ? ` ${name(from) ?? from}` : ` ${from}-${to}`;
}

const HELP = `owner match options:
[!] --uid-owner userid[-userid]      Match local UID
[!] --gid-owner groupid[-groupid]    Match local GID
[!] --socket-exists                  Match if socket exists
    --suppl-groups                   Also match supplementary groups set with --gid-owner
`;

export const owner = defineMatch<OwnerMatch>({
  name: 'owner',
  families: [4, 6],
  options: [
    { name: 'uid-owner', type: 'string', invert: true },
    { name: 'gid-owner', type: 'string', invert: true },
    { name: 'socket-exists', type: 'none', invert: true },
    { name: 'suppl-groups', type: 'none' },
  ],
  init: () => ({ match: 0, invert: 0, users: [0, 0], groups: [0, 0] }),
  parse(data, option, { names }) {
    const { text } = option;
    let bit: number = Part.supplementary;
    switch (option.name) {
      case 'uid-owner': {
        const id = names.userByName(text);
        data.users = id === null ? parseIds(text, '--uid-owner') : [id, id];
        bit = Part.user;
        break;
      }
      case 'gid-owner': {
        const id = names.groupByName(text);
        data.groups = id === null ? parseIds(text, '--gid-owner') : [id, id];
        bit = Part.group;
        break;
      }
      case 'socket-exists':
        bit = Part.socket;
        break;
      case 'suppl-groups':
        if ((data.match & Part.group) === 0)
          throw badValue('owner', '--suppl-groups', 'you need to use --gid-owner first');
        break;
    }
    data.match |= bit;
    if (option.invert) data.invert |= bit;
  },
  finish(_data, { seen }) {
    if (seen.size === 0)
      throw new UsageError('owner: At least one of --uid-owner, --gid-owner or --socket-exists is required');
  },
  save(data) {
    let text = '';
    const part = (bit: number, option: string, value: string): void => {
      if (data.match & bit) text += `${not((data.invert & bit) !== 0)} --${option}${value}`;
    };
    part(Part.socket, 'socket-exists', '');
    part(
      Part.user,
      'uid-owner',
      idsText(data.users, () => null),
    );
    part(
      Part.group,
      'gid-owner',
      idsText(data.groups, () => null),
    );
    part(Part.supplementary, 'suppl-groups', '');
    return text;
  },
  print(data, { numeric, names }) {
    let text = '';
    const part = (bit: number, what: string, value: string): void => {
      if (data.match & bit) text += `${not((data.invert & bit) !== 0)} ${what}${value}`;
    };
    part(Part.socket, 'owner socket exists', '');
    part(
      Part.user,
      'owner UID match',
      idsText(data.users, (id) => (numeric ? null : names.userById(id))),
    );
    part(
      Part.group,
      'owner GID match',
      idsText(data.groups, (id) => (numeric ? null : names.groupById(id))),
    );
    part(Part.supplementary, 'incl. suppl. groups', '');
    return text;
  },
  help: () => HELP,
  check({ match, users, groups }, { hooks }) {
    for (const hook of hooks) if (hook !== Hook.output && hook !== Hook.postrouting) return 'EINVAL';
    if (match & Part.user && users[1] < users[0]) return 'EINVAL';
    return match & Part.group && groups[1] < groups[0] ? 'EINVAL' : null;
  },
  explain(data) {
    const parts: string[] = [];
    const part = (bit: number, what: string, value: string): void => {
      if (data.match & bit) parts.push(`${what} is ${data.invert & bit ? 'not' : ''}${value}`.replace('is  ', 'is '));
    };
    if (data.match & Part.socket)
      parts.push(`the packet belongs to ${data.invert & Part.socket ? 'no' : 'a'} local socket`);
    part(
      Part.user,
      "the user of the packet's local socket",
      idsText(data.users, () => null),
    );
    const supplementary = data.match & Part.supplementary ? ' (or one of the supplementary groups)' : '';
    part(
      Part.group,
      `the group${supplementary} of the packet's local socket`,
      idsText(data.groups, () => null),
    );
    return parts.join(' and ');
  },
  pure: true,
  // `owner_mt` (net/netfilter/xt_owner.c)
  compile({ match, invert, users, groups }) {
    return (packet) => {
      const socket = packet.owner ?? packet.listener;
      if (socket === null && !packet.controlSocket) return match === invert;
      if (match & invert & Part.socket) return false;
      // A socket without a file belongs to nobody.
      if (socket === null) return ((match ^ invert) & (Part.user | Part.group)) === 0;
      if (match & Part.user) {
        const within = socket.uid >= users[0] && socket.uid <= users[1];
        if (within === ((invert & Part.user) !== 0)) return false;
      }
      if ((match & Part.group) === 0) return true;
      let within = socket.gid >= groups[0] && socket.gid <= groups[1];
      if (!within && match & Part.supplementary && socket.groups !== undefined) {
        for (let i = 0; i < socket.groups.length && !within; i++) {
          const id = socket.groups[i]!;
          within = id >= groups[0] && id <= groups[1];
        }
      }
      return within !== ((invert & Part.group) !== 0);
    };
  },
});
