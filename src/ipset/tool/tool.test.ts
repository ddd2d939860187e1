import { describe, expect, it } from 'vitest';
import { ToolBench } from './fixture.ts';

/** Runs lines that all have to succeed. */
function bench(...lines: string[]): ToolBench {
  const made = new ToolBench();
  for (const line of lines) expect(made.run(line), line).toEqual({ status: 0, out: '', err: '' });
  return made;
}

// All expectations were read off ipset 7.17 on Linux 6.18.
describe('ipset', () => {
  it('lists a hash in the order of its buckets', () => {
    const adds = Array.from({ length: 40 }, (_, i) => `add h 10.0.0.${i + 1}`);
    const { out } = bench('create h hash:ip initval 0x1234 hashsize 64 bucketsize 2', ...adds).run('list h');
    const order = [32, 26, 13, 38, 27, 20, 14, 23, 12, 22, 28, 25, 4, 40, 2, 16, 37, 31, 6, 36];
    order.push(1, 30, 11, 21, 19, 15, 29, 18, 35, 17, 9, 33, 7, 8, 10, 5, 39, 24, 34, 3);
    expect(out).toBe(
      'Name: h\nType: hash:ip\nRevision: 6\n' +
        'Header: family inet hashsize 256 maxelem 65536 bucketsize 2 initval 0x00001234\n' +
        'Size in memory: 1736\nReferences: 0\nNumber of entries: 40\nMembers:\n' +
        order.map((n) => `10.0.0.${n}\n`).join(''),
    );
  });

  it('saves all extensions', () => {
    const sets = bench(
      'create p hash:ip,port counters comment timeout 0 skbinfo initval 7',
      'add p 10.0.0.1,udp:domain packets 1 bytes 2 comment "a b" skbmark 0x1/0xff skbprio 1:2 skbqueue 3',
      'add p 10.0.0.1,icmp:ping',
      'add p 10.0.0.1,gre:0',
    );
    expect(sets.run('save p').out).toBe(
      'create p hash:ip,port family inet hashsize 1024 maxelem 65536 timeout 0 counters comment skbinfo bucketsize 12 initval 0x00000007\n' +
        'add p 10.0.0.1,icmp:echo-request timeout 0 packets 0 bytes 0\n' +
        'add p 10.0.0.1,gre:0 timeout 0 packets 0 bytes 0\n' +
        'add p 10.0.0.1,udp:53 timeout 0 packets 1 bytes 2 comment "a b" skbmark 0x1/0xff skbprio 1:2 skbqueue 3\n',
    );
    expect(sets.run('list -t p').out).toContain('Size in memory: 668\n');
  });

  it('splits a range into the fewest networks', () => {
    const { out } = bench('create d hash:net initval 5', 'add d 10.0.0.1-10.0.0.20').run('save d');
    expect(out.split('\n').slice(1, -1)).toEqual(
      ['10.0.0.16/30', '10.0.0.1', '10.0.0.8/29', '10.0.0.4/30', '10.0.0.2/31', '10.0.0.20'].map(
        (net) => `add d ${net}`,
      ),
    );
  });

  it('keeps the places of destroyed sets for new ones, and lists after all others', () => {
    const sets = bench(
      'create c hash:ip',
      'create b bitmap:port range 1-9',
      'create a list:set',
      'destroy c',
      'create dd list:set',
      'add a b',
      'create e hash:ip',
    );
    expect(sets.run('list -n').out).toBe('b\ne\ndd\na\n');
    const fault = (line: string): string => sets.run(line).err;
    expect(fault('destroy b')).toBe('ipset v7.17: Set cannot be destroyed: it is in use by a kernel component\n');
    expect(fault('rename b x')).toBe('ipset v7.17: Set cannot be renamed: it is in use by another system\n');
    expect(fault('swap b a')).toBe('ipset v7.17: The sets cannot be swapped: their type does not match\n');
    sets.rules.set('e', 2);
    expect(fault('destroy e')).toBe('ipset v7.17: Set cannot be destroyed: it is in use by a kernel component\n');
    expect(sets.run('list -t e').out).toContain('References: 2\n');
  });

  it('loses what restore had not sent when a later line is wrong', () => {
    const sets = bench('create e hash:ip');
    expect(sets.run('restore', 'add e 1.1.1.1\nadd e 1.1.1.1\nadd e 2.2.2.2\n')).toEqual({
      status: 1,
      out: '',
      err: "ipset v7.17: Error in line 2: Element cannot be added to the set: it's already added\n",
    });
    expect(sets.run('restore', 'add e 3.3.3.3\nadd e foo\n')).toEqual({
      status: 1,
      out: '',
      err: 'ipset v7.17: Error in line 2: Syntax error: cannot parse foo: resolving to IPv4 address failed\n',
    });
    expect(sets.run('list e').out).toMatch(/Members:\n1\.1\.1\.1\n$/);
  });

  it('tells usage errors from others by the exit status', () => {
    const sets = bench('create s hash:ip,port family inet6');
    expect(sets.run('add s')).toEqual({
      status: 2,
      out: '',
      err: "ipset v7.17: Missing second mandatory argument to command add\nTry `ipset help' for more information.\n",
    });
    expect(sets.run('add s 1::1,tcp:foo').err).toBe(
      "ipset v7.17: Syntax error: 'foo' is invalid as number\nSyntax error: 'tcp' is invalid as number\ncannot parse 'foo' as a tcp port\n",
    );
    expect(sets.run('add s 1::1,icmp:1/1').err).toBe(
      'ipset v7.17: Syntax error: Protocol ICMP can be used with family inet only\nInvalid add command: missing setname\n',
    );
    expect(sets.run('-exist destroy nono').status).toBe(0);
    expect(sets.run('destroy nono').err).toBe('ipset v7.17: The set with the given name does not exist\n');
  });

  it('answers tests on stderr', () => {
    const sets = bench('create n hash:net', 'add n 10.0.0.0/8', 'add n 10.1.0.0/16 nomatch');
    expect(sets.run('test n 10.2.3.4')).toEqual({ status: 0, out: '', err: 'Warning: 10.2.3.4 is in set n.\n' });
    expect(sets.run('test n 10.1.3.4')).toEqual({ status: 1, out: '', err: '10.1.3.4 is NOT in set n.\n' });
    expect(sets.run('test n 10.1.3.4 nomatch').status).toBe(0);
    expect(sets.run('-q test n 10.1.3.4')).toEqual({ status: 1, out: '', err: '' });
  });

  it('refuses the types of a kernel that lacks them', () => {
    const made = new ToolBench(new Set(['hash:mac']));
    expect(made.run('create m hash:mac').err).toBe('ipset v7.17: Kernel error received: set type not supported\n');
  });
});
