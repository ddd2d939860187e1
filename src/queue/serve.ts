import { createInterface } from 'node:readline';
import type { HandlerPacket } from './handler.ts';
import { QueueError } from './handler.ts';
import type { QueueProgram } from './program.ts';

/** Answers the packets that come as JSON lines with what a program decides, until the lines end. Throws QueueError. */
export async function serve(
  program: QueueProgram,
  lines: NodeJS.ReadableStream,
  write: (line: string) => void,
): Promise<void> {
  for await (const line of createInterface({ input: lines, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim() === '') continue;
    const packet = readPacket(line);
    const answer = await program.answer(packet);
    write(`${JSON.stringify({ id: packet.id, ...answer })}\n`);
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
