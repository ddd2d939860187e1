import { readFileSync, writeFileSync } from 'node:fs';
import { type CloudKind, importedText, importGroups } from '../../clouds/import.ts';
import { ImportError, type ImportFile } from '../../clouds/imported.ts';
import { readCloud } from '../../groups/read.ts';
import { ManifestError } from '../../kubernetes/fields.ts';
import { planNetwork } from '../../network/plan.ts';
import { readNetworkYaml } from '../../network/yaml.ts';
import type { Io } from '../io.ts';
import { GroupUsageError } from '../network/groups.ts';
import { located } from '../network/load.ts';

export interface ImportFlags {
  kind?: CloudKind;
  out?: string;
  strict?: boolean;
}

/** `iptsim group import`: other clouds' groups as a network.yaml. Returns the exit status. Throws GroupUsageError, NetworkFileError. */
export function importFiles(names: readonly string[], flags: ImportFlags, io: Io): number {
  const files = names.map(readImportFile(io));
  try {
    const imported = importGroups(files, flags.kind ?? null);
    const text = importedText(imported, names);
    // What comes out can be read again.
    const file = readNetworkYaml(text, flags.out ?? 'the imported network');
    located(file, () =>
      readCloud(
        file.description,
        planNetwork(file.description, () => null),
      ),
    );
    for (const warning of imported.warnings) io.err(`iptsim group import: ${warning}\n`);
    if (flags.out === undefined) io.out(text);
    else writeFileSync(flags.out, text);
    return flags.strict === true && imported.warnings.length > 0 ? 1 : 0;
  } catch (error) {
    if (error instanceof ImportError || error instanceof ManifestError) throw new GroupUsageError(error.message);
    throw error;
  }
}

function readImportFile(io: Io): (name: string) => ImportFile {
  return (name) => {
    if (name === '-') return { name: 'standard input', text: Buffer.from(io.readStdin(), 'latin1').toString('utf8') };
    try {
      return { name, text: readFileSync(name, 'utf8') };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new GroupUsageError(`${name}: ${code === 'ENOENT' ? 'no such file' : code}`);
    }
  };
}
