import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { ImportedRouter, type Recorded, ROUTE_QUESTIONS } from './imported.ts';
import { LiveRouter } from './live-router.ts';

/**
 * Builds the router of fixtures/imported-router in namespaces, collects it with the shipped script, imports what that made, and compares:
 * frames that leave because of each packet, and routes as `ip route get` has them.
 *
 * @param record keeps what was collected and what the kernel did in the fixture
 * @returns number of differences
 */
export async function proveRouter(root: string, record: boolean): Promise<number> {
  const fixture = path.join(root, 'fixtures/imported-router');
  const text = readFileSync(path.join(fixture, 'sent.txt'), 'utf8');
  const live = new LiveRouter(root);
  try {
    const played = await live.play(text);
    const imported = new ImportedRouter(live.collected, played[0]!.time);
    const wrong = imported.compare(text, played);
    const routes = Object.fromEntries(ROUTE_QUESTIONS.map((words) => [words, live.routeGet(words)]));
    for (const [words, answer] of Object.entries(routes)) {
      const said = imported.routeGet(words);
      if (said !== answer) wrong.push(`ip route get ${words}\n  Linux:  ${answer}\n  iptsim: ${said}`);
    }
    process.stdout.write(
      `imported router: ${played.length} packets, ${ROUTE_QUESTIONS.length} routes, ${wrong.length === 0 ? 'all as iptsim says' : `${wrong.length} differences`}\n`,
    );
    for (const each of wrong) process.stdout.write(`  ${each.replaceAll('\n', '\n  ')}\n`);
    if (record) {
      const collected = path.join(fixture, 'collected');
      rmSync(collected, { recursive: true, force: true });
      mkdirSync(collected);
      cpSync(live.collected, collected, { recursive: true });
      const recorded: Recorded = { played, routes };
      writeFileSync(path.join(fixture, 'kernel.json'), `${JSON.stringify(recorded, null, 1)}\n`);
    }
    return wrong.length;
  } finally {
    live.stop();
  }
}
