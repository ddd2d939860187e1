import { Command, InvalidArgumentError, Option } from 'commander';
import { type Conversation, playConversation, type Question, repeatQuestion } from '../../network/converse.ts';
import { type ExpectedConversation, NetworkError } from '../../network/description.ts';
import { checkExpectation, judgeConversations } from '../../network/expectations.ts';
import type { Network } from '../../network/network.ts';
import type { NetworkPlan } from '../../network/plan.ts';
import { conversationObject } from '../../network/report-json.ts';
import { conversationText, resultText } from '../../network/report-text.ts';
import { type NetworkFile, NetworkFileError } from '../../network/yaml.ts';
import { StateError } from '../../state/files.ts';
import { PLAIN } from '../../trace/reporters/text-layout.ts';
import type { Command as CliCommand, Io } from '../io.ts';
import { planWithGroups } from '../network/groups.ts';
import { located, readNetworkFile, startNetwork } from '../network/load.ts';
import { captureLinks } from '../network/pcap.ts';
import { commitState, withState } from '../network/state.ts';
import { runAction } from '../own-command.ts';
import { palette } from '../trace/palette.ts';

const WIDTH = 100;

const EXAMPLES = `
Examples:
  A conversation through two translations, and back:
    iptsim net trace fixtures/two-nats/network.yaml --from laptop --to 163.com:443
  Hooks, tables and rules of every host on the way:
    iptsim net trace fixtures/two-nats/network.yaml --from laptop --to 163.com:443 --verbose
  What the file itself expects:
    iptsim net check fixtures/two-nats/network.yaml

docs/networks.md describes the file.
Exit status: 0 done (check: all hold); 1 (check) something does not hold;
2 wrong usage, or a file is wrong.
`;

interface TraceFlags {
  from: string;
  to: string;
  protocol?: 'tcp' | 'udp' | 'icmp';
  ipv6?: boolean;
  json?: boolean;
  writePcap?: string;
  verbose?: boolean;
  state?: string;
  commit?: boolean;
  seed: number;
  color: boolean;
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('a whole number is needed.');
  return Number(text);
}

/** `iptsim net`. */
export const net: CliCommand = async (_name, args, io) => {
  let status = 0;
  const program = new Command('iptsim net')
    .description('Conversations through networks of simulated hosts.')
    .addHelpText('after', EXAMPLES);
  program
    .command('trace')
    .description('follows a conversation through every host and back')
    .argument('<file>', 'a network.yaml')
    .requiredOption('--from <host[:port]>', 'who speaks first')
    .requiredOption('--to <name[:port]>', 'a host, a name or an address; without a port: echo requests')
    .addOption(new Option('--protocol <name>', 'default tcp with a port').choices(['tcp', 'udp', 'icmp']))
    .option('-6, --ipv6', 'to the IPv6 address of a name')
    .option('--json', 'one JSON object')
    .option('--write-pcap <dir>', 'write what crosses each link, one capture for each')
    .option('-v, --verbose', 'hooks, tables and rules of every host')
    .option(
      '--state <dir>',
      'hosts with a state directory DIR/HOST have the rules, sets and connections that are there',
    )
    .option('--commit', 'write back to these what the conversation has changed')
    .option('--seed <n>', 'seed of the random generators', wholeNumber, 1)
    .option('--no-color', 'no colours')
    .addHelpText('after', EXAMPLES)
    .action((file: string, flags: TraceFlags) => trace(file, flags, io));
  program
    .command('check')
    .description('checks the conversations that the file expects')
    .argument('<file>', 'a network.yaml')
    .option('--json', 'one JSON object')
    .option('--seed <n>', 'seed of the random generators', wholeNumber, 1)
    .addHelpText('after', EXAMPLES)
    .action((file: string, flags: CheckFlags) => {
      status = check(file, flags, io);
    });
  return runAction(program, args, io, () => status, [NetworkFileError, QuestionError, StateError]);
};

function trace(name: string, flags: TraceFlags, io: Io): void {
  const file = readNetworkFile(name);
  if (flags.commit && flags.state === undefined) throw new QuestionError('--commit needs --state');
  const plan = planned(file, name, io);
  const network = startNetwork(file, flags.state === undefined ? plan : withState(plan, flags.state), io, flags.seed);
  const close = flags.writePcap === undefined ? () => {} : captureLinks(network, flags.writePcap);
  const family = flags.ipv6 ? 6 : null;
  const conversation = ask(
    network,
    file,
    { from: flags.from, to: flags.to, protocol: flags.protocol ?? null, family },
    null,
  );
  close();
  if (flags.commit) commitState(network, flags.state!);
  if (flags.json) io.out(`${JSON.stringify(conversationObject(conversation))}\n`);
  else {
    const colours = palette(flags.color && io.stdoutIsTerminal, io.env);
    io.out(
      conversationText(conversation, network, { palette: colours, verbose: flags.verbose ?? false, width: WIDTH }),
    );
  }
}

/** The plan of a file; what of live machines in it is not as there is told once. */
function planned(file: NetworkFile, name: string, io: Io): NetworkPlan {
  const plan = planWithGroups(file, name);
  for (const note of plan.notes ?? []) io.err(`iptsim net: ${note}\n`);
  return plan;
}

/** Words on the command line that name nothing in the network. */
class QuestionError extends Error {}

/** Plays a conversation; what cannot be asked is the fault of the entry at `path`, or without one of the command line. */
function ask(
  network: Network,
  file: NetworkFile,
  question: Question,
  path: readonly (string | number)[] | null,
): Conversation {
  try {
    return playConversation(network, question);
  } catch (error) {
    if (!(error instanceof NetworkError)) throw error;
    if (error.path.length > 0) throw file.located(error);
    if (path === null) throw new QuestionError(error.message);
    throw file.located(new NetworkError(path, error.message));
  }
}

interface CheckFlags {
  seed: number;
  json?: boolean;
}

/** Every conversation meets the network as it is switched on: they do not depend on each other. */
function check(name: string, { seed, json }: CheckFlags, io: Io): number {
  const file = readNetworkFile(name);
  const plan = planned(file, name, io);
  const expected = file.description.conversations ?? [];
  if (expected.length === 0) throw new NetworkFileError(`${name}: no conversations to check`);
  const results: object[] = [];
  let failed = 0;
  expected.forEach((each: ExpectedConversation, index) => {
    located(file, () => checkExpectation(each, index));
    const network = startNetwork(file, plan, io, seed);
    const protocol = each.protocol ?? null;
    const question = { from: each.from, to: each.to, protocol, family: null };
    const conversations = repeatQuestion(question, each.times ?? 1).map((again) =>
      ask(network, file, again, ['conversations', index]),
    );
    const wrong = judgeConversations(each, conversations);
    const last = conversations.at(-1)!;
    results.push({ from: each.from, to: each.to, holds: wrong.length === 0, wrong, last: conversationObject(last) });
    if (wrong.length === 0) return;
    failed++;
    if (json) return;
    io.out(`${each.from} > ${each.to}: ${wrong.join('; ')}\n  => ${resultText(last, PLAIN)}\n`);
  });
  if (json) io.out(`${JSON.stringify({ conversations: results, failed })}\n`);
  else io.out(`${expected.length} conversations: ${failed === 0 ? 'all hold' : `${failed} do not hold`}\n`);
  return failed === 0 ? 0 : 1;
}
