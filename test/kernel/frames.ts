/**
 * Makes packets for the comparison, on purpose without the code under test: a second, plain implementation.
 */

export function addressBytes(text: string): Buffer {
  if (!text.includes(':')) return Buffer.from(text.split('.').map(Number));
  const [head, tail] = text.split('::');
  const words = (part: string | undefined): number[] =>
    part ? part.split(':').map((w) => Number.parseInt(w, 16)) : [];
  const left = words(head);
  const right = words(tail);
  const all = tail === undefined ? left : [...left, ...new Array(8 - left.length - right.length).fill(0), ...right];
  const out = Buffer.alloc(16);
  all.forEach((word, i) => {
    out.writeUInt16BE(word, 2 * i);
  });
  return out;
}

export function onesSum(data: Buffer, start = 0): number {
  let sum = start;
  for (let i = 0; i + 1 < data.length; i += 2) sum += data.readUInt16BE(i);
  if (data.length % 2 === 1) sum += data[data.length - 1] << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** Checksum of a segment over its pseudo header. */
export function transportSum(source: Buffer, destination: Buffer, protocol: number, segment: Buffer): number {
  let sum = onesSum(source);
  sum = onesSum(destination, sum);
  return ~onesSum(segment, sum + protocol + segment.length) & 0xffff;
}

export interface IpFields {
  source: string;
  destination: string;
  protocol: number;
  ttl?: number;
  tos?: number;
  id?: number;
  dontFragment?: boolean;
  moreFragments?: boolean;
  /** Bytes, a multiple of 8. */
  offset?: number;
  /** IPv4 options, padded by the caller to a multiple of 4. */
  options?: Buffer;
  flow?: number;
  /** IPv6 extension headers, outermost first: [type, body without next-header byte]. */
  extensions?: [number, Buffer][];
  badChecksum?: boolean;
  /** Value of the total or payload length field instead of the true one. */
  length?: number;
}

export function ip(fields: IpFields, payload: Buffer): Buffer {
  const source = addressBytes(fields.source);
  const destination = addressBytes(fields.destination);
  if (source.length === 4) {
    const options = fields.options ?? Buffer.alloc(0);
    const header = Buffer.alloc(20);
    header[0] = 0x40 | (5 + options.length / 4);
    header[1] = fields.tos ?? 0;
    header.writeUInt16BE((fields.length ?? 20 + options.length + payload.length) & 0xffff, 2);
    header.writeUInt16BE(fields.id ?? 1, 4);
    header.writeUInt16BE(
      (fields.dontFragment ? 0x4000 : 0) | (fields.moreFragments ? 0x2000 : 0) | ((fields.offset ?? 0) / 8),
      6,
    );
    header[8] = fields.ttl ?? 64;
    header[9] = fields.protocol;
    source.copy(header, 12);
    destination.copy(header, 16);
    const whole = Buffer.concat([header, options]);
    whole.writeUInt16BE((~onesSum(whole) & 0xffff) ^ (fields.badChecksum ? 0x1234 : 0), 10);
    return Buffer.concat([whole, payload]);
  }
  const extensions = fields.extensions ?? [];
  const chain = extensions.map(([, body], i) =>
    Buffer.concat([Buffer.from([extensions[i + 1]?.[0] ?? fields.protocol]), body]),
  );
  const rest = Buffer.concat([...chain, payload]);
  const header = Buffer.alloc(40);
  header.writeUInt32BE((6 * 0x10000000 + (fields.tos ?? 0) * 0x100000 + (fields.flow ?? 0)) >>> 0, 0);
  header.writeUInt16BE((fields.length ?? rest.length) & 0xffff, 4);
  header[6] = extensions[0]?.[0] ?? fields.protocol;
  header[7] = fields.ttl ?? 64;
  source.copy(header, 8);
  destination.copy(header, 24);
  return Buffer.concat([header, rest]);
}

export interface TcpFields {
  sourcePort: number;
  destinationPort: number;
  sequence?: number;
  acknowledgement?: number;
  /** Letters of S A F R P U E C. */
  flags?: string;
  window?: number;
  urgent?: number;
  options?: Buffer;
  payload?: Buffer;
  badChecksum?: boolean;
}

const FLAG_LETTERS = 'FSRPAUEC';

export function tcp(fields: TcpFields, source: string, destination: string): Buffer {
  const options = fields.options ?? Buffer.alloc(0);
  const header = Buffer.alloc(20);
  header.writeUInt16BE(fields.sourcePort, 0);
  header.writeUInt16BE(fields.destinationPort, 2);
  header.writeUInt32BE((fields.sequence ?? 1000) >>> 0, 4);
  header.writeUInt32BE((fields.acknowledgement ?? 0) >>> 0, 8);
  header[12] = (5 + options.length / 4) << 4;
  for (const letter of fields.flags ?? 'S') header[13] |= 1 << FLAG_LETTERS.indexOf(letter);
  header.writeUInt16BE(fields.window ?? 8192, 14);
  header.writeUInt16BE(fields.urgent ?? 0, 18);
  const segment = Buffer.concat([header, options, fields.payload ?? Buffer.alloc(0)]);
  segment.writeUInt16BE(
    transportSum(addressBytes(source), addressBytes(destination), 6, segment) ^ (fields.badChecksum ? 0x1111 : 0),
    16,
  );
  return segment;
}

export function udp(
  sourcePort: number,
  destinationPort: number,
  payload: Buffer,
  source: string,
  destination: string,
  checksum: 'good' | 'bad' | 'zero' = 'good',
  protocol = 17,
): Buffer {
  const segment = Buffer.concat([Buffer.alloc(8), payload]);
  segment.writeUInt16BE(sourcePort, 0);
  segment.writeUInt16BE(destinationPort, 2);
  segment.writeUInt16BE(segment.length & 0xffff, 4);
  if (checksum !== 'zero') {
    const sum = transportSum(addressBytes(source), addressBytes(destination), protocol, segment) || 0xffff;
    segment.writeUInt16BE(sum ^ (checksum === 'bad' ? 0x1111 : 0), 6);
  }
  return segment;
}

/** ICMP, or ICMPv6 where addresses are given. `rest` is the second word of the header. */
export function icmp(
  type: number,
  code: number,
  rest: Buffer,
  payload: Buffer,
  v6?: { source: string; destination: string },
  badChecksum = false,
): Buffer {
  const segment = Buffer.concat([Buffer.from([type, code, 0, 0]), rest, payload]);
  const sum = v6
    ? transportSum(addressBytes(v6.source), addressBytes(v6.destination), 58, segment)
    : ~onesSum(segment) & 0xffff;
  segment.writeUInt16BE(sum ^ (badChecksum ? 0x1111 : 0), 2);
  return segment;
}

export function words16(...values: number[]): Buffer {
  const out = Buffer.alloc(values.length * 2);
  values.forEach((value, i) => {
    out.writeUInt16BE(value & 0xffff, 2 * i);
  });
  return out;
}

export interface View {
  version: 4 | 6;
  source: string;
  destination: string;
  protocol: number;
  ttl: number;
  tos: number;
  /** Where the transport header starts. */
  transport: number;
  segment: Buffer;
  offset: number;
  moreFragments: boolean;
  /** Place of the fragment header's identification in an IPv6 packet, else -1. */
  fragmentId: number;
}

function text6(bytes: Buffer): string {
  const words: string[] = [];
  for (let i = 0; i < 16; i += 2) words.push(bytes.readUInt16BE(i).toString(16));
  return words.join(':');
}

/** Reads a packet; null if it is none. */
export function view(bytes: Buffer): View | null {
  if (bytes.length >= 20 && bytes[0] >> 4 === 4) {
    const transport = (bytes[0] & 15) * 4;
    const fragment = bytes.readUInt16BE(6);
    return {
      version: 4,
      source: [...bytes.subarray(12, 16)].join('.'),
      destination: [...bytes.subarray(16, 20)].join('.'),
      protocol: bytes[9],
      ttl: bytes[8],
      tos: bytes[1],
      transport,
      segment: bytes.subarray(transport),
      offset: (fragment & 0x1fff) * 8,
      moreFragments: (fragment & 0x2000) !== 0,
      fragmentId: -1,
    };
  }
  if (bytes.length < 40 || bytes[0] >> 4 !== 6) return null;
  let protocol = bytes[6];
  let transport = 40;
  let offset = 0;
  let moreFragments = false;
  let fragmentId = -1;
  while ([0, 43, 44, 51, 60].includes(protocol) && transport + 8 <= bytes.length && offset === 0) {
    const length =
      protocol === 44 ? 8 : protocol === 51 ? (bytes[transport + 1] + 2) * 4 : (bytes[transport + 1] + 1) * 8;
    if (protocol === 44) {
      offset = bytes.readUInt16BE(transport + 2) & 0xfff8;
      moreFragments = (bytes[transport + 3] & 1) !== 0;
      fragmentId = transport + 4;
    }
    protocol = bytes[transport];
    transport += length;
  }
  return {
    version: 6,
    source: text6(bytes.subarray(8, 24)),
    destination: text6(bytes.subarray(24, 40)),
    protocol,
    ttl: bytes[7],
    tos: ((bytes[0] & 15) << 4) | (bytes[1] >> 4),
    transport,
    segment: bytes.subarray(Math.min(transport, bytes.length)),
    offset,
    moreFragments,
    fragmentId,
  };
}
