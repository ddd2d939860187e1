import type { Extension, OptionDeclaration } from '../../src/extensions/contract.ts';
import { matches, targets } from '../../src/extensions/registry.ts';

/** What kinds of extensions and options the rule specifications of a run had. */
export class Coverage {
  /** Rule specifications made. */
  specifications = 0;
  private readonly uses = new Map<Extension, number>();
  private readonly options = new Map<Extension, Map<string, number>>();

  specification(): void {
    this.specifications++;
  }

  extension(extension: Extension): void {
    this.uses.set(extension, (this.uses.get(extension) ?? 0) + 1);
  }

  option(extension: Extension, { name }: OptionDeclaration): void {
    const counts = this.options.get(extension) ?? new Map<string, number>();
    counts.set(name, (counts.get(name) ?? 0) + 1);
    this.options.set(extension, counts);
  }

  /** One line: how many extensions and options there are, and which were used least. */
  summary(): string {
    const all: readonly Extension[] = [...matches, ...targets];
    const perExtension = all.map((each) => [this.uses.get(each) ?? 0, each.name] as const).sort((a, b) => a[0] - b[0]);
    const perOption = all
      .flatMap((each) =>
        each.options.map(({ name }) => [this.options.get(each)?.get(name) ?? 0, `${each.name} --${name}`] as const),
      )
      .sort((a, b) => a[0] - b[0]);
    const least = ([count, name]: readonly [number, string]): string => `${name} ${count}`;
    return (
      `${this.specifications} rule specifications; ` +
      `${all.length} extensions (least used: ${perExtension.slice(0, 3).map(least).join(', ')}); ` +
      `${perOption.length} options (least used: ${perOption.slice(0, 3).map(least).join(', ')})`
    );
  }

  /** A line for each extension: its uses, and how often each of its options was given. */
  table(): string {
    return [...matches, ...targets]
      .map((each) => {
        const families = each.families.map((family) => `IPv${family}`).join(' ');
        const options = each.options.map(({ name }) => `${name} ${this.options.get(each)?.get(name) ?? 0}`);
        return `${each.kind} ${each.name} (${families}): ${this.uses.get(each) ?? 0} uses; ${options.join(', ') || 'no options'}\n`;
      })
      .join('');
  }
}
