import { tcp, udp, type View } from './frames.ts';
import { sctp } from './generate/protocols.ts';

/** What is sent in answer, and to whom if that is not the sender of what was seen. */
export interface ApplicationAnswer {
  protocol: number;
  destination: string;
  segment: Buffer;
}

/** An end of a connection that a line of an application protocol announces. */
interface Announced {
  address: string;
  port: number;
}

/** The address and port to which the packet's receiver is asked to connect; null if it announces none. */
function announcedIn(seen: View): Announced | null {
  const text = seen.segment.toString('latin1');
  const commas = /(?:PORT |\(|=)(\d+),(\d+),(\d+),(\d+),(\d+),(\d+)/.exec(text);
  if (commas) {
    const [a, b, c, d, high, low] = commas.slice(1).map(Number);
    return { address: `${a}.${b}.${c}.${d}`, port: high * 256 + low };
  }
  const extended = /EPRT \|\d\|([^|]+)\|(\d+)\|/.exec(text);
  if (extended) return { address: extended[1], port: Number(extended[2]) };
  const port = /\(\|\|\|(\d+)\|\)/.exec(text) ?? /DATA (\d+) /.exec(text);
  if (port) return { address: seen.source, port: Number(port[1]) };
  const direct = /DCC \w+ \w+ (\d+) (\d+)/.exec(text);
  if (direct === null) return null;
  const number = Number(direct[1]) >>> 0;
  const address = [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.');
  return { address, port: Number(direct[2]) };
}

/** Where media are to go, by the session description in a SIP message. */
function mediaIn(seen: View): Announced | null {
  const text = seen.segment.toString('latin1');
  const address = /^c=IN IP[46] (\S+)/m.exec(text);
  const port = /^m=audio (\d+)/m.exec(text);
  if (address === null || port === null || Number(port[1]) > 65535) return null;
  return { address: address[1], port: Number(port[1]) };
}

/** Where calls for the user are to go, by the contact in a SIP message. */
function contactIn(seen: View): Announced | null {
  const contact = /^Contact: <sip:\w+@(\[[^\]]+\]|[^:>]+)(?::(\d+))?/m.exec(seen.segment.toString('latin1'));
  if (contact === null) return null;
  return { address: contact[1].replace(/[[\]]/g, ''), port: Number(contact[2] ?? 5060) };
}

/** A response to a SIP request, with the headers that it has to repeat. */
function sipResponse(seen: View, status: string, withMedia: boolean): string {
  const text = seen.segment.toString('latin1', seen.protocol === 6 ? (seen.segment[12] >> 4) * 4 : 8);
  const repeated = text.split('\r\n').filter((line) => /^(Via|From|To|Call-ID|CSeq|Expires):/.test(line));
  const family = seen.version === 4 ? 'IP4' : 'IP6';
  const own = seen.version === 4 ? seen.destination : `[${seen.destination}]`;
  const contact = /^REGISTER/.test(text)
    ? (/^Contact: .*$/m.exec(text)?.[0] ?? '').trim()
    : `Contact: <sip:b@${own}:5060>`;
  const body = withMedia
    ? `v=0\r\no=b 2 2 IN ${family} ${seen.destination}\r\ns=-\r\nc=IN ${family} ${seen.destination}\r\nt=0 0\r\nm=audio 22222 RTP/AVP 0\r\n`
    : '';
  const lines = [`SIP/2.0 ${status}`, ...repeated, contact];
  if (withMedia) lines.push('Content-Type: application/sdp');
  return `${[...lines, `Content-Length: ${body.length}`].join('\r\n')}\r\n\r\n${body}`;
}

/**
 * Answers beyond those of the transport protocols: `connect` (to the announced end), `gre`, `from PORT` (a datagram from another port),
 * `sctp CHUNK`, `sip STATUS`, `sip-sdp STATUS`, `sip-media`, `sip-call`. Undefined: none of these; null: nothing is sent.
 */
export function applicationAnswer(seen: View, words: string[]): ApplicationAnswer | null | undefined {
  const { segment, source, destination } = seen;
  const [sport, dport] = [segment.readUInt16BE(0), segment.readUInt16BE(2)];
  const datagram = (from: number, to: number, text: string, whom = source): ApplicationAnswer => ({
    protocol: 17,
    destination: whom,
    segment: udp(from, to, Buffer.from(text, 'latin1'), destination, whom),
  });
  /** A message in the protocol of the one seen. */
  const message = (text: string): ApplicationAnswer => {
    if (seen.protocol !== 6) return datagram(dport, sport, text);
    const length = segment.length - (segment[12] >> 4) * 4;
    const fields = {
      sourcePort: dport,
      destinationPort: sport,
      flags: 'PA',
      sequence: segment.readUInt32BE(8),
      acknowledgement: segment.readUInt32BE(4) + length,
      payload: Buffer.from(text, 'latin1'),
    };
    return { protocol: 6, destination: source, segment: tcp(fields, destination, source) };
  };
  const status = words.slice(1).join(' ');
  switch (words[0]) {
    case 'connect': {
      const end = announcedIn(seen);
      if (end === null) return null;
      const fields = { sourcePort: dport === 21 ? 20 : 40000, destinationPort: end.port, flags: 'S', sequence: 1000 };
      return { protocol: 6, destination: end.address, segment: tcp(fields, destination, end.address) };
    }
    case 'gre': {
      // The request for a call: its number is behind the header of 12 bytes.
      const number = (segment[12] >> 4) * 4 + 12;
      if (number + 2 > segment.length) return null;
      const gre = Buffer.from('3001880b0004000000000001', 'hex');
      segment.copy(gre, 6, number, number + 2);
      return { protocol: 47, destination: source, segment: gre };
    }
    case 'from':
      return datagram(Number(words[1]), sport, 'block');
    case 'sctp':
      return { protocol: 132, destination: source, segment: chunkAnswer(sport, dport, Number(words[1])) };
    case 'sip':
      return message(sipResponse(seen, status, false));
    case 'sip-sdp':
      return message(sipResponse(seen, status, true));
    case 'sip-media': {
      const end = mediaIn(seen);
      return end === null ? null : datagram(22222, end.port, 'media', end.address);
    }
    case 'sip-call': {
      const end = contactIn(seen);
      return end === null ? null : datagram(5060, end.port, 'OPTIONS sip:a SIP/2.0\r\n\r\n', end.address);
    }
    default:
      return undefined;
  }
}

const INIT_ACK = 2;

function chunkAnswer(sport: number, dport: number, chunk: number): Buffer {
  const body =
    chunk === INIT_ACK
      ? Buffer.from('00001234000100000a000a0000000001', 'hex')
      : Buffer.from('0001000861626364', 'hex');
  return sctp(dport, sport, 77, [[chunk, 0, body]]);
}
