import { Status } from '../../conntrack/connection.ts';
import { scanUnsigned } from '../../syntax/numbers.ts';
import { defineMatch, type NameServices, UsageError } from '../contract.ts';
import { not } from '../words.ts';

/** `struct xt_connlabel_mtinfo`. */
interface ConnlabelMatch {
  bit: number;
  set: boolean;
  invert: boolean;
}

const FILE = '/etc/xtables/connlabel.conf';
const MISSING = `Warning: cannot open ${FILE}: No such file or directory\n`;
/** Labels of a connection. */
const BITS = 128;

/** Bits by name; null if there is no file of them. */
function readLabels(names: NameServices): Map<string, number> | null {
  const text = names.file(FILE);
  if (text === null) return null;
  const labels = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^\s*(\d+)\s+(\S+)/.exec(line);
    if (match !== null && Number(match[1]) < BITS) labels.set(match[2]!, Number(match[1]));
  }
  return labels;
}

function nameOf(bit: number, names: NameServices): string | null {
  for (const [name, number] of readLabels(names) ?? []) if (number === bit) return name;
  return null;
}

const HELP = `connlabel match options:
[!] --label name     Match if label has been set on connection
    --set            Set label on connection
`;

export const connlabel = defineMatch<ConnlabelMatch>({
  name: 'connlabel',
  families: [4, 6],
  options: [
    { name: 'label', type: 'string', invert: true, mandatory: true, min: 1 },
    { name: 'set', type: 'none' },
  ],
  init: () => ({ bit: 0, set: false, invert: false }),
  parse(data, option, { names, warn }) {
    if (option.name === 'set') {
      data.set = true;
      return;
    }
    const { text } = option;
    const number = scanUnsigned(text);
    let bit = number?.value != null && number.end === text.length ? Number(BigInt.asIntN(32, number.value)) : -1;
    if (bit < 0) {
      const labels = readLabels(names);
      if (labels === null) warn(MISSING);
      bit = labels?.get(text) ?? -1;
    }
    if (bit < 0) throw new UsageError(`label '${text}' not found or invalid value`);
    data.bit = bit & 0xffff;
    data.invert = option.invert;
  },
  save(data, { names, warn }) {
    const name = nameOf(data.bit, names);
    if (name === null && names.file(FILE) === null) warn?.(MISSING);
    return `${not(data.invert)} --label "${name ?? data.bit}"${data.set ? ' --set' : ''}`;
  },
  print(data, { names, numeric, warn }) {
    const name = nameOf(data.bit, names);
    if (name === null && names.file(FILE) === null) warn?.(MISSING);
    const label = numeric || name === null ? String(data.bit) : `'${name}'`;
    return ` connlabel${not(data.invert)} ${label}${data.set ? ' set' : ''}`;
  },
  help: () => HELP,
  check: ({ bit }) => (bit >= BITS ? 'ERANGE' : null),
  explain: (data) =>
    data.set
      ? `label ${data.bit} is set at the connection (it is ${data.invert ? 'then not matched' : 'set now if it was not'})`
      : `the connection has ${data.invert ? 'not ' : ''}label ${data.bit}`,
  pure: ({ set }) => !set,
  memory: 'flow',
  // `connlabel_mt` (net/netfilter/xt_connlabel.c)
  compile({ bit, set, invert }) {
    const word = bit >>> 5;
    const mask = 1 << (bit & 31);
    return ({ connection }) => {
      // What CT puts together for a connection to come has no labels.
      if (connection === null || (connection.status & Status.template) !== 0) return invert;
      if (connection.labels()[word]! & mask) return !invert;
      if (!set) return invert;
      connection.setLabel(bit);
      return !invert;
    };
  },
});
