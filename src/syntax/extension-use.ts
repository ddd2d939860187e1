import {
  type Extension,
  type NameServices,
  type OptionDeclaration,
  type ParseContext,
  UsageError,
} from '../extensions/contract.ts';
import type { LongOption } from './getopt.ts';
import { emptyOption, readValue } from './option-values.ts';

/** An option of an extension, as the id of its long options: both spellings of an option have the same object. */
export interface ExtensionOption {
  extension: Extension;
  declaration: OptionDeclaration;
}

/** An extension's long options, in the order of its table. */
export interface ExtensionOptions {
  byName: ReadonlyMap<string, LongOption<ExtensionOption>>;
  list: readonly LongOption<ExtensionOption>[];
}

const tables = new WeakMap<Extension, ExtensionOptions>();

/** The long options that loading an extension makes known. */
export function optionsOf(extension: Extension): ExtensionOptions {
  const known = tables.get(extension);
  if (known !== undefined) return known;
  const ids = new Map<string, ExtensionOption>();
  const byName = new Map<string, LongOption<ExtensionOption>>();
  const list: LongOption<ExtensionOption>[] = [];
  for (const declaration of extension.options) {
    if (declaration.synonymOf === undefined) ids.set(declaration.name, { extension, declaration });
  }
  for (const declaration of extension.options) {
    const id = ids.get(declaration.synonymOf ?? declaration.name) ?? { extension, declaration };
    const option: LongOption<ExtensionOption> = {
      name: declaration.name,
      need: declaration.type === 'none' ? 'none' : 'required',
      id,
    };
    list.push(option);
    if (!byName.has(option.name)) byName.set(option.name, option);
  }
  const table: ExtensionOptions = { byName, list };
  tables.set(extension, table);
  return table;
}

/** One `-m` or `-j` of a command line while it is being read. */
export interface ExtensionUse {
  extension: Extension;
  data: unknown;
  /** Options seen so far. */
  seen: Set<string>;
  /** A later `-m` of the same name takes the options from here on. */
  completed: boolean;
}

/** A parse context whose `seen` follows the extension that is being called. */
export interface MutableParseContext extends ParseContext {
  names: NameServices;
  seen: ReadonlySet<string>;
}

export function beginUse(extension: Extension, context: MutableParseContext): ExtensionUse {
  const use: ExtensionUse = { extension, data: undefined, seen: new Set(), completed: false };
  context.seen = use.seen;
  use.data = extension.init(context);
  return use;
}

/** Hands one option to its extension, after the checks that libxtables makes for it. Throws UsageError. */
export function takeOption(
  use: ExtensionUse,
  declaration: OptionDeclaration,
  invert: boolean,
  argument: string | null,
  second: string | null | undefined,
  context: MutableParseContext,
): void {
  const { extension, seen } = use;
  const { name } = declaration;
  const option = emptyOption(name, invert, argument ?? '');
  if (second !== undefined) option.second = second;
  if (extension.style !== 'classic') {
    if (seen.has(name) && (declaration.multiple !== true || declaration.excludes?.includes(name) === true)) {
      throw new UsageError(`${extension.name}: option "--${name}" can only be used once.\n`);
    }
    if (invert && declaration.invert !== true) {
      throw new UsageError(`${extension.name}: option "--${name}" cannot be inverted.\n`);
    }
    readValue(option, declaration, { family: context.family, names: context.names, extension: extension.name });
  }
  context.seen = seen;
  extension.parse(use.data, option, context);
  seen.add(name);
}

/** The checks after the last option: the extension's own, then those of its option table (`xtables_options_fcheck`). */
export function finishUse(use: ExtensionUse, context: MutableParseContext): void {
  const { extension, seen } = use;
  context.seen = seen;
  extension.finish?.(use.data, context);
  if (extension.style === 'classic') return;
  for (const entry of extension.options) {
    if (entry.synonymOf !== undefined) continue;
    if (!seen.has(entry.name)) {
      if (entry.mandatory === true) {
        throw new UsageError(`${extension.name}: option "--${entry.name}" must be specified\n`);
      }
      continue;
    }
    for (const other of entry.requires ?? []) {
      if (!seen.has(other)) {
        throw new UsageError(`${extension.name}: option "--${entry.name}" also requires "--${other}".\n`);
      }
    }
    // The real table goes by option ids, which are the order of the list.
    for (const other of entry.excludes ?? []) {
      if (other !== entry.name && seen.has(other)) {
        throw new UsageError(
          `${extension.name}: option "--${entry.name}" cannot be used together with "--${other}".\n`,
        );
      }
    }
  }
}
