import type { Family } from '../../packet/family.ts';

/** Files that iptables-apply uses where none is named. */
export interface ApplyDefaults {
  rules: string;
  command: string;
}

export function applyDefaults(family: Family): ApplyDefaults {
  const base = family === 4 ? '/etc/network/iptables.up' : '/etc/network/ip6tables.up';
  return { rules: `${base}.rules`, command: `${base}.run` };
}

const VERSION = '1.1';
export const DEFAULT_TIMEOUT = 10;

const blurb = (program: string): string => `${program} ${VERSION} -- a safer way to update iptables remotely\n`;

/** Text of -V. */
export function about(program: string): string {
  return `${blurb(program)}
${program} has been published under the terms of the Artistic Licence 2.0.

Original version - Copyright 2006 Martin F. Krafft <madduck@madduck.net>.
Version 1.1 - Copyright 2010 GW <gw.2010@tnode.com or http://gw.tnode.com/>.
`;
}

/** Text of -h. */
export function applyUsage(program: string, defaults: ApplyDefaults): string {
  return `${blurb(program)}
Usage:
  ${program} [-hV] [-t timeout] [-w savefile] {[rulesfile]|-c [runcmd]}

The script will try to apply a new rulesfile (as output by iptables-save,
read by iptables-restore) or run a command to configure iptables and then
prompt the user whether the changes are okay. If the new iptables rules cut
the existing connection, the user will not be able to answer affirmatively.
In this case, the script rolls back to the previous working iptables rules
after the timeout expires.

Successfully applied rules can also be written to savefile and later used
to roll back to this state. This can be used to implement a store last good
configuration mechanism when experimenting with an iptables setup script:
  ${program} -w ${defaults.rules} -c ${defaults.command}

When called as ip6tables-apply, the script will use ip6tables-save/-restore
and IPv6 default values instead. Default value for rulesfile is
'${defaults.rules}'.

Options:

-t seconds, --timeout seconds
  Specify the timeout in seconds (default: ${DEFAULT_TIMEOUT}).
-w savefile, --write savefile
  Specify the savefile where successfully applied rules will be written to
  (default if empty string is given: ${defaults.rules}).
-c runcmd, --command runcmd
  Run command runcmd to configure iptables instead of applying a rulesfile
  (default: ${defaults.command}).
-h, --help
  Display this help text.
-V, --version
  Display version information.

`;
}
