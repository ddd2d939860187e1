// Enforces the direction of imports between the rooms of src/, and that only the edges touch node: modules.
// Type-only imports are free: they vanish at run time.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

const root = new URL('../../src/', import.meta.url).pathname;

/** Rooms from which each room may import values. A room may always import from itself. */
const allowed = {
  packet: [],
  host: ['packet'],
  conntrack: ['packet', 'datapath'],
  ipset: ['packet', 'datapath'],
  nat: ['packet', 'conntrack', 'datapath'],
  ruleset: ['packet', 'datapath'],
  extensions: ['packet', 'ruleset', 'datapath', 'conntrack', 'syntax', 'trace', 'ipset'],
  syntax: ['packet', 'ruleset', 'extensions', 'datapath'],
  datapath: ['packet', 'host', 'conntrack', 'nat', 'ruleset', 'extensions', 'syntax', 'trace', 'ipset'],
  trace: ['packet', 'datapath', 'conntrack', 'ruleset', 'syntax', 'extensions', 'host'],
  capture: ['packet'],
  queue: ['packet', 'datapath', 'conntrack'],
  check: ['packet', 'datapath', 'trace', 'ruleset', 'syntax', 'extensions', 'host', 'conntrack'],
  analysis: ['packet', 'ruleset', 'syntax', 'extensions', 'datapath', 'trace', 'host'],
  collected: ['packet', 'host'],
  network: [
    'packet',
    'collected',
    'host',
    'datapath',
    'trace',
    'ruleset',
    'syntax',
    'extensions',
    'capture',
    'conntrack',
    'nat',
    'ipset',
  ],
  simulation: ['packet', 'host', 'ipset', 'ruleset', 'extensions', 'syntax', 'datapath', 'trace'],
  groups: ['packet', 'ruleset', 'syntax', 'extensions', 'network', 'host', 'datapath', 'ipset'],
  kubernetes: ['packet', 'host', 'network'],
  clouds: ['packet', 'host', 'kubernetes'],
  state: ['packet', 'ruleset', 'syntax', 'extensions', 'datapath', 'ipset', 'conntrack', 'host'],
  cli: null,
};
/** Modules for people and files, not for the core. */
const edge = new Set(['cli', 'state', 'capture', 'queue']);

const problems = [];
for (const file of readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()) {
  if (!file.endsWith('.ts') || file.endsWith('.test.ts')) continue;
  const room = file.includes('/') ? file.split('/')[0] : null;
  const text = readFileSync(path.join(root, file), 'utf8');
  for (const match of text.matchAll(/^\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)';/gm)) {
    const [, typeOnly, target] = match;
    if (target.startsWith('node:')) {
      if (room !== null && !edge.has(room)) problems.push(`src/${file}: ${room} may not import ${target}`);
      continue;
    }
    if (typeOnly || !target.startsWith('.') || room === null || allowed[room] === null) continue;
    const other = path.relative(root, path.resolve(root, path.dirname(file), target)).split(path.sep)[0];
    if (other === room) continue;
    if (!(allowed[room] ?? []).includes(other))
      problems.push(`src/${file}: ${room} may not import ${other} (${target})`);
  }
}
for (const problem of problems) console.error(problem);
if (problems.length > 0) {
  console.error(`${problems.length} imports against the direction of the rooms (test/architecture/layers.js)`);
  process.exit(1);
}
