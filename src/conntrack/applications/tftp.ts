import { readUint16 } from '../../packet/bytes.ts';
import { Protocol } from '../../packet/protocol.ts';
import { Direction } from '../connection.ts';
import type { Application, Sighting } from './application.ts';
import { expectation, expectOrRefuse, isTranslated } from './expecting.ts';

const READ_REQUEST = 1;
const WRITE_REQUEST = 2;

function help(sighting: Sighting): string | null {
  const { packet, entry } = sighting;
  const { bytes, transport } = packet;
  if (transport + 10 > bytes.length) return null;
  const opcode = readUint16(bytes, transport + 8);
  if (opcode !== READ_REQUEST && opcode !== WRITE_REQUEST) return null;
  const { words } = entry;
  const reply = entry.tupleAt(Direction.reply);
  const awaited = expectation(sighting, 'tftp', {
    protocol: Protocol.udp,
    source: { words, at: reply },
    destination: { words, at: reply + 4 },
    destinationPort: words[reply + 8]! & 0xffff,
  });
  if (isTranslated(sighting)) {
    awaited.translate = 'follow-master';
    awaited.savedPort = words[entry.tupleAt(Direction.original) + 8]! >>> 16;
    awaited.direction = Direction.reply;
  }
  return expectOrRefuse(sighting, awaited);
}

/** TFTP (RFC 1350): the answer to a read or write request comes from another port. nf_conntrack_tftp.c, nf_nat_tftp.c. */
export const tftp: Application = {
  name: 'tftp',
  policies: [{ name: 'tftp', max: 1, timeout: 300 }],
  help,
};
