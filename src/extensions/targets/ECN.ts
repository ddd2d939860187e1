import { Verdict } from '../../datapath/verdicts.ts';
import { readUint16 } from '../../packet/bytes.ts';
import { pullHeader } from '../../packet/fragmentation.ts';
import { Protocol } from '../../packet/protocol.ts';
import { setEcn, setTransportWord } from '../../packet/rewrite.ts';
import { defineTarget, UsageError } from '../contract.ts';
import { listWords } from '../words.ts';
import { hasProtocol, MANGLE, refusePlacement } from './placement.ts';

/** `struct ipt_ECN_info`; null: not changed. */
interface EcnTarget {
  ece: number | null;
  cwr: number | null;
  codepoint: number | null;
}

const HELP = `ECN target options
  --ecn-tcp-remove		Remove all ECN bits from TCP header
`;

const ECE = 0x40;
const CWR = 0x80;
const TCP_HEADER = 20;

function removes({ ece, cwr, codepoint }: EcnTarget): boolean {
  return ece === 0 && cwr === 0 && codepoint === null;
}

export const ECN = defineTarget<EcnTarget>({
  name: 'ECN',
  families: [4],
  options: [
    { name: 'ecn-tcp-remove', type: 'none', excludes: ['ecn-tcp-cwr', 'ecn-tcp-ece'] },
    { name: 'ecn-tcp-cwr', type: 'uint8', min: 0, max: 1, excludes: ['ecn-tcp-remove'] },
    { name: 'ecn-tcp-ece', type: 'uint8', min: 0, max: 1, excludes: ['ecn-tcp-remove'] },
    { name: 'ecn-ip-ect', type: 'uint8', min: 0, max: 3 },
  ],
  init: () => ({ ece: null, cwr: null, codepoint: null }),
  parse(data, { name, number }) {
    switch (name) {
      case 'ecn-tcp-remove':
        data.ece = data.cwr = 0;
        // It takes the place of whatever was asked for before.
        data.codepoint = null;
        break;
      case 'ecn-tcp-cwr':
        data.cwr = number;
        break;
      case 'ecn-tcp-ece':
        data.ece = number;
        break;
      case 'ecn-ip-ect':
        data.codepoint = number;
        break;
    }
  },
  finish(_, { seen }) {
    if (seen.size === 0) throw new UsageError('ECN target: An operation is required');
  },
  save(data) {
    if (removes(data)) return ' --ecn-tcp-remove';
    let text = data.ece === null ? '' : ` --ecn-tcp-ece ${data.ece}`;
    if (data.cwr !== null) text += ` --ecn-tcp-cwr ${data.cwr}`;
    return data.codepoint === null ? text : `${text} --ecn-ip-ect ${data.codepoint}`;
  },
  print(data) {
    if (removes(data)) return ' ECN TCP remove';
    let text = data.ece === null ? ' ECN' : ` ECN ECE=${data.ece}`;
    if (data.cwr !== null) text += ` CWR=${data.cwr}`;
    return data.codepoint === null ? text : `${text} ECT codepoint=${data.codepoint}`;
  },
  help: () => HELP,
  check(data, site) {
    const refused = refusePlacement(site, MANGLE);
    if (refused !== null) return refused;
    return (data.ece !== null || data.cwr !== null) && !hasProtocol(site, Protocol.tcp) ? 'EINVAL' : null;
  },
  explain(data) {
    if (removes(data)) return 'the ECN bits of the TCP header are cleared';
    const parts: string[] = [];
    if (data.ece !== null) parts.push(`the TCP flag ECE becomes ${data.ece}`);
    if (data.cwr !== null) parts.push(`the TCP flag CWR becomes ${data.cwr}`);
    if (data.codepoint !== null) parts.push(`the ECN field of the IP header becomes ${data.codepoint}`);
    return listWords(parts);
  },
  memory: 'flow',
  compile({ ece, cwr, codepoint }) {
    const touched = (ece === null ? 0 : ECE) | (cwr === null ? 0 : CWR);
    const set = (ece === 1 ? ECE : 0) | (cwr === 1 ? CWR : 0);
    return (packet) => {
      if (codepoint !== null) setEcn(packet, codepoint);
      if (touched === 0 || packet.protocol !== Protocol.tcp) return Verdict.next;
      const { bytes, transport } = packet;
      if (transport + TCP_HEADER > bytes.length) return Verdict.drop;
      const word = readUint16(bytes, transport + 12);
      const wanted = (word & ~touched) | set;
      if (wanted === word) return Verdict.next;
      pullHeader(packet, TCP_HEADER);
      setTransportWord(packet, 12, wanted);
      return Verdict.next;
    };
  },
});
