import { ICMP_NAMES, ICMPV6_NAMES } from '../syntax/icmp.ts';
import { OPTIONS } from '../syntax/options.ts';
import { SET_TYPES } from '../syntax/set-types.ts';
import type { SetTypeSyntax } from '../syntax/type-syntax.ts';
import { COMMANDS, ENVIRONMENT_OPTIONS, PROGRAM } from './commands.ts';

const PORT_USAGE = [
  '      [PROTO:]PORT is a valid pattern of the following:',
  '           PORTNAME         TCP port name from /etc/services',
  '           PORTNUMBER       TCP port number identifier',
  '           tcp|sctp|udp|udplite:PORTNAME|PORTNUMBER',
  '           icmp:CODENAME    supported ICMP codename',
  '           icmp:TYPE/CODE   ICMP type/code value',
  '           icmpv6:CODENAME  supported ICMPv6 codename',
  '           icmpv6:TYPE/CODE ICMPv6 type/code value',
  '           PROTO:0          all other protocols',
  '',
  '           Supported ICMP codenames:',
  ...ICMP_NAMES.map(([name]) => `               ${name}`),
  '           Supported ICMPv6 codenames:',
  ...ICMPV6_NAMES.map(([name]) => `               ${name}`),
  '',
].join('\n');

/** What `ipset help` prints in any case. */
export function generalHelp(): string {
  let text = `${PROGRAM}\n\nUsage: ipset [options] COMMAND\n\nCommands:\n`;
  for (const { names, help } of COMMANDS) text += `${names[0]} ${help}\n`;
  text += '\nOptions:\n';
  for (const { names, help } of ENVIRONMENT_OPTIONS) text += `${names[0]} ${help}\n`;
  return text;
}

/** The list of set types and their revisions. */
export function typesHelp(): string {
  let text = '\nSupported set types:\n';
  for (const type of SET_TYPES) {
    for (const [revision, description] of type.revisions) {
      text += `    ${type.name}\t${type.name.length < 12 ? '\t' : ''}${revision}\t${description}\n`;
    }
  }
  return text;
}

/** What `ipset help TYPE` prints of the type. */
export function typeHelp(type: SetTypeSyntax): string {
  let text = `\n${type.name} type specific options:\n\n`;
  const commands = [
    ['create SETNAME', type.create],
    ['add    SETNAME', type.add],
    ['del    SETNAME', type.del],
    ['test   SETNAME', type.test],
  ] as const;
  for (const [prefix, syntax] of commands) {
    text += `${prefix} ${type.name} ${syntax.help}\n`;
    for (const keyword of syntax.options) {
      const { help } = OPTIONS[keyword];
      if (help !== '') text += `               ${help}\n`;
    }
  }
  text += `\n${type.usage}\n`;
  if (type.portUsage) text += PORT_USAGE;
  if (type.family === 'none') return `${text}\nType ${type.name} is family neutral.\n`;
  if (type.family === 'both') return `${text}\nType ${type.name} supports inet and inet6.\n`;
  return `${text}\nType ${type.name} supports family inet only.\n`;
}
