/**
 * What a shim and the resident process say to each other over a Unix stream socket. The shim sends one request, four
 * bytes of length (big endian) before it, and the whole of its standard input in the same way if asked for it. The
 * answer is frames: one letter, four bytes of length, bytes; `X` is the last.
 */
export interface CallRequest {
  /** The name that the tool was called by. */
  name: string;
  /** One byte in each character. */
  args: string[];
  /** Network namespace of the caller; '' for the run's own. */
  namespace: string;
  stdoutIsTerminal: boolean;
  stderrIsTerminal: boolean;
  env: Record<string, string>;
}

/** Kinds of frames that go to the shim. */
export type FrameKind =
  /** Bytes for standard output. */
  | 'O'
  /** Bytes for standard error. */
  | 'E'
  /** Standard input is wanted. */
  | 'I'
  /** The shim is to run the command itself; the bytes name the state directory. */
  | 'L'
  /** Legacy tables that exist now, `iptables/filter ip6tables/nat`. */
  | 'T'
  /** Exit status, one byte. */
  | 'X';

/** Version of the requests that is understood. */
const VERSION = '1';

/** Takes the first message off collected bytes; null if it is not complete. */
export function takeMessage(bytes: Buffer): { message: Buffer; rest: Buffer } | null {
  if (bytes.length < 4) return null;
  const end = 4 + bytes.readUInt32BE(0);
  return bytes.length < end ? null : { message: bytes.subarray(4, end), rest: bytes.subarray(end) };
}

/** Reads `VERSION NAME NAMESPACE TERMINALS COUNT ARGS... ENV...`, zero bytes between; null if it is something else. */
export function parseRequest(message: Buffer): CallRequest | null {
  const [version, name, namespace, terminals, count, ...words] = message.toString('latin1').split('\0');
  const argumentCount = Number(count);
  if (version !== VERSION || name === undefined || namespace === undefined || !/^\d*$/.test(namespace)) return null;
  if (!/^\d+$/.test(count ?? '') || argumentCount > words.length) return null;
  const env: Record<string, string> = {};
  for (const word of words.slice(argumentCount)) {
    const equals = word.indexOf('=');
    if (equals > 0) env[word.slice(0, equals)] = Buffer.from(word.slice(equals + 1), 'latin1').toString('utf8');
  }
  return {
    name,
    args: words.slice(0, argumentCount),
    namespace,
    stdoutIsTerminal: (Number(terminals) & 1) !== 0,
    stderrIsTerminal: (Number(terminals) & 2) !== 0,
    env,
  };
}

/** A frame for the shim; `text` holds one byte in each character. */
export function frame(kind: FrameKind, text = ''): Buffer {
  const bytes = Buffer.allocUnsafe(5 + text.length);
  bytes.write(kind, 0, 'latin1');
  bytes.writeUInt32BE(text.length, 1);
  bytes.write(text, 5, 'latin1');
  return bytes;
}
