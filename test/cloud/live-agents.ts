import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import fc from 'fast-check';
import { writeHostFiles } from '../../src/cli/agents/out.ts';
import { agentSteps, survey } from '../../src/cli/agents/run.ts';
import { stepCommands } from '../../src/cli/agents/show.ts';
import type { Io } from '../../src/cli/io.ts';
import type { LoadedCloud } from '../../src/cli/network/groups.ts';
import { STAGES } from '../../src/groups/agent/stages.ts';
import { readCloud } from '../../src/groups/read.ts';
import type { NetworkDescription } from '../../src/network/description.ts';
import { planNetwork } from '../../src/network/plan.ts';
import { readNetworkYaml } from '../../src/network/yaml.ts';
import { readStateFile } from '../../src/state/files.ts';
import { cloudArbitrary, describeCloud } from './clouds.ts';
import { ECHO, KNOCK, TALK } from './lasting-programs.ts';
import { RealNetwork } from './namespaces.ts';

// The agents' commands, given to the real tools step by step while real programs talk.

function ioOf(variant: 'legacy' | 'nft'): Io {
  return {
    out() {},
    err() {},
    readStdin: () => '',
    env: {},
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    directory: '',
    variant,
    hints: false,
  };
}

function load(description: NetworkDescription): LoadedCloud {
  const file = { description, located: (error: Error) => error };
  const plan = planNetwork(description, () => null);
  return { file: file as unknown as LoadedCloud['file'], plan, cloud: readCloud(description, plan) };
}

/** Rules and sets as they may be compared: no counters, no comments, sets in the order of names. */
function comparable(rules: string): string {
  return rules
    .split('\n')
    .filter((line) => !line.startsWith('#') && line !== '')
    .map((line) => line.replace(/^\[\d+:\d+\] /, '').replace(/ \[\d+:\d+\]$/, ''))
    .join('\n');
}

function comparableSets(text: string): string {
  return text
    .split('\n')
    .map((line) => line.replace(/ (hashsize|bucketsize|initval) \S+/g, ''))
    .sort()
    .join('\n');
}

/** Simulated hosts and real ones, changed by the same commands. */
class Both {
  readonly #real: RealNetwork;
  readonly #variant: 'legacy' | 'nft';
  readonly #state = mkdtempSync(path.join(tmpdir(), 'iptsim-agents-'));
  commands = 0;

  constructor(real: RealNetwork, variant: 'legacy' | 'nft') {
    this.#real = real;
    this.#variant = variant;
  }

  /**
   * Brings both to a cloud, one command after the other; `between` is called after each. Returns what differs in the end.
   *
   * @param most the agents die after so many commands
   */
  async step(
    loaded: LoadedCloud,
    between: (step: string) => Promise<void>,
    most = Number.POSITIVE_INFINITY,
  ): Promise<string[]> {
    const found = survey(loaded, this.#state, null, ioOf(this.#variant), null);
    const out = path.join(this.#state, 'out');
    writeHostFiles(loaded, found, out);
    // Only the real hosts know of the programs' connections.
    const forget = (): void => {
      for (const { host } of found.busy) {
        this.#real.exec(host.name, ['sh', '-c', `cd ${path.join(out, host.name)} && sh forget.sh`]);
      }
    };
    let stage = 'close';
    let count = 0;
    for (const step of agentSteps(found.busy)) {
      if (count++ >= most) break;
      if (stage === 'close' && step.stage !== 'close') forget();
      stage = step.stage;
      await step.host.host.run(step.command, step.stale);
      for (const { command, input } of stepCommands(step)) {
        const [tool, ...rest] = command.split(' ');
        const name = /restore$/.test(tool!) ? tool!.replace('tables-', `tables-${this.#variant}-`) : tool!;
        this.#real.exec(step.host.host.name, [name, ...rest], input);
        this.commands++;
        await between(`${step.host.host.name} ${step.stage}: ${command}`);
      }
    }
    if (stage === 'close') forget();
    return found.hosts.flatMap(({ name, directory }) => this.#differences(name, directory));
  }

  /** Brings both to a cloud, the real hosts by the scripts that `--out` writes. */
  async script(loaded: LoadedCloud, between: (step: string) => Promise<void>): Promise<string[]> {
    const found = survey(loaded, this.#state, null, ioOf(this.#variant), null);
    const out = path.join(this.#state, 'out');
    writeHostFiles(loaded, found, out);
    for (const step of agentSteps(found.busy)) await step.host.host.run(step.command, step.stale);
    for (const { host } of found.busy) {
      const file = path.join(out, host.name, 'apply.sh');
      writeFileSync(file, readFileSync(file, 'utf8').replaceAll('tables-restore', `tables-${this.#variant}-restore`));
    }
    for (const stage of STAGES) {
      for (const { host } of found.busy) {
        this.#real.exec(host.name, ['sh', path.join(out, host.name, 'apply.sh'), stage]);
        this.commands++;
        await between(`${host.name}: apply.sh ${stage}`);
      }
    }
    return found.hosts.flatMap(({ name, directory }) => this.#differences(name, directory));
  }

  #differences(host: string, directory: string): string[] {
    const text = (name: string): string => readStateFile(directory, name) ?? '';
    const save = (tool: string): string => comparable(this.#real.exec(host, [`${tool}-${this.#variant}-save`]));
    const pairs: [string, string, string][] = [
      ['rules.v4', comparable(text('rules.v4')), save('iptables')],
      ['rules.v6', comparable(text('rules.v6')), save('ip6tables')],
      ['ipsets', comparableSets(text('ipsets')), comparableSets(this.#real.exec(host, ['ipset', 'save']))],
    ];
    return pairs
      .filter(([, simulated, real]) => simulated !== real)
      .map(([name, simulated, real]) => `${host}: ${name} is\n${firstDifference(simulated, real)}`);
  }

  stop(): void {
    rmSync(this.#state, { recursive: true, force: true });
  }
}

function firstDifference(simulated: string, real: string): string {
  const [a, b] = [simulated.split('\n'), real.split('\n')];
  const at = a.findIndex((line, index) => line !== b[index]);
  return `    iptsim ${a[at] ?? '(nothing)'}\n    Linux  ${b[at] ?? '(nothing)'}`;
}

/** A program with whom one speaks by lines. */
class Talker {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  /** The next line; null where the program has ended. */
  async heard(): Promise<string | null> {
    const { value, done } = await this.#lines.next();
    return done ? null : value;
  }

  ask(line: string): Promise<string | null> {
    this.#child.stdin!.write(`${line}\n`);
    return this.heard();
  }
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * The cloud of fixtures/cloud-two-hosts: web2 leaves Tomcat's group, its rules change, batch moves to the other host; meanwhile programs talk.
 * Returns what went wrong.
 */
export async function proveConversations(
  root: string,
  variant: 'legacy' | 'nft',
  number: number,
): Promise<{ wrong: string[]; commands: number }> {
  const file = path.join(root, 'fixtures/cloud-two-hosts/network.yaml');
  const text = readFileSync(file, 'utf8').replaceAll(/^ {4}listen: .*\n/gm, '');
  const changed = text
    .replace(
      '{ protocol: tcp, ports: 8080, remote: 0.0.0.0/0 }',
      '{ protocol: tcp, ports: 8000-8100, remote: 0.0.0.0/0 }',
    )
    .replace(
      '{ protocol: tcp, ports: 3306, remote_group: A }',
      '{ protocol: tcp, ports: 3000-3400, remote: 172.16.0.11/32 }',
    )
    .replace(/(web2:[\s\S]*?groups: )\[A\]/, '$1[B]');
  const [before, after] = [text, changed].map((each) => load(readNetworkYaml(each, file).description));
  const real = new RealNetwork(before!.plan, variant, number);
  const both = new Both(real, variant);
  const wrong: string[] = [];
  try {
    await real.start();
    for (const vm of ['web', 'db', 'web2']) {
      const echo = new Talker(real.spawn(vm, ['python3', '-c', ECHO, '22', '3306', '8080']));
      await echo.heard();
    }
    wrong.push(...(await both.step(before!, async () => {})));
    const talk = (from: string, address: string, port: number): Talker =>
      new Talker(real.spawn(from, ['python3', '-c', TALK, address, String(port)]));
    const lasting = new Map<string, Talker>([
      ['web > db:3306', talk('web', '172.16.0.12', 3306)],
      ['customer > web:8080', talk('customer', '172.16.0.11', 8080)],
      ['admin > db:22', talk('admin', '172.16.0.12', 22)],
    ]);
    const ending = talk('web2', '172.16.0.12', 3306);
    const knocks = new Map(
      (
        [
          ['batch > db:3306', 'batch', '172.16.0.12', 3306],
          ['customer > db:3306', 'customer', '172.16.0.12', 3306],
          ['customer > web:22', 'customer', '172.16.0.11', 22],
          ['web > web2:22', 'web', '172.16.0.13', 22],
        ] as const
      ).map(([name, from, address, port]) => [
        name,
        new Talker(real.spawn(from, ['python3', '-c', KNOCK, address, String(port)])),
      ]),
    );
    for (const [name, each] of [...lasting, ['web2 > db:3306', ending] as const]) {
      if ((await each.heard()) !== 'connected') wrong.push(`${name}: does not connect before the change`);
    }
    const echoes = new Map<string, number>();
    const listen = async (step: string): Promise<void> => {
      await pause(250);
      for (const [name, each] of lasting) {
        const [count, again] = ((await each.ask('count')) ?? '0 0').split(' ').map(Number);
        if (count! <= (echoes.get(name) ?? 0)) wrong.push(`after ${step}: ${name} is silent`);
        if (again! > 0) wrong.push(`after ${step}: ${name} had to send ${again} packets again`);
        echoes.set(name, count!);
      }
    };
    await listen('the beginning');
    wrong.push(...(await both.step(after!, listen)));
    const cut = Number((await ending.ask('count'))?.split(' ')[0] ?? 0);
    await pause(500);
    const later = Number((await ending.ask('count'))?.split(' ')[0] ?? 0);
    if (later > cut) wrong.push(`web2 > db:3306 goes on: ${later - cut} echoes after the change`);
    for (const [name, each] of knocks) {
      const [tries, through] = ((await each.ask('end')) ?? '0 0').split(' ').map(Number);
      if (tries! < 5 || through! > 0) wrong.push(`${name}: ${through} of ${tries} attempts got through`);
    }
    // Back again, by the scripts that real hosts would be given.
    wrong.push(...(await both.script(before!, listen)));
  } finally {
    real.stop();
    both.stop();
  }
  return { wrong, commands: both.commands };
}

/** Changes between random clouds: the real tools take all commands and have in the end what the simulated ones have. */
export async function proveChanges(
  variant: 'legacy' | 'nft',
  number: number,
  count: number,
  seed: number,
): Promise<{ wrong: string[]; commands: number }> {
  const clouds = fc.sample(cloudArbitrary, { numRuns: count, seed }).map((cloud) => load(describeCloud(cloud)));
  const real = new RealNetwork(clouds[0]!.plan, variant, number);
  const both = new Both(real, variant);
  const wrong: string[] = [];
  try {
    await real.start();
    for (const [index, cloud] of clouds.entries()) {
      // Every third change is cut off somewhere; the next one starts from what there is.
      const most = index % 3 === 1 ? index : Number.POSITIVE_INFINITY;
      wrong.push(
        ...(await both.step(cloud, async () => {}, most)).map((text) => `cloud ${index + 1} of seed ${seed}: ${text}`),
      );
    }
  } finally {
    real.stop();
    both.stop();
  }
  return { wrong, commands: both.commands };
}
