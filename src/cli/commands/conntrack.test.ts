import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Io } from '../io.ts';
import { conntrack } from './conntrack.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'iptsim-conntrack-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function run(line: string): Promise<{ out: string; err: string; status: number }> {
  const result = { out: '', err: '', status: 0 };
  const io: Io = {
    out: (text) => {
      result.out += text;
    },
    err: (text) => {
      result.err += text;
    },
    readStdin: () => '',
    env: {},
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    directory,
    variant: 'nft',
    hints: false,
  };
  result.status = await conntrack('conntrack', line.split(' ').filter(Boolean), io);
  return result;
}

const HEAD = 'conntrack v1.4.7 (conntrack-tools): ';
const TRY = "Try `conntrack -h' or 'conntrack --help' for more information.\n";

describe('conntrack, as conntrack 1.4.7 answers', () => {
  it('makes, lists, gets, changes and deletes entries', async () => {
    const made = await run('-I -s 10.0.0.1 -d 10.0.0.2 -p tcp --sport 1000 --dport 80 -t 100 --state ESTABLISHED');
    expect(made).toEqual({ out: '', err: `${HEAD}1 flow entries have been created.\n`, status: 0 });
    const line =
      'tcp      6 100 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=1000 dport=80 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=80 dport=1000 mark=0 use=1\n';
    expect((await run('-L')).out).toBe(line);
    expect((await run('-L -o extended')).out).toBe(`ipv4     2 ${line}`);
    expect((await run('-G -s 10.0.0.1 -d 10.0.0.2 -p tcp --sport 1000 --dport 80')).out).toBe(
      line.replace('use=1', 'use=2'),
    );
    const updated = await run('-U -s 10.0.0.1 -u ASSURED -m 0x10/0xf0');
    expect(updated.out).toContain('[ASSURED] mark=16 use=2');
    expect(updated.err).toBe(`${HEAD}1 flow entries have been updated.\n`);
    expect((await run('-D -p tcp --dport 81')).status).toBe(1);
    expect((await run('-D -p tcp --dport 80')).err).toBe(`${HEAD}1 flow entries have been deleted.\n`);
    expect((await run('-C')).out).toBe('0\n');
  });

  it('shows what -G found only if the options are those of its original direction', async () => {
    await run('-I -s 10.0.0.1 -d 10.0.0.1 -p tcp --sport 81 --dport 5353 -t 1000 --state ESTABLISHED');
    const none = { out: '', err: `${HEAD}0 flow entries have been shown.\n` };
    expect(await run('-G -s 10.0.0.1 -d 10.0.0.1 -p tcp --sport 5353 --dport 81')).toMatchObject(none);
    expect(await run('-G -s 10.0.0.1 -d 10.0.0.1 -p tcp --sport 81 --dport 5353 --state LISTEN')).toMatchObject(none);
    expect((await run('-G -s 10.0.0.1 -d 10.0.0.1 -p tcp --sport 81 --dport 5353')).out).toContain('sport=81');
  });

  it('takes NAT addresses and zones, and filters by them', async () => {
    await run('-I -s 10.0.0.1 -d 10.0.0.2 -p udp --sport 1 --dport 53 -t 100 -n 1.2.3.4:99');
    await run('-I -s 10.0.0.1 -d 10.0.0.2 -p udp --sport 2 --dport 53 -t 100 --reply-zone 4');
    expect((await run('-L -n')).out).toBe(
      'udp      17 100 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=53 [UNREPLIED] src=10.0.0.2 dst=1.2.3.4 sport=53 dport=99 mark=0 use=1\n',
    );
    expect((await run('-L --reply-zone 4')).out).toContain('sport=53 dport=2 zone-reply=4 mark=0');
    expect((await run('-L -w 4')).out).toBe('');
  });

  it('writes XML and what -R reads', async () => {
    await run('-I -s 10.0.0.1 -d 10.0.0.2 -p gre --srckey 5 --dstkey 6 -t 100');
    expect((await run('-L -o save')).out).toBe(
      '-A -t 100 -u UNSET -s 10.0.0.1 -d 10.0.0.2 -r 10.0.0.2 -q 10.0.0.1 -p gre --srckey 5 --dstkey 6 --reply-key-src 6 --reply-key-dst 5\n',
    );
    expect((await run('-L -o xml')).out).toContain(
      '<layer4 protonum="47" protoname="gre"><srckey>0x5</srckey><dstkey>0x6</dstkey></layer4>',
    );
  });

  it.each([
    ['-L -t 10', "Illegal option `--timeout' with this command"],
    ['-I -s 1.2.3.4 -d ::1 -p udp', 'mismatched address family'],
    ['-L -s 1.2.3.4/255.0.0.0', 'Invalid netmask'],
    ['-L -q 10.0.0.0/29', "CIDR notation unavailable for `--reply-dst'"],
    ['-L -n 1.2.3.4:x', "Invalid port `x'"],
    ['-L -n 1.2.3.4 -j', "cannot specify `--src-nat' or `--dst-nat' with `--any-nat'"],
    ['-D dying', "Can't do that command with tables `dying' and `unconfirmed'"],
    ['-U expect', "Can't do --update on expectations"],
    ['-G -p tcp -s 1.2.3.4 -d 1.2.3.5 --sport 1', "you have to specify `--sport' and `--dport'"],
    [
      '-I -p sctp -s 1.2.3.4 -d 1.2.3.5 --sport 1 --dport 2 -t 10',
      "You need to supply the `--state' option for this command",
    ],
    ['-L -p 300', "`300' unsupported protocol"],
    ['-L -u ASSURED,', "Bad parameter `'"],
  ])('%s is wrong usage', async (line, message) => {
    expect(await run(line)).toEqual({ out: '', err: `${HEAD}${message}\n${TRY}`, status: 2 });
  });

  it('answers like the kernel to what cannot be done', async () => {
    const line = '-I -s 10.0.0.1 -d 10.0.0.2 -p udp --sport 1 --dport 53 -t 100';
    await run(line);
    expect(await run(line)).toEqual({
      out: '',
      err: `${HEAD}Operation failed: Such conntrack exists, try -U to update\n`,
      status: 1,
    });
    expect((await run('-I -p icmp -s 1.2.3.4 -d 1.2.3.5 -t 10 --icmp-type 9 --icmp-code 0')).err).toBe(
      `${HEAD}Operation failed: invalid parameters\n`,
    );
    expect((await run('-U -p udp -t 60')).err).toBe(
      `Operation failed: Operation not supported\n${HEAD}Operation failed: Operation not supported\n`,
    );
  });
});
