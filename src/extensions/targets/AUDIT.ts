import { Verdict } from '../../datapath/verdicts.ts';
import { defineTarget, UsageError } from '../contract.ts';

interface AuditTarget {
  type: string;
}

const TYPES = ['accept', 'drop', 'reject'];

const HELP = `AUDIT target options
  --type TYPE		Action type to be recorded.
`;

export const AUDIT = defineTarget<AuditTarget>({
  name: 'AUDIT',
  families: [4, 6],
  options: [{ name: 'type', type: 'string', mandatory: true }],
  init: () => ({ type: 'accept' }),
  parse(data, { text }) {
    const type = text.toLowerCase();
    if (!TYPES.includes(type)) throw new UsageError(`Bad action type value "${text}"`);
    data.type = type;
  },
  save: ({ type }) => ` --type ${type}`,
  print: ({ type }) => ` AUDIT ${type}`,
  help: () => HELP,
  explain: ({ type }) => `an audit record says "${type}" of the packet`,
  unknown: () => 'records of the audit daemon are not simulated',
  memory: 'flow',
  compile: () => () => Verdict.next,
});
