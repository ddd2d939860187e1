import { restoreInput } from '../../groups/agent/plan.ts';
import { deletionOf } from '../../groups/agent/stale.ts';
import { restoreName } from './host.ts';
import type { AgentStep, Survey } from './run.ts';

/** The command line of a step, and what it reads from its standard input. */
export function stepCommand({ command, stale }: AgentStep): { command: string; input: string }[] {
  switch (command.tool) {
    case 'ipset':
      return [{ command: 'ipset restore', input: `${command.lines.join('\n')}\n` }];
    case 'restore':
      return [{ command: `${restoreName(command.family)} --noflush`, input: restoreInput(command) }];
    case 'conntrack':
      return stale.map((entry) => ({ command: `conntrack ${deletionOf(entry).join(' ')}`, input: '' }));
  }
}

export function stepText(step: AgentStep): string {
  return stepCommand(step)
    .map(({ command, input }) => `${step.host} ${step.stage}: ${command}\n${input.replace(/^(?=.)/gm, '  ')}`)
    .join('');
}

export function stepObject(step: AgentStep): object {
  return { host: step.host, stage: step.stage, commands: stepCommand(step) };
}

export function summaryText({ busy, hosts, untouched }: Survey, commands: number): string {
  if (commands === 0) return `${hosts} hosts: nothing to do\n`;
  const changed = busy.length;
  return `${changed} of ${hosts} hosts changed by ${commands} commands; ${untouched} untouched\n`;
}
