import { OPTIONS, readOption } from '../syntax/options.ts';
import type { Session, Values } from '../syntax/session.ts';
import { OPTION_NUMBER } from '../syntax/session.ts';
import type { CommandSyntax, SetTypeSyntax } from '../syntax/type-syntax.ts';

/** How a fault of the line ends: `usage` with exit status 2, `other` with 1; `report`: the session's report says it. */
export type Fault = { kind: 'usage' | 'other'; text: string } | { kind: 'report' };

/** Reads the options after the element or the type; `family`: only the family's, else all but these. */
export function readOptions(
  session: Session,
  syntax: CommandSyntax,
  words: readonly string[],
  family: boolean,
): Fault | null {
  if (syntax.options.length === 0 && words.length > 0)
    return { kind: 'usage', text: `Unknown argument: \`${words[0]}'` };
  for (let i = 0; i < words.length; ) {
    const word = words[i]!;
    const bare = word.startsWith('--') ? word.slice(2) : word;
    const keyword = syntax.options.find((name) => OPTIONS[name].word === bare);
    if (keyword === undefined) return { kind: 'usage', text: `Unknown argument: \`${word}'` };
    const option = OPTIONS[keyword];
    i++;
    let text = word;
    if (option.argument) {
      if (i >= words.length) {
        return { kind: 'usage', text: `Missing mandatory argument of option \`${option.word}'` };
      }
      text = words[i++]!;
    }
    if ((option.field === 'family') === family && readOption(session, option, text) !== 0) return { kind: 'report' };
  }
  return null;
}

/** Whether what the command needs was given. */
export function checkMandatory(session: Session, syntax: CommandSyntax): Fault | null {
  const { values } = session;
  const missing = syntax.need.filter((field) => {
    if (field === 'ipTo' && values.cidr !== undefined) return false;
    return values[field as keyof Values] === undefined;
  });
  if (missing.length === 0) return null;
  if (syntax.options.length === 0) {
    const text = "There are missing mandatory flags but can't check them. It's a bug, please report the problem.";
    return { kind: 'other', text };
  }
  const keyword = syntax.options.find((name) => (missing as readonly string[]).includes(OPTIONS[name].field));
  if (keyword === undefined) return null;
  return { kind: 'usage', text: `Mandatory option \`${OPTIONS[keyword].word}' is missing` };
}

const RANGE_NAMES: Readonly<Record<string, string>> = {
  cidr: 'IP/CIDR range',
  ipTo: 'FROM-TO IP range',
  portTo: 'FROM-TO port range',
};

/** Whether everything that was given is allowed. */
export function checkAllowed(
  session: Session,
  type: SetTypeSyntax,
  syntax: CommandSyntax,
  command: string,
): Fault | null {
  const { values } = session;
  const fromOptions = new Set<string>(syntax.options.map((name) => OPTIONS[name].field));
  const allowed = (field: string): boolean =>
    fromOptions.has(field) || (syntax.allow as readonly string[]).includes(field);
  for (const [field, number] of OPTION_NUMBER) {
    if (values[field] === undefined || allowed(field) || (field === 'cidr' && allowed('ipTo'))) continue;
    // `create` does not look at the fields of elements, nor the other way round.
    if (command === 'create' && number > 20) continue;
    if (command !== 'create' && number > 10 && number < 24) continue;
    if (command === 'create' && field === 'mark') continue;
    const name = RANGE_NAMES[field];
    if (name !== undefined) {
      const family = session.family === 4 ? 'inet' : session.family === 6 ? 'inet6' : 'unspec';
      return {
        kind: 'other',
        text: `${name} is not allowed in command ${command} with set type ${type.name} and family ${family}`,
      };
    }
    const why = syntax.options.length === 0 ? 'option list is empty' : "can't resolve them";
    return {
      kind: 'other',
      text: `There are not allowed options (${number}) but ${why}. It's a bug, please report the problem.`,
    };
  }
  return null;
}
