import { restoreInput } from '../../groups/agent/plan.ts';
import { deletionOf } from '../../groups/agent/stale.ts';
import { restoreName } from './host.ts';
import type { AgentStep, Survey } from './run.ts';

/** The command line of a step, and what it reads from its standard input. */
export function stepCommands({ command, stale }: AgentStep): { command: string; input: string }[] {
  switch (command.tool) {
    case 'ipset':
      return [{ command: 'ipset restore', input: `${command.lines.join('\n')}\n` }];
    case 'restore':
      return [{ command: `${restoreName(command.family)} --noflush`, input: restoreInput(command) }];
    case 'conntrack':
      return stale.map((entry) => ({ command: `conntrack ${deletionOf(entry).join(' ')}`, input: '' }));
  }
}

/** Lines of a command's input that are shown unless all are asked for. */
const SHOWN = 40;

export function stepText(step: AgentStep, full: boolean): string {
  return stepCommands(step)
    .map(({ command, input }) => {
      const lines = input.split('\n').slice(0, -1);
      const shown = full || lines.length <= SHOWN ? lines : lines.slice(0, SHOWN);
      const rest = lines.length - shown.length;
      const more = rest === 0 ? '' : `  ... ${rest} more lines (--full shows them)\n`;
      return `${step.host.host.name} ${step.stage}: ${command}\n${shown.map((line) => `  ${line}\n`).join('')}${more}`;
    })
    .join('');
}

export function stepObject(step: AgentStep): object {
  return { host: step.host.host.name, stage: step.stage, commands: stepCommands(step) };
}

/** How many commands a step is. */
export function commandCount({ command, stale }: AgentStep): number {
  return command.tool === 'conntrack' ? stale.length : 1;
}

/** What was done, or would be. */
export function summaryText({ busy, hosts, untouched }: Survey, commands: number, changed: number): string {
  const all = count(hosts.length, 'host');
  const looked =
    busy.length === 0 ? 'none compiled' : `${busy.length} compiled, ${untouched} as their agents left them`;
  if (commands === 0) return `${all}: nothing to do (${looked})\n`;
  return `${changed} of ${all} changed by ${count(commands, 'command')} (${looked})\n`;
}

export function summaryObject({ busy, hosts }: Survey, commands: number, changed: number): object {
  const kept = busy.filter(({ plan }) => plan.kept.length > 0).map(({ host, plan }) => [host.name, plan.kept]);
  return { hosts: hosts.length, compiled: busy.length, changed, commands, kept: Object.fromEntries(kept) };
}

export function keptText({ busy }: Survey): string {
  return busy
    .flatMap(({ host, plan }) =>
      plan.kept.map((name) => `${host.name}: ${name} stays: a rule that is not the agent's uses it\n`),
    )
    .join('');
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
