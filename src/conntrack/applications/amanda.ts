import { LogLevel } from '../../datapath/log-level.ts';
import { Protocol } from '../../packet/protocol.ts';
import { Direction } from '../connection.ts';
import type { Application, Sighting } from './application.ts';
import { expectation, expectOnFreePort, expectOrRefuse, isTranslated, refuse } from './expecting.ts';
import { latin1, replacePayload } from './payload.ts';

/** Microseconds that the control connection lives after each answer: backups take their time to begin. */
const MASTER_TIMEOUT = 300e6;
const CONNECT = 'CONNECT ';
const STREAMS = ['DATA ', 'MESG ', 'INDEX ', 'STATE '];

function help(sighting: Sighting): string | null {
  const { packet, entry, direction, conntrack } = sighting;
  if (direction === Direction.original) return null;
  entry.expiry = entry.confirmed ? conntrack.now() + MASTER_TIMEOUT : MASTER_TIMEOUT;
  const data = packet.transport + 8;
  if (data >= packet.bytes.length) {
    conntrack.log?.limited(LogLevel.error, `amanda_help: skblen = ${packet.bytes.length}`);
    return null;
  }
  const text = latin1(packet.bytes, data);
  const begin = text.indexOf(CONNECT);
  if (begin < 0) return null;
  const start = begin + CONNECT.length;
  const stop = text.indexOf('\n', start);
  if (stop < 0) return null;
  for (const stream of STREAMS) {
    const now = latin1(packet.bytes, data);
    const found = now.indexOf(stream, start);
    if (found < 0 || found > stop) continue;
    const at = found + stream.length;
    const digits = /^[0-9]*/.exec(now.slice(at, Math.min(stop, at + 5)))![0];
    const port = Number(digits) & 0xffff;
    if (port === 0) break;
    const refused = announce(sighting, data + at, digits.length, port);
    if (refused !== null) return refused;
  }
  return null;
}

function announce(sighting: Sighting, at: number, length: number, port: number): string | null {
  const { words } = sighting.entry;
  const original = sighting.entry.tupleAt(Direction.original);
  const awaited = expectation(sighting, 'amanda', {
    protocol: Protocol.tcp,
    source: { words, at: original },
    destination: { words, at: original + 4 },
    destinationPort: port,
  });
  if (!isTranslated(sighting)) return expectOrRefuse(sighting, awaited);
  awaited.translate = 'follow-master';
  awaited.savedPort = port;
  awaited.direction = Direction.original;
  const chosen = expectOnFreePort(sighting, awaited);
  if (chosen === 0) return refuse(sighting, 'all ports in use', 'all ports are in use');
  if (replacePayload(sighting, at, length, `${chosen}`)) return null;
  awaited.dead = true;
  return refuse(sighting, 'cannot mangle packet', 'the packet cannot be changed');
}

/** Amanda: the answer to a backup server names the ports to which it will connect. nf_conntrack_amanda.c, nf_nat_amanda.c. */
export const amanda: Application = {
  name: 'amanda',
  policies: [{ name: 'amanda', max: 4, timeout: 180 }],
  help,
};
