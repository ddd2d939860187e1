import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { FIXTURES, iptsim, ROOT } from '../fixtures/run.ts';

/** One DNS filter in all the ways in which a handler can be written, and the types for those who write one in TypeScript. */
const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-examples-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const FILTER = path.join(FIXTURES, 'dns-filter');

/** Where libnetfilter_queue is missing, two of them cannot run. */
function library(): boolean {
  const built = spawnSync('cc', [
    '-o',
    path.join(folder, 'filter'),
    path.join(FILTER, 'filter.c'),
    '-lnetfilter_queue',
  ]);
  if (built.status !== 0) console.warn('SKIPPED: examples of libnetfilter_queue: no C compiler, or no such library');
  return built.status === 0;
}

const ways: [string, string][] = [
  ['a module', path.join(FILTER, 'filter.mjs')],
  ['a program of JSON lines', `python3 ${path.join(FILTER, 'lines.py')}`],
];
if (library()) {
  ways.push(['a program of libnetfilter_queue in C', `iptsim queue run -- ${path.join(folder, 'filter')}`]);
  ways.push([
    'a program of libnetfilter_queue in Python',
    `iptsim queue run -- python3 ${path.join(FILTER, 'filter.py')}`,
  ]);
}

describe('a DNS filter', () => {
  test.each(ways)('%s', (_name, handler) => {
    const files = ['--host', path.join(FILTER, 'host.yaml'), '--rules', path.join(FILTER, 'rules.v4')];
    const args = ['trace', ...files, '--queue', `53=${handler}`, '--json', path.join(FILTER, 'packets.txt')];
    const { status, stdout, stderr } = iptsim(args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const lines = stdout.trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { verdict: string }).verdict)).toEqual(['dropped', 'forwarded']);
  });
});

test('a handler that fails ends the trace with status 1 and one line', () => {
  writeFileSync(path.join(folder, 'loop.mjs'), 'export default () => { for (;;); }');
  const files = ['--host', path.join(FILTER, 'host.yaml'), '--rules', path.join(FILTER, 'rules.v4')];
  const handler = path.join(folder, 'loop.mjs');
  const limit = ['--queue-timeout', '0.3'];
  const { status, stderr } = iptsim([
    'trace',
    ...files,
    '--queue',
    `53=${handler}`,
    ...limit,
    path.join(FILTER, 'packets.txt'),
  ]);
  expect(stderr).toBe(
    `iptsim trace: --queue 53=${handler}: packet 1 (id 1): no answer within 0.3 s (--queue-timeout)\n`,
  );
  expect(status).toBe(1);
});

/** Type-checks a module that imports the package. */
function typeChecked(text: string): string {
  writeFileSync(path.join(folder, 'handler.ts'), text);
  const compilerOptions = {
    strict: true,
    noEmit: true,
    module: 'NodeNext',
    target: 'ES2023',
    types: [],
    allowImportingTsExtensions: true,
    paths: { iptsim: [path.join(ROOT, 'src/index.ts')] },
  };
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['handler.ts'] }));
  const tsc = path.join(ROOT, 'node_modules/typescript/bin/tsc');
  return spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' }).stdout;
}

test('the types of the package know what a handler may do', () => {
  const told = typeChecked(`
import type { HandlerAnswer, HandlerPacket, ModulePacket, QueueHandler } from 'iptsim';
const first: QueueHandler = (packet) => (packet.mark === 0 ? { verdict: 'repeat', mark: 1 } : 'accept');
const second: QueueHandler = async ({ bytes, conntrack }: ModulePacket): Promise<HandlerAnswer> => ({
  verdict: 'queue:7',
  payload: bytes.subarray(0, 20),
  conntrack: { mark: conntrack?.mark ?? 0, labels: '00'.repeat(16) },
  release: [{ id: 1, verdict: 'accept' }],
});
const third = (packet: HandlerPacket): string => packet.hook.toLowerCase();
// @ts-expect-error no such verdict
const wrong: QueueHandler = () => 'pass';
export default { first, second, third, wrong };
`);
  expect(told).toBe('');
});
