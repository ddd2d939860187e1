import { LogLevel } from '../../datapath/log-level.ts';
import { formatAddress4 } from '../../packet/address-text.ts';
import { ConntrackInfo } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { Direction } from '../connection.ts';
import type { Application, Sighting } from './application.ts';
import { expectation, expectOnFreePort, expectOrRefuse, isTranslated, refuse } from './expecting.ts';
import { latin1, replacePayload, tcpData } from './payload.ts';

const MAX_SEARCHED = 4095;
const KINDS = ['SEND ', 'CHAT ', 'MOVE ', 'TSEND ', 'SCHAT '];
/** The least that must follow ` :` for there to be a DCC command. */
const LEAST = 26;

/** Address and port of a DCC command, and where they stand. */
interface Announced {
  address: number;
  port: number;
  start: number;
  end: number;
}

function findAnnouncement(text: string): Announced | null {
  let at = 0;
  while (at < text.length - 10 && /[ \r\n]/.test(text[at]!)) at++;
  if (at < text.length - 10) {
    if (text.slice(at, at + 8).toUpperCase() !== 'PRIVMSG ') return null;
    at += 8;
  }
  const message = text.indexOf(' :', at);
  if (message < 0 || message >= text.length - LEAST) return null;
  at = message + 2;
  if (text.slice(at, at + 5) !== '\u0001DCC ') return null;
  at += 5;
  const kind = KINDS.find((word) => text.startsWith(word, at));
  return kind === undefined ? null : readNumbers(text, at + kind.length);
}

/** parse_dcc: a word, then address and port as decimal numbers, in a line that ends. */
function readNumbers(text: string, from: number): Announced | null {
  const blank = text.indexOf(' ', from);
  if (blank < 0 || blank + 1 > text.length - 12) return null;
  const start = blank + 1;
  if (text.indexOf('\n', start) < 0) return null;
  const numbers = /^([0-9]*) *([0-9]*)/.exec(text.slice(start))!;
  return {
    address: Number(BigInt.asUintN(32, BigInt(numbers[1] || '0'))),
    port: Number(BigInt.asUintN(16, BigInt(numbers[2] || '0'))),
    start,
    end: start + numbers[0].length,
  };
}

function help(sighting: Sighting): string | null {
  const { packet, entry, direction } = sighting;
  if (direction === Direction.reply || packet.conntrackInfo !== ConntrackInfo.established) return null;
  const data = tcpData(sighting);
  if (data < 0) return null;
  const found = findAnnouncement(latin1(packet.bytes, data, Math.min(packet.bytes.length, data + MAX_SEARCHED)));
  if (found === null) return null;
  const { words } = entry;
  const reply = entry.tupleAt(Direction.reply);
  // Neither the client's own address nor the one the world sees: forged.
  const own = words[entry.tupleAt(direction)]!;
  if ((own !== found.address && words[reply + 4] !== found.address) || found.port === 0) {
    const end = `${formatAddress4(found.address)}:${found.port}`;
    sighting.conntrack.log?.limited(
      LogLevel.warning,
      `nf_conntrack_irc: Forged DCC command from ${formatAddress4(own)}: ${end}`,
    );
    return null;
  }
  const awaited = expectation(sighting, 'irc', {
    protocol: Protocol.tcp,
    destination: { words, at: reply + 4 },
    destinationPort: found.port,
  });
  if (!isTranslated(sighting)) return expectOrRefuse(sighting, awaited);
  awaited.translate = 'follow-master';
  awaited.savedPort = found.port;
  awaited.direction = Direction.reply;
  const port = expectOnFreePort(sighting, awaited);
  if (port === 0) return refuse(sighting, 'all ports in use', 'all ports are in use');
  const text = `${words[reply + 4]!} ${port}`;
  if (replacePayload(sighting, data + found.start, found.end - found.start, text)) return null;
  awaited.dead = true;
  return refuse(sighting, 'cannot mangle packet', 'the packet cannot be changed');
}

/** IRC: DCC commands of the client announce connections to it, from anybody. nf_conntrack_irc.c, nf_nat_irc.c. */
export const irc: Application = {
  name: 'irc',
  policies: [{ name: 'irc', max: 8, timeout: 300 }],
  help,
};
