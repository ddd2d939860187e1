import type { LogRecord } from '../../datapath/environment.ts';
import { Hook, type HookState } from '../../datapath/hooks.ts';
import { formatAddress4 } from '../../packet/address-text.ts';
import { readUint16 } from '../../packet/bytes.ts';
import type { Packet } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { prefixMask } from '../../ruleset/addresses.ts';
import { DEFAULT_FLAGS, formatLogLine } from '../../trace/reporters/kernel-log/line.ts';
import { equalUnderMask } from '../addresses.ts';
import { defineMatch } from '../contract.ts';
import { not, storedName } from '../words.ts';
import { type Fingerprint, OSF_STATE } from './osf-fingerprints.ts';

/** `struct xt_osf_info`. */
interface OsfMatch {
  genre: string;
  /** Kept, but the kernel does not look at it. */
  invert: boolean;
  ttl: number | null;
  log: number | null;
}

/** MAXGENRELEN, less the final zero byte. */
const MAX_GENRE = 31;
/** Ways to compare the TTL (NF_OSF_TTL_*). */
const Ttl = { equal: 0, less: 1, ignore: 2 } as const;
const SYN = 0x02;
/** Of the kernel log. */
const NOTICE = 5;
/** MSS values that modems put in place of 1500 - 40. */
const USUAL_MSS = [1460, 1448] as const;

function describe(data: OsfMatch, genre: string): string {
  const ttl = data.ttl === null ? '' : ` --ttl ${data.ttl}`;
  return `${not(data.invert)} --genre ${genre}${ttl}${data.log === null ? '' : ` --log ${data.log}`}`;
}

const HELP = `OS fingerprint match options:
[!] --genre string     Match a OS genre by passive fingerprinting.
--ttl level            Use some TTL check extensions to determine OS:
       0                       true ip and fingerprint TTL comparison. Works for LAN.
       1                       check if ip TTL is less than fingerprint one. Works for global addresses.
       2                       do not compare TTL at all. This allows NMAP detection, but can produce false results.
--log level            Log determined genres into dmesg even if they do not match desired one:
       0                       log all matched or unknown signatures.
       1                       log only first one.
       2                       log all known matched signatures.
`;

export const osf = defineMatch<OsfMatch>({
  name: 'osf',
  families: [4],
  options: [
    { name: 'genre', type: 'string', invert: true, mandatory: true },
    { name: 'ttl', type: 'uint32', min: 0, max: 2 },
    { name: 'log', type: 'uint32', min: 0, max: 2 },
  ],
  init: () => ({ genre: '', invert: false, ttl: null, log: null }),
  parse(data, option) {
    if (option.name === 'genre') {
      data.genre = option.text.slice(0, MAX_GENRE);
      data.invert = option.invert;
    } else if (option.name === 'ttl') {
      data.ttl = option.number;
    } else {
      data.log = option.number;
    }
  },
  save: (data) => describe(data, data.genre),
  store: (data) => describe(data, storedName(data.genre)),
  print: (data) => ` OS fingerprint match ${data.invert ? '! ' : ''}${data.genre}`,
  help: () => HELP,
  check(_data, { rule, hooks }) {
    if (rule.protocol !== Protocol.tcp || rule.protocolInvert) return 'EINVAL';
    return hooks.has(Hook.output) || hooks.has(Hook.postrouting) ? 'EINVAL' : null;
  },
  explain: (data) => `the SYN looks like one of ${data.genre}`,
  unknown: () =>
    'fingerprints come from pf.os in the state directory, as nfnl_osf would load them into the kernel; without them nothing matches',
  memory: 'flow',
  // `nf_osf_match` (net/netfilter/nfnetlink_osf.c)
  compile(data, { machine }) {
    const fingerprints = machine.namedState<Fingerprint[]>(OSF_STATE, 'fingerprints', () => []);
    const ttlCheck = data.ttl ?? Ttl.equal;
    return (packet, at) => {
      const syn = readSyn(packet);
      if (syn === null) return false;
      let matched = false;
      for (const fingerprint of fingerprints) {
        if (fingerprint.dontFragment !== syn.dontFragment) continue;
        if (data.log === null && fingerprint.genre !== data.genre) continue;
        if (!fits(packet, syn, fingerprint, ttlCheck, at)) continue;
        matched = true;
        if (data.log === null) return true;
        machine.log(packet, at, record(packet, at, foundText(packet, fingerprint)));
        if (data.log === 1) break;
      }
      if (!matched && data.log !== null) {
        machine.log(packet, at, record(packet, at, `Remote OS is not known: ${ends(packet)}`));
      }
      return matched;
    };
  },
});

interface Syn {
  dontFragment: boolean;
  window: number;
  /** Where options begin and end in the packet. */
  start: number;
  end: number;
}

function readSyn(packet: Packet): Syn | null {
  const { bytes, transport } = packet;
  if (transport + 20 > bytes.length || (bytes[transport + 13]! & SYN) === 0) return null;
  const headerLength = Math.max(20, (bytes[transport + 12]! >> 4) * 4);
  if (transport + headerLength > bytes.length) return null;
  return {
    dontFragment: (bytes[6]! & 0x40) !== 0,
    window: readUint16(bytes, transport + 14),
    start: transport + 20,
    end: transport + headerLength,
  };
}

function fits(packet: Packet, syn: Syn, fingerprint: Fingerprint, ttlCheck: number, at: HookState): boolean {
  const { bytes } = packet;
  if (readUint16(bytes, 2) !== fingerprint.totalLength) return false;
  if (!ttlFits(packet, fingerprint.ttl, ttlCheck, at)) return false;
  const length = fingerprint.options.reduce((sum, option) => sum + option.length, 0);
  if (length > 40 || length !== syn.end - syn.start) return false;
  let mss = 0;
  let offset = syn.start;
  for (const option of fingerprint.options) {
    if (bytes[offset] !== option.kind) return false;
    if (option.kind === 2) mss = readUint16(bytes, offset + 2);
    offset += option.length;
  }
  const { kind, value } = fingerprint.window;
  switch (kind) {
    case 'plain':
      return value === 0 || syn.window === value;
    case 'mss':
      return [mss, ...USUAL_MSS].some((size) => syn.window === value * size);
    case 'mtu':
      return [mss, ...USUAL_MSS].some((size) => syn.window === value * (size + 40));
    case 'modulo':
      return value !== 0 && syn.window % value === 0;
  }
}

/** Fewer hops than the fingerprint's TTL are fine; on the same network it must be exact. */
function ttlFits(packet: Packet, wanted: number, check: number, at: HookState): boolean {
  const ttl = packet.bytes[8]!;
  if (check === Ttl.equal) return ttl === wanted;
  if (check === Ttl.ignore || ttl <= wanted) return true;
  const near = at.inDevice?.addresses.some(
    ({ family, address, prefixLength }) =>
      family === 4 && equalUnderMask(address, packet.src, prefixMask(prefixLength)),
  );
  return near === true && ttl === wanted;
}

function foundText(packet: Packet, { genre, version, subtype, ttl }: Fingerprint): string {
  return `${genre} [${version}:${subtype}] : ${ends(packet)} hops=${ttl - packet.bytes[8]!}`;
}

/** The message stands on a line of its own before what is always told of a packet (nf_log_packet with the default level). */
function record(packet: Packet, at: HookState, message: string): LogRecord {
  const line = formatLogLine(packet, at, { prefix: `${message}\n`, flags: DEFAULT_FLAGS });
  return { level: NOTICE, line };
}

function ends({ bytes, transport, src, dst }: Packet): string {
  const from = `${formatAddress4(src[0]!)}:${readUint16(bytes, transport)}`;
  return `${from} -> ${formatAddress4(dst[0]!)}:${readUint16(bytes, transport + 2)}`;
}
