/** `enum tcp_conntrack`; `invalid` and `ignore` are answers of the table, not states. */
export const TcpState = {
  none: 0,
  synSent: 1,
  synRecv: 2,
  established: 3,
  finWait: 4,
  closeWait: 5,
  lastAck: 6,
  timeWait: 7,
  close: 8,
  synSent2: 9,
  invalid: 10,
  ignore: 11,
} as const;

/** Names as `conntrack -L` prints them. */
export const TCP_STATE_NAMES: readonly string[] = [
  'NONE',
  'SYN_SENT',
  'SYN_RECV',
  'ESTABLISHED',
  'FIN_WAIT',
  'CLOSE_WAIT',
  'LAST_ACK',
  'TIME_WAIT',
  'CLOSE',
  'SYN_SENT2',
];

/** What a segment is by its flags (`enum tcp_bit_set`). */
export const Segment = { syn: 0, synAck: 1, fin: 2, ack: 3, rst: 4, none: 5 } as const;

/**
 * The kernel's state table (tcp_conntracks): a row for each kind of segment, a column for each state in the order
 * none, SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE, SYN_SENT2.
 */
const rows = (text: string): Uint8Array => {
  const codes: Readonly<Record<string, number>> = {
    SS: 1,
    SR: 2,
    ES: 3,
    FW: 4,
    CW: 5,
    LA: 6,
    TW: 7,
    CL: 8,
    S2: 9,
    IV: 10,
    IG: 11,
  };
  return Uint8Array.from(text.trim().split(/\s+/), (word) => codes[word]!);
};

const ORIGINAL = rows(`
  SS SS IG IG IG IG IG SS SS S2
  IV IV SR IV IV IV IV IV IV SR
  IV IV FW FW LA LA LA TW CL IV
  ES IV ES ES CW CW TW TW CL IV
  IV CL CL CL CL CL CL CL CL CL
  IV IV IV IV IV IV IV IV IV IV
`);

const REPLY = rows(`
  IV S2 IV IV IV IV IV SS IV S2
  IV SR IG IG IG IG IG IG IG SR
  IV IV FW FW LA LA LA TW CL IV
  IV IG SR ES CW CW TW TW CL IG
  IV CL CL CL CL CL CL CL CL CL
  IV IV IV IV IV IV IV IV IV IV
`);

/** The state that follows on a segment of that kind in that direction, or `invalid`, or `ignore`. */
export function nextTcpState(direction: number, segment: number, state: number): number {
  return (direction === 0 ? ORIGINAL : REPLY)[segment * 10 + state]!;
}
