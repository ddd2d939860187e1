import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Watch } from '../../groups/agent/watch.ts';
import { nearest } from '../../packet/notation/error.ts';
import { writeHostFiles } from '../agents/out.ts';
import { type AgentStep, agentSteps, type Survey, survey } from '../agents/run.ts';
import { commandCount, keptText, stepObject, stepText, summaryObject, summaryText } from '../agents/show.ts';
import { partsOf, watchChange, withoutStale } from '../agents/verify.ts';
import type { Io } from '../io.ts';
import { GroupUsageError, type LoadedCloud, loadCloud } from '../network/groups.ts';
import { located } from '../network/load.ts';
import { progressBar, tellReading } from '../network/progress-bar.ts';

export interface ApplyFlags {
  file: string;
  state: string;
  out?: string;
  host?: string;
  dryRun?: boolean;
  verify?: boolean;
  full?: boolean;
  json?: boolean;
}

/**
 * `iptsim group apply`: the agents of all hosts. Returns the exit status. Throws NetworkFileError, GroupUsageError, AgentError, StateError.
 */
export async function apply(flags: ApplyFlags, io: Io): Promise<number> {
  tellReading(io, flags.file);
  const loaded = loadCloud(flags.file);
  const found = located(loaded.file, () =>
    survey(loaded, flags.state, flags.host ?? null, io, progressBar(io, 'hosts surveyed')),
  );
  if (flags.host !== undefined && found.hosts.length === 0) throw unknownHost(loaded, flags.host);
  if (flags.out !== undefined) writeHostFiles(loaded, found, flags.out);
  const trial = flags.dryRun === true ? mkdtempSync(path.join(tmpdir(), 'iptsim-apply-')) : null;
  try {
    if (trial !== null) for (const { host } of found.busy) host.moveTo(path.join(trial, host.name));
    const watch = flags.verify === true ? located(loaded.file, () => watchChange(loaded, found, io)) : null;
    const { commands, changed } = await runAll(found, watch, flags, io);
    if (trial === null) for (const { host, goal } of found.busy) host.remember(goal);
    if (flags.json) io.out(`${JSON.stringify(summaryObject(found, commands, changed))}\n`);
    else io.out(keptText(found) + summaryText(found, commands, changed));
    return watch === null || commands === 0 ? 0 : report(watch, flags, io);
  } finally {
    if (trial !== null) rmSync(trial, { recursive: true, force: true });
  }
}

async function runAll(
  found: Survey,
  watch: Watch | null,
  { json, full }: ApplyFlags,
  io: Io,
): Promise<{ commands: number; changed: number }> {
  const changed = new Set<string>();
  const all = found.busy
    .flatMap(({ plan }) => Object.values(plan.stages).flat())
    .filter(({ tool }) => tool !== 'conntrack');
  // Where the commands go to a terminal, they show themselves how far it is.
  const show = io.stdoutIsTerminal ? null : progressBar(io, 'commands');
  let commands = 0;
  let done = 0;
  for (const step of agentSteps(found.busy)) {
    commands += commandCount(step);
    changed.add(step.host.host.name);
    io.out(json ? `${JSON.stringify(stepObject(step))}\n` : stepText(step, full ?? false));
    if (watch === null) await step.host.host.run(step.command, step.stale);
    else await runWatched(step, watch);
    if (step.command.tool !== 'conntrack') show?.(++done, all.length);
  }
  return { commands, changed: changed.size };
}

async function runWatched({ host: busy, stage, command, stale }: AgentStep, watch: Watch): Promise<void> {
  const { host } = busy;
  for (const part of partsOf(command)) {
    await host.run(part, stale);
    const what =
      part.tool === 'ipset'
        ? part.lines.at(-1)!
        : part.tool === 'restore'
          ? `${part.table}, IPv${part.family}`
          : part.tool;
    const known = part.tool === 'conntrack' ? withoutStale(busy.judge) : null;
    watch.step(`${host.name} ${stage}: ${what}`, host.name, host.standing(), known);
  }
}

/** Says what went wrong between the steps. */
function report(watch: Watch, { json }: ApplyFlags, io: Io): number {
  const violations = watch.violations();
  const counts = watch.counts();
  if (json) io.out(`${JSON.stringify({ verified: { ...counts, violations } })}\n`);
  else {
    for (const { step, what, flow } of violations) io.out(`after ${step}: ${what}: ${flow}\n`);
    const result =
      violations.length === 0 ? 'none broken, nothing forbidden passed' : `${violations.length} violations`;
    const { flows, before, after, delayed } = counts;
    const late = delayed === 0 ? '' : `; ${delayed} allowed both times could not begin for a moment`;
    io.out(`${flows} flows traced after every step (${before} allowed before, ${after} now${late}): ${result}\n`);
  }
  return violations.length === 0 ? 0 : 1;
}

function unknownHost({ plan }: LoadedCloud, name: string): GroupUsageError {
  const near = nearest(
    name,
    plan.hosts.map((host) => host.name),
  );
  return new GroupUsageError(
    `no host ${name} with machines or a state directory${near === null ? '' : `: did you mean ${near}?`}`,
  );
}
