import { UsageError } from '../extensions/contract.ts';
import { isAnyPort, type TcpMatch, tcpIsNative } from '../extensions/matches/tcp.ts';
import { type UdpMatch, udpIsNative } from '../extensions/matches/udp.ts';
import { Protocol } from '../packet/protocol.ts';
import { ANY_ADDRESS, sameAddress } from '../ruleset/addresses.ts';
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

/** What reading the expressions back makes of two uses of one match: the later one's tests go into the earlier one. */
function merge(into: MatchUse, from: MatchUse): MatchUse {
  const a = into.data as TcpMatch;
  const b = from.data as TcpMatch;
  const merged: TcpMatch = { ...a };
  if (!isAnyPort(b.sourcePorts)) {
    merged.sourcePorts = b.sourcePorts;
    merged.invertSource = b.invertSource;
  }
  if (!isAnyPort(b.destinationPorts)) {
    merged.destinationPorts = b.destinationPorts;
    merged.invertDestination = b.invertDestination;
  }
  if (into.name === 'tcp' && b.flagMask !== 0) {
    merged.flagMask = b.flagMask;
    merged.flagCompare = b.flagCompare;
    merged.invertFlags = b.invertFlags;
  }
  return { name: into.name, data: merged };
}

/** Inverted ranges as they are read back: one that begins at port 0 is the ports above it, one of all ports nothing. */
function readBack(match: MatchUse): MatchUse {
  const data = match.data as PortMatch;
  const above = ([low, high]: PortMatch['sourcePorts'], invert: boolean): boolean =>
    invert && low === 0 && high > 0 && high < 0xffff;
  const source = above(data.sourcePorts, data.invertSource);
  const destination = above(data.destinationPorts, data.invertDestination);
  // Of a test for all ports nothing is left, inverted or not.
  const noSource = data.invertSource && isAnyPort(data.sourcePorts);
  const noDestination = data.invertDestination && isAnyPort(data.destinationPorts);
  if (!source && !destination && !noSource && !noDestination) return match;
  const changed = { ...data };
  if (noSource) changed.invertSource = false;
  if (noDestination) changed.invertDestination = false;
  if (source) Object.assign(changed, { sourcePorts: [data.sourcePorts[1] + 1, 0xffff], invertSource: false });
  if (destination) {
    Object.assign(changed, { destinationPorts: [data.destinationPorts[1] + 1, 0xffff], invertDestination: false });
  }
  return { name: match.name, data: changed };
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
    const match = readBack(use);
    changed ||= match !== use;
    const earlier = matches.findIndex((other) => other.name === match.name && isNative(other));
    if (earlier < 0) {
      matches.push(match);
    } else {
      changed = true;
      matches[earlier] = merge(matches[earlier] as MatchUse, match);
    }
  }
  return !changed ? rule : { ...rule, inInterface, outInterface, matches };
}

const isEverything = (match: AddressMatch | null): boolean =>
  match?.invert === true && sameAddress(match.mask, ANY_ADDRESS);

/** What the kernel answers to a rule for which nftables has no expression. */
export function nftRefusal(rule: RuleSpec): Errno | null {
  if (isEverything(rule.source) || isEverything(rule.destination)) return 'EINVAL';
  if (isStandardExtension(rule)) return 'EINVAL';
  return rule.target.kind === 'verdict' && rule.target.verdict === 'QUEUE' ? 'ENOENT' : null;
}
