/** `enum sctp_conntrack`; `invalid` is an answer of the table, not a state. */
export const SctpState = {
  none: 0,
  closed: 1,
  cookieWait: 2,
  cookieEchoed: 3,
  established: 4,
  shutdownSent: 5,
  shutdownReceived: 6,
  shutdownAckSent: 7,
  heartbeatSent: 8,
  invalid: 9,
} as const;

/** Names as `conntrack -L` prints them. */
export const SCTP_STATE_NAMES: readonly string[] = [
  'NONE',
  'CLOSED',
  'COOKIE_WAIT',
  'COOKIE_ECHOED',
  'ESTABLISHED',
  'SHUTDOWN_SENT',
  'SHUTDOWN_RECD',
  'SHUTDOWN_ACK_SENT',
  'HEARTBEAT_SENT',
];

/** Chunk types (RFC 9260, 3.2) in the order of the state table's rows. */
export const Chunk = {
  init: 1,
  initAck: 2,
  abort: 6,
  shutdown: 7,
  shutdownAck: 8,
  error: 9,
  cookieEcho: 10,
  cookieAck: 11,
  shutdownComplete: 14,
  heartbeat: 4,
  heartbeatAck: 5,
  data: 0,
} as const;

const ROW_OF_CHUNK: ReadonlyMap<number, number> = new Map([
  [Chunk.init, 0],
  [Chunk.initAck, 1],
  [Chunk.abort, 2],
  [Chunk.shutdown, 3],
  [Chunk.shutdownAck, 4],
  [Chunk.error, 5],
  [Chunk.cookieEcho, 6],
  [Chunk.cookieAck, 7],
  [Chunk.shutdownComplete, 8],
  [Chunk.heartbeat, 9],
  [Chunk.heartbeatAck, 10],
]);

const rows = (text: string): Uint8Array => {
  const codes: Readonly<Record<string, number>> = {
    CL: 1,
    CW: 2,
    CE: 3,
    ES: 4,
    SS: 5,
    SR: 6,
    SA: 7,
    HS: 8,
    IV: 9,
  };
  return Uint8Array.from(text.trim().split(/\s+/), (word) => codes[word]!);
};

/** The kernel's table (sctp_conntracks); columns: none, CLOSED, COOKIE_WAIT, COOKIE_ECHOED, ESTABLISHED, SHUTDOWN_SENT, _RECD, _ACK_SENT, HEARTBEAT_SENT. */
const ORIGINAL = rows(`
  CL CL CW CE ES CL CL SA CW
  CL CL CW CE ES SS SR SA CL
  CL CL CL CL CL CL CL CL CL
  CL CL CW CE SS SS SR SA CL
  SA CL CW CE ES SA SA SA SA
  CL CL CW CE ES SS SR SA CL
  CL CL CE CE ES SS SR SA CL
  CL CL CW ES ES SS SR SA CL
  CL CL CW CE ES SS SR CL CL
  HS CL CW CE ES SS SR SA HS
  CL CL CW CE ES SS SR SA HS
`);

const REPLY = rows(`
  IV CL CW CE ES SS SR SA IV
  IV CW CW CE ES SS SR SA IV
  IV CL CL CL CL CL CL CL IV
  IV CL CW CE SR SS SR SA IV
  IV CL CW CE ES SA SA SA IV
  IV CL CW CL ES SS SR SA IV
  IV CL CE CE ES SS SR SA IV
  IV CL CW ES ES SS SR SA IV
  IV CL CW CE ES SS SR CL IV
  IV CL CW CE ES SS SR SA HS
  IV CL CW CE ES SS SR SA ES
`);

/** The state that follows on a chunk; chunks like DATA and SACK change nothing. */
export function nextSctpState(direction: number, chunk: number, state: number): number {
  const row = ROW_OF_CHUNK.get(chunk);
  return row === undefined ? state : (direction === 0 ? ORIGINAL : REPLY)[row * 9 + state]!;
}
