import type { Extension, Variant } from '../extensions/contract.ts';
import type { Family } from '../packet/family.ts';
import { LONG_OPTIONS } from './command-options.ts';
import { type ExtensionOption, optionsOf } from './extension-use.ts';
import { type Ambiguous, abbreviation, type LongOption, type LongOptions } from './getopt.ts';

/** iptables' own options have their letters, those of extensions their declarations. */
export type OptionId = string | ExtensionOption;

/** iptables' own long options, as a list and by name. ip6tables-legacy has no `--fragments`. */
const MAIN = mainOptions(LONG_OPTIONS);
const MAIN_LEGACY_6 = mainOptions(LONG_OPTIONS.filter(({ id }) => id !== 'f'));

function mainOptions(list: readonly LongOption<string>[]) {
  const byName: ReadonlyMap<string, LongOption<OptionId>> = new Map(list.map((option) => [option.name, option]));
  return { list, byName };
}

/** Long options of a command line: iptables' own, and those of the extensions loaded so far. */
export class KnownOptions implements LongOptions<OptionId> {
  /** Newest first. */
  private readonly loaded: Extension[] = [];
  private readonly main: typeof MAIN;

  constructor(family: Family, variant: Variant) {
    this.main = family === 6 && variant === 'legacy' ? MAIN_LEGACY_6 : MAIN;
  }

  load(extension: Extension): void {
    this.loaded.unshift(extension);
  }

  exact(name: string): LongOption<OptionId> | undefined {
    const main = this.main.byName.get(name);
    if (main !== undefined) return main;
    for (const extension of this.loaded) {
      const option = optionsOf(extension).byName.get(name);
      if (option !== undefined) return option;
    }
    return undefined;
  }

  abbreviated(name: string): LongOption<OptionId> | Ambiguous | undefined {
    return abbreviation<OptionId>(name, [
      ...this.main.list,
      ...this.loaded.flatMap((extension) => optionsOf(extension).list as readonly LongOption<OptionId>[]),
    ]);
  }
}
