import { Direction, Status } from '../../conntrack/connection.ts';
import { jhash1word, jhash2, reciprocalScale, swapBytes } from '../../packet/jhash.ts';
import { PacketType } from '../../packet/packet.ts';
import { parseUnsigned } from '../../syntax/numbers.ts';
import { defineMatch, UsageError } from '../contract.ts';
import { listWords, not } from '../words.ts';

/** `struct xt_cluster_match_info`. */
interface ClusterMatch {
  totalNodes: number;
  nodeMask: number;
  hashSeed: number;
  invert: boolean;
}

/** XT_CLUSTER_NODES_MAX */
const MAX_NODES = 32;

const hex8 = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;

/**
 * The real reader takes 1 to 32 here, though it saves masks of 32 bits. What is kept of a mask has a `=` before it, so that it can be
 * read back.
 */
function parseNodeMask(text: string): number {
  const mask = /^=0x[0-9a-f]{8}$/.test(text) ? Number(text.slice(1)) : parseUnsigned(text, 1, MAX_NODES);
  if (mask === null || mask === 0)
    throw new UsageError(
      `cluster: bad value for option "--cluster-local-nodemask", or out of range (1-${MAX_NODES}).\n`,
    );
  return mask;
}

function saved({ invert, nodeMask, totalNodes, hashSeed }: ClusterMatch, mark: string): string {
  return (
    `${not(invert)} --cluster-local-nodemask ${mark}${hex8(nodeMask)}` +
    ` --cluster-total-nodes ${totalNodes} --cluster-hash-seed ${hex8(hashSeed)}`
  );
}

const HELP = `cluster match options:
  --cluster-total-nodes <num>		Set number of total nodes in cluster
  [!] --cluster-local-node <num>	Set the local node number
  [!] --cluster-local-nodemask <num>	Set the local node mask
  --cluster-hash-seed <num>		Set seed value of the Jenkins hash
`;

export const cluster = defineMatch<ClusterMatch>({
  name: 'cluster',
  families: [4, 6],
  options: [
    { name: 'cluster-total-nodes', type: 'uint32', mandatory: true, min: 1, max: MAX_NODES },
    {
      name: 'cluster-local-node',
      type: 'uint32',
      invert: true,
      min: 1,
      max: MAX_NODES,
      excludes: ['cluster-local-nodemask'],
    },
    { name: 'cluster-local-nodemask', type: 'string', invert: true, excludes: ['cluster-local-node'] },
    { name: 'cluster-hash-seed', type: 'uint32', mandatory: true },
  ],
  init: () => ({ totalNodes: 0, nodeMask: 0, hashSeed: 0, invert: false }),
  parse(data, option) {
    switch (option.name) {
      case 'cluster-total-nodes':
        data.totalNodes = option.number;
        break;
      case 'cluster-local-node':
        data.nodeMask = (1 << (option.number - 1)) >>> 0;
        if (option.invert) data.invert = true;
        break;
      case 'cluster-local-nodemask':
        data.nodeMask = parseNodeMask(option.text);
        if (option.invert) data.invert = true;
        break;
      case 'cluster-hash-seed':
        data.hashSeed = option.number;
        break;
    }
  },
  finish(data, { seen }) {
    const rest = seen.has('cluster-total-nodes') && seen.has('cluster-hash-seed');
    const tooBig = data.nodeMask >= 2 ** data.totalNodes;
    if (rest && seen.has('cluster-local-node')) {
      if (tooBig) throw new UsageError("cluster match: `--cluster-local-node' must be <= `--cluster-total-nodes'");
      return;
    }
    if (rest && seen.has('cluster-local-nodemask')) {
      if (tooBig) throw new UsageError("cluster match: `--cluster-local-nodemask' too big for `--cluster-total-nodes'");
      return;
    }
    if (!seen.has('cluster-local-node') && !seen.has('cluster-local-nodemask'))
      throw new UsageError("cluster match: `--cluster-local-node' or`--cluster-local-nodemask' is missing");
  },
  save: (data) => saved(data, ''),
  store: (data) => saved(data, '='),
  print: (data) =>
    ` cluster ${data.invert ? '!' : ''}node_mask=${hex8(data.nodeMask)}` +
    ` total_nodes=${data.totalNodes} hash_seed=${hex8(data.hashSeed)}`,
  help: () => HELP,
  explain({ nodeMask, totalNodes, invert }) {
    const nodes = Array.from({ length: 32 }, (_, i) => i + 1).filter((node) => nodeMask & (1 << (node - 1)));
    const which = nodes.length === 0 ? 'no node' : `node ${listWords(nodes.map(String), 'or')}`;
    return `the hash of the connection's source ${invert ? 'does not fall' : 'falls'} to ${which} of ${totalNodes}`;
  },
  memory: 'flow',
  // `xt_cluster_mt` (net/netfilter/xt_cluster.c)
  compile({ totalNodes, nodeMask, hashSeed, invert }, { family }) {
    const words = new Uint32Array(1);
    return (packet) => {
      const first = packet.dst[0]! >>> 24;
      const multicast = family === 4 ? first >> 4 === 0xe : first === 0xff;
      // Nodes answer ARP with a multicast MAC address; the stack is to take such packets as its own.
      if (!multicast && packet.packetType === PacketType.multicast) packet.packetType = PacketType.host;
      const { connection } = packet;
      // What CT left on it is no connection yet.
      if (connection === null || (connection.status & Status.template) !== 0) return false;
      const { source } = (connection.master ?? connection).tuple(Direction.original);
      let hash: number;
      if (family === 4) {
        hash = jhash1word(swapBytes(source[0]), hashSeed);
      } else {
        // The kernel counts an address as NF_CT_TUPLE_L3SIZE / 4 words, which is one: only the first counts (measured).
        words[0] = swapBytes(source[0]);
        hash = jhash2(words, 1, hashSeed);
      }
      return ((nodeMask & (1 << reciprocalScale(hash, totalNodes))) !== 0) !== invert;
    };
  },
});
