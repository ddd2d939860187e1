import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { compileCloud, withGroupRules } from '../../src/groups/plan.ts';
import { hasGroups, readCloud } from '../../src/groups/read.ts';
import { planKubernetes } from '../../src/kubernetes/plan.ts';
import { type Conversation, playConversation, type Question, repeatQuestion } from '../../src/network/converse.ts';
import type { ExpectedConversation, NetworkDescription } from '../../src/network/description.ts';
import { judgeConversations } from '../../src/network/expectations.ts';
import { Network } from '../../src/network/network.ts';
import { readNetworkYaml } from '../../src/network/yaml.ts';
import { wellKnownNames } from '../../src/simulation/names.ts';
import { address, cloudArbitrary, describeCloud, PROBES } from './clouds.ts';
import { proveChanges, proveConversations } from './live-agents.ts';
import { type RealAnswer, RealNetwork } from './namespaces.ts';
import { proveFrames } from './prove-frames.ts';
import { proveRouter } from './prove-router.ts';
import { proveServices } from './prove-services.ts';

const HELP = `Builds networks in real network namespaces, puts the same conversations there with real programs, and compares what iptsim says.

  npm run test:cloud -- [--random N] [--seed S] [--variant nft|legacy] [--only-router] [--only-agents] [--only-services] [--record] [NETWORK.yaml...]

Without files the conversations of fixtures/*/network.yaml, then N random clouds (2), N sets of random Kubernetes Services on two nodes (--only-services), ARP over a bridge with the compiled ebtables rules,
agents that change the rules while programs talk (--only-agents: these alone), and the router of fixtures/imported-router, collected and imported (--only-router: this alone; --record: keep what it did in the fixture). Root on Linux with iptables, ipset, br_netfilter and Python 3.
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    random: { type: 'string', default: '2' },
    seed: { type: 'string', default: '1' },
    variant: { type: 'string', default: 'nft' },
    'only-router': { type: 'boolean', default: false },
    'only-agents': { type: 'boolean', default: false },
    'only-services': { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const root = process.env.IPTSIM_ROOT ?? process.cwd();
const variant = values.variant === 'legacy' ? 'legacy' : 'nft';

/** Why the proof cannot be made here; null if it can. */
function unavailable(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'root on Linux is needed';
  for (const tool of [
    'ip',
    `iptables-${variant}-restore`,
    'ipset',
    'ebtables-restore',
    'ethtool',
    'bridge',
    'python3',
    'ping',
    'sysctl',
  ]) {
    if (spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0) return `${tool} is not installed`;
  }
  return existsSync('/proc/sys/net/bridge') ? null : 'the module br_netfilter is not loaded';
}

interface AskedQuestion extends Question {
  /** What the file expects, where it is put several times. */
  repeated?: ExpectedConversation;
}

interface Case {
  name: string;
  description: NetworkDescription;
  questions: AskedQuestion[];
  readFile(name: string): string | null;
  /** One after the other, with the counters of what drops. */
  counters: boolean;
}

function fixtureCases(): Case[] {
  const fixtures = path.join(root, 'fixtures');
  const files =
    positionals.length > 0
      ? positionals
      : readdirSync(fixtures)
          .map((name) => path.join(fixtures, name, 'network.yaml'))
          .filter((file) => existsSync(file));
  return files.map((file) => {
    const { description } = readNetworkYaml(readFileSync(file, 'utf8'), file);
    return {
      name: path.relative(root, file),
      description,
      questions: (description.conversations ?? []).map((expected) => {
        const { from, to, protocol, times } = expected;
        const question = { from, to, protocol: protocol ?? null, family: null };
        return (times ?? 1) > 1 ? { ...question, repeated: expected } : question;
      }),
      readFile: (name) => {
        const beside = path.resolve(path.dirname(file), name);
        return existsSync(beside) ? readFileSync(beside, 'utf8') : null;
      },
      counters: true,
    };
  });
}

function randomCases(): Case[] {
  const seed = Number(values.seed);
  return fc.sample(cloudArbitrary, { numRuns: Number(values.random), seed }).map((cloud, index) => {
    const questions: AskedQuestion[] = [];
    for (let from = 0; from < 4; from++) {
      for (let to = 0; to < 4; to++) {
        if (from === to) continue;
        for (const family of [4, 6] as const) {
          for (const [protocol, port] of PROBES) {
            const target = `[${address(to, family)}]${protocol === 'icmp' ? '' : `:${port}`}`;
            questions.push({ from: `vm${from}`, to: target, protocol, family });
          }
        }
      }
    }
    const name = `random cloud ${index + 1} of seed ${seed}`;
    return { name, description: describeCloud(cloud), questions, readFile: () => null, counters: false };
  });
}

const FIRST_PORT = 30000;
const REPEATED_PORT = 34000;
/** A repeated conversation is had at most so often; ports are counted by it. */
const MOST_TIMES = 200;

async function prove(each: Case, number: number): Promise<string[]> {
  const plain = planKubernetes(each.description, each.readFile);
  const plan = hasGroups(each.description)
    ? withGroupRules(plain, compileCloud(readCloud(each.description, plain)))
    : plain;
  const simulated = new Network(plan, { names: wellKnownNames(), variant, seed: 1 });
  const real = new RealNetwork(plan, variant, number);
  const wrong: string[] = [];
  try {
    await real.start();
    const judge = async (question: AskedQuestion, index: number): Promise<void> => {
      const { repeated } = question;
      const port = FIRST_PORT + index;
      const asked = { ...question, from: `${question.from}:${port}` };
      const found =
        repeated === undefined
          ? await compareOne(real, playConversation(simulated, asked), port, each.counters)
          : await compareRepeated(real, simulated, asked, repeated, REPEATED_PORT + index * MOST_TIMES);
      wrong.push(...found.map((text) => `${question.from} > ${question.to}: ${text}`));
    };
    if (each.counters) {
      for (const [index, question] of each.questions.entries()) await judge(question, index);
    } else {
      const width = 12;
      for (let at = 0; at < each.questions.length; at += width) {
        await Promise.all(each.questions.slice(at, at + width).map((question, index) => judge(question, at + index)));
      }
    }
  } finally {
    real.stop();
  }
  return wrong;
}

/** Puts the question of a conversation that was played to the real hosts. */
function askReally(
  real: RealNetwork,
  { destination, protocol, client }: Conversation,
  source: number,
): Promise<RealAnswer> {
  const match = /^\[?([^\]]*?)\]?(?::(\d+))?$/.exec(destination);
  const target = protocol === 'icmp' ? destination : match![1]!;
  const port = protocol === 'icmp' ? 0 : Number(match![2]);
  return real.ask(client, protocol, target, port, source);
}

/** The same client, though a port that masquerading chose by chance is another one. */
function sameClient(got: string, said: string | undefined, source: number): boolean {
  if (said === undefined || said.endsWith(`:${source}`)) return got === said;
  return addressOf(got) === addressOf(said);
}

const addressOf = (end: string): string => end.replace(/:\d+$/, '');

/** Chance decides who answers: what the file expects must hold for both sides, and all that is seen on one side is seen on the other. */
async function compareRepeated(
  real: RealNetwork,
  simulated: Network,
  question: Question,
  expected: ExpectedConversation,
  port: number,
): Promise<string[]> {
  const from = question.from.replace(/:\d+$/, `:${port}`);
  const said = repeatQuestion({ ...question, from }, expected.times!).map((each) => playConversation(simulated, each));
  const got: RealAnswer[] = [];
  for (const [index, each] of said.entries()) got.push(await askReally(real, each, port + index));
  const really = got.map(({ result, server, seenAs }) => {
    const source = seenAs === null ? null : { source: seenAs, destination: '' };
    return { result, server, seenAs: source, stop: null };
  });
  const ways = (all: readonly { server: string | null; seenAs: { source: string } | null }[]): string =>
    [...new Set(all.map(({ server, seenAs }) => `${server} sees ${addressOf(seenAs?.source ?? '')}`))]
      .sort()
      .join('; ');
  const wrong = judgeConversations({ ...expected, at: null }, really).map((text) => `Linux: ${text}`);
  // Who is the one that stays is a matter of chance.
  if (expected.spread !== 'one' && ways(said) !== ways(really)) {
    wrong.push(`iptsim says ${ways(said)}, Linux ${ways(really)}`);
  }
  wrong.push(...judgeConversations(expected, said).map((text) => `iptsim: ${text}`));
  return wrong;
}

async function compareOne(real: RealNetwork, said: Conversation, source: number, counters: boolean): Promise<string[]> {
  const { destination, stop } = said;
  const isV6 = destination.startsWith('[') || (destination.match(/:/g)?.length ?? 0) > 1;
  const family = isV6 ? 6 : 4;
  const drop = counters && said.result === 'lost' && stop !== null && stop.table !== null ? stop : null;
  const count = (): number =>
    drop === null ? 0 : real.packets(drop.host, family, drop.table!, drop.chain!, drop.rule);
  const before = count();
  const got = await askReally(real, said, source);
  const wrong: string[] = [];
  if (got.result !== said.result) wrong.push(`iptsim says ${said.result}, Linux ${got.result}`);
  if (got.server !== null && got.server !== said.server) {
    wrong.push(`iptsim says ${said.server} answers, Linux ${got.server}`);
  }
  if (got.seenAs !== null && !sameClient(got.seenAs, said.seenAs?.source, source)) {
    wrong.push(`iptsim says it is seen as ${said.seenAs?.source}, Linux ${got.seenAs}`);
  }
  if (drop !== null && !(count() > before)) {
    wrong.push(
      `iptsim says ${drop.host} drops it in ${drop.table} ${drop.chain} (${drop.rule ?? 'policy'}), which counted nothing`,
    );
  }
  return wrong;
}

const CHANGES = 12;

/** The agents' commands with the real tools; returns how many differences there are. */
async function proveAgents(): Promise<number> {
  let failed = 0;
  for (const [what, proof] of [
    ['a change under conversations', () => proveConversations(root, variant, 900)],
    [`changes between ${CHANGES} random clouds`, () => proveChanges(variant, 901, CHANGES, Number(values.seed))],
  ] as const) {
    const { wrong, commands } = await proof();
    failed += wrong.length;
    const result = wrong.length === 0 ? 'as iptsim says' : `${wrong.length} differences`;
    process.stdout.write(`agents, ${what}: ${commands} commands, ${result}\n`);
    for (const text of wrong) process.stdout.write(`  ${text}\n`);
  }
  return failed;
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const why = unavailable();
  if (why !== null) {
    process.stderr.write(`NOT COMPARED WITH THE KERNEL: ${why}\n`);
    return 1;
  }
  let failed = 0;
  let conversations = 0;
  if (values['only-router']) return (await proveRouter(root, values.record)) === 0 ? 0 : 1;
  if (values['only-agents']) return (await proveAgents()) === 0 ? 0 : 1;
  const services = () => proveServices(Number(values.random), Number(values.seed), variant);
  if (values['only-services']) return (await services()).failed === 0 ? 0 : 1;
  const cases = [...fixtureCases(), ...(positionals.length > 0 ? [] : randomCases())];
  for (const [number, each] of cases.entries()) {
    const wrong = await prove(each, number);
    conversations += each.questions.length;
    failed += wrong.length;
    process.stdout.write(
      `${each.name}: ${each.questions.length} conversations, ${wrong.length === 0 ? 'all as iptsim says' : `${wrong.length} differences`}\n`,
    );
    for (const text of wrong) process.stdout.write(`  ${text}\n`);
  }
  if (positionals.length === 0) {
    const random = await services();
    conversations += random.conversations;
    failed += random.failed;
  }
  if (positionals.length === 0)
    failed += proveFrames() + (await proveAgents()) + (await proveRouter(root, values.record));
  process.stdout.write(`${cases.length} networks, ${conversations} conversations, ${failed} differences\n`);
  return failed === 0 ? 0 : 1;
}

main().then(
  (status) => process.exit(status),
  (error: Error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  },
);
