import { Hook } from '../../datapath/hooks.ts';
import { defineMatch, type NameServices } from '../contract.ts';
import { not, saveString } from '../words.ts';

/** `struct xt_cgroup_info_v2`. */
interface CgroupMatch {
  path: string | null;
  invertPath: boolean;
  classId: number | null;
  invertClassId: boolean;
}

/** XT_CGROUP_PATH_MAX, less the final zero byte. */
const MAX_PATH = 511;

/** The first four bytes of a path as a little-endian number. */
function classIdIn(path: string): number {
  return [3, 2, 1, 0].reduce((number, i) => number * 256 + (path.charCodeAt(i) || 0), 0);
}

/** A path whose first four bytes were overwritten with a number; it ends at the first zero. */
function pathUnder(classId: number, path: string): string {
  const bytes = [0, 8, 16, 24].map((shift) => String.fromCharCode((classId >>> shift) & 0xff));
  return (bytes.join('') + path.slice(4)).replace(/\0.*/s, '');
}

/** Where the hierarchy of cgroup2 is found. */
const ROOTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'] as const;

/** Whether this machine has the control group; where it has no hierarchy of them, any is taken. */
function exists(path: string, names: NameServices): boolean {
  const parts = path.split('/').filter((part) => part !== '');
  // The kernel looks for groups by these names, and no group is called so.
  if (parts.includes('.') || parts.includes('..')) return false;
  const root = ROOTS.find((each) => names.file(`${each}/cgroup.controllers`) !== null);
  return root === undefined || names.file([root, ...parts, 'cgroup.controllers'].join('/')) !== null;
}

function isWithin(cgroup: string, path: string): boolean {
  const root = path.replace(/^\/+|\/+$/g, '');
  const own = cgroup.replace(/^\/+|\/+$/g, '');
  return root === '' || own === root || own.startsWith(`${root}/`);
}

const HELP = `cgroup match options:
[!] --path path                 Recursively match path relative to cgroup2 root
[!] --cgroup classid            Match cgroup classid, can't be used with --path
`;

export const cgroup = defineMatch<CgroupMatch>({
  name: 'cgroup',
  families: [4, 6],
  options: [
    { name: 'path', type: 'string', invert: true },
    { name: 'cgroup', type: 'uint32', invert: true },
  ],
  init: () => ({ path: null, invertPath: false, classId: null, invertClassId: false }),
  parse(data, option) {
    if (option.name === 'path') {
      data.path = option.text.slice(0, MAX_PATH);
      data.invertPath = option.invert;
      // The two stand in one place (a union): the later one counts, the earlier one shows what is left of it.
      if (data.classId !== null) data.classId = classIdIn(data.path);
    } else {
      data.classId = option.number;
      data.invertClassId = option.invert;
      if (data.path !== null) data.path = pathUnder(data.classId, data.path);
    }
  },
  save(data) {
    let text = '';
    if (data.path !== null) text += `${not(data.invertPath)} --path${saveString(data.path)}`;
    if (data.classId !== null) text += `${not(data.invertClassId)} --cgroup ${data.classId}`;
    return text;
  },
  print(data) {
    let text = ' cgroup';
    if (data.path !== null) text += ` ${data.invertPath ? '! ' : ''}${data.path}`;
    if (data.classId !== null) text += ` ${data.invertClassId ? '! ' : ''}${data.classId}`;
    return text;
  },
  help: () => HELP,
  check(data, { hooks, names }) {
    if ((data.path === null) === (data.classId === null)) return 'EINVAL';
    if (data.path !== null && names !== undefined && !exists(data.path, names)) return 'EINVAL';
    return hooks.has(Hook.prerouting) || hooks.has(Hook.forward) ? 'EINVAL' : null;
  },
  explain: (data) =>
    data.path !== null
      ? `the local process is ${data.invertPath ? 'not ' : ''}within the control group ${data.path}`
      : `the local process has ${data.invertClassId ? 'not ' : ''}the net_cls class ${data.classId}`,
  unknown: () => 'control groups are known only from what the packet or the socket is said to belong to',
  pure: true,
  // `cgroup_mt_v2` (net/netfilter/xt_cgroup.c)
  compile({ path, invertPath, classId, invertClassId }) {
    return ({ owner, controlSocket }) => {
      if (owner === null && !controlSocket) return false;
      if (path !== null) return isWithin(owner?.cgroup ?? '/', path) !== invertPath;
      return ((owner?.classId ?? 0) === classId) !== invertClassId;
    };
  },
});
