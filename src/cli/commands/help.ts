import { FLOW_EXAMPLE, FLOW_KEYS } from '../../packet/notation/flow.ts';
import { KEYS } from '../../packet/notation/keys.ts';
import { PACKET_EXAMPLE } from '../../packet/notation/parse.ts';
import { protocolWord } from '../../packet/notation/protocols.ts';
import { wrap } from '../../trace/reporters/text-layout.ts';
import type { Command } from '../io.ts';

const WIDTH = 80;
const COLUMN = 14;

/** `iptsim help TOPIC`; help of commands comes from the commands. */
export const help: Command = (_name, args, io) => {
  if (args[0] === 'packets' || args[0] === 'flows') {
    io.out(packetHelp());
    return 0;
  }
  io.err(`iptsim help: no help about "${args[0]}"; try a command, or packets\n`);
  return 2;
};

function packetHelp(): string {
  const lines = [
    'A packet in one line:',
    '  [in=IFACE] [out=IFACE] PROTO SRC[:PORT] > DST[:PORT] [FLAGS] [key=value...]',
    '',
    `  ${PACKET_EXAMPLE}`,
    '  eth0 udp [2001:db8::1]:5353 > [2001:db8::53]:53 data="hello"',
    '  icmp 192.0.2.7 > 192.0.2.1 echo-request id=1 seq=1',
    '  in=eth0 raw 4500001c0000000040116ccfc0000201c0000202 ...',
    '',
    'A bare first word is the input interface. PROTO is a name or a number. FLAGS are',
    'letters of FSRPAUEC for TCP, the name of a message or TYPE/CODE for ICMP.',
    '',
    'Keys:',
    ...KEYS.flatMap(({ name, meaning, protocols }) =>
      entry(
        name,
        protocols === undefined || protocols.length > 3
          ? meaning
          : `${meaning} [${protocols.map(protocolWord).join(', ')}]`,
      ),
    ),
    '',
    'A whole conversation in one line, the far end answering what really left:',
    '  flow [in=IFACE] PROTO SRC[:PORT] > DST[:PORT] [key=value...]',
    '',
    `  ${FLOW_EXAMPLE}`,
    '  flow in=eth1 udp 10.0.0.5:5000 > 192.0.2.53:53 rounds=3 gap=1s',
    '  flow in=eth1 icmp 10.0.0.5 > 192.0.2.9 rounds=4 gap=1s far=silent',
    '',
    'Further keys of flows:',
    ...FLOW_KEYS.flatMap(({ name, meaning }) => entry(name, meaning)),
  ];
  return `${lines.join('\n')}\n`;
}

function entry(name: string, meaning: string): string[] {
  const [first = '', ...rest] = wrap(meaning, WIDTH - COLUMN, 0, 0);
  return [`  ${name.padEnd(COLUMN - 2)}${first}`, ...rest.map((line) => ' '.repeat(COLUMN) + line)];
}
