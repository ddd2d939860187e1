// How much memory a trace takes: `node bench/memory.js --help`.
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { HOST_YAML, rulesText, udpFrame } from './workloads.js';

/** Megabytes at the peak for a stream, bytes for each connection, megabytes that 100,000 rules add. */
const LIMITS = { stream: 300, connection: 250, rules: 150 };

const HELP = `How much memory a trace takes, as a capture streams through it, as connections gather, and for each rule. Linux.

  node bench/memory.js [--gigabytes 1] [--connections 1000000] [--rules 100000] [--json]

The capture is made while it is read and goes through a FIFO, so that its size costs time alone: --gigabytes 10 for ten.
Exits with 1 where a limit is passed: ${LIMITS.stream} MB for the stream, ${LIMITS.connection} bytes a connection, ${LIMITS.rules} MB for 100,000 rules.
`;

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    gigabytes: { type: 'string', default: '1' },
    connections: { type: 'string', default: '1000000' },
    rules: { type: 'string', default: '100000' },
    json: { type: 'boolean', default: false },
    /** Internal: this process writes the packets. */
    write: { type: 'string' },
    packets: { type: 'string', default: '0' },
    flows: { type: 'string', default: '1' },
    data: { type: 'string', default: '32' },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit();
}
const self = fileURLToPath(import.meta.url);
const iptsim = fileURLToPath(new URL('../bin/iptsim.js', import.meta.url));

/** Writes a capture of UDP packets: `flows` flows in turn, `data` bytes each. */
function write(file, packets, flows, data) {
  const fd = openSync(file, 'w');
  const header = Buffer.alloc(24);
  for (const [value, at] of [
    [0xa1b2c3d4, 0],
    [0x00040002, 4],
    [65535, 16],
    [1, 20],
  ])
    header.writeUInt32LE(value, at);
  writeSync(fd, header);
  const size = 16 + 42 + data;
  const batch = Buffer.alloc(size * 1000);
  for (let n = 0; n < packets; ) {
    let to = 0;
    for (; to < batch.length && n < packets; n++, to += size) {
      batch.writeUInt32LE(1_700_000_000 + Math.floor(n / 100_000), to);
      batch.writeUInt32LE((n % 100_000) * 10, to + 4);
      batch.writeUInt32LE(size - 16, to + 8);
      batch.writeUInt32LE(size - 16, to + 12);
      udpFrame(batch, to + 16, n % flows, data);
    }
    for (let from = 0; from < to; ) from += writeSync(fd, batch, from, to - from);
  }
  closeSync(fd);
}

/** Plays packets that another process writes; the peak of the memory in megabytes and the summary. */
async function trace(rules, { packets, flows, data }) {
  const state = mkdtempSync(path.join(os.tmpdir(), 'iptsim-memory-'));
  try {
    mkdirSync(state, { recursive: true });
    writeFileSync(path.join(state, 'rules.v4'), rules);
    writeFileSync(
      path.join(state, 'host.yaml'),
      HOST_YAML.replace('sysctl: {', 'sysctl: { net.netfilter.nf_conntrack_max: 4000000,'),
    );
    const fifo = path.join(state, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const writer = spawn(
      process.execPath,
      [self, '--write', fifo, '--packets', `${packets}`, '--flows', `${flows}`, '--data', `${data}`],
      { stdio: 'inherit' },
    );
    const tracer = spawn(process.execPath, [iptsim, '--dir', state, 'trace', '--pcap', `eth0=${fifo}`, '--summary'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    tracer.stdout.on('data', (text) => {
      out += text;
    });
    let peak = 0;
    const timer = setInterval(() => {
      peak = peakOf(tracer.pid) ?? peak;
    }, 20);
    const status = await new Promise((resolve) => tracer.on('close', resolve));
    clearInterval(timer);
    writer.kill();
    if (status !== 0) throw new Error(`iptsim trace ended with status ${status}`);
    return { peak, summary: out.trim() };
  } finally {
    rmSync(state, { recursive: true });
  }
}

/** Megabytes; undefined when the process is gone. */
function peakOf(pid) {
  try {
    const kilobytes = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) / 1024;
  } catch {
    return undefined;
  }
}

async function main() {
  const report = [];
  const say = (name, value, limit, unit, note) => {
    report.push({ name, value: Math.round(value * 10) / 10, limit, unit, note });
    if (!values.json)
      console.log(`${name.padEnd(34)} ${value.toFixed(1).padStart(8)} ${unit} (at most ${limit})  ${note}`);
  };
  const plain = '*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p udp -m udp --dport 7 -j DROP\nCOMMIT\n';
  const tracked = '*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT\nCOMMIT\n';

  const gigabytes = Number(values.gigabytes);
  const data = 1400;
  const packets = Math.ceil((gigabytes * 1e9) / (16 + 42 + data));
  const stream = await trace(plain, { packets, flows: 1000, data });
  say(`${gigabytes} GB of packets`, stream.peak, LIMITS.stream, 'MB', stream.summary);

  const connections = Number(values.connections);
  // What a second half of them adds, so that nothing else counts.
  const half = await trace(tracked, { packets: connections, flows: connections / 2, data: 32 });
  const many = await trace(tracked, { packets: connections, flows: connections, data: 32 });
  const each = ((many.peak - half.peak) * 2 ** 20) / (connections / 2);
  say(`${connections} connections`, each, LIMITS.connection, 'bytes each', `${many.peak.toFixed(0)} MB in all`);

  const rules = Number(values.rules);
  for (const kind of ['addr', 'ct', 'nat', 'kube']) {
    const [none, all] = [
      await trace(rulesText(kind, 10), { packets: 1000, flows: 1, data: 32 }),
      await trace(rulesText(kind, rules), { packets: 1000, flows: 1, data: 32 }),
    ];
    say(
      `${rules} rules: ${kind}`,
      all.peak - none.peak,
      (LIMITS.rules * rules) / 1e5,
      'MB',
      `${all.peak.toFixed(0)} MB in all`,
    );
  }
  if (values.json) console.log(JSON.stringify(report, null, 2));
  if (report.some(({ value, limit }) => value > limit)) process.exitCode = 1;
}

if (values.write === undefined) await main();
else write(values.write, Number(values.packets), Number(values.flows), Number(values.data));
