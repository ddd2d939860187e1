import type { RouteAnswer } from '../../datapath/environment.ts';
import { Hook } from '../../datapath/hooks.ts';
import { LogLevel } from '../../datapath/log-level.ts';
import { Verdict, type VerdictCode } from '../../datapath/verdicts.ts';
import { readUint16, writeUint16 } from '../../packet/bytes.ts';
import { replaceLong, replaceWord } from '../../packet/checksum.ts';
import type { Family } from '../../packet/family.ts';
import type { Packet } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { resize, setTransportByte } from '../../packet/rewrite.ts';
import { parseUnsigned } from '../../syntax/numbers.ts';
import { defineTarget, type RuleSite, UsageError } from '../contract.ts';
import type { TcpMatch } from '../matches/tcp.ts';
import { type Placement, refusePlacement } from './placement.ts';
import { optionLength } from './tcp-options.ts';

/** The wanted maximum segment size; null: what the path's MTU allows. */
interface TcpmssTarget {
  mss: number | null;
}

/** Length of the IP header without options. */
const IP_HEADER: Readonly<Record<Family, number>> = { 4: 20, 6: 40 };
/** What an end without the option accepts (RFC 1122; RFC 8200). */
const DEFAULT_MSS: Readonly<Record<Family, number>> = { 4: 536, 6: 1220 };
const TCP_HEADER = 20;
const LONGEST_TCP_HEADER = 60;
const MSS_OPTION = 2;
const MSS_OPTION_LENGTH = 4;

const TCP: Placement = { protocol: Protocol.tcp };
const CLAMPING: Placement = { ...TCP, hooks: [Hook.forward, Hook.output, Hook.postrouting] };
const SYN = 2;

/** Legacy demands `-m tcp` with SYN among the flags that must be set. */
function asksForSyn({ rule }: RuleSite): boolean {
  return rule.matches.some(({ name, data }) => {
    if (name !== 'tcp') return false;
    const { flagCompare, invertFlags } = data as TcpMatch;
    return (flagCompare & SYN) !== 0 && !invertFlags;
  });
}

/** Sets the option if it is greater than `wanted`, or adds it to a segment without data (tcpmss_mangle_packet). */
export function limitSegmentSize(packet: Packet, wanted: number): VerdictCode {
  const { bytes, transport, family } = packet;
  if (packet.fragmentOffset !== 0) return Verdict.next;
  const length = bytes.length - transport;
  if (length < TCP_HEADER) return Verdict.drop;
  // The whole packet is made one piece to be written to: it is cut anew when it leaves.
  packet.fragmentSizes = null;
  packet.sharesBytes = false;
  const headerLength = (bytes[transport + 12]! >>> 4) * 4;
  if (length < headerLength || headerLength < TCP_HEADER) return Verdict.drop;
  for (let i = TCP_HEADER; i <= headerLength - MSS_OPTION_LENGTH; i += optionLength(bytes, transport + i)) {
    if (bytes[transport + i] !== MSS_OPTION || bytes[transport + i + 1] !== MSS_OPTION_LENGTH) continue;
    if (readUint16(bytes, transport + i + 2) > wanted) {
      setTransportByte(packet, i + 2, wanted >>> 8);
      setTransportByte(packet, i + 3, wanted & 0xff);
    }
    return Verdict.next;
  }
  // Data would have to be moved, and the segment might become too long.
  if (length > headerLength || headerLength >= LONGEST_TCP_HEADER) return Verdict.next;
  addOption(packet, Math.min(wanted, DEFAULT_MSS[family]), length);
  return Verdict.next;
}

function addOption(packet: Packet, mss: number, length: number): void {
  const { transport } = packet;
  const longer = packet.bytes.length + MSS_OPTION_LENGTH;
  resize(packet, longer);
  const { bytes } = packet;
  const at = transport + TCP_HEADER;
  bytes.copyWithin(at + MSS_OPTION_LENGTH, at, longer - MSS_OPTION_LENGTH);
  bytes[at] = MSS_OPTION;
  bytes[at + 1] = MSS_OPTION_LENGTH;
  writeUint16(bytes, at + 2, mss);
  let checksum = readUint16(bytes, transport + 16);
  checksum = replaceWord(checksum, length, length + MSS_OPTION_LENGTH);
  checksum = replaceLong(checksum, 0, ((MSS_OPTION << 24) | (MSS_OPTION_LENGTH << 16) | mss) >>> 0);
  const before = readUint16(bytes, transport + 12);
  const after = before + 0x1000;
  writeUint16(bytes, transport + 12, after);
  writeUint16(bytes, transport + 16, replaceWord(checksum, before, after));
}

/** The MTU of a route to somewhere; a path that leads nowhere sets no limit. */
function pathMtu(route: RouteAnswer | null): number {
  switch (route?.type) {
    case 'unicast':
    case 'local':
    case 'broadcast':
    case 'multicast':
      return route.mtu;
    default:
      return Number.POSITIVE_INFINITY;
  }
}

export const TCPMSS = defineTarget<TcpmssTarget>({
  name: 'TCPMSS',
  families: [4, 6],
  options: [
    // Read below: the greatest value depends on the family.
    { name: 'set-mss', type: 'string' },
    { name: 'clamp-mss-to-pmtu', type: 'none' },
  ],
  init: () => ({ mss: 0 }),
  parse(data, { name, text }, { family }) {
    if (name !== 'set-mss') {
      data.mss = null;
      return;
    }
    const max = 0xffff - IP_HEADER[family];
    data.mss = parseUnsigned(text, 0, max);
    if (data.mss === null) {
      throw new UsageError(`TCPMSS: bad value for option "--set-mss", or out of range (0-${max}).\n`);
    }
  },
  finish(_, { seen }) {
    if (seen.size === 0) throw new UsageError('TCPMSS target: At least one parameter is required');
  },
  save: ({ mss }) => (mss === null ? ' --clamp-mss-to-pmtu' : ` --set-mss ${mss}`),
  print: ({ mss }) => (mss === null ? ' TCPMSS clamp to PMTU' : ` TCPMSS set ${mss}`),
  help: (family) => `TCPMSS target mutually-exclusive options:
  --set-mss value               explicitly set MSS option to specified value
  --clamp-mss-to-pmtu           automatically clamp MSS value to (path_MTU - ${IP_HEADER[family]})
`,
  check({ mss }, site) {
    const refused = refusePlacement(site, mss === null ? CLAMPING : TCP);
    if (refused !== null) return refused;
    return site.variant === 'legacy' && !asksForSyn(site) ? 'EINVAL' : null;
  },
  explain: ({ mss }) =>
    mss === null ? "TCP's segment size is limited to what the path takes" : `TCP's segment size is limited to ${mss}`,
  memory: 'flow',
  compile({ mss }, { family, machine }) {
    if (mss !== null) return (packet) => limitSegmentSize(packet, mss);
    const headers = IP_HEADER[family] + TCP_HEADER;
    return (packet) => {
      const { src } = packet;
      const back = machine.host.route({ family, destination: [src[0]!, src[1]!, src[2]!, src[3]!] });
      const mtu = Math.min(pathMtu(packet.route), pathMtu(back));
      if (mtu <= headers) {
        machine.message(LogLevel.error, `xt_TCPMSS: unknown or invalid path-MTU (${mtu})`);
        return Verdict.drop;
      }
      return limitSegmentSize(packet, Math.min(mtu - headers, 0xffff));
    };
  },
});
