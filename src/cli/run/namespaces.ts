import { spawnSync } from 'node:child_process';

/** What of a command's surroundings can be made its own. */
export interface Isolation {
  /** Options of unshare(1), the letters that util-linux and busybox share; empty: it is not called. */
  flags: string[];
  /** A mount namespace: the shims can stand in for absolute paths. */
  mounts: boolean;
  /** A network namespace: no real firewall can be reached. */
  network: boolean;
  /** A user namespace: the command has no rights over the machine's own namespaces. */
  user: boolean;
  /** Why something is missing, as unshare or mount said it. */
  reason: string;
}

const NONE: Isolation = { flags: [], mounts: false, network: false, user: false, reason: '' };

/** Finds out what this kernel and user allow, by trying it; `ownNetwork` says whether a network namespace is wanted. */
export function findIsolation(ownNetwork: boolean): Isolation {
  const root = process.geteuid?.() === 0;
  const attempts: Omit<Isolation, 'reason'>[] = [];
  for (const mounts of [true, false]) {
    const network = ownNetwork;
    if (!mounts && !network) continue;
    const flags = [...(mounts ? ['-m'] : []), ...(network ? ['-n'] : [])];
    if (root) attempts.push({ flags, mounts, network, user: false });
    attempts.push({ flags: ['-U', '-r', ...flags], mounts, network, user: true });
  }
  let reason = '';
  for (const attempt of attempts) {
    // A user namespace may be allowed and mounting in it not: a program is bound over itself for a moment.
    const trial = attempt.mounts ? ['mount', '--bind', process.execPath, process.execPath] : ['true'];
    const result = spawnSync('unshare', [...attempt.flags, ...trial], { encoding: 'utf8' });
    if (result.status === 0) return { ...attempt, reason };
    if (reason === '') reason = result.error?.message ?? result.stderr.trim().split('\n')[0] ?? '';
  }
  return { ...NONE, reason };
}
