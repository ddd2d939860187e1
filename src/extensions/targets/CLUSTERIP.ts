import { defineTarget, UsageError } from '../contract.ts';
import { compileMissing, warnMissing } from '../missing.ts';

/** `struct ipt_clusterip_tgt_info`, as far as options fill it. */
interface ClusterIpTarget {
  isNew: boolean;
  hashMode: string;
  mac: readonly number[];
  totalNodes: number;
  localNode: number;
  hashInit: number;
}

const HELP = `CLUSTERIP target options:
  --new			 Create a new ClusterIP
  --hashmode <mode>		 Specify hashing mode
					sourceip
					sourceip-sourceport
					sourceip-sourceport-destport
  --clustermac <mac>		 Set clusterIP MAC address
  --total-nodes <num>		 Set number of total nodes in cluster
  --local-node <num>		 Set the local node number
  --hash-init <num>		 Set init value of the Jenkins hash
`;

const HASH_MODES = ['sourceip', 'sourceip-sourceport', 'sourceip-sourceport-destport'];
const MAX_NODES = 16;
const FULL = ['new', 'hashmode', 'clustermac', 'total-nodes', 'local-node'];

function macText(mac: readonly number[]): string {
  return mac.map((byte) => byte.toString(16).toUpperCase().padStart(2, '0')).join(':');
}

/** The kernel removed it in Linux 6.2, so its rules are read, and then refused. */
export const CLUSTERIP = defineTarget<ClusterIpTarget>({
  name: 'CLUSTERIP',
  families: [4],
  options: [
    { name: 'new', type: 'none' },
    { name: 'hashmode', type: 'string' },
    { name: 'clustermac', type: 'ethernet' },
    { name: 'total-nodes', type: 'uint16', max: MAX_NODES },
    { name: 'local-node', type: 'uint16', max: MAX_NODES },
    { name: 'hash-init', type: 'uint32' },
  ],
  init(context) {
    warnMissing('CLUSTERIP', context);
    return { isNew: false, hashMode: 'sourceip', mac: [0, 0, 0, 0, 0, 0], totalNodes: 0, localNode: 0, hashInit: 0 };
  },
  parse(data, { name, number, text, mac }) {
    switch (name) {
      case 'new':
        data.isNew = true;
        break;
      case 'hashmode':
        if (!HASH_MODES.includes(text)) throw new UsageError(`Unknown hashmode "${text}"`);
        data.hashMode = text;
        break;
      case 'clustermac':
        if ((mac[0]! & 1) === 0) throw new UsageError('MAC has to be a multicast ethernet address');
        data.mac = mac;
        break;
      case 'total-nodes':
        data.totalNodes = number;
        break;
      case 'local-node':
        data.localNode = number;
        break;
      case 'hash-init':
        data.hashInit = number;
        break;
    }
  },
  finish(_, { seen }) {
    if (seen.size !== 0 && !FULL.every((name) => seen.has(name))) {
      throw new UsageError('CLUSTERIP target: Invalid parameter combination');
    }
  },
  save(data) {
    if (!data.isNew) return '';
    const nodes = `--total-nodes ${data.totalNodes} --local-node ${data.localNode}`;
    return ` --new --hashmode ${data.hashMode} --clustermac ${macText(data.mac)} ${nodes} --hash-init ${data.hashInit}`;
  },
  print(data) {
    if (!data.isNew) return ' CLUSTERIP';
    const nodes = `total_nodes=${data.totalNodes} local_node=${data.localNode}`;
    return ` CLUSTERIP hashmode=${data.hashMode} clustermac=${macText(data.mac)} ${nodes} hash_init=${data.hashInit}`;
  },
  help: () => HELP,
  absent: true,
  explain: () => 'the packet is taken by one node of a cluster',
  compile: () => compileMissing('CLUSTERIP'),
});
