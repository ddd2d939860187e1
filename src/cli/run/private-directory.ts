import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { makeDirectory } from '../../state/files.ts';
import { MULTI_NAMES, OTHER_FIREWALL_NAMES, TOOL_NAMES } from './names.ts';

/** Where programs are called by their absolute paths. */
const PROGRAM_DIRECTORIES = ['/usr/sbin', '/sbin', '/usr/bin', '/bin', '/usr/local/sbin', '/usr/local/bin'];
/** Where each name has to answer, even if the machine lacks the tool: as distributions install them. */
function homes(name: string): readonly string[] {
  return name === 'iptables-xml' ? ['/usr/bin'] : ['/usr/sbin', '/sbin'];
}

/** What a shim has to know. */
export interface ShimSettings {
  /** Absolute path of bin/iptsim.js. */
  iptsim: string;
  /** Absolute path of the state directory. */
  state: string;
  /** Whether other firewall programs may run: they reach the run's own network namespace only. */
  passOn: boolean;
}

/** A directory of one run, closed to other users. */
export interface RunDirectory {
  path: string;
  /** Shims of all names, for PATH. */
  bin: string;
  socket: string;
  remove(): void;
}

/** Makes the directory and everything in it that enter.sh and the shims need. */
export function makeRunDirectory(settings: ShimSettings): RunDirectory {
  const parent = [process.env.XDG_RUNTIME_DIR, tmpdir()].find(
    // The address of a Unix socket has room for 107 bytes (unix(7)); the paths go into mount options and shell lists.
    (candidate) => candidate !== undefined && /^\/[\w./+-]{0,60}$/.test(candidate) && isDirectory(candidate),
  );
  // mkdtemp makes it with mode 0700.
  const run = mkdtempSync(path.join(parent ?? '/tmp', 'iptsim-run-'));
  const bin = path.join(run, 'bin');
  for (const name of ['bin', 'real', 'over', 'upper']) mkdirSync(path.join(run, name));
  const shim = path.join(run, 'shim');
  writeFileSync(shim, shimText(run, settings));
  chmodSync(shim, 0o755);
  const names = settings.passOn ? TOOL_NAMES : [...TOOL_NAMES, ...OTHER_FIREWALL_NAMES];
  for (const name of names) symlinkSync(shim, path.join(bin, name));
  symlinkSync(shim, path.join(run, 'network-namespace'));
  writePlaces(run, shim, names);
  return {
    path: run,
    bin,
    socket: path.join(run, 'socket'),
    remove: () => rmSync(run, { recursive: true, force: true }),
  };
}

function isDirectory(name: string): boolean {
  try {
    return statSync(name).isDirectory();
  } catch {
    return false;
  }
}

/** Lists for enter.sh: programs to bind the shim over, directories that lack names. */
function writePlaces(run: string, shim: string, names: readonly string[]): void {
  const targets = new Set<string>();
  const directories: string[] = [];
  const real = new Set(PROGRAM_DIRECTORIES.filter(isDirectory).map((name) => realpathSync(name)));
  for (const directory of real) {
    const missing: string[] = [];
    for (const name of [...names, ...MULTI_NAMES]) {
      const program = path.join(directory, name);
      if (!existsSync(program)) {
        const home =
          TOOL_NAMES.includes(name) &&
          homes(name).some((each) => isDirectory(each) && realpathSync(each) === directory);
        if (home) missing.push(name);
        continue;
      }
      const target = realpathSync(program);
      const known = [...names, ...MULTI_NAMES].includes(path.basename(target));
      // A link to a program that does other things too (busybox): only the link itself may be replaced.
      if (known) targets.add(target);
      else missing.push(name);
    }
    if (missing.length === 0) continue;
    const over = path.join(run, 'over', String(directories.length));
    mkdirSync(over);
    chmodSync(over, 0o755);
    for (const name of missing) {
      copyFileSync(shim, path.join(over, name));
      chmodSync(path.join(over, name), 0o755);
    }
    directories.push(`${directories.length} ${directory}\n`);
  }
  writeFileSync(path.join(run, 'targets'), [...targets].map((target) => `${target}\n`).join(''));
  writeFileSync(path.join(run, 'directories'), directories.join(''));
}

/** A file beside bin/iptsim.js. */
export function companion(iptsim: string, name: string): string {
  return path.join(path.dirname(iptsim), name);
}

/** The shim in Perl where there is one, else in sh. */
function shimText(run: string, settings: ShimSettings): string {
  const perl = existsSync('/usr/bin/perl');
  const values: Readonly<Record<string, string>> = {
    RUN: run,
    NODE: process.execPath,
    IPTSIM: settings.iptsim,
    STATE: settings.state,
    REAL: settings.passOn ? '1' : '0',
  };
  const quote = perl
    ? (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`
    : (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  const template = readFileSync(companion(settings.iptsim, perl ? 'shim.pl' : 'shim.sh'), 'utf8');
  return template.replace(/@([A-Z]+)@/g, (_, key: string) => quote(values[key] ?? ''));
}

/** Writes links to iptsim under all emulated names; returns what stands in the way, nothing then being written. */
export function writeLinks(directory: string, iptsim: string): string[] {
  makeDirectory(directory);
  const present = new Set(readdirSync(directory));
  const wrong = TOOL_NAMES.filter((name) => present.has(name) && !pointsTo(path.join(directory, name), iptsim));
  if (wrong.length > 0) return wrong;
  for (const name of TOOL_NAMES) if (!present.has(name)) symlinkSync(iptsim, path.join(directory, name));
  return [];
}

function pointsTo(link: string, file: string): boolean {
  try {
    return realpathSync(link) === file;
  } catch {
    return false;
  }
}
