import { createInterface } from 'node:readline';
import type { HandlerPacket } from './handler.ts';
import { QueueError } from './handler.ts';
import type { QueueProgram } from './program.ts';

/** Milliseconds for each of the last packets once no more come: who asked may have given up. */
const PATIENCE = 1000;

/** Answers the packets that come as JSON lines with what a program decides, until the lines end. Throws QueueError. */
export async function serve(
  program: QueueProgram,
  lines: NodeJS.ReadableStream,
  write: (line: string) => void,
): Promise<void> {
  let leave: NodeJS.Timeout | null = null;
  lines.once('end', () => {
    leave = setTimeout(() => program.abandon(), PATIENCE);
  });
  try {
    for await (const line of createInterface({ input: lines, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (line.trim() === '') continue;
      const packet = readPacket(line);
      const answer = await program.answer(packet);
      (leave as NodeJS.Timeout | null)?.refresh();
      write(`${JSON.stringify({ id: packet.id, ...answer })}\n`);
    }
  } finally {
    if (leave !== null) clearTimeout(leave);
  }
}

function readPacket(line: string): HandlerPacket {
  try {
    const packet = JSON.parse(line) as HandlerPacket;
    if (typeof packet.queue === 'number' && typeof packet.payload === 'string') return packet;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new QueueError(`not a packet of iptsim trace --queue: ${line.slice(0, 80)}`);
}
