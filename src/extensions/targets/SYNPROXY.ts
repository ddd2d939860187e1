import { Hook } from '../../datapath/hooks.ts';
import {
  clientSynAck,
  cookieSecrets,
  hideInTimestamp,
  makeCookie,
  readSynproxyOptions,
  SynproxyOption,
  serverSyn,
} from '../../datapath/synproxy.ts';
import { Verdict } from '../../datapath/verdicts.ts';
import { readUint32 } from '../../packet/bytes.ts';
import { checksumHolds } from '../../packet/checksum.ts';
import { ConntrackInfo } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { defineTarget } from '../contract.ts';
import { type Placement, refusePlacement } from './placement.ts';

/** `struct xt_synproxy_info`. */
interface SynproxyTarget {
  /** `SynproxyOption` bits. */
  options: number;
  wscale: number;
  mss: number;
}

const HELP = `SYNPROXY target options:
  --sack-perm                        Set SACK_PERM
  --timestamp                        Set TIMESTAMP
  --wscale value                     Set window scaling factor
  --mss value                        Set MSS value
  --ecn                              Set ECN
`;

const PLACEMENT: Placement = { hooks: [Hook.input, Hook.forward], protocol: Protocol.tcp };
const TCP_HEADER = 20;
const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;
const ECE_CWR = 0xc0;

function texts({ options, wscale, mss }: SynproxyTarget, before: string, after: string): string {
  let text = '';
  const add = (flag: number, what: string): void => {
    if (options & flag) text += `${before}${what}${after}`;
  };
  add(SynproxyOption.sackPermitted, 'sack-perm');
  add(SynproxyOption.timestamp, 'timestamp');
  add(SynproxyOption.wscale, `wscale ${wscale}`);
  add(SynproxyOption.mss, `mss ${mss}`);
  add(SynproxyOption.ecn, 'ecn');
  return text;
}

export const SYNPROXY = defineTarget<SynproxyTarget>({
  name: 'SYNPROXY',
  families: [4, 6],
  options: [
    { name: 'sack-perm', type: 'none' },
    { name: 'timestamp', type: 'none' },
    { name: 'wscale', type: 'uint32' },
    { name: 'mss', type: 'uint32' },
    { name: 'ecn', type: 'none' },
  ],
  init: () => ({ options: 0, wscale: 0, mss: 0 }),
  parse(data, { name, number }) {
    switch (name) {
      case 'sack-perm':
        data.options |= SynproxyOption.sackPermitted;
        break;
      case 'timestamp':
        data.options |= SynproxyOption.timestamp;
        break;
      case 'wscale':
        data.options |= SynproxyOption.wscale;
        data.wscale = number & 0xff;
        break;
      case 'mss':
        data.options |= SynproxyOption.mss;
        data.mss = number & 0xffff;
        break;
      case 'ecn':
        data.options |= SynproxyOption.ecn;
        break;
    }
  },
  save: (data) => texts(data, ' --', ''),
  print: (data) => ` SYNPROXY ${texts(data, '', ' ')}`,
  help: () => HELP,
  check: (_, site) => refusePlacement(site, PLACEMENT),
  explain: () => 'the machine answers for the server until the client has proved its address',
  compile({ options: allowed, wscale, mss }, { machine }) {
    const secrets = cookieSecrets(machine);
    return (packet) => {
      const { bytes, transport } = packet;
      if (transport + TCP_HEADER > bytes.length || !checksumHolds(packet, Protocol.tcp)) return Verdict.drop;
      const options = readSynproxyOptions(packet);
      if (options === null) return Verdict.drop;
      const flags = bytes[transport + 13]!;
      if ((flags & (SYN | ACK | FIN | RST)) === SYN) {
        if ((flags & ECE_CWR) === ECE_CWR) options.options |= SynproxyOption.ecn;
        options.options &= allowed;
        const cookie = makeCookie(packet, options.mss, secrets, machine.now());
        options.mss = mss;
        if (options.options & SynproxyOption.timestamp) hideInTimestamp(options, wscale, machine.now());
        // Without time stamps there is nowhere to note them.
        else options.options &= SynproxyOption.mss;
        const answer = clientSynAck(packet, cookie, options);
        if (packet.connection !== null) {
          answer.connection = packet.connection;
          answer.conntrackInfo = ConntrackInfo.establishedReply;
        }
        machine.sendLocal(answer);
        return Verdict.drop;
      }
      if ((flags & (SYN | ACK | FIN | RST)) !== ACK) return Verdict.next;
      const syn = serverSyn(packet, options, readUint32(bytes, transport + 4), secrets, machine.now());
      if (syn !== null) {
        machine.conntrack.attachTemplate(syn, { synproxy: true });
        machine.sendLocal(syn);
      }
      return Verdict.drop;
    };
  },
});
