import { StateError } from '../../state/files.ts';
import { AgentError } from '../agents/host.ts';
import { agentSteps, survey } from '../agents/run.ts';
import { stepObject, stepText, summaryText } from '../agents/show.ts';
import type { Io } from '../io.ts';
import { loadCloud } from '../network/groups.ts';

export interface ApplyFlags {
  file: string;
  state: string;
  out?: string;
  host?: string;
  dryRun?: boolean;
  verify?: boolean;
  json?: boolean;
}

export { AgentError, StateError };

export async function apply(flags: ApplyFlags, io: Io): Promise<number> {
  const loaded = loadCloud(flags.file);
  const found = survey(loaded, flags.state, flags.host ?? null, io, null);
  let count = 0;
  for (const step of agentSteps(found.busy)) {
    count++;
    io.out(flags.json ? `${JSON.stringify(stepObject(step))}\n` : stepText(step));
    if (!flags.dryRun) await step.agent.run(step.command, step.stale);
  }
  if (!flags.dryRun) for (const { host, goal } of found.busy) host.remember(goal);
  io.out(summaryText(found, count));
  return 0;
}
