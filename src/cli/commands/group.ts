import { Command, CommanderError, Option } from 'commander';
import { CLOUD_KINDS } from '../../clouds/import.ts';
import { decisionText, whoCanReach, whoCanReachText } from '../../groups/answers.ts';
import { groupMatrix, matrixText } from '../../groups/matrix.ts';
import type { Cloud, Service } from '../../groups/model.ts';
import { withGroupRules } from '../../groups/plan.ts';
import { decide, type End } from '../../groups/reach.ts';
import { protocolText, readService } from '../../groups/service-text.ts';
import { playConversation } from '../../network/converse.ts';
import { NetworkError } from '../../network/description.ts';
import { stopText } from '../../network/report-text.ts';
import { NetworkFileError } from '../../network/yaml.ts';
import { formatAddress, parseAddress } from '../../packet/address-text.ts';
import { nearest } from '../../packet/notation/error.ts';
import { StateError } from '../../state/files.ts';
import { AgentError } from '../agents/host.ts';
import type { Command as CliCommand, Io } from '../io.ts';
import { compileLoaded, GroupUsageError, type LoadedCloud, loadCloud } from '../network/groups.ts';
import { startNetwork } from '../network/load.ts';
import { type ApplyFlags, apply } from './group-apply.ts';
import { type CompileFlags, compile } from './group-compile.ts';
import { type ImportFlags, importFiles } from './group-import.ts';

const EXAMPLES = `
Examples:
  What each host's agent loads, as files:
    iptsim group compile --file fixtures/cloud-two-hosts/network.yaml --out rules
  Who reaches the database:
    iptsim group who-can-reach db:3306 --file fixtures/cloud-two-hosts/network.yaml
  Which rule allows it, or what all rules miss:
    iptsim group explain web db tcp/3306 --file fixtures/cloud-two-hosts/network.yaml
  Which group reaches which, on which ports:
    iptsim group matrix --file fixtures/cloud-two-hosts/network.yaml
  The groups of AWS, OpenStack or Kubernetes (NetworkPolicy) as a network.yaml:
    iptsim group import fixtures/group-imports/aws-groups.json > groups.yaml

docs/groups.md describes groups. Exit status: 0 done (explain: allowed); 1 the
file is wrong, or (explain) refused; 2 wrong usage.
`;

/** `iptsim group`. */
export const group: CliCommand = async (_name, args, io) => {
  let status = 0;
  const output = { writeOut: io.out, writeErr: io.err };
  const program = new Command('iptsim group')
    .description('Security groups: the rules that hosts load for them, and who reaches whom.')
    .addHelpText('after', EXAMPLES);
  const add = (usage: string, description: string): Command =>
    program
      .command(usage)
      .description(description)
      .option('-f, --file <file>', 'the network', 'network.yaml')
      .addHelpText('after', EXAMPLES);
  add(
    'compile',
    "prints the texts for every host's ipset restore, iptables-restore, ip6tables-restore, ebtables-restore",
  )
    .option('--host <name>', 'of this host only')
    .option('--changed-from <file>', 'of the hosts alone that depend on what changed since this older network')
    .option('--out <dir>', 'write DIR/HOST/ipsets, rules.v4, rules.v6 and ebtables instead')
    .action((flags: CompileFlags) => compile(flags, io));
  add('who-can-reach <service>', 'lists who may start VM:PORT (tcp), VM:PORT/udp, or VM (echo request)')
    .option('-6, --ipv6', 'over IPv6')
    .action((service: string, flags: AskFlags) => tellReachers(service, flags, io));
  add('matrix', 'tells which group reaches which, on which ports').action((flags: AskFlags) => {
    io.out(matrixText(groupMatrix(loadCloud(flags.file).cloud)));
  });
  add(
    'explain <from> <to> <service>',
    'tells which rule allows tcp/3306, udp/53, icmp, ... between two machines or addresses',
  )
    .option('-6, --ipv6', 'over IPv6')
    .action((from: string, to: string, service: string, flags: AskFlags) => {
      status = explain(from, to, service, flags, io);
    });
  add(
    'apply [file]',
    "brings all hosts from the rules that they have to those that the groups declare, as each host's agent would",
  )
    .requiredOption('--state <dir>', "the hosts' state directories are DIR/HOST")
    .option('--host <name>', 'this host only')
    .option('--out <dir>', 'write what real hosts would be given: DIR/HOST/apply.sh and its files')
    .option('--dry-run', 'show the commands, change nothing')
    .option('--verify', 'trace packets between the steps: none forbidden passes, no established connection breaks')
    .option('--full', 'show all lines of long commands')
    .option('--json', 'one JSON object a line for each command')
    .action(async (file: string | undefined, flags: ApplyFlags) => {
      status = await apply({ ...flags, file: file ?? flags.file }, io);
    });
  program
    .command('import <files...>')
    .description(
      'writes as a network.yaml what aws ec2 describe-security-groups, openstack security group ... -f json, or kubectl get networkpolicies,pods,namespaces -o yaml printed',
    )
    .addOption(new Option('--kind <kind>', 'what the files are (default: what they look like)').choices(CLOUD_KINDS))
    .option('--out <file>', 'write this file instead of standard output')
    .option('--strict', 'end with 1 if anything could not be said as it was')
    .addHelpText('after', EXAMPLES)
    .action((files: string[], flags: ImportFlags) => {
      status = importFiles(files, flags, io);
    });
  for (const command of [program, ...program.commands]) command.configureOutput(output).exitOverride();
  try {
    await program.parseAsync(args as string[], { from: 'user' });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const isKnown = [NetworkFileError, GroupUsageError, AgentError, StateError].some((kind) => error instanceof kind);
    if (!isKnown) throw error;
    io.err(`iptsim group: ${(error as Error).message}\n`);
    return error instanceof GroupUsageError ? 2 : 1;
  }
};

interface AskFlags {
  file: string;
  ipv6?: boolean;
}

function tellReachers(text: string, flags: AskFlags, io: Io): void {
  const { cloud } = loadCloud(flags.file);
  const match = /^([^:]+)(?::(\d+)(?:\/(\w+))?)?$/.exec(text);
  if (match === null) throw new GroupUsageError(`"${text}" is no service: write VM:PORT, VM:PORT/udp, or VM`);
  const [, vm, port, protocol] = match;
  const to = endOf(cloud, vm!, flags.ipv6 ? 6 : 4);
  if (to.port === null) throw new GroupUsageError(`${vm} is no machine of this cloud`);
  const service = serviceOf(port === undefined ? 'icmp' : `${protocol ?? 'tcp'}/${port}`, to.family);
  io.out(whoCanReachText(to, service, whoCanReach(cloud, to, service)));
}

function explain(from: string, to: string, text: string, flags: AskFlags, io: Io): number {
  const loaded = loadCloud(flags.file);
  const family = flags.ipv6 || from.includes(':') || to.includes(':') ? 6 : 4;
  const [sender, receiver] = [endOf(loaded.cloud, from, family), endOf(loaded.cloud, to, family)];
  const service = serviceOf(text, family);
  const decision = decide(loaded.cloud, sender, receiver, service);
  io.out(decisionText(sender, receiver, service, decision));
  if (sender.port !== null && receiver.port !== null) io.out(`  ${played(loaded, sender, receiver, service, io)}\n`);
  return decision.allowed ? 0 : 1;
}

/** The same put to the compiled rules: the first packet goes through the simulated hosts. */
function played(loaded: LoadedCloud, from: End, to: End, service: Service, io: Io): string {
  const protocol = service.icmp === null ? protocolText(service.protocol) : 'icmp';
  const echo =
    service.icmp === null || ((service.icmp.type === 8 || service.icmp.type === 128) && service.icmp.code === 0);
  if ((protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'icmp') || !echo)
    return `not played: no conversation of ${protocol}`;
  const network = startNetwork(loaded.file, withGroupRules(loaded.plan, compileLoaded(loaded)), io, 1);
  const address = formatAddress(to.family, to.address);
  const target = service.port === null ? address : `[${address}]:${service.port}`;
  try {
    const { seenAs, stop } = playConversation(network, {
      from: from.port!.vm,
      to: target,
      protocol,
      family: to.family,
    });
    if (seenAs !== null) return 'played: the compiled rules let it through';
    return `played: lost at ${stop!.host}: ${stopText(stop!)}`;
  } catch (error) {
    if (error instanceof NetworkError) return `not played: ${error.message}`;
    throw error;
  }
}

/** A machine of the cloud by its name, or an address; one that a machine has is that machine's. */
function endOf(cloud: Cloud, text: string, family: 4 | 6): End {
  const literal = parseAddress(text);
  if (literal !== null) {
    const same = (address: ArrayLike<number>): boolean => literal.words.every((word, i) => word === address[i]);
    const port = cloud.ports.find(({ addresses }) =>
      addresses.some((prefix) => prefix.family === literal.family && same(prefix.address)),
    );
    return { port: port ?? null, family: literal.family, address: literal.words };
  }
  const port = cloud.ports.find(({ vm }) => vm === text);
  if (port === undefined) {
    const near = nearest(
      text,
      cloud.ports.map(({ vm }) => vm),
    );
    throw new GroupUsageError(`no machine ${text}${near === null ? '' : `: did you mean ${near}?`}`);
  }
  const address = port.addresses.find((prefix) => prefix.family === family);
  if (address === undefined) throw new GroupUsageError(`${text} has no IPv${family} address`);
  return { port, family, address: address.address };
}

function serviceOf(text: string, family: 4 | 6): Service {
  const service = readService(text, family);
  if (service === null)
    throw new GroupUsageError(`"${text}" is no service: write tcp/3306, udp/53, icmp, icmp/3/4 or a protocol`);
  return service;
}
