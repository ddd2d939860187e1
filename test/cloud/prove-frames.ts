import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { compileCloud } from '../../src/groups/plan.ts';
import { readCloud } from '../../src/groups/read.ts';
import { planNetwork } from '../../src/network/plan.ts';
import { describeCloud } from './clouds.ts';

const OWN = 'fa:16:3e:00:00:01';
const ADDED = 'fa:16:3e:00:00:99';
const OTHER = 'fa:16:3e:00:00:02';

/** Frames that a machine sends: MAC, and who it says has which address; whether the others may get them. */
const FRAMES: readonly [what: string, mac: string, address: string, passes: boolean][] = [
  ['its own address', OWN, '10.0.0.1', true],
  ['an address of its pair', ADDED, '10.0.0.70', true],
  ["another machine's address", OWN, '10.0.0.2', false],
  ['the gateway', OWN, '10.0.0.254', false],
  ['its own address with a MAC of another', OTHER, '10.0.0.1', false],
  ['a probe without an address', OWN, '0.0.0.0', false],
];

/** Sends one ARP announcement out of `eth0` of namespace A and says whether it came to `eth0` of namespace B. Python 3. */
const PROGRAM = `
import os, socket, subprocess, sys
mac, address, receiver = sys.argv[1], sys.argv[2], sys.argv[3]
bytes_of = lambda text: bytes(int(part, 16) for part in text.split(':'))
ip = socket.inet_aton(address)
frame = b'\\xff' * 6 + bytes_of(mac) + b'\\x08\\x06' + bytes.fromhex('0001080006040001') + bytes_of(mac) + ip + b'\\0' * 6 + ip
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind(('eth0', 0))
fd = os.open('/run/netns/' + receiver, os.O_RDONLY)
os.setns(fd, 0) if hasattr(os, 'setns') else __import__('ctypes').CDLL(None).setns(fd, 0)
listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
listener.bind(('eth0', 0x0806))
listener.settimeout(0.2)
sender.send(frame)
try:
    while listener.recv(100)[:42] != frame: pass
    print('arrived')
except socket.timeout: print('lost')
`;

/** Loads what `group compile` makes for ebtables into a real bridge and sends ARP over it. Returns the number of differences. */
export function proveFrames(): number {
  const description = describeCloud({
    groups: { A: { rules: [] }, B: { rules: [] }, C: { rules: [] } },
    vms: [
      { on: 'one', groups: ['A'] },
      { on: 'one', groups: ['A'] },
    ],
  });
  const vms = description.vms as Record<string, object>;
  vms.vm0 = { ...vms.vm0, mac: OWN, allowed_address_pairs: [{ address: '10.0.0.64/28', mac: ADDED }] };
  const [compiled] = compileCloud(
    readCloud(
      description,
      planNetwork(description, () => null),
    ),
  );
  const [bridge, a, b] = ['b', 'x', 'y'].map((letter) => `iptsimf${process.pid}${letter}`) as [string, string, string];
  try {
    for (const name of [bridge, a, b]) run('ip', ['netns', 'add', name]);
    run('ip', ['-n', bridge, 'link', 'add', 'name', 'br', 'type', 'bridge', 'forward_delay', '0']);
    for (const [tap, vm] of [
      ['tap-vm0', a],
      ['tap-vm1', b],
    ] as const) {
      run('ip', ['-n', bridge, 'link', 'add', 'name', tap, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', vm]);
      run('ip', ['-n', bridge, 'link', 'set', tap, 'master', 'br', 'up']);
      run('ip', ['-n', vm, 'link', 'set', 'eth0', 'up']);
    }
    run('ip', ['-n', bridge, 'link', 'set', 'dev', 'br', 'up']);
    run('ip', ['netns', 'exec', bridge, 'ebtables-restore'], compiled!.frames);
    const wrong = FRAMES.filter(([, mac, address, passes]) => {
      const said = run('ip', ['netns', 'exec', a, 'python3', '-c', PROGRAM, mac, address, b]).trim();
      return (said === 'arrived') !== passes;
    });
    process.stdout.write(
      `ARP over a bridge with the compiled ebtables rules: ${FRAMES.length} frames, ${wrong.length} differences\n`,
    );
    for (const [what, , , passes] of wrong) process.stdout.write(`  ${what}: should ${passes ? '' : 'not '}pass\n`);
    return wrong.length;
  } finally {
    for (const name of [bridge, a, b]) spawnSync('ip', ['netns', 'del', name]);
  }
}

function run(command: string, args: string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', input });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr.trim()}`);
  return stdout;
}
