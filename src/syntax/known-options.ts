import type { Extension } from '../extensions/contract.ts';
import { LONG_OPTIONS } from './command-options.ts';
import { type ExtensionOption, optionsOf } from './extension-use.ts';
import { abbreviation, type LongOption, type LongOptions } from './getopt.ts';

/** iptables' own options have their letters, those of extensions their declarations. */
export type OptionId = string | ExtensionOption;

const MAIN_BY_NAME: ReadonlyMap<string, LongOption<OptionId>> = new Map(
  LONG_OPTIONS.map((option) => [option.name, option]),
);

/** Long options of a command line: iptables' own, and those of the extensions loaded so far. */
export class KnownOptions implements LongOptions<OptionId> {
  /** Newest first. */
  private readonly loaded: Extension[] = [];

  load(extension: Extension): void {
    this.loaded.unshift(extension);
  }

  exact(name: string): LongOption<OptionId> | undefined {
    const main = MAIN_BY_NAME.get(name);
    if (main !== undefined) return main;
    for (const extension of this.loaded) {
      const option = optionsOf(extension).byName.get(name);
      if (option !== undefined) return option;
    }
    return undefined;
  }

  abbreviated(name: string): LongOption<OptionId> | 'ambiguous' | undefined {
    return abbreviation<OptionId>(name, [
      ...LONG_OPTIONS,
      ...this.loaded.flatMap((extension) => optionsOf(extension).list as readonly LongOption<OptionId>[]),
    ]);
  }
}
