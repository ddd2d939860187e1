import { Verdict } from '../../datapath/verdicts.ts';
import { defineTarget, UsageError } from '../contract.ts';

interface ConnsecmarkTarget {
  mode: 'save' | 'restore';
}

const HELP = `CONNSECMARK target options:
  --save                   Copy security mark from packet to conntrack
  --restore                Copy security mark from connection to packet
`;

export const CONNSECMARK = defineTarget<ConnsecmarkTarget>({
  name: 'CONNSECMARK',
  families: [4, 6],
  options: [
    { name: 'save', type: 'none', excludes: ['restore'] },
    { name: 'restore', type: 'none', excludes: ['save'] },
  ],
  init: () => ({ mode: 'save' }),
  parse(data, { name }) {
    data.mode = name === 'save' ? 'save' : 'restore';
  },
  finish(_, { seen }) {
    if (seen.size === 0) throw new UsageError('CONNSECMARK target: parameter required');
  },
  save: ({ mode }) => ` --${mode}`,
  print: ({ mode }) => ` CONNSECMARK ${mode}`,
  help: () => HELP,
  check: (_, { table }) => (table === 'mangle' || table === 'security' ? null : 'EINVAL'),
  explain: ({ mode }) =>
    mode === 'save'
      ? "the connection gets the packet's security mark"
      : "the packet gets the connection's security mark",
  memory: 'flow',
  compile({ mode }) {
    if (mode === 'save') {
      return ({ connection, secmark }) => {
        if (secmark !== 0 && connection !== null && connection.secmark === 0) connection.secmark = secmark;
        return Verdict.next;
      };
    }
    return (packet) => {
      const { connection } = packet;
      if (packet.secmark === 0 && connection !== null) packet.secmark = connection.secmark;
      return Verdict.next;
    };
  },
});
