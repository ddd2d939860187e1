import { applicationAnswer } from './application-answer.ts';
import { addressBytes, icmp, ip, tcp, transportSum, udp, view, words16 } from './frames.ts';
import type { Answer } from './scenario.ts';

/** Next free IP id for answers; only a number that differs from those of the planned packets. */
const ANSWER_ID = 0x4000;

/** Time stamps are answered with time stamps (RFC 7323), beside what a SYN offers. */
function timestampAnswer(segment: Buffer, answer: Answer): Buffer {
  const end = (segment[12] >> 4) * 4;
  const mss = answer.kind.includes('S') ? [Buffer.from('020405b4', 'hex')] : [];
  for (let at = 20; at + 1 < end; at += segment[at] === 1 ? 1 : Math.max(2, segment[at + 1])) {
    if (segment[at] !== 8 || segment[at + 1] !== 10) continue;
    return Buffer.concat([
      ...mss,
      Buffer.from('0101080a', 'hex'),
      words16(0, 7000 + answer.to),
      segment.subarray(at + 2, at + 6),
    ]);
  }
  return Buffer.concat(mss);
}

/** The packet (hex) that the far end sends in answer to one that left the router; null if there is no such answer. */
export function answerTo(hex: string, answer: Answer): string | null {
  const bytes = Buffer.from(hex, 'hex');
  const seen = view(bytes);
  if (seen === null) return null;
  const source = seen.destination;
  const destination = seen.source;
  const fields = { source, destination, protocol: seen.protocol, id: ANSWER_ID + answer.to };
  const payload = Buffer.from(answer.payload ?? '');
  const words = answer.kind.split(' ');
  if (words[0] === 'error') {
    const protocol = seen.version === 4 ? 1 : 58;
    const quote = bytes.subarray(0, Number(words[3] ?? 128));
    const rest = words16(0, words[2] === '4' && seen.version === 4 ? 1400 : 0);
    const message = icmp(
      Number(words[1]),
      Number(words[2]),
      rest,
      quote,
      seen.version === 6 ? { source, destination } : undefined,
    );
    return ip({ ...fields, protocol }, message).toString('hex');
  }
  if (seen.offset > 0 || seen.segment.length < 8) return null;
  const special = applicationAnswer(seen, words);
  if (special !== undefined)
    return special === null ? null : ip({ ...fields, ...special }, special.segment).toString('hex');
  const [sport, dport] = [seen.segment.readUInt16BE(0), seen.segment.readUInt16BE(2)];
  if (seen.protocol === 6 && seen.segment.length >= 20 && words[0] !== 'reply') {
    const flags = seen.segment[13];
    const length = Math.max(0, seen.segment.length - (seen.segment[12] >> 4) * 4) + (flags & 1) + ((flags >> 1) & 1);
    const segment = tcp(
      {
        sourcePort: dport,
        destinationPort: sport,
        sequence: (flags & 16) !== 0 ? seen.segment.readUInt32BE(8) : 5000,
        acknowledgement: seen.segment.readUInt32BE(4) + length,
        flags: words[0],
        options: timestampAnswer(seen.segment, answer),
        payload,
      },
      source,
      destination,
    );
    return ip(fields, segment).toString('hex');
  }
  if (seen.protocol === 17) return ip(fields, udp(dport, sport, payload, source, destination)).toString('hex');
  if (seen.protocol === 1 || seen.protocol === 58) {
    const reply = { 8: 0, 13: 14, 15: 16, 17: 18, 128: 129 }[seen.segment[0]];
    if (reply === undefined) return null;
    const message = icmp(
      reply,
      0,
      seen.segment.subarray(4, 8),
      seen.segment.subarray(8),
      seen.version === 6 ? { source, destination } : undefined,
    );
    return ip(fields, message).toString('hex');
  }
  if (seen.protocol === 136) {
    const segment = Buffer.from(seen.segment);
    segment.writeUInt16BE(dport, 0);
    segment.writeUInt16BE(sport, 2);
    segment.writeUInt16BE(0, 6);
    segment.writeUInt16BE(transportSum(addressBytes(source), addressBytes(destination), 136, segment), 6);
    return ip(fields, segment).toString('hex');
  }
  return ip(fields, seen.segment).toString('hex');
}
