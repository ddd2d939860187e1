import { UsageError } from '../extensions/contract.ts';
import { MAX_CHAIN_NAME } from './chain-names.ts';
import type { CommandLine } from './command.ts';
import { Cmd, illegalOption, Opt, optionLetter } from './command-options.ts';

const VERDICTS = {
  ACCEPT: { kind: 'verdict', verdict: 'ACCEPT' },
  DROP: { kind: 'verdict', verdict: 'DROP' },
  QUEUE: { kind: 'verdict', verdict: 'QUEUE' },
  RETURN: { kind: 'verdict', verdict: 'RETURN' },
} as const;

/** Whether `-j NAME` is a verdict rather than a chain or an extension. */
export function isVerdict(name: string): name is keyof typeof VERDICTS {
  return Object.hasOwn(VERDICTS, name);
}

/** `-j` and `-g` names: not empty, not too long, no blanks. */
export function checkTargetName(name: string): void {
  if (name === '') throw new UsageError('Invalid target name (too short)');
  if (name.length > MAX_CHAIN_NAME) {
    throw new UsageError(`Invalid target name \`${name}' (${MAX_CHAIN_NAME} chars max)`);
  }
  if (/[\t-\r ]/.test(name)) throw new UsageError(`Invalid target name \`${name}'`);
}

/** The last checks of a command line that has been read, in the real order; a verdict becomes the rule's target. Throws UsageError. */
export function checkLine(line: CommandLine): void {
  const { command, rule } = line;
  if (command === Cmd.replace && (line.sources.length !== 1 || line.destinations.length !== 1)) {
    throw new UsageError('Replacement rule does not specify a unique address');
  }
  const illegal = illegalOption(command, line.options);
  if (illegal !== 0) throw new UsageError(`Illegal option \`-${optionLetter(illegal)}' with this command`);
  const { chain } = line;
  if (chain !== null && chain.length > MAX_CHAIN_NAME) {
    throw new UsageError(`chain name \`${chain}' too long (must be under ${MAX_CHAIN_NAME + 1} chars)`);
  }
  const onRule = Cmd.append | Cmd.delete | Cmd.deleteNumber | Cmd.check | Cmd.insert | Cmd.replace;
  if ((command & onRule) === 0) return;
  if ((chain === 'PREROUTING' || chain === 'INPUT') && (line.options & Opt.outInterface) !== 0) {
    throw new UsageError(`Can't use -o with ${chain}\n`);
  }
  if ((chain === 'POSTROUTING' || chain === 'OUTPUT') && (line.options & Opt.inInterface) !== 0) {
    throw new UsageError(`Can't use -i with ${chain}\n`);
  }
  if (isVerdict(line.jumpTo) && !line.goto) rule.target = VERDICTS[line.jumpTo];
}
