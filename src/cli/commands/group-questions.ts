import { decisionText, whoCanReach, whoCanReachText } from '../../groups/answers.ts';
import { decisionObject, matrixObject, reachersObject } from '../../groups/answers-json.ts';
import { groupMatrix, matrixText } from '../../groups/matrix.ts';
import type { Service } from '../../groups/model.ts';
import { withGroupRules } from '../../groups/plan.ts';
import { decide, type End } from '../../groups/reach.ts';
import { protocolText, readService } from '../../groups/service-text.ts';
import { playConversation } from '../../network/converse.ts';
import { NetworkError } from '../../network/description.ts';
import { stopText } from '../../network/report-text.ts';
import { addressEquals, formatAddress, parseAddress } from '../../packet/address-text.ts';
import type { AddressWords, Family } from '../../packet/family.ts';
import { nearest } from '../../packet/notation/error.ts';
import type { Io } from '../io.ts';
import { compileLoaded, GroupUsageError, type LoadedCloud, loadCloud } from '../network/groups.ts';
import { startNetwork } from '../network/load.ts';

export interface AskFlags {
  file: string;
  ipv6?: boolean;
  json?: boolean;
}

/** `iptsim group matrix`. Throws NetworkFileError. */
export function showMatrix({ file, json }: AskFlags, io: Io): void {
  const matrix = groupMatrix(loadCloud(file).cloud);
  io.out(json ? `${JSON.stringify(matrixObject(matrix))}\n` : matrixText(matrix));
}

/** `iptsim group who-can-reach`. Throws NetworkFileError, GroupUsageError. */
export function tellReachers(text: string, flags: AskFlags, io: Io): void {
  const loaded = loadCloud(flags.file);
  const match = /^([^:]+)(?::(\d+)(?:\/(\w+))?)?$/.exec(text);
  if (match === null) throw new GroupUsageError(`"${text}" is no service: write VM:PORT, VM:PORT/udp, or VM`);
  const [, vm, port, protocol] = match;
  const to = endOf(loaded, vm!, flags.ipv6 ? 6 : 4);
  if (to.port === null) throw new GroupUsageError(`${vm} is no machine of this cloud`);
  const service = serviceOf(port === undefined ? 'icmp' : `${protocol ?? 'tcp'}/${port}`, to.family);
  const reachers = whoCanReach(loaded.cloud, to, service);
  io.out(
    flags.json ? `${JSON.stringify(reachersObject(to, service, reachers))}\n` : whoCanReachText(to, service, reachers),
  );
}

/** `iptsim group explain`: 0 if it is allowed, 1 if not. Throws NetworkFileError, GroupUsageError. */
export function explain(from: string, to: string, text: string, flags: AskFlags, io: Io): number {
  const loaded = loadCloud(flags.file);
  const family = flags.ipv6 || from.includes(':') || to.includes(':') ? 6 : 4;
  const [sender, receiver] = [endOf(loaded, from, family), endOf(loaded, to, family)];
  const service = serviceOf(text, family);
  const decision = decide(loaded.cloud, sender, receiver, service);
  const play = played(loaded, sender, receiver, service, io);
  if (flags.json)
    io.out(`${JSON.stringify({ ...decisionObject(sender, receiver, service, decision), played: play })}\n`);
  else io.out(decisionText(sender, receiver, service, decision) + (play === null ? '' : `  ${play.text}\n`));
  return decision.allowed ? 0 : 1;
}

/** An end, and the host of the network that it is; null for an address that none has. */
interface NamedEnd extends End {
  host: string | null;
}

/** Whether the first packet arrived; null where it could not be sent. */
interface Played {
  passed: boolean | null;
  text: string;
}

/** The same put to the compiled rules: the first packet goes through the simulated hosts. Null where an end is no host of the network. */
function played(loaded: LoadedCloud, from: NamedEnd, to: NamedEnd, service: Service, io: Io): Played | null {
  if (from.host === null || to.host === null) return null;
  const protocol = service.icmp === null ? protocolText(service.protocol) : 'icmp';
  const echo =
    service.icmp === null || ((service.icmp.type === 8 || service.icmp.type === 128) && service.icmp.code === 0);
  if ((protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'icmp') || !echo)
    return { passed: null, text: `not played: no conversation of ${protocol}` };
  const network = startNetwork(loaded.file, withGroupRules(loaded.plan, compileLoaded(loaded)), io, 1);
  const address = formatAddress(to.family, to.address);
  const target = service.port === null ? address : `[${address}]:${service.port}`;
  try {
    const { seenAs, stop } = playConversation(network, { from: from.host, to: target, protocol, family: to.family });
    if (seenAs !== null) return { passed: true, text: 'played: the compiled rules let it through' };
    return { passed: false, text: `played: lost at ${stop!.host}: ${stopText(stop!)}` };
  } catch (error) {
    if (error instanceof NetworkError) return { passed: null, text: `not played: ${error.message}` };
    throw error;
  }
}

/** A machine of the cloud or a host of the network by its name, or an address; one that a machine or host has is theirs. */
function endOf({ cloud, plan }: LoadedCloud, text: string, family: Family): NamedEnd {
  const literal = parseAddress(text);
  const hosts = plan.hosts.map(({ name, description }) => ({
    name,
    addresses: Object.values(description.interfaces ?? {}).flatMap((each) => addressesOf(each?.addresses ?? [])),
  }));
  if (literal !== null) {
    const host = hosts.find(({ addresses }) =>
      addresses.some((each) => each.family === literal.family && addressEquals(each.words, literal.words)),
    );
    const port = cloud.ports.find(({ vm }) => vm === host?.name) ?? null;
    return { port, family: literal.family, address: literal.words, host: host?.name ?? null };
  }
  const host = hosts.find(({ name }) => name === text);
  if (host === undefined) {
    const near = nearest(
      text,
      hosts.map(({ name }) => name),
    );
    throw new GroupUsageError(`no machine ${text}${near === null ? '' : `: did you mean ${near}?`}`);
  }
  const address = host.addresses.find((each) => each.family === family);
  if (address === undefined) throw new GroupUsageError(`${text} has no IPv${family} address`);
  return { port: cloud.ports.find(({ vm }) => vm === text) ?? null, family, address: address.words, host: text };
}

function addressesOf(texts: readonly unknown[]): { family: Family; words: AddressWords }[] {
  return texts.flatMap((text) => parseAddress(String(text).split('/')[0]!) ?? []);
}

function serviceOf(text: string, family: Family): Service {
  const service = readService(text, family);
  if (service === null)
    throw new GroupUsageError(`"${text}" is no service: write tcp/3306, udp/53, icmp, icmp/3/4 or a protocol`);
  return service;
}
