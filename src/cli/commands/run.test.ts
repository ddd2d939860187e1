import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const iptsim = path.resolve(import.meta.dirname, '../../../bin/iptsim.js');
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'iptsim-test-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

interface Result {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** `iptsim run -- sh -c SCRIPT` in the directory, with its own place for the run's private directory. */
function run(script: string, env: Record<string, string> = {}): Result {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [iptsim, 'run', '--dir', 'state', '--', 'sh', '-c', script],
    {
      cwd: directory,
      encoding: 'latin1',
      env: { ...process.env, LC_ALL: 'C', TMPDIR: directory, XDG_RUNTIME_DIR: '', ...env },
    },
  );
  return { status, stdout, stderr };
}

/** Whether this machine lets us have namespaces; where not, the tests of them ask for the words that say so. */
const probe = spawnSync('unshare', [
  ...(process.geteuid?.() === 0 ? [] : ['-U', '-r']),
  '-m',
  '-n',
  'mount',
  '--bind',
  process.execPath,
  process.execPath,
]);
const namespaces = probe.status === 0;

describe('iptsim run', () => {
  it('answers plain names with outputs, statuses and every byte of the arguments', () => {
    const { status, stdout, stderr } = run(
      [
        'iptables -A INPUT -m comment --comment "$(printf \'caf\\303\\251 \\377 "q"\')" -j ACCEPT',
        'iptables -S INPUT',
        'iptables -D INPUT 7; echo $?',
        'iptables -A INPUT --nosuch; echo $?',
        'LC_ALL=C IPTSIM_VARIANT=legacy iptables -V; ip6tables-legacy -V',
        'ipset create office hash:ip; ipset add office 192.0.2.1; ipset test office 192.0.2.1',
        'conntrack -C',
        'exit 7',
      ].join('\n'),
    );
    expect(stdout).toBe(
      '-P INPUT ACCEPT\n-A INPUT -m comment --comment "caf\xc3\xa9 \xff \\"q\\"" -j ACCEPT\n1\n2\niptables v1.8.9 (legacy)\nip6tables v1.8.9 (legacy)\n0\n',
    );
    expect(stderr).toContain('iptables: Index of deletion too big.\n');
    expect(stderr).toContain('iptables v1.8.9 (nf_tables): unknown option "--nosuch"\n');
    expect(stderr).toContain('192.0.2.1 is in set office.\n');
    expect(status).toBe(7);
  });

  it('hands over standard input only to those that read it', () => {
    const rules = Array.from(
      { length: 4000 },
      (_, i) => `-A INPUT -s 10.0.${i >> 8}.${i & 255} -p tcp --dport 22 -j ACCEPT`,
    );
    writeFileSync(path.join(directory, 'rules'), `*filter\n${rules.join('\n')}\nCOMMIT\n`);
    const { stdout } = run(
      [
        'iptables-restore < rules && iptables -S INPUT | wc -l',
        'iptables-save | sed s/22/23/ | iptables-restore -c && iptables -S INPUT | grep -c 23',
        "printf '1\\n2\\n3\\n' | while read port; do iptables -A OUTPUT -p udp --dport $port; done; iptables -S OUTPUT | wc -l",
        "printf 'create one hash:ip\\nadd one 192.0.2.9\\n' | ipset restore; ipset list -n",
        // A file of the caller's: its path is relative to where the caller is.
        'mkdir sub; cd sub; iptables-restore ../rules && iptables -S OUTPUT',
      ].join('\n'),
    );
    expect(stdout.replace(/ /g, '').split('\n')).toEqual(['4001', '4000', '4', 'one', '-POUTPUTACCEPT', '']);
  });

  it('takes calls that come at the same time one after the other', () => {
    const { stdout } = run(
      'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do iptables -A INPUT -p udp --dport $i & done; wait; iptables -S INPUT | wc -l',
    );
    expect(stdout.trim()).toBe('13');
  });

  it('works with nothing resident', () => {
    const { stdout, status } = run(
      'run=$(dirname "$(dirname "$(command -v iptables)")"); rm "$run/socket"; iptables -A INPUT -j DROP; env -i "$run/bin/iptables" -S INPUT',
    );
    expect(stdout).toBe('-P INPUT ACCEPT\n-A INPUT -j DROP\n');
    expect(status).toBe(0);
    expect(readFileSync(path.join(directory, 'state/rules.v4'), 'latin1')).toContain('-A INPUT -j DROP\n');
  });

  it('leaves nothing behind and is closed to others while it lasts', () => {
    const { stdout, status, stderr } = run(
      'stat -c %a "$(dirname "$(dirname "$(command -v iptables)")")"; nosuchcommand',
    );
    expect(stdout).toBe('700\n');
    expect(status).toBe(127);
    expect(stderr).toContain('nosuchcommand');
    expect(readdirSync(directory)).toEqual(['state']);
  });

  it('covers absolute paths and gives each network namespace its own rules', () => {
    const { stdout, stderr } = run(
      [
        'iptables -A INPUT -j DROP',
        '/usr/sbin/iptables -S INPUT',
        '/sbin/ip6tables-legacy -V',
        'unshare -n /usr/sbin/iptables -S INPUT',
      ].join('\n'),
    );
    if (namespaces) {
      expect(stdout).toBe('-P INPUT ACCEPT\n-A INPUT -j DROP\nip6tables v1.8.9 (legacy)\n-P INPUT ACCEPT\n');
    } else {
      expect(stderr).toContain('iptsim run: no private mounts here');
      expect(stderr).toContain('iptsim run: no network namespace of its own here');
    }
  });

  it('shows the interfaces of host.yaml and an empty firewall to those that look', () => {
    rmSync(path.join(directory, 'state'), { recursive: true, force: true });
    spawnSync('mkdir', [path.join(directory, 'state')]);
    writeFileSync(path.join(directory, 'state/host.yaml'), 'interfaces:\n  lan0: { addresses: [10.9.8.1/24] }\n');
    const { stdout, stderr } = run('ip -4 -o address show dev lan0');
    if (namespaces) expect(stdout).toContain('inet 10.9.8.1/24');
    else expect(stderr).toContain('iptsim run: no network namespace of its own here');
  });
});

describe('iptsim shims', () => {
  const shims = (): Result => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [iptsim, 'shims', 'links'], {
      cwd: directory,
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };

  it('writes links that act as the tools', () => {
    expect(shims().status).toBe(0);
    expect(shims().status).toBe(0);
    const links = path.join(directory, 'links');
    const { stdout } = spawnSync(
      'sh',
      ['-c', 'iptables -A INPUT -j DROP; ip6tables-nft -V; iptables-legacy -S INPUT'],
      {
        cwd: directory,
        encoding: 'utf8',
        env: { ...process.env, PATH: `${links}:${process.env.PATH}`, IPTSIM_DIR: path.join(directory, 'state') },
      },
    );
    expect(stdout).toBe('ip6tables v1.8.9 (nf_tables)\n-P INPUT ACCEPT\n-A INPUT -j DROP\n');
  });

  it('leaves files of the same names alone', () => {
    spawnSync('mkdir', [path.join(directory, 'links')]);
    writeFileSync(path.join(directory, 'links/ipset'), 'mine');
    const { status, stderr } = shims();
    expect(status).toBe(1);
    expect(stderr).toMatch(/left alone: ipset\n$/);
    expect(existsSync(path.join(directory, 'links/iptables'))).toBe(false);
  });
});
