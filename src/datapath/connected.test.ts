import { beforeEach, describe, expect, it } from 'vitest';
import { readUint32 } from '../packet/bytes.ts';
import { type Simulation, simulate } from '../simulation/simulate.ts';

// What Linux 6.18 does: tcp_check_req makes a connection of the acknowledgement of a SYN+ACK; any other is answered with a reset.
describe('a listening socket', () => {
  let machine: Simulation;
  beforeEach(() => {
    const rules = '*mangle\n-A PREROUTING -p tcp -m socket\nCOMMIT\n';
    machine = simulate({ rules, host: { interfaces: { eth0: { addresses: ['192.0.2.1/24'] } }, listen: ['tcp/22'] } });
  });
  /** Flags of what the machine answers; null: nothing. */
  const answer = async (flags: string, acknowledgement = 0): Promise<string | null> => {
    const line = `in=eth0 tcp 192.0.2.7:40000 > 192.0.2.1:22 ${flags} seq=${flags.includes('S') ? 1000 : 1001} ack=${acknowledgement}`;
    const [traced] = await machine.trace(line);
    const bytes = traced!.emitted[0]?.bytes;
    if (bytes === undefined) return null;
    sequence = readUint32(bytes, 24);
    return bytes[33]! & 4 ? 'reset' : 'SYN+ACK';
  };
  let sequence = 0;

  it('has a connection when its answer is acknowledged', async () => {
    expect(await answer('S')).toBe('SYN+ACK');
    const next = (sequence + 1) >>> 0;
    expect(await answer('A', next)).toBeNull();
    expect(await answer('PA', next)).toBeNull();
    expect(await answer('S')).toBeNull();
  });

  it('resets what acknowledges something else', async () => {
    expect(await answer('A', 77)).toBe('reset');
    await answer('S');
    expect(await answer('A', sequence)).toBe('reset');
  });

  it('takes another connection from the same port once the client has closed', async () => {
    await answer('S');
    const next = (sequence + 1) >>> 0;
    await answer('A', next);
    expect(await answer('FA', next)).toBeNull();
    expect(await answer('A', next)).toBeNull();
    expect(await answer('S')).toBe('SYN+ACK');
    expect(await answer('A', (sequence + 1) >>> 0)).toBeNull();
  });

  // The listener is bound to the wildcard address, which `-m socket` passes over; what it makes is between two addresses.
  it('is no socket of the packet, but its connection is, from the SYN+ACK on', async () => {
    const matched = (): string | undefined => /\[(\d+):\d+\] -A PREROUTING/.exec(machine.rules(4))?.[1];
    await answer('S');
    expect(matched()).toBe('0');
    await answer('A', (sequence + 1) >>> 0);
    expect(matched()).toBe('1');
    await answer('S');
    expect(matched()).toBe('2');
  });
});
