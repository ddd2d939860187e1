import type { ParseContext, ParsedOption } from './contract.ts';
import { UsageError } from './contract.ts';

/** A set as a rule names it: which side of the packet each part of the element comes from (`struct xt_set_info`). */
export interface SetReference {
  name: string;
  /** true: source. */
  directions: boolean[];
}

const MAX_NAME = 31;
const MAX_DIMENSION = 6;

/** Reads `NAME src|dst,...` of an option with a second word (extensions/libxt_set.h); throws UsageError. */
export function readSetReference(
  option: ParsedOption,
  label: string,
  present: boolean,
  { family, setByName }: ParseContext,
): SetReference {
  if (present) throw new UsageError(`--${label} can be specified only once`);
  const flags = option.second;
  if (flags === undefined || flags === null) throw new UsageError(`--${label} requires two args.`);
  const name = option.text;
  if (name.length > MAX_NAME) throw new UsageError(`setname \`${name}' too long, max ${MAX_NAME} characters.`);
  const set = setByName(name);
  if (set === undefined) throw new UsageError(`Set ${name} doesn't exist.\n`);
  if (set.family !== 0 && set.family !== family) {
    throw new UsageError(
      `The protocol family of set ${name} is ${set.family === 4 ? 'IPv4' : 'IPv6'}, which is not applicable.\n`,
    );
  }
  const directions: boolean[] = [];
  for (const word of flags.split(',')) {
    if (directions.length === MAX_DIMENSION) {
      throw new UsageError(`Can't be more src/dst options than ${MAX_DIMENSION}.`);
    }
    if (!word.startsWith('src') && !word.startsWith('dst')) {
      throw new UsageError("You must spefify (the comma separated list of) 'src' or 'dst'.");
    }
    directions.push(word.startsWith('src'));
  }
  return { name, directions };
}

/** `NAME src,dst` */
export function setReferenceText({ name, directions }: SetReference): string {
  return `${name} ${directions.map((source) => (source ? 'src' : 'dst')).join(',')}`;
}

/** For people: "source address and port" is more than a rule knows; it says which sides are looked up. */
export function setReferenceWords({ name, directions }: SetReference, verb: string): string {
  return `${directions.map((source) => (source ? 'source' : 'destination')).join(' and ')} ${verb} set ${name}`;
}
