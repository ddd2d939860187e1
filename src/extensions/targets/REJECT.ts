import { Hook } from '../../datapath/hooks.ts';
import { Verdict } from '../../datapath/verdicts.ts';
import type { Family } from '../../packet/family.ts';
import { Protocol } from '../../packet/protocol.ts';
import { defineTarget, UsageError } from '../contract.ts';
import { hasProtocol, type Placement, refusePlacement } from './placement.ts';

/** The answer, by the name of its `--reject-with`. */
interface RejectTarget {
  with: string;
}

interface RejectType {
  name: string;
  alias: string;
  description: string;
  /** ICMP (ICMPv6) code of a destination unreachable; null for a TCP RST. */
  code: number | null;
}

const TYPES: Readonly<Record<Family, readonly RejectType[]>> = {
  4: [
    { name: 'icmp-net-unreachable', alias: 'net-unreach', description: 'ICMP network unreachable', code: 0 },
    { name: 'icmp-host-unreachable', alias: 'host-unreach', description: 'ICMP host unreachable', code: 1 },
    { name: 'icmp-proto-unreachable', alias: 'proto-unreach', description: 'ICMP protocol unreachable', code: 2 },
    { name: 'icmp-port-unreachable', alias: 'port-unreach', description: 'ICMP port unreachable (default)', code: 3 },
    { name: 'icmp-net-prohibited', alias: 'net-prohib', description: 'ICMP network prohibited', code: 9 },
    { name: 'icmp-host-prohibited', alias: 'host-prohib', description: 'ICMP host prohibited', code: 10 },
    { name: 'tcp-reset', alias: 'tcp-rst', description: 'TCP RST packet', code: null },
    {
      name: 'icmp-admin-prohibited',
      alias: 'admin-prohib',
      description: 'ICMP administratively prohibited (*)',
      code: 13,
    },
  ],
  6: [
    { name: 'icmp6-no-route', alias: 'no-route', description: 'ICMPv6 no route', code: 0 },
    {
      name: 'icmp6-adm-prohibited',
      alias: 'adm-prohibited',
      description: 'ICMPv6 administratively prohibited',
      code: 1,
    },
    { name: 'icmp6-addr-unreachable', alias: 'addr-unreach', description: 'ICMPv6 address unreachable', code: 3 },
    { name: 'icmp6-port-unreachable', alias: 'port-unreach', description: 'ICMPv6 port unreachable', code: 4 },
    { name: 'tcp-reset', alias: 'tcp-reset', description: 'TCP RST packet', code: null },
    { name: 'icmp6-policy-fail', alias: 'policy-fail', description: 'ICMPv6 policy fail', code: 5 },
    { name: 'icmp6-reject-route', alias: 'reject-route', description: 'ICMPv6 reject route', code: 6 },
  ],
};

const DESTINATION_UNREACHABLE: Readonly<Record<Family, number>> = { 4: 3, 6: 1 };
const PLACEMENT: Placement = { table: 'filter', hooks: [Hook.input, Hook.forward, Hook.output] };

function help(family: Family): string {
  const types = TYPES[family]
    .map(({ name, alias, description }) => `    ${name.padEnd(25)}\t${description}\n    ${alias.padEnd(25)}\talias\n`)
    .join('');
  const note = '(*) See man page or read the INCOMPATIBILITES file for compatibility issues.\n';
  return `REJECT target options:
--reject-with type              drop input packet and send back
                                a reply packet according to type:
Valid reject types:
${types}
${family === 4 ? note : ''}`;
}

/** A type by its name, its other name, or a beginning of either, in any case. */
function findType(text: string, family: Family): RejectType | undefined {
  const start = text.toLowerCase();
  return TYPES[family].find(({ name, alias }) => name.startsWith(start) || alias.startsWith(start));
}

export const REJECT = defineTarget<RejectTarget>({
  name: 'REJECT',
  families: [4, 6],
  options: [{ name: 'reject-with', type: 'string' }],
  init: ({ family }) => ({ with: family === 4 ? 'icmp-port-unreachable' : 'icmp6-port-unreachable' }),
  parse(data, { text }, { family, warn }) {
    const type = findType(text, family);
    if (type !== undefined) {
      data.with = type.name;
      return;
    }
    const start = text.toLowerCase();
    if (family === 4 && ('echo-reply'.startsWith(start) || 'echoreply'.startsWith(start))) {
      warn('--reject-with echo-reply no longer supported\n');
    }
    throw new UsageError(`unknown reject type "${text}"`);
  },
  save: (data) => ` --reject-with ${data.with}`,
  print: (data) => ` reject-with ${data.with}`,
  help,
  check(data, site) {
    const refused = refusePlacement(site, PLACEMENT);
    if (refused !== null) return refused;
    return data.with === 'tcp-reset' && !hasProtocol(site, Protocol.tcp) ? 'EINVAL' : null;
  },
  explain: (data) => `the packet is refused with ${data.with}`,
  memory: 'flow',
  compile(data, { family, machine }) {
    const code = TYPES[family].find(({ name }) => name === data.with)!.code;
    if (code === null) {
      return (packet, at) => {
        machine.sendReset(packet, at);
        return Verdict.drop;
      };
    }
    const type = DESTINATION_UNREACHABLE[family];
    return (packet, at) => {
      machine.sendUnreachable(packet, at, type, code);
      return Verdict.drop;
    };
  },
});
