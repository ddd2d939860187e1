import type { Session } from '../syntax/session.ts';
import type { EnvironmentOption } from './commands.ts';
import { ENVIRONMENT_OPTIONS, matchesEnvironmentOption } from './commands.ts';
import type { OutputMode } from './listing.ts';
import type { Fault } from './read-options.ts';

/** The options that may stand anywhere on a line; once given they hold for all lines that follow. */
export class Environment {
  mode: OutputMode | null = null;
  file: string | null = null;
  private readonly given = new Set<EnvironmentOption>();

  has(option: EnvironmentOption): boolean {
    return this.given.has(option);
  }

  /** Takes the options off a line's words; what is wrong with them, or null. */
  take(words: string[], session: Session): Fault | null {
    for (const { option, names, argument } of ENVIRONMENT_OPTIONS) {
      for (let i = 0; i < words.length; ) {
        if (!matchesEnvironmentOption(words[i]!, names)) {
          i++;
          continue;
        }
        words.splice(i, 1);
        if (!argument) {
          this.given.add(option);
          continue;
        }
        if (i >= words.length) return { kind: 'usage', text: `Missing mandatory argument to option ${names[0]}` };
        const fault = this.takeArgument(option, words.splice(i, 1)[0]!, session);
        if (fault !== null) return fault;
      }
    }
    return null;
  }

  private takeArgument(option: EnvironmentOption, value: string, session: Session): Fault | null {
    if (option === 'file') {
      if (this.file !== null) {
        return { kind: 'usage', text: '-file option cannot be used when full io is activated' };
      }
      this.file = value;
      return null;
    }
    if (value !== 'plain' && value !== 'save' && value !== 'xml') {
      session.syntaxError(`unknown output mode '${value}'`);
      return { kind: 'report' };
    }
    this.mode = value;
    return null;
  }
}
