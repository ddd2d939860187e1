import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { allowedText, changeFiles, STALE_AWK } from '../../groups/agent/real-host.ts';
import { makeDirectory } from '../../state/files.ts';
import type { LoadedCloud } from '../network/groups.ts';
import type { Survey } from './run.ts';

/**
 * Writes what real hosts would be given: for each that has something to do `DIR/HOST` with all its rules and sets, the files of the change,
 * and the script that runs them. A directory from an earlier run is replaced.
 */
export function writeHostFiles({ cloud }: Pick<LoadedCloud, 'cloud'>, { busy }: Survey, out: string): void {
  for (const { host, plan, rules, ports, own } of busy) {
    const directory = path.join(out, host.name);
    rmSync(directory, { recursive: true, force: true });
    makeDirectory(directory);
    const files = new Map([
      ['ipset.restore', rules.sets],
      ['rules.v4', rules.rules4],
      ['rules.v6', rules.rules6],
      ['ebtables', rules.frames],
      ['allowed', allowedText(ports, cloud, rules, own)],
      ['stale.awk', STALE_AWK],
      ...changeFiles(host.name, plan.stages),
    ]);
    for (const [name, text] of files) writeFileSync(path.join(directory, name), text);
  }
}
