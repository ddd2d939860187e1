import { formatAddress } from '../../packet/address-text.ts';
import { ConntrackInfo, type Packet } from '../../packet/packet.ts';
import { parseAddress } from '../../ruleset/addresses.ts';
import { equalUnderMask, type MaskedAddress, maskedAddressText } from '../addresses.ts';
import { defineMatch, type PrintContext, UsageError } from '../contract.ts';
import { warnMissing } from '../missing.ts';
import { badValue, not } from '../words.ts';

/** Bits of `match` and `invert` (XT_IPVS_*). */
const Part = { ipvs: 1, protocol: 2, address: 4, port: 8, direction: 16, method: 32, controlPort: 64 } as const;

/** `struct xt_ipvs_mtinfo`. */
interface IpvsMatch {
  match: number;
  invert: number;
  protocol: number;
  address: MaskedAddress;
  port: number;
  method: 'GATE' | 'IPIP' | 'MASQ';
  controlPort: number;
}

function describe(data: IpvsMatch, prefix: string, context: PrintContext, numeric: boolean): string {
  let text = '';
  const part = (bit: number, option: string, value: string): void => {
    if (data.match & bit) text += `${not((data.invert & bit) !== 0)} ${prefix}${option}${value}`;
  };
  if (data.match === Part.ipvs) part(Part.ipvs, 'ipvs', '');
  part(Part.protocol, 'vproto', ` ${data.protocol}`);
  part(Part.address, 'vaddr', maskedAddressText(data.address, context, numeric));
  part(Part.port, 'vport', ` ${data.port}`);
  if (data.match & Part.direction) text += ` ${prefix}vdir ${data.invert & Part.direction ? 'REPLY' : 'ORIGINAL'}`;
  part(Part.method, 'vmethod', ` ${data.method}`);
  part(Part.controlPort, 'vportctl', ` ${data.controlPort}`);
  return text;
}

const HELP = `IPVS match options:
[!] --ipvs                      packet belongs to an IPVS connection

Any of the following options implies --ipvs (even negated)
[!] --vproto protocol           VIP protocol to match; by number or name,
                                e.g. "tcp"
[!] --vaddr address[/mask]      VIP address to match
[!] --vport port                VIP port to match; by number or name,
                                e.g. "http"
    --vdir {ORIGINAL|REPLY}     flow direction of packet
[!] --vmethod {GATE|IPIP|MASQ}  IPVS forwarding method used
[!] --vportctl port             VIP port of the controlling connection to
                                match, e.g. 21 for FTP
`;

export const ipvs = defineMatch<IpvsMatch>({
  name: 'ipvs',
  families: [4, 6],
  options: [
    { name: 'ipvs', type: 'none', invert: true },
    { name: 'vproto', type: 'protocol', invert: true },
    { name: 'vaddr', type: 'host-mask', invert: true },
    { name: 'vport', type: 'port', invert: true },
    { name: 'vdir', type: 'string' },
    { name: 'vmethod', type: 'string', invert: true },
    { name: 'vportctl', type: 'port', invert: true },
  ],
  init(context) {
    // The kernel that is imitated has no ip_vs module, and the real tool says so when the match is first named.
    warnMissing('ipvs', context);
    return {
      match: 0,
      invert: 0,
      protocol: 0,
      address: { address: [0, 0, 0, 0], mask: [0, 0, 0, 0] },
      port: 0,
      method: 'MASQ',
      controlPort: 0,
    };
  },
  parse(data, option) {
    const word = option.text.toUpperCase();
    let bit: number = Part.ipvs;
    switch (option.name) {
      case 'vproto':
        bit = Part.protocol;
        data.protocol = option.number;
        break;
      case 'vaddr':
        bit = Part.address;
        data.address = { address: option.address, mask: option.addressMask };
        break;
      case 'vport':
        bit = Part.port;
        data.port = option.number;
        break;
      case 'vdir':
        bit = Part.direction;
        if (word !== 'ORIGINAL' && word !== 'REPLY') throw badValue('ipvs', '--vdir', option.text);
        if (word === 'REPLY') data.invert |= bit;
        break;
      case 'vmethod':
        bit = Part.method;
        if (word !== 'GATE' && word !== 'IPIP' && word !== 'MASQ') throw badValue('ipvs', '--vmethod', option.text);
        data.method = word;
        break;
      case 'vportctl':
        bit = Part.controlPort;
        data.controlPort = option.number;
        break;
    }
    data.match |= bit;
    if (option.invert) data.invert |= bit;
  },
  finish(data, { seen }) {
    if (seen.size === 0) throw new UsageError('IPVS: At least one option is required');
    if ((data.match & ~Part.ipvs) === 0) return;
    if (data.invert & Part.ipvs) throw new UsageError('! --ipvs cannot be together with other options');
    data.match |= Part.ipvs;
  },
  save: (data, context) => describe(data, '--', context, true),
  print: (data, context) => describe(data, '', context, context.numeric),
  help: () => HELP,
  absent: true,
  explain: (data, context) => `the packet belongs to a virtual server:${describe(data, '', context, true)}`,
  unknown: () =>
    'virtual servers are not simulated: a packet belongs to one only if it says so (ipvs=1, with vproto, vaddr, vport, vmethod, vportctl)',
  compile(data) {
    const holds = (bit: number, value: boolean): boolean =>
      (data.match & bit) === 0 || value !== ((data.invert & bit) !== 0);
    return (packet) => {
      const said = packet.described;
      const isIpvs = said?.ipvs === '1';
      if (data.match === Part.ipvs) return isIpvs !== ((data.invert & Part.ipvs) !== 0);
      if (said === null || !isIpvs) return false;
      return (
        holds(Part.protocol, packet.protocol === data.protocol) &&
        holds(Part.port, Number(said.vport) === data.port) &&
        holds(Part.controlPort, Number(said.vportctl) === data.controlPort) &&
        holds(Part.direction, packet.conntrackInfo < ConntrackInfo.establishedReply) &&
        (data.match & Part.direction ? packet.connection !== null : true) &&
        holds(Part.method, (said.vmethod ?? 'MASQ').toUpperCase() === data.method) &&
        holds(Part.address, equalUnderMask(virtualAddress(packet, said.vaddr), data.address.address, data.address.mask))
      );
    };
  },
});

function virtualAddress(packet: Packet, text: string | undefined): ArrayLike<number> {
  return parseAddress(text ?? formatAddress(packet.family, [0, 0, 0, 0]), packet.family) ?? packet.dst;
}
