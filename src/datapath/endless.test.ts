import { expect, it } from 'vitest';
import { simulate } from '../simulation/simulate.ts';

// Linux 6.18 never comes to rest here: the machine hears its own multicast, and TEE copies every copy of it.
it('gives up packets that the machine sends to itself without end', async () => {
  const machine = simulate({
    rules6: '*mangle\n-A PREROUTING -p tcp -j TEE --gateway 2001:db8:2::21 --oif eth2\nCOMMIT\n',
    host: { interfaces: { eth0: { addresses: ['2001:db8::1/64'] }, eth2: { addresses: ['2001:db8:2::1/64'] } } },
  });
  const [traced] = await machine.trace('in=local tcp [2001:db8::1]:5539 > [ff02::1]:1024 S');
  const reasons = traced!.steps.flatMap((step) => (step.kind === 'dropped' ? [step.reason] : []));
  expect(reasons.at(-1)).toBe('the machine sends to itself without end: given up after 1000 packets');
});
