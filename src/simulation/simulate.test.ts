import { describe, expect, it } from 'vitest';
import { simulate } from './simulate.ts';

const ROUTER = {
  interfaces: { eth0: { addresses: ['192.0.2.1/24'] }, eth1: { addresses: ['10.0.0.1/24'] } },
  routes: ['default via 192.0.2.254 dev eth0'],
  sysctl: { 'net.ipv4.ip_forward': 1 },
};

describe('simulate', () => {
  it('decides by what packets say where no host is described', async () => {
    const simulation = simulate({
      rules: '*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n',
    });
    const [ssh, web, through] = await simulation.trace(
      'in=eth0 tcp 198.51.100.7:40000 > 203.0.113.10:22',
      'in=eth0 tcp 198.51.100.7:40000 > 203.0.113.10:80',
      'in=eth0 out=eth1 tcp 198.51.100.7:40000 > 203.0.113.10:80',
    );
    expect(ssh).toMatchObject({ verdict: 'delivered', table: 'filter', chain: 'INPUT', rule: 1 });
    expect(web).toMatchObject({ verdict: 'dropped', table: 'filter', chain: 'INPUT', rule: null });
    expect(through).toMatchObject({ verdict: 'forwarded', out: 'eth1' });
    expect(simulation.rules()).toContain('[1:40] -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT');
  });

  it('plays a conversation whose answers come back to the translated address', async () => {
    const simulation = simulate({
      host: ROUTER,
      rules: '*nat\n-A POSTROUTING -o eth0 -j SNAT --to-source 192.0.2.77\nCOMMIT\n',
    });
    const packets = await simulation.trace('flow in=eth1 tcp 10.0.0.5:40000 > 203.0.113.10:80');
    expect(packets.map(({ verdict, in: from, out }) => `${verdict} ${from} ${out}`)).toEqual([
      'forwarded eth1 eth0',
      'forwarded eth0 eth1',
      'forwarded eth1 eth0',
      'forwarded eth1 eth0',
      'forwarded eth0 eth1',
      'forwarded eth1 eth0',
      'forwarded eth1 eth0',
      'forwarded eth0 eth1',
      'forwarded eth1 eth0',
    ]);
    // FIN, FIN, ACK: as in Linux the entry is in TIME_WAIT then.
    const last = packets
      .at(-1)!
      .steps.filter((step) => step.kind === 'conntrack')
      .at(-1);
    expect(last).toMatchObject({ state: 'ESTABLISHED' });
    expect(last?.kind === 'conntrack' && last.entry).toContain('TIME_WAIT');
  });

  it('ends a conversation where it is cut off', async () => {
    const simulation = simulate({ host: ROUTER, rules: '*filter\n-A FORWARD -p tcp -j DROP\nCOMMIT\n' });
    const packets = await simulation.trace('flow in=eth1 tcp 10.0.0.5:40000 > 203.0.113.10:80');
    expect(packets.map(({ verdict }) => verdict)).toEqual(['dropped']);
  });

  it('goes on from where it stood: the second trace sees the connection of the first', async () => {
    const rules = '*filter\n-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\nCOMMIT\n';
    const simulation = simulate({ host: ROUTER, rules });
    await simulation.trace('in=eth1 udp 10.0.0.5:5000 > 203.0.113.10:53');
    const [answer] = await simulation.trace('in=eth0 udp 203.0.113.10:53 > 10.0.0.5:5000');
    expect(answer).toMatchObject({ verdict: 'forwarded', rule: 1 });
  });
});
