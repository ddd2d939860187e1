import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { HostRules } from '../../groups/compile.ts';
import { changedHosts, hostKeys } from '../../groups/keys.ts';
import { compileHosts } from '../../groups/plan.ts';
import { makeDirectory } from '../../state/files.ts';
import type { Io } from '../io.ts';
import { GroupUsageError, type LoadedCloud, loadCloud } from '../network/groups.ts';
import { located } from '../network/load.ts';
import { progressBar, tellReading } from '../network/progress-bar.ts';

export interface CompileFlags {
  file: string;
  host?: string;
  out?: string;
  changedFrom?: string;
}

/** What is not traced; said once. */
const ARP_NOTE =
  'iptables sees no ARP: the text for ebtables-restore keeps machines from claiming addresses; it is not simulated\n';

/** `iptsim group compile`. Throws NetworkFileError, GroupUsageError. */
export function compile({ file, host, out, changedFrom }: CompileFlags, io: Io): void {
  tellReading(io, file);
  const loaded = loadCloud(file);
  if (host !== undefined && !loaded.cloud.ports.some((port) => port.host === host)) {
    throw new GroupUsageError(`no host ${host} with machines`);
  }
  if (loaded.cloud.ports.length === 0) throw new GroupUsageError('no machine is in a group');
  let only = host === undefined ? null : new Set([host]);
  if (changedFrom !== undefined) {
    const changed = changesFrom(changedFrom, loaded, io);
    only = only === null ? changed : new Set([...only].filter((name) => changed.has(name)));
  }
  const show = progressBar(io, 'hosts');
  for (const rules of located(loaded.file, () => compileHosts(loaded.cloud, only))) {
    show(rules.done, rules.of);
    const texts = textsOf(rules);
    if (out === undefined) {
      for (const [name, text] of Object.entries(texts)) io.out(`# ${rules.host}/${name}\n${text}`);
      continue;
    }
    const directory = path.join(out, rules.host);
    makeDirectory(directory);
    for (const [name, text] of Object.entries(texts)) writeFileSync(path.join(directory, name), text);
  }
  io.err(`iptsim group: ${ARP_NOTE}`);
}

function textsOf({ sets, rules4, rules6, frames }: HostRules): Record<string, string> {
  return { ipsets: sets, 'rules.v4': rules4, 'rules.v6': rules6, ebtables: frames };
}

/** The hosts whose rules are not those that an older file gave them. */
function changesFrom(older: string, { cloud }: LoadedCloud, io: Io): Set<string> {
  const keys = hostKeys(cloud);
  tellReading(io, older);
  const changed = changedHosts(hostKeys(loadCloud(older).cloud), keys);
  const gone = [...changed].filter((host) => !keys.has(host));
  const left = gone.length === 0 ? '' : `; without machines now: ${gone.join(', ')}`;
  io.err(
    `iptsim group: ${changed.size - gone.length} of ${keys.size} hosts depend on what changed since ${older}${left}\n`,
  );
  return changed;
}
