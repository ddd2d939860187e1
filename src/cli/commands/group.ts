import { Command, Option } from 'commander';
import { CLOUD_KINDS } from '../../clouds/import.ts';
import { NetworkFileError } from '../../network/yaml.ts';
import { StateError } from '../../state/files.ts';
import { AgentError } from '../agents/host.ts';
import type { Command as CliCommand } from '../io.ts';
import { GroupUsageError } from '../network/groups.ts';
import { runAction } from '../own-command.ts';
import { type ApplyFlags, apply } from './group-apply.ts';
import { type CompileFlags, compile } from './group-compile.ts';
import { type ImportFlags, importFiles } from './group-import.ts';
import { type AskFlags, explain, showMatrix, tellReachers } from './group-questions.ts';

const EXAMPLES = `
Examples:
  What each host's agent loads, as files:
    iptsim group compile --file fixtures/cloud-two-hosts/network.yaml --out rules
  Bring all hosts to these rules as their agents would; again: nothing to do:
    iptsim group apply fixtures/cloud-two-hosts/network.yaml --state hosts --verify
  Who reaches the database:
    iptsim group who-can-reach db:3306 --file fixtures/cloud-two-hosts/network.yaml
  Which rule allows it, or what all rules miss:
    iptsim group explain web db tcp/3306 --file fixtures/cloud-two-hosts/network.yaml
  Which group reaches which, on which ports:
    iptsim group matrix --file fixtures/cloud-two-hosts/network.yaml
  The groups of AWS, OpenStack or Kubernetes (NetworkPolicy) as a network.yaml:
    iptsim group import fixtures/group-imports/aws-groups.json > groups.yaml

docs/groups.md describes groups. Exit status: 0 done (explain: allowed); 1 (explain)
refused, or (apply) a host refused a command or --verify found something, or
(import --strict) something could not be said as it was; 2 wrong usage, or a
file is wrong.
`;

/** `iptsim group`. */
export const group: CliCommand = async (_name, args, io) => {
  let status = 0;
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
    .option('--json', 'one JSON object')
    .action((service: string, flags: AskFlags) => tellReachers(service, flags, io));
  add('matrix', 'tells which group reaches which, on which ports')
    .option('--json', 'one JSON object')
    .action((flags: AskFlags) => showMatrix(flags, io));
  add(
    'explain <from> <to> <service>',
    'tells which rule allows tcp/3306, udp/53, icmp, ... between two machines or addresses',
  )
    .option('-6, --ipv6', 'over IPv6')
    .option('--json', 'one JSON object')
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
  return runAction(program, args, io, () => status, [NetworkFileError, GroupUsageError, AgentError, StateError]);
};
