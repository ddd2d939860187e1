import { readFileSync } from 'node:fs';
import { Getopt, longOptions, shortOptions } from '../../syntax/getopt.ts';
import { rulesToXml, XmlFailure } from '../../syntax/xml.ts';
import type { Io } from '../io.ts';
import { IPTABLES_VERSION } from './family-name.ts';
import { systemError } from './save.ts';

const SHORT = shortOptions('cvh');
const LONG = longOptions<string>([
  { name: 'verbose', need: 'none', id: 'v' },
  { name: 'combine', need: 'none', id: 'c' },
  { name: 'help', need: 'none', id: 'h' },
]);

const USAGE = `Usage: iptables-xml [-c] [-v] [-h]
          [--combine ]
\t   [ --verbose ]
\t   [ --help ]
`;

/** iptables-xml: iptables-save text as XML. Bad options are told, then it goes on. */
export function xml(args: readonly string[], io: Io): number {
  const options = { combine: false, verbose: false };
  const getopt = new Getopt<string>(['iptables-xml', ...args], SHORT, (letter) => letter, LONG, false);
  for (let found = getopt.next(); found.kind !== 'end'; found = getopt.next()) {
    if (found.kind !== 'option') {
      if (found.kind !== 'plain') io.err(`iptables-xml: ${found.problem}\n`);
    } else if (found.id === 'c') {
      options.combine = true;
    } else if (found.id === 'v') {
      io.out('xptables-xml\n');
      options.verbose = true;
    } else {
      io.err(USAGE);
      return 1;
    }
  }
  const [file, ...more] = getopt.rest();
  if (more.length > 0) {
    io.err('Unknown arguments found on commandline');
    return 1;
  }
  let input: string;
  if (file === undefined) {
    input = io.readStdin();
  } else {
    try {
      input = readFileSync(Buffer.from(file, 'latin1').toString('utf8'), 'latin1');
    } catch (error) {
      io.err(`Can't open ${file}: ${systemError(error)}`);
      return 1;
    }
  }
  try {
    rulesToXml(input, options, (text) => io.out(text));
    return 0;
  } catch (error) {
    if (!(error instanceof XmlFailure)) throw error;
    if (error.usage === null) {
      io.err(error.message);
      return 1;
    }
    const { error: wrong, line } = error.usage;
    io.err(
      `iptables-xml v${IPTABLES_VERSION}: ${wrong.message}\nError occurred at line: ${line}\nTry \`iptables-xml -h' or 'iptables-xml --help' for more information.\n`,
    );
    return wrong.status;
  }
}
