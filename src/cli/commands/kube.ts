import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Command, Option } from 'commander';
import { compileNode, type NodeRules, type ProxyNode, summarizeServices } from '../../kubernetes/compile.ts';
import { ManifestError, NAME } from '../../kubernetes/fields.ts';
import type { Cluster } from '../../kubernetes/model.ts';
import { nodeOf, nodesOf } from '../../kubernetes/nodes.ts';
import {
  LOCAL_MODES,
  type LocalMode,
  localDetection,
  type ProxySettings,
  readCidrs,
  readNodePortAddresses,
} from '../../kubernetes/proxy-settings.ts';
import { readCluster } from '../../kubernetes/read.ts';
import { NetworkFileError } from '../../network/yaml.ts';
import { nearest } from '../../packet/notation/error.ts';
import { wellKnownNames } from '../../simulation/names.ts';
import { makeDirectory } from '../../state/files.ts';
import { readRules } from '../../syntax/rules-reader.ts';
import { formatTable } from '../../syntax/save-format.ts';
import type { Command as CliCommand, Io } from '../io.ts';
import { readText } from '../network/load.ts';
import { progressBar } from '../network/progress-bar.ts';
import { runAction } from '../own-command.ts';

const EXAMPLES = `
Examples:
  What kube-proxy gives to iptables-restore on a node:
    iptsim kube compile fixtures/kube-two-nodes/cluster.yaml --node worker-1
  The same as iptables-save prints it there:
    iptsim kube compile fixtures/kube-two-nodes/cluster.yaml --node worker-1 --saved
  Of a live cluster, for every node, as files:
    kubectl get services,endpointslices,nodes -A -o yaml | iptsim kube compile - --out rules
  Which chain is which Service's:
    iptsim kube compile fixtures/kube-two-nodes/cluster.yaml --node worker-1 --json

docs/kubernetes.md says what is taken into account, and how to follow a
conversation through such nodes. Exit status: 0 done; 2 wrong usage, or a file
is wrong.
`;

/** What is wrong with the words on the command line. */
class KubeUsageError extends Error {}

interface CompileFlags {
  node?: string;
  ipv6?: boolean;
  saved?: boolean;
  out?: string;
  json?: boolean;
  clusterCidr?: string;
  detectLocalMode?: LocalMode;
  podBridgeInterface?: string;
  podInterfaceNamePrefix?: string;
  masqueradeAll?: boolean;
  nodeportAddresses?: string;
  localhostNodeports: boolean;
  nfacct?: boolean;
}

/** `iptsim kube`. */
export const kube: CliCommand = async (_name, args, io) => {
  const program = new Command('iptsim kube')
    .description("Kubernetes Services as the rules of kube-proxy's iptables mode.")
    .addHelpText('after', EXAMPLES);
  program
    .command('compile')
    .description("prints a node's rules for iptables-restore --noflush, from Services, EndpointSlices and Nodes")
    .argument('<files...>', 'YAML or JSON as kubectl prints it; - is standard input')
    .option('--node <name>', 'the node; needed where there are several')
    .addOption(new Option('-6, --ipv6', 'the text for ip6tables-restore').conflicts(['out', 'json']))
    .option('--saved', 'as iptables-save prints the rules')
    .option('--out <dir>', 'write DIR/NODE/rules.v4 and rules.v6 of all nodes (or of --node)')
    .option('--json', 'one JSON object: texts of both families, and which chains serve which Service')
    .option('--cluster-cidr <cidrs>', 'networks of all Pods, one of a family')
    .addOption(new Option('--detect-local-mode <mode>', "how a node's own Pods are known").choices(LOCAL_MODES))
    .option('--pod-bridge-interface <name>', 'the bridge of mode BridgeInterface')
    .option('--pod-interface-name-prefix <text>', 'the prefix of mode InterfaceNamePrefix')
    .option('--masquerade-all', 'masquerade all that goes to cluster IPs')
    .option('--nodeport-addresses <cidrs>', 'addresses with node ports: networks, or primary')
    .option('--no-localhost-nodeports', 'no node ports on 127.0.0.0/8')
    .option('--nfacct', 'count with -m nfacct, as on nodes whose kernel has such objects')
    .addHelpText('after', EXAMPLES)
    .action((files: string[], flags: CompileFlags) => compile(files, flags, io));
  return runAction(program, args, io, () => 0, [ManifestError, NetworkFileError, KubeUsageError]);
};

function compile(files: readonly string[], flags: CompileFlags, io: Io): void {
  const read = readCluster(files.map((name) => ({ name: name === '-' ? 'stdin' : name, text: textOf(name, io) })));
  const cluster = { ...read, settings: withFlags(read.settings, flags) };
  for (const note of cluster.notes) io.err(`iptsim kube: ${note}\n`);
  if (cluster.ports.length === 0) throw new KubeUsageError(`no Service with a cluster IP in ${files.join(', ')}`);
  const nodes = chooseNodes(cluster, flags);
  if (flags.out === undefined && !flags.json) {
    const rules = finish(compileNode(cluster, nodes[0]!), flags, io);
    io.out(flags.ipv6 ? rules.rules6 : rules.rules4);
    return;
  }
  const show = progressBar(io, 'nodes');
  const all: object[] = [];
  nodes.forEach((node, index) => {
    const rules = finish(compileNode(cluster, node), flags, io);
    if (flags.json) all.push({ ...rules, services: summarizeServices(cluster, node) });
    if (flags.out !== undefined) writeRules(flags.out, rules);
    show(index + 1, nodes.length);
  });
  if (flags.json) io.out(`${JSON.stringify({ nodes: all, notes: cluster.notes })}\n`);
}

function writeRules(out: string, { node, rules4, rules6 }: NodeRules): void {
  const directory = path.join(out, node);
  makeDirectory(directory);
  writeFileSync(path.join(directory, 'rules.v4'), rules4);
  writeFileSync(path.join(directory, 'rules.v6'), rules6);
}

/** With `--saved`: the texts as they come back out of iptables. */
function finish(rules: NodeRules, { saved }: CompileFlags, io: Io): NodeRules {
  if (!saved) return rules;
  const print = (text: string, family: 4 | 6): string => {
    const ruleset = readRules(text, {
      family,
      variant: io.variant,
      names: wellKnownNames(),
      setByName: () => undefined,
    });
    return [...ruleset.tables.values()].map((table) => formatTable(table, false)).join('');
  };
  return { ...rules, rules4: print(rules.rules4, 4), rules6: print(rules.rules6, 6) };
}

function textOf(name: string, io: Io): string {
  if (name === '-') return Buffer.from(io.readStdin(), 'latin1').toString('utf8');
  const text = readText(name);
  if (text === null) throw new KubeUsageError(`${name}: no such file`);
  return text;
}

/** What the command line says goes before the configuration in the files. */
function withFlags(settings: ProxySettings, flags: CompileFlags): ProxySettings {
  const wrong = (option: string) => (message: string) => new KubeUsageError(`${option}: ${message}`);
  const { clusterCidr, detectLocalMode, nodeportAddresses } = flags;
  if (flags.podBridgeInterface !== undefined && detectLocalMode !== 'BridgeInterface')
    throw new KubeUsageError('--pod-bridge-interface needs --detect-local-mode BridgeInterface');
  if (flags.podInterfaceNamePrefix !== undefined && detectLocalMode !== 'InterfaceNamePrefix')
    throw new KubeUsageError('--pod-interface-name-prefix needs --detect-local-mode InterfaceNamePrefix');
  return {
    ...settings,
    ...(clusterCidr === undefined ? {} : { clusterCidrs: readCidrs(clusterCidr, wrong('--cluster-cidr')) }),
    ...(detectLocalMode === undefined
      ? {}
      : {
          localDetection: localDetection(
            detectLocalMode,
            { bridge: flags.podBridgeInterface ?? null, prefix: flags.podInterfaceNamePrefix ?? null },
            wrong('--detect-local-mode'),
          ),
        }),
    ...(nodeportAddresses === undefined
      ? {}
      : { nodePortAddresses: readNodePortAddresses(nodeportAddresses.split(','), wrong('--nodeport-addresses')) }),
    masqueradeAll: flags.masqueradeAll ?? settings.masqueradeAll,
    localhostNodePorts: flags.localhostNodeports && settings.localhostNodePorts,
    nfacct: flags.nfacct ?? settings.nfacct,
  };
}

function chooseNodes(cluster: Cluster, { node, out, json }: CompileFlags): ProxyNode[] {
  const nodes = nodesOf(cluster);
  const names = nodes.map((each) => each.node);
  if (node !== undefined) {
    if (cluster.nodes.size > 0 && !cluster.nodes.has(node)) {
      const near = nearest(node, names);
      throw new KubeUsageError(`no Node ${node}${near === null ? '' : `: did you mean ${near}?`}`);
    }
    if (!NAME.test(node)) throw new KubeUsageError(`--node: "${node}" is no name of a node`);
    return [nodeOf(cluster, node)];
  }
  if (nodes.length === 0) throw new KubeUsageError('no Node in these files: write --node NAME');
  if (nodes.length > 1 && out === undefined && !json) {
    throw new KubeUsageError(`write --node NAME, one of ${names.join(', ')}; or --out DIR, or --json`);
  }
  return nodes;
}
