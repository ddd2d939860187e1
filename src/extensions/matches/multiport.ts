import { readUint16 } from '../../packet/bytes.ts';
import { Protocol } from '../../packet/protocol.ts';
import type { RuleSpec } from '../../ruleset/rule.ts';
import { defineMatch, type ParseContext, UsageError } from '../contract.ts';
import { parsePort, portText } from '../ports.ts';
import { listWords, not, rangeWords } from '../words.ts';

/** `struct xt_multiport_v1`; a range of one port cannot be written. */
interface MultiportMatch {
  side: 'source' | 'destination' | 'either';
  ports: [number, number][];
  invert: boolean;
}

const MAX_PORTS = 15;
const OPTION = { source: 'sports', destination: 'dports', either: 'ports' } as const;
const PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [Protocol.tcp, 'tcp'],
  [Protocol.udp, 'udp'],
  [Protocol.udplite, 'udplite'],
  [Protocol.sctp, 'sctp'],
  [Protocol.dccp, 'dccp'],
]);

function protocolOf({ protocol, protocolInvert }: RuleSpec): string {
  const name = protocolInvert ? undefined : PROTOCOLS.get(protocol);
  if (name !== undefined) return name;
  throw new UsageError(
    protocol === 0 && !protocolInvert
      ? "multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'"
      : 'multiport only works with TCP, UDP, UDPLITE, SCTP and DCCP',
  );
}

function parsePorts(text: string, { names, rule }: ParseContext): [number, number][] {
  const protocol = protocolOf(rule);
  const ports: [number, number][] = [];
  let slots = 0;
  for (const part of text.split(',')) {
    if (slots === MAX_PORTS) throw new UsageError('too many ports specified');
    const colon = part.indexOf(':');
    if (colon >= 0 && slots === MAX_PORTS - 1) throw new UsageError('too many ports specified');
    const min = parsePort(colon < 0 ? part : part.slice(0, colon), protocol, names);
    const max = colon < 0 ? min : parsePort(part.slice(colon + 1), protocol, names);
    if (colon >= 0 && min >= max) throw new UsageError('invalid portrange specified');
    ports.push([min, max]);
    slots += colon < 0 ? 1 : 2;
  }
  return ports;
}

function listText(data: MultiportMatch, port: (value: number) => string): string {
  return data.ports.map(([min, max]) => (min === max ? port(min) : `${port(min)}:${port(max)}`)).join(',');
}

const HELP = `multiport match options:
[!] --source-ports port[,port:port,port...]
 --sports ...
				match source port(s)
[!] --destination-ports port[,port:port,port...]
 --dports ...
				match destination port(s)
[!] --ports port[,port:port,port]
				match both source and destination port(s)
`;

const ANY = ['source-ports', 'destination-ports', 'ports'];

export const multiport = defineMatch<MultiportMatch>({
  name: 'multiport',
  families: [4, 6],
  options: [
    { name: 'source-ports', type: 'string', invert: true, excludes: ANY },
    { name: 'sports', type: 'string', invert: true, synonymOf: 'source-ports' },
    { name: 'destination-ports', type: 'string', invert: true, excludes: ANY },
    { name: 'dports', type: 'string', invert: true, synonymOf: 'destination-ports' },
    { name: 'ports', type: 'string', invert: true, excludes: ANY },
  ],
  init: () => ({ side: 'source', ports: [], invert: false }),
  parse(data, option, context) {
    data.ports = parsePorts(option.text, context);
    data.side =
      option.name === 'source-ports' ? 'source' : option.name === 'destination-ports' ? 'destination' : 'either';
    if (option.invert) data.invert = true;
  },
  finish(_data, { seen }) {
    if (seen.size === 0) throw new UsageError('multiport expection an option');
  },
  save: (data) => `${not(data.invert)} --${OPTION[data.side]} ${listText(data, String)}`,
  print(data, { numeric, names, rule }) {
    const protocol = PROTOCOLS.get(rule.protocol) ?? null;
    const list = listText(data, (port) => portText(port, protocol, numeric, names));
    return ` multiport ${OPTION[data.side]} ${data.invert ? ' !' : ''}${list}`;
  },
  help: () => HELP,
  check: (_data, { rule }) => (PROTOCOLS.has(rule.protocol) && !rule.protocolInvert ? null : 'EINVAL'),
  explain: (data) =>
    `the ${data.side === 'either' ? 'source or destination' : data.side} port is ${data.invert ? 'not ' : ''}${listWords(data.ports.map(rangeWords), 'or')}`,
  pure: true,
  fields: ({ side, ports, invert }) =>
    invert || side === 'either'
      ? []
      : [{ field: side === 'source' ? 'source-port' : 'destination-port', ranges: ports }],
  // `multiport_mt` (net/netfilter/xt_multiport.c)
  compile({ side, ports, invert }) {
    const testSource = side !== 'destination';
    const testDestination = side !== 'source';
    return (packet) => {
      if (packet.fragmentOffset !== 0) return false;
      const { bytes, transport } = packet;
      if (transport + 4 > bytes.length) {
        packet.hotdrop = true;
        return false;
      }
      const source = readUint16(bytes, transport);
      const destination = readUint16(bytes, transport + 2);
      for (let i = 0; i < ports.length; i++) {
        const range = ports[i]!;
        if (testSource && source >= range[0] && source <= range[1]) return !invert;
        if (testDestination && destination >= range[0] && destination <= range[1]) return !invert;
      }
      return invert;
    };
  },
});
