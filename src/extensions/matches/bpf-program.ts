import { readUint16, readUint32 } from '../../packet/bytes.ts';
import type { Packet } from '../../packet/packet.ts';

/** One instruction of classic BPF (`struct sock_filter`). */
export type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, k: number];

const MEMORY_WORDS = 16;
/** Load offsets from here on mean the link header, the network header, or facts beside the packet (SKF_*_OFF). */
const AUXILIARY = 0x100000000 - 0x1000;
const NETWORK = 0x100000000 - 0x100000;
const LINK = 0x100000000 - 0x200000;
/** What loads at AUXILIARY + N give (SKF_AD_*). */
const Auxiliary = {
  protocol: 0,
  packetType: 4,
  interfaceIndex: 8,
  mark: 20,
  hardwareType: 28,
  cpu: 36,
  random: 56,
} as const;
const AUXILIARY_KNOWN: ReadonlySet<number> = new Set([0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60]);

/** Codes that `chk_code_allowed` (net/core/filter.c) takes. */
const CODES: ReadonlySet<number> = new Set([
  0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x44, 0x4c, 0x54, 0x5c, 0x64, 0x6c, 0x74, 0x7c, 0x94, 0x9c, 0xa4,
  0xac, 0x84, 0x20, 0x28, 0x30, 0x80, 0x40, 0x48, 0x50, 0x00, 0x01, 0x60, 0x61, 0x81, 0xb1, 0x02, 0x03, 0x05, 0x15,
  0x1d, 0x35, 0x3d, 0x25, 0x2d, 0x45, 0x4d, 0x06, 0x16, 0x07, 0x87,
]);

/** Whether the kernel takes the program (`bpf_check_classic`). */
export function isValidProgram(program: readonly Instruction[]): boolean {
  for (let i = 0; i < program.length; i++) {
    const [code, jumpTrue, jumpFalse, k] = program[i]!;
    if (!CODES.has(code)) return false;
    switch (code) {
      case 0x34:
      case 0x94:
        if (k === 0) return false;
        break;
      case 0x64:
      case 0x74:
        if (k >= 32) return false;
        break;
      case 0x60:
      case 0x61:
      case 0x02:
      case 0x03:
        if (k >= MEMORY_WORDS) return false;
        break;
      case 0x05:
        if (k >= program.length - i - 1) return false;
        break;
      case 0x20:
      case 0x28:
      case 0x30:
        if (k >= AUXILIARY && !AUXILIARY_KNOWN.has(k - AUXILIARY)) return false;
        break;
      default:
        if ((code & 7) === 5 && (i + jumpTrue + 1 >= program.length || i + jumpFalse + 1 >= program.length))
          return false;
    }
  }
  const last = program[program.length - 1]?.[0];
  return (last === 0x06 || last === 0x16) && loadsOnlyWhatWasStored(program);
}

/** `check_load_and_stores`: no path reads a memory word that it did not write. */
function loadsOnlyWhatWasStored(program: readonly Instruction[]): boolean {
  const masks = new Array<number>(program.length).fill(0xffff);
  let valid = 0;
  for (let i = 0; i < program.length; i++) {
    const [code, jumpTrue, jumpFalse, k] = program[i]!;
    valid &= masks[i]!;
    if (code === 0x02 || code === 0x03) valid |= 1 << k;
    else if (code === 0x60 || code === 0x61) {
      if ((valid & (1 << k)) === 0) return false;
    } else if (code === 0x05) {
      masks[i + 1 + k]! &= valid;
      valid = 0xffff;
    } else if ((code & 7) === 5) {
      masks[i + 1 + jumpTrue]! &= valid;
      masks[i + 1 + jumpFalse]! &= valid;
      valid = 0xffff;
    }
  }
  return true;
}

/** Facts that a program may ask for besides the packet. */
export interface ProgramContext {
  random(): number;
}

const memory = new Uint32Array(MEMORY_WORDS);

/** Runs a valid program on the packet from its IP header; what it returns. A load beyond the end returns 0. */
export function runProgram(program: readonly Instruction[], packet: Packet, context: ProgramContext): number {
  const { bytes } = packet;
  let a = 0;
  let x = 0;
  memory.fill(0);
  for (let i = 0; i < program.length; i++) {
    const instruction = program[i]!;
    const code = instruction[0];
    const k = instruction[3];
    switch (code & 7) {
      case 0: // load
        if ((code & 0xe0) === 0x00) a = k;
        else if ((code & 0xe0) === 0x60) a = memory[k]!;
        else if ((code & 0xe0) === 0x80) a = bytes.length;
        else {
          const indirect = (code & 0xe0) === 0x40;
          const offset = indirect ? (x + k) >>> 0 : k;
          if (!indirect && offset >= AUXILIARY) {
            a = auxiliary(offset - AUXILIARY, packet, context);
            break;
          }
          const loaded = load(packet, offset, code & 0x18);
          if (loaded < 0) return 0;
          a = loaded;
        }
        break;
      case 1: // load index
        if ((code & 0xe0) === 0x00) x = k;
        else if ((code & 0xe0) === 0x60) x = memory[k]!;
        else if ((code & 0xe0) === 0x80) x = bytes.length;
        else {
          const loaded = load(packet, k, 0x10);
          if (loaded < 0) return 0;
          x = (loaded & 15) << 2;
        }
        break;
      case 2:
        memory[k] = a;
        break;
      case 3:
        memory[k] = x;
        break;
      case 4: {
        const operand = code & 8 ? x : k;
        const operation = code & 0xf0;
        if (operand === 0 && (operation === 0x30 || operation === 0x90)) return 0;
        a = calculate(operation, a, operand);
        break;
      }
      case 5: {
        const operation = code & 0xf0;
        if (operation === 0) {
          i += k;
          break;
        }
        const operand = code & 8 ? x : k;
        const holds =
          operation === 0x10
            ? a === operand
            : operation === 0x20
              ? a > operand
              : operation === 0x30
                ? a >= operand
                : (a & operand) !== 0;
        i += holds ? instruction[1] : instruction[2];
        break;
      }
      case 6:
        return code & 0x10 ? a : k;
      default:
        if (code === 0x07) x = a;
        else a = x;
    }
  }
  return 0;
}

function calculate(operation: number, a: number, operand: number): number {
  switch (operation) {
    case 0x00:
      return (a + operand) >>> 0;
    case 0x10:
      return (a - operand) >>> 0;
    case 0x20:
      return Math.imul(a, operand) >>> 0;
    case 0x30:
      return Math.floor(a / operand);
    case 0x40:
      return (a | operand) >>> 0;
    case 0x50:
      return (a & operand) >>> 0;
    case 0x60:
      return (a << operand) >>> 0;
    case 0x70:
      return a >>> operand;
    case 0x80:
      return -a >>> 0;
    case 0x90:
      return a % operand;
    default:
      return (a ^ operand) >>> 0;
  }
}

/** A word (size 0), half (8) or byte (0x10) of the packet; -1 if it is not there. */
function load(packet: Packet, offset: number, size: number): number {
  let { bytes } = packet;
  let at = offset;
  if (offset >= NETWORK) at = offset - NETWORK;
  else if (offset >= LINK) {
    if (packet.linkHeader === null) return -1;
    bytes = packet.linkHeader;
    at = offset - LINK;
  }
  const length = size === 0 ? 4 : size === 8 ? 2 : 1;
  if (at + length > bytes.length) return -1;
  return size === 0 ? readUint32(bytes, at) : size === 8 ? readUint16(bytes, at) : bytes[at]!;
}

function auxiliary(what: number, packet: Packet, context: ProgramContext): number {
  switch (what) {
    case Auxiliary.protocol:
      return packet.family === 4 ? 0x0800 : 0x86dd;
    case Auxiliary.packetType:
      return packet.packetType;
    case Auxiliary.interfaceIndex:
      return (packet.inDevice ?? packet.outDevice)?.index ?? 0;
    case Auxiliary.mark:
      return packet.mark;
    case Auxiliary.hardwareType:
      return (packet.inDevice ?? packet.outDevice)?.kind === 'loopback' ? 772 : 1;
    case Auxiliary.cpu:
      return packet.cpu;
    case Auxiliary.random:
      return context.random();
    default:
      return 0;
  }
}
