import { defineTarget } from '../contract.ts';
import { compileMissing } from '../missing.ts';

interface SecmarkTarget {
  context: string;
}

const HELP = `SECMARK target options:
  --selctx value                     Set the SELinux security context
`;

const LONGEST_CONTEXT = 255;

/** Contexts are SELinux's: without a loaded policy none is known, and every such rule is refused. */
export const SECMARK = defineTarget<SecmarkTarget>({
  name: 'SECMARK',
  families: [4, 6],
  options: [{ name: 'selctx', type: 'string', mandatory: true }],
  init: () => ({ context: '' }),
  parse(data, { text }) {
    data.context = text.slice(0, LONGEST_CONTEXT);
  },
  save: ({ context }) => ` --selctx ${context}`,
  print: ({ context }) => ` SECMARK selctx ${context}`,
  help: () => HELP,
  check: (_, { table }) => (table === 'mangle' || table === 'security' ? 'ENOENT' : 'EINVAL'),
  explain: ({ context }) => `the packet gets the security context ${context}`,
  compile: () => compileMissing('SECMARK'),
});
