import { existsSync, statSync } from 'node:fs';
import { fileSource, peek } from '../../capture/files.ts';
import { isCapture, openCapture } from '../../capture/reader.ts';
import { type ByteSource, CaptureError } from '../../capture/source.ts';
import { isTcpdumpText, parseTcpdump } from '../../capture/tcpdump.ts';
import type { Host } from '../../datapath/environment.ts';
import type { Share } from '../../datapath/share.ts';
import type { Device } from '../../host/device.ts';
import { NotationError, nearest } from '../../packet/notation/error.ts';
import { parseLine } from '../../packet/notation/flow.ts';
import type { PacketSource } from '../../trace/input.ts';
import { parsePacketList } from '../../trace/packet-list.ts';
import { type WrittenItem, writtenSources } from '../../trace/written.ts';
import { type CaptureNotes, CaptureSource, type Progress } from './capture-source.ts';
import type { LoadedMachine } from './load.ts';
import { type PcapOption, type TraceOptions, TraceUsageError } from './options.ts';
import { PlacedCapture } from './placed-capture.ts';

/** An input that cannot be read: status 1. The message names it. */
export class InputError extends Error {}

/** What the command line gives the trace to read. */
export interface Inputs {
  sources: PacketSource[];
  notes: CaptureNotes;
  /** Lines for stderr about what was left out. */
  remarks: string[];
  /** How far each capture has been read, where only packets of one part are wanted. */
  progress: Progress[];
}

/** Everything that stands on the command line, read as far as it must be before the machine is built. */
export interface ReadInputs {
  written: WrittenItem[];
  /** Captures that are given without an interface. */
  captures: { name: string; source: ByteSource }[];
  pcaps: PcapOption[];
  remarks: string[];
}

/** Reads files and packets of the command line. Throws InputError or TraceUsageError. */
export function readInputs(options: TraceOptions): ReadInputs {
  const read: ReadInputs = { written: [], captures: [], pcaps: options.pcaps, remarks: [] };
  for (const input of options.inputs) {
    if (input !== '-' && !existsSync(input)) {
      if (!/[\s>]/.test(input)) {
        throw new InputError(
          `${input}: no such file (a packet is one argument, in quotes: 'in=eth0 tcp 192.0.2.1:40000 > 192.0.2.2:80')`,
        );
      }
      try {
        read.written.push({ line: parseLine(input), label: input });
      } catch (error) {
        // A packet that cannot be read is a mistake on the command line.
        if (error instanceof NotationError) throw new TraceUsageError(pointAt(input, error));
        throw error;
      }
    } else readFileInput(input, read);
  }
  return read;
}

/** The message with the place in the text that it is about. */
function pointAt(text: string, error: NotationError): string {
  if (error.column === 0 || text.includes('\n')) return `${text}: ${error.message}`;
  return `${error.message}\n  ${text}\n  ${' '.repeat(error.column - 1)}^`;
}

function readFileInput(name: string, read: ReadInputs): void {
  const shown = name === '-' ? 'standard input' : name;
  let opened: { head: Uint8Array; source: ByteSource };
  try {
    if (name !== '-' && statSync(name).isDirectory()) throw new InputError(`${name}: is a directory`);
    opened = peek(fileSource(name), 4);
  } catch (error) {
    throw asInputError(shown, error);
  }
  if (isCapture(opened.head)) {
    read.captures.push({ name: shown, source: opened.source });
    return;
  }
  const text = new TextDecoder().decode(readAll(opened.source));
  const before = read.written.length;
  try {
    if (isTcpdumpText(text)) takeTcpdump(text, shown, read);
    else read.written.push(...parsePacketList(text, shown));
  } catch (error) {
    if (error instanceof NotationError) throw new InputError(error.message);
    throw error;
  }
  if (read.written.length === before) read.remarks.push(`${shown}: there are no packets in it`);
}

/**
 * Packets that tcpdump printed: of `-i any` those that came in, with their interface. What went out is what the machine is to decide anew.
 */
function takeTcpdump(text: string, name: string, read: ReadInputs): void {
  const { packets, skipped } = parseTcpdump(text);
  let outgoing = 0;
  for (const { packet, interface: device, direction, time, line } of packets) {
    if (direction === 'Out') {
      outgoing++;
      continue;
    }
    if (device !== null) packet.in = device;
    if (direction === 'P') packet.packetType = 'otherhost';
    if (time !== null) packet.time = { at: time };
    read.written.push({ line: { kind: 'packet', packet }, label: `${name}:${line}` });
  }
  if (outgoing > 0) read.remarks.push(`${name}: ${outgoing} outgoing packets are left out`);
  if (skipped.length > 0) {
    const [first] = skipped;
    const others = skipped.length > 1 ? `, and ${skipped.length - 1} more` : '';
    read.remarks.push(`${name}: line ${first!.line} is left out: ${first!.reason}${others}`);
  }
}

function readAll(source: ByteSource): Uint8Array {
  let bytes = new Uint8Array(1 << 16);
  let length = 0;
  for (;;) {
    if (length === bytes.length) {
      const larger = new Uint8Array(bytes.length * 2);
      larger.set(bytes);
      bytes = larger;
    }
    const got = source.read(bytes, length, bytes.length - length);
    if (got === 0) return bytes.subarray(0, length);
    length += got;
  }
}

/**
 * The inputs as sources of packets on a host. Throws InputError.
 *
 * @param share where only packets of one part are wanted; all inputs are captures then
 */
export function openInputs(
  read: ReadInputs,
  { host, placement, hasOwnMac }: Pick<LoadedMachine, 'host' | 'placement' | 'hasOwnMac'>,
  start: number,
  share: Share | null = null,
): Inputs {
  const notes: CaptureNotes = { cut: 0 };
  const captures: (PacketSource & Progress)[] = [];
  const vlanDevice = (below: Device | null) => (vlan: number) =>
    host.devices.find((device) => device.link === below && device.vlan === vlan) ?? null;
  for (const { interface: name, file } of read.pcaps) {
    const device = name === 'local' ? null : deviceOf(host, name, file);
    const reader = openReader(file, () => fileSource(file));
    captures.push(
      new CaptureSource({ name: file, reader, device, vlanDevice: vlanDevice(device), hasOwnMac, start, notes, share }),
    );
  }
  for (const { name, source } of read.captures) {
    const reader = openReader(name, () => source);
    captures.push(new PlacedCapture({ name, reader, host, placement, vlanDevice, start, notes, share }));
  }
  const sources = [...captures, ...writtenSources(read.written, host, placement, start)];
  return { sources, notes, remarks: read.remarks, progress: share === null ? [] : captures };
}

function openReader(name: string, source: () => ByteSource): ReturnType<typeof openCapture> {
  try {
    return openCapture(source());
  } catch (error) {
    throw asInputError(name, error);
  }
}

function deviceOf(host: Host, name: string, file: string): Device {
  const device = host.device(name);
  if (device !== null) return device;
  const names = host.devices.map((known) => known.name);
  const near = nearest(name, names);
  throw new InputError(
    `--pcap ${name}=${file}: the host has no interface ${name}${near === null ? ` (it has ${names.join(', ')})` : `: did you mean ${near}?`}`,
  );
}

/** System errors and damaged captures as errors of an input; anything else is a defect and stays as it is. */
export function asInputError(name: string, error: unknown): unknown {
  if (error instanceof CaptureError) return new InputError(`${name}: ${error.message}`);
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return new InputError(`${name}: no such file`);
  if (code === 'EACCES') return new InputError(`${name}: permission denied`);
  if (code === 'EISDIR') return new InputError(`${name}: is a directory`);
  return error;
}
