import { UsageError } from '../extensions/contract.ts';
import { isAnyPort, type TcpMatch, tcpIsNative } from '../extensions/matches/tcp.ts';
import { type UdpMatch, udpIsNative } from '../extensions/matches/udp.ts';
import { addressEquals } from '../packet/address-text.ts';
import { Protocol } from '../packet/protocol.ts';
import { ANY_ADDRESS } from '../ruleset/addresses.ts';
import type { AddressMatch, InterfaceMatch, MatchUse, RuleSpec } from '../ruleset/rule.ts';
import type { Errno } from './errno.ts';
import { isStandardExtension } from './rule-text.ts';

type PortMatch = Pick<UdpMatch, 'sourcePorts' | 'destinationPorts' | 'invertSource' | 'invertDestination'>;

function isNative({ name, data }: MatchUse): boolean {
  if (name === 'tcp') return tcpIsNative(data as TcpMatch);
  return name === 'udp' && udpIsNative(data as UdpMatch);
}

function saysNothing({ name, data }: MatchUse): boolean {
  const ports = data as PortMatch;
  if (!isAnyPort(ports.sourcePorts) || !isAnyPort(ports.destinationPorts)) return false;
  return name === 'udp' || (data as TcpMatch).flagMask === 0;
}

/** Whether the expressions say the same as the match: no inversion of ports that begin at 0. */
function readsAsWritten({ sourcePorts, destinationPorts, invertSource, invertDestination }: PortMatch): boolean {
  const plain = ([low, high]: PortMatch['sourcePorts'], invert: boolean): boolean => !invert || low > 0 || high === 0;
  return plain(sourcePorts, invertSource) && plain(destinationPorts, invertDestination);
}

interface PortTest {
  ports: PortMatch['sourcePorts'];
  invert: boolean;
}

/**
 * What is read back of a test for ports after an earlier one: `:N` only sets the end, `! :N` only the beginning, and an
 * inversion stays (nft_parse_tcp and nft_parse_tcp_range of iptables/nft-shared.c).
 */
function readPorts(earlier: PortTest, { ports, invert }: PortTest): PortTest {
  const [low, high] = ports;
  // Of a test for all ports nothing is left, inverted or not.
  if (isAnyPort(ports)) return earlier;
  if (low === 0 && high > 0) {
    const [first, last] = earlier.ports;
    return { ports: invert ? [high + 1, last] : [first, high], invert: earlier.invert };
  }
  return { ports, invert: invert || earlier.invert };
}

const NO_TEST: PortTest = { ports: [0, 0xffff], invert: false };

/** What reading the expressions back makes of a use, after an earlier one of the same match: its tests go into that. */
function readBack(use: MatchUse, earlier: MatchUse | null): MatchUse {
  const data = use.data as TcpMatch;
  const before = earlier === null ? null : (earlier.data as TcpMatch);
  const source = readPorts(before === null ? NO_TEST : { ports: before.sourcePorts, invert: before.invertSource }, {
    ports: data.sourcePorts,
    invert: data.invertSource,
  });
  const destination = readPorts(
    before === null ? NO_TEST : { ports: before.destinationPorts, invert: before.invertDestination },
    { ports: data.destinationPorts, invert: data.invertDestination },
  );
  const read: TcpMatch = {
    ...data,
    sourcePorts: source.ports,
    invertSource: source.invert,
    destinationPorts: destination.ports,
    invertDestination: destination.invert,
  };
  if (use.name === 'tcp' && before !== null) {
    const { flagMask, flagCompare, invertFlags } = data.flagMask === 0 ? before : data;
    Object.assign(read, { flagMask, flagCompare, invertFlags: invertFlags || before.invertFlags });
  }
  return { name: use.name, data: read };
}

/** Not so where two tests exclude each other: what is read back of them (`81:80`) cannot be kept as text. */
function isReadable({ data }: MatchUse): boolean {
  const { sourcePorts, destinationPorts } = data as PortMatch;
  return sourcePorts[0] <= sourcePorts[1] && destinationPorts[0] <= destinationPorts[1];
}

/** What nftables asks of a rule whose ports and flags it writes as its own expressions. Throws UsageError. */
export function assertNative({ matches, protocol }: RuleSpec): void {
  // It looks at the number alone: `! -p tcp -m tcp --dport 22` passes.
  for (const match of matches) {
    if (!isNative(match) || protocol === (match.name === 'tcp' ? Protocol.tcp : Protocol.udp)) continue;
    throw new UsageError(`${match.name.toUpperCase()} match requires '-p ${match.name}'`);
  }
}

/** `-i +` is no test at all. */
function anyInterface(match: InterfaceMatch | null): boolean {
  return match !== null && match.name === '+' && !match.invert;
}

/**
 * A rule as iptables-nft reads it back: ports and flags of tcp and udp are written as expressions of nftables, which
 * leaves nothing of a test for all ports and makes one match of several.
 */
export function normalizeForNft(rule: RuleSpec): RuleSpec {
  const inInterface = anyInterface(rule.inInterface) ? null : rule.inInterface;
  const outInterface = anyInterface(rule.outInterface) ? null : rule.outInterface;
  const plain = inInterface === rule.inInterface && outInterface === rule.outInterface;
  if (!rule.matches.some(isNative)) return plain ? rule : { ...rule, inInterface, outInterface };
  const matches: MatchUse[] = [];
  let changed = !plain;
  for (const use of rule.matches) {
    if (!isNative(use)) {
      matches.push(use);
      continue;
    }
    if (saysNothing(use)) {
      changed = true;
      continue;
    }
    const earlier = matches.findIndex((other) => other.name === use.name && isNative(other));
    const together = earlier < 0 ? null : readBack(use, matches[earlier] as MatchUse);
    if (together !== null && isReadable(together)) {
      changed = true;
      matches[earlier] = together;
    } else if (readsAsWritten(use.data as PortMatch)) {
      matches.push(use);
    } else {
      changed = true;
      matches.push(readBack(use, null));
    }
  }
  return !changed ? rule : { ...rule, inInterface, outInterface, matches };
}

const isEverything = (match: AddressMatch | null): boolean =>
  match?.invert === true && addressEquals(match.mask, ANY_ADDRESS);

/** What the kernel answers to a rule for which nftables has no expression. */
export function nftRefusal(rule: RuleSpec): Errno | null {
  if (isEverything(rule.source) || isEverything(rule.destination)) return 'EINVAL';
  if (isStandardExtension(rule)) return 'EINVAL';
  return rule.target.kind === 'verdict' && rule.target.verdict === 'QUEUE' ? 'ENOENT' : null;
}
