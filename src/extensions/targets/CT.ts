import type { ConntrackTemplate } from '../../datapath/environment.ts';
import { Verdict } from '../../datapath/verdicts.ts';
import { parseUnsigned } from '../../syntax/numbers.ts';
import { defineTarget, type KernelError, type RuleSite, UsageError } from '../contract.ts';
import { RAW, refusePlacement } from './placement.ts';

/** `struct xt_ct_target_info_v1`. */
interface CtTarget {
  notrack: boolean;
  helper: string;
  timeout: string;
  /** Bits of the events' numbers. */
  events: number;
  expectedEvents: number;
  zone: number;
  zoneOriginal: boolean;
  zoneReply: boolean;
  zoneFromMark: boolean;
}

const HELP = `CT target options:
 --notrack			Don't track connection
 --helper name			Use conntrack helper 'name' for connection
 --timeout name 		Use timeout policy 'name' for connection
 --ctevents event[,event...]	Generate specified conntrack events for connection
 --expevents event[,event...]	Generate specified expectation events for connection
 --zone {ID|mark}		Assign/Lookup connection in zone ID/packet nfmark
 --zone-orig {ID|mark}		Same as 'zone' option, but only applies to ORIGINAL direction
 --zone-reply {ID|mark} 	Same as 'zone' option, but only applies to REPLY direction
`;

/** Name and number (`enum ip_conntrack_events`) of each event, in the order in which they are printed. */
const EVENTS: readonly (readonly [string, number])[] = [
  ['new', 0],
  ['related', 1],
  ['destroy', 2],
  ['reply', 3],
  ['assured', 4],
  ['protoinfo', 5],
  ['helper', 6],
  ['mark', 7],
  ['natseqinfo', 8],
  ['secmark', 9],
];
const EXPECTATION_EVENTS: readonly (readonly [string, number])[] = [['new', 0]];

const TCP = 6;
const UDP = 17;
/** The helpers of the kernel that is imitated: name, families, protocols. */
const HELPERS: Readonly<Record<string, { families: readonly number[]; protocols: readonly number[] }>> = {
  amanda: { families: [4, 6], protocols: [UDP] },
  ftp: { families: [4, 6], protocols: [TCP] },
  irc: { families: [4], protocols: [TCP] },
  'netbios-ns': { families: [4], protocols: [UDP] },
  pptp: { families: [4], protocols: [TCP] },
  'Q.931': { families: [4, 6], protocols: [TCP] },
  RAS: { families: [4, 6], protocols: [UDP] },
  'H.245': { families: [4, 6], protocols: [UDP] },
  sane: { families: [4, 6], protocols: [TCP] },
  sip: { families: [4, 6], protocols: [TCP, UDP] },
  snmp: { families: [4], protocols: [UDP] },
  tftp: { families: [4, 6], protocols: [UDP] },
};
/** Helpers whose work on packets is simulated; connections of the others only carry the name. */
const SIMULATED = new Set(['ftp', 'tftp']);

function readEvents(text: string, known: typeof EVENTS): number {
  let mask = 0;
  for (const name of text.split(',')) {
    const event = known.find(([candidate]) => candidate === name);
    if (event === undefined) throw new UsageError(`Unknown event type "${name}"`);
    mask |= 1 << event[1];
  }
  return mask;
}

function eventNames(mask: number, known: typeof EVENTS): string {
  return known
    .filter(([, number]) => mask & (1 << number))
    .map(([name]) => name)
    .join(',');
}

function texts(data: CtTarget, prefix: string): string {
  let text = '';
  if (data.notrack) text += ` ${prefix}notrack`;
  if (data.helper !== '') text += ` ${prefix}helper ${data.helper}`;
  if (data.timeout !== '') text += ` ${prefix}timeout ${data.timeout}`;
  if (data.events !== 0) text += ` ${prefix}ctevents ${eventNames(data.events, EVENTS)}`;
  if (data.expectedEvents !== 0) text += ` ${prefix}expevents ${eventNames(data.expectedEvents, EXPECTATION_EVENTS)}`;
  if (data.zoneFromMark || data.zone !== 0) {
    const direction = data.zoneOriginal === data.zoneReply ? '' : data.zoneOriginal ? '-orig' : '-reply';
    text += ` ${prefix}zone${direction} ${data.zoneFromMark ? 'mark' : data.zone}`;
  }
  return text;
}

/** xt_ct_tg_check: a helper needs a protocol and has to exist for it. No timeout policy exists: no command of this set makes one. */
function check(data: CtTarget, site: RuleSite): KernelError | null {
  const refused = refusePlacement(site, RAW);
  if (refused !== null || data.notrack) return refused;
  const protocol = site.rule.protocolInvert ? 0 : site.rule.protocol;
  if (data.helper !== '') {
    const helper = HELPERS[data.helper];
    if (helper === undefined || !helper.families.includes(site.family) || !helper.protocols.includes(protocol)) {
      return 'ENOENT';
    }
  }
  if (data.timeout !== '') return protocol === 0 ? 'EINVAL' : 'ENOENT';
  return null;
}

function template(data: CtTarget): ConntrackTemplate {
  const direction = data.zoneOriginal === data.zoneReply ? 'both' : data.zoneOriginal ? 'original' : 'reply';
  return {
    zone: data.zone,
    zoneDirection: direction,
    zoneFromMark: data.zoneFromMark,
    ...(data.helper === '' ? {} : { helper: data.helper }),
    ...(data.timeout === '' ? {} : { timeoutPolicy: data.timeout }),
    ...(data.events === 0 ? {} : { eventMask: data.events }),
    ...(data.expectedEvents === 0 ? {} : { expectedEventMask: data.expectedEvents }),
  };
}

export const CT = defineTarget<CtTarget>({
  name: 'CT',
  families: [4, 6],
  options: [
    { name: 'notrack', type: 'none' },
    { name: 'helper', type: 'string' },
    { name: 'timeout', type: 'string' },
    { name: 'ctevents', type: 'string' },
    { name: 'expevents', type: 'string' },
    { name: 'zone-orig', type: 'string' },
    { name: 'zone-reply', type: 'string' },
    { name: 'zone', type: 'string' },
  ],
  init: () => ({
    notrack: false,
    helper: '',
    timeout: '',
    events: 0,
    expectedEvents: 0,
    zone: 0,
    zoneOriginal: false,
    zoneReply: false,
    zoneFromMark: false,
  }),
  parse(data, { name, text }) {
    switch (name) {
      case 'notrack':
        data.notrack = true;
        break;
      case 'helper':
        data.helper = text.slice(0, 15);
        break;
      case 'timeout':
        data.timeout = text.slice(0, 31);
        break;
      case 'ctevents':
        data.events = readEvents(text, EVENTS);
        break;
      case 'expevents':
        data.expectedEvents = readEvents(text, EXPECTATION_EVENTS);
        break;
      default: {
        if (name === 'zone-orig') data.zoneOriginal = true;
        if (name === 'zone-reply') data.zoneReply = true;
        data.zone = 0;
        if (text.toLowerCase() === 'mark') {
          data.zoneFromMark = true;
          break;
        }
        const zone = parseUnsigned(text, 0, 0xffff);
        if (zone === null) throw new UsageError(`Cannot parse ${text} as a zone ID`);
        data.zone = zone;
      }
    }
  },
  save: (data) => texts(data, '--'),
  print: (data) => ` CT${texts(data, '')}`,
  help: () => HELP,
  check,
  // The part of the structure that the kernel gives back ends behind four letters of it.
  added: (data) => (data.timeout.length > 4 ? { ...data, timeout: data.timeout.slice(0, 4) } : data),
  // Zone 0 of one direction is not in any text.
  same: (a, b) => texts(a, '') === texts(b, ''),
  explain(data) {
    if (data.notrack) return 'the packet is not tracked';
    return `the packet's connection is tracked with${texts(data, '') || ' nothing special'}`;
  },
  unknown({ helper }) {
    return helper === '' || SIMULATED.has(helper)
      ? null
      : `what helper ${helper} reads from packets is not simulated: it expects no connections`;
  },
  // A helper expects connections between other addresses.
  memory: ({ helper }) => (helper === '' ? 'flow' : 'machine'),
  compile(data, { machine: { conntrack } }) {
    if (data.notrack) {
      return (packet) => {
        conntrack.untrack(packet);
        return Verdict.next;
      };
    }
    const laidDown = template(data);
    return (packet) => {
      conntrack.attachTemplate(packet, laidDown);
      return Verdict.next;
    };
  },
});

export const NOTRACK = defineTarget<Record<string, never>>({
  name: 'NOTRACK',
  listedName: 'CT',
  families: [4, 6],
  options: [],
  init: () => ({}),
  parse() {},
  save: () => '',
  print: () => ' NOTRACK',
  help: () => 'NOTRACK does not take any options\n',
  check: (_, site) => refusePlacement(site, RAW),
  explain: () => 'the packet is not tracked',
  memory: 'flow',
  compile(_, { machine: { conntrack } }) {
    return (packet) => {
      conntrack.untrack(packet);
      return Verdict.next;
    };
  },
});
