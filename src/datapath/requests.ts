/** Connections that a listening socket has answered and nobody has acknowledged (request_sock). */
import { readUint32 } from '../packet/bytes.ts';
import type { Packet } from '../packet/packet.ts';
import { socketKey } from './connected.ts';
import type { SocketAnswer } from './environment.ts';
import type { Kernel } from './kernel.ts';

export interface ConnectionRequest {
  /** Sequence number of the client's SYN, and of the answer. */
  opened: number;
  sequence: number;
  /** The client's time stamp; null if it has sent none. */
  timestamp: number | null;
  /** Bytes that the answer offered, and whether later windows are to be scaled. */
  window: number;
  scaled: boolean;
  /** When something out of place was last answered, in microseconds; null: never. */
  answered: number | null;
  /** The socket that it will have. */
  socket: SocketAnswer;
}

/** So many connections wait for the client's acknowledgement (net.core.somaxconn); of more the oldest are forgotten. */
const BACKLOG = 4096;

/** The listening socket has answered the SYN of `packet`. */
export function rememberRequest({ requests }: Kernel, packet: Packet, request: ConnectionRequest): void {
  const key = socketKey(packet, 'destination')!;
  requests.delete(key);
  if (requests.size >= BACKLOG) requests.delete(requests.keys().next().value!);
  // The connection is between two addresses, whatever the listener is bound to.
  requests.set(key, { ...request, socket: { ...request.socket, wildcard: false } });
}

export function requestOf({ requests }: Kernel, packet: Packet): ConnectionRequest | null {
  const key = requests.size === 0 ? null : socketKey(packet, 'destination');
  return key === null ? null : (requests.get(key) ?? null);
}

/**
 * What becomes of a segment for such a connection: the SYN is answered `again`, what is out of the window is told where the connection stands
 * (`acknowledged`), what contradicts it is `refused` with a RST, and `done` is what needs no answer.
 */
export type Judgement = 'again' | 'acknowledged' | 'refused' | 'done';

const [SYN, RST, ACK, FIN] = [2, 4, 16, 1] as const;
const LARGEST_WINDOW = 65535;
/** Microseconds between two answers to what is out of place (net.ipv4.tcp_invalid_ratelimit). */
const INTERVAL = 500_000;

/** tcp_check_req (net/ipv4/tcp_minisocks.c). `timestamp`: that of the segment, null if it has none. */
export function judgeSegment(
  kernel: Kernel,
  packet: Packet,
  request: ConnectionRequest,
  timestamp: number | null,
): Judgement {
  const { bytes, transport } = packet;
  const flags = bytes[transport + 13]!;
  const sequence = readUint32(bytes, transport + 4);
  const control = flags & (SYN | RST | ACK);
  const isOld = timestamp !== null && isBefore(timestamp, request.timestamp ?? timestamp);
  if (sequence === request.opened && control === SYN && !isOld) return mayAnswer(kernel, request) ? 'again' : 'done';
  if (flags & ACK && readUint32(bytes, transport + 8) !== (request.sequence + 1) >>> 0) {
    return flags & RST ? 'done' : 'refused';
  }
  const data = bytes.length - transport - (bytes[transport + 12]! >>> 4) * 4;
  const length = data + (flags & SYN ? 1 : 0) + (flags & FIN ? 1 : 0);
  if (isOld || !isExpected(request, sequence, length)) {
    if (flags & RST) return 'done';
    // Data is no part of a loop of acknowledgements.
    return (length > 0 && !(flags & SYN)) || mayAnswer(kernel, request) ? 'acknowledged' : 'done';
  }
  const key = socketKey(packet, 'destination')!;
  // A SYN that has come again with data is let pass: it lies before the window.
  const contradicts = flags & RST || (flags & SYN && sequence !== request.opened);
  // Only a RST with the very next number counts (measured with Linux 6.18).
  if (flags & RST && sequence !== (request.opened + 1) >>> 0) return 'done';
  if (contradicts) {
    kernel.requests.delete(key);
    return flags & RST ? 'done' : 'refused';
  }
  if (flags & ACK) {
    kernel.requests.delete(key);
    kernel.connected.set(key, request.socket);
  }
  return 'done';
}

function isBefore(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

/** tcp_in_window, of what follows the SYN. */
function isExpected({ opened, window }: ConnectionRequest, sequence: number, length: number): boolean {
  const first = (opened + 1) >>> 0;
  const behind = first + Math.min(window, LARGEST_WINDOW);
  if (sequence === first) return true;
  if (isBefore(first, sequence + length) && isBefore(sequence, behind)) return true;
  return sequence === behind >>> 0 && length === 0;
}

/** tcp_oow_rate_limited. */
function mayAnswer({ clock }: Kernel, request: ConnectionRequest): boolean {
  if (request.answered !== null && clock.now - request.answered < INTERVAL) return false;
  request.answered = clock.now;
  return true;
}
