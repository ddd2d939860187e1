import { randomFillSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { NameServices } from '../../extensions/contract.ts';
import type { SetPlaces } from '../../ipset/index.ts';
import { loadSets, narrowText, placesOf, SetKernel, SetTextError, saveSets, setReferences } from '../../ipset/index.ts';
import type { SetNames } from '../../ipset/syntax/session.ts';
import { Tool } from '../../ipset/tool/tool.ts';
import { readStateFile, StateError, writeStateFile } from '../../state/files.ts';
import { missingSetTypes } from '../../state/kernel-set-types.ts';
import { lockDirectory } from '../../state/lock.ts';
import { systemNames } from '../../state/names.ts';
import type { Command, Io } from '../io.ts';

/** `ipset save` text, and what no text has: places, `forceadd`, parts of seconds (JSON). */
export const SETS_FILE = 'ipsets';
export const SET_PLACES_FILE = 'ipsets.json';

/** Names as the set syntax wants them: IPv4 addresses have one word. */
export function setNames(names: NameServices): SetNames {
  return {
    protocolByName: names.protocolByName,
    protocolByNumber: names.protocolByNumber,
    serviceByName: names.serviceByName,
    hostByName: (name, family) =>
      names.hostByName(name, family).map((words) => (family === 4 ? [words[0]] : [...words])),
    hostByAddress: (address, family) =>
      names.hostByAddress([address[0]!, address[1] ?? 0, address[2] ?? 0, address[3] ?? 0], family),
  };
}

/** What is kept beside the sets' text. Throws StateError. */
export function readSetPlaces(directory: string): SetPlaces {
  const text = readStateFile(directory, SET_PLACES_FILE);
  if (text === null || text.trim() === '') return {};
  try {
    return JSON.parse(text) as SetPlaces;
  } catch {
    throw new StateError(`${directory}/${SET_PLACES_FILE}: not JSON`);
  }
}

/** Writes what is kept beside the sets' text; the caller holds the lock. Throws StateError. */
export function writeSetPlaces(directory: string, places: SetPlaces | null): void {
  const text = places === null ? '' : `${JSON.stringify(places)}\n`;
  if ((readStateFile(directory, SET_PLACES_FILE) ?? '') !== text) writeStateFile(directory, SET_PLACES_FILE, text);
}

function loadKernel(text: string | null, directory: string, names: SetNames, io: Io): SetKernel {
  let references: Map<string, number> | null = null;
  const kernel = new SetKernel({
    // Commands let no time pass: entries keep the seconds that they have left.
    clock: { now: 0 },
    random: () => randomFillSync(new Uint32Array(1))[0]!,
    missingTypes: missingSetTypes(io.env),
    rulesUsing(name) {
      if (references === null) {
        references = new Map();
        for (const file of ['rules.v4', 'rules.v6']) setReferences(readStateFile(directory, file) ?? '', references);
      }
      return references.get(name) ?? 0;
    },
  });
  if (text === null || text === '') return kernel;
  try {
    loadSets(kernel, text, names, readSetPlaces(directory));
  } catch (error) {
    if (!(error instanceof SetTextError)) throw error;
    throw new StateError(`${directory}/${SETS_FILE}: line ${error.line}: ${error.message}`);
  }
  return kernel;
}

/** Characters of text from which on it is worth while not to read all of it for one element. */
const LARGE = 1 << 18;

/** Commands that only read; anything not recognised is taken for one that writes. */
const READING = /^(--)?(t|te|tes|test|l|li|lis|list|s|sa|sav|save|h|he|hel|help|v|ve|ver\w*)$|^-[TLSVvHh]$/;

/** strerror() of the errors that opening a file has. */
function systemErrorText(code: string | undefined): string {
  const texts: Readonly<Record<string, string>> = {
    ENOENT: 'No such file or directory',
    ENOTDIR: 'Not a directory',
    EISDIR: 'Is a directory',
    EACCES: 'Permission denied',
    EROFS: 'Read-only file system',
  };
  return texts[code ?? ''] ?? code ?? 'Input/output error';
}

function readTextFile(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}

/** `ipset`: arguments, output and exit status of ipset 7.17, on the sets of the state directory. */
export const ipset: Command = (_name, args, io) => {
  const names = setNames(systemNames());
  const command = args.find((word) => !/^-(-?[oqrsntf!]$|-?[a-z]{4,}$)/.test(word)) ?? '';
  const release = READING.test(command) ? null : lockDirectory(io.directory);
  try {
    const text = readStateFile(io.directory, SETS_FILE);
    const large = text !== null && text.length >= LARGE && readSetPlaces(io.directory).fractions === undefined;
    const narrowed = large ? narrowText(text, args) : null;
    const kernel = loadKernel(narrowed?.text ?? text, io.directory, names, io);
    const tool = new Tool(kernel, names, {
      out: io.out,
      err: io.err,
      readStdin: io.readStdin,
      readFile(path) {
        io.openingFile?.(path);
        return readTextFile(path);
      },
      writeFile(path, text) {
        io.openingFile?.(path);
        try {
          writeFileSync(path, text, 'latin1');
          return null;
        } catch (error) {
          return systemErrorText((error as { code?: string }).code);
        }
      },
    });
    const status = tool.run(args);
    if (tool.changed) {
      const saved = saveSets(kernel, names);
      writeStateFile(io.directory, SETS_FILE, narrowed === null ? saved : narrowed.merge(saved));
      if (narrowed === null) writeSetPlaces(io.directory, placesOf(kernel));
    }
    return status;
  } finally {
    release?.();
  }
};
