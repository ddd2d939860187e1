import { Hook } from '../../datapath/hooks.ts';
import type { Device } from '../../host/device.ts';
import { defineMatch, type ParseContext, UsageError } from '../contract.ts';
import { not, storedName } from '../words.ts';

interface NameTest {
  name: string;
  invert: boolean;
}

interface FlagTest {
  invert: boolean;
}

/** `struct xt_physdev_info`: each part is null if it is not asked for. */
interface PhysdevMatch {
  in: NameTest | null;
  out: NameTest | null;
  isIn: FlagTest | null;
  isOut: FlagTest | null;
  isBridged: FlagTest | null;
}

const NAME_SIZE = 16;

function parseName(name: string, context: ParseContext): string {
  if (name.length + 1 > NAME_SIZE)
    throw new UsageError(`interface name \`${name}' must be shorter than IFNAMSIZ (${NAME_SIZE - 1})`);
  if (/[/ ]/.test(name))
    context.warn(`Warning: weird character in interface \`${name}' ('/' and ' ' are not allowed by the kernel).\n`);
  return name;
}

/** Whether an interface name fits one with an optional `+` at its end; the empty one fits any. */
function fits(device: Device, name: string): boolean {
  if (name === '') return true;
  return name.endsWith('+') ? device.name.startsWith(name.slice(0, -1)) : device.name === name;
}

function describe(data: PhysdevMatch, word = (name: string): string => name): string {
  let text = '';
  if (data.isIn) text += `${not(data.isIn.invert)} --physdev-is-in`;
  if (data.in) text += `${not(data.in.invert)} --physdev-in ${word(data.in.name)}`;
  if (data.isOut) text += `${not(data.isOut.invert)} --physdev-is-out`;
  if (data.out) text += `${not(data.out.invert)} --physdev-out ${word(data.out.name)}`;
  if (data.isBridged) text += `${not(data.isBridged.invert)} --physdev-is-bridged`;
  return text;
}

const HELP = `physdev match options:
 [!] --physdev-in inputname[+]		bridge port name ([+] for wildcard)
 [!] --physdev-out outputname[+]	bridge port name ([+] for wildcard)
 [!] --physdev-is-in			arrived on a bridge device
 [!] --physdev-is-out			will leave on a bridge device
 [!] --physdev-is-bridged		it's a bridged packet
`;

export const physdev = defineMatch<PhysdevMatch>({
  name: 'physdev',
  families: [4, 6],
  options: [
    { name: 'physdev-in', type: 'string', invert: true },
    { name: 'physdev-out', type: 'string', invert: true },
    { name: 'physdev-is-in', type: 'none', invert: true },
    { name: 'physdev-is-out', type: 'none', invert: true },
    { name: 'physdev-is-bridged', type: 'none', invert: true },
  ],
  init: () => ({ in: null, out: null, isIn: null, isOut: null, isBridged: null }),
  parse(data, option, context) {
    const { invert } = option;
    switch (option.name) {
      case 'physdev-in':
        data.in = { name: parseName(option.text, context), invert };
        break;
      case 'physdev-out':
        data.out = { name: parseName(option.text, context), invert };
        break;
      case 'physdev-is-in':
        data.isIn = { invert };
        break;
      case 'physdev-is-out':
        data.isOut = { invert };
        break;
      case 'physdev-is-bridged':
        data.isBridged = { invert };
        break;
    }
  },
  finish(_data, { seen }) {
    if (seen.size === 0) throw new UsageError('PHYSDEV: no physdev option specified');
  },
  save: (data) => describe(data),
  store: (data) => describe(data, storedName),
  print: (data) => ` PHYSDEV match${describe(data)}`,
  help: () => HELP,
  check(data, { hooks }) {
    const out = data.out !== null || data.isOut !== null;
    const bridgedOnly = data.isBridged !== null && !data.isBridged.invert;
    return out && !bridgedOnly && hooks.has(Hook.output) ? 'EINVAL' : null;
  },
  explain(data) {
    const parts: string[] = [];
    if (data.isIn) parts.push(`the packet came in ${data.isIn.invert ? 'by no' : 'by a'} bridge port`);
    if (data.in) parts.push(`the bridge port it came in by is ${data.in.invert ? 'not ' : ''}${data.in.name}`);
    if (data.isOut) parts.push(`the packet leaves ${data.isOut.invert ? 'by no' : 'by a'} bridge port`);
    if (data.out) parts.push(`the bridge port it leaves by is ${data.out.invert ? 'not ' : ''}${data.out.name}`);
    if (data.isBridged) parts.push(`the packet is ${data.isBridged.invert ? 'not ' : ''}bridged`);
    return parts.join(' and ');
  },
  pure: true,
  fields: () => [],
  // `physdev_mt` (net/netfilter/xt_physdev.c)
  compile(data) {
    const withoutBridge =
      (data.isBridged?.invert ?? true) &&
      (data.isIn?.invert ?? true) &&
      (data.isOut?.invert ?? true) &&
      (data.in?.invert ?? true) &&
      (data.out?.invert ?? true);
    return (packet) => {
      const { physicalIn, physicalOut } = packet;
      if (physicalIn === null && physicalOut === null) return withoutBridge;
      if (data.isBridged !== null && (physicalOut !== null) === data.isBridged.invert) return false;
      if (data.isIn !== null && (physicalIn !== null) === data.isIn.invert) return false;
      if (data.isOut !== null && (physicalOut !== null) === data.isOut.invert) return false;
      if (data.in !== null && physicalIn !== null && fits(physicalIn, data.in.name) === data.in.invert) return false;
      if (data.out === null) return true;
      return physicalOut !== null && fits(physicalOut, data.out.name) !== data.out.invert;
    };
  },
});
