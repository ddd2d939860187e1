// Rules and packets of the measurements. Packets: handshakes of 500 flows, then 70 % packets of these flows (both ways) and
// 30 % new flows, two thirds of which the last rules drop. No other rule decides about a packet: each is passed in vain, except for
// the last services of `kube`. A function of its arguments alone.

export const KINDS = ['addr', 'ct', 'nat', 'kube', 'set'];
const ESTABLISHED = 500;
const MAC = [
  [2, 0, 0, 0, 0, 1],
  [2, 0, 0, 0, 0, 2],
];
const PEER_MAC = [2, 0, 0, 0, 0, 0xfe];

export const HOST_YAML = `interfaces:
  eth0: { mac: "02:00:00:00:00:01", addresses: [10.0.1.1/24] }
  eth1: { mac: "02:00:00:00:00:02", addresses: [10.0.2.1/24] }
routes: [ "10.1.0.0/16 via 10.0.1.2 dev eth0", "10.2.0.0/16 via 10.0.2.2 dev eth1" ]
sysctl: { net.ipv4.ip_forward: 1 }
`;

const unusedPort = (i) => 1 + ((i * 7) % 29000);

function addrRule(i) {
  let source = '10.1.0.0/16';
  let destination = `10.2.${i % 200}.0/24`;
  if (i % 4 < 2) source = `10.${64 + (i >> 14)}.${(i >> 6) & 255}.${(i & 63) * 4}/30`;
  else if (i % 4 === 2) destination = `192.168.${(i >> 8) & 255}.${i & 255}/32`;
  return `-A FORWARD -s ${source} -d ${destination} -p tcp -m tcp --dport ${unusedPort(i)} -j ${i % 3 ? 'ACCEPT' : 'DROP'}`;
}

const ctRule = (i) =>
  `-A FORWARD -p tcp -m conntrack --ctstate NEW -m tcp --dport ${unusedPort(i)} -m comment --comment "rule ${i}" -j ACCEPT`;

const natRule = (i) =>
  `-A PREROUTING -d ${i % 2 ? `10.2.${i % 200}.0/24` : `198.${18 + (i >> 17)}.${(i >> 9) & 255}.${(i >> 1) & 255}/32`} -p tcp -m tcp --dport ${unusedPort(i)} -j DNAT --to-destination 10.2.9.9:8080`;

function kubeRules(n) {
  const chains = [];
  const first = [];
  const rest = [];
  for (let i = 0; i < n / 8; i++) {
    const service = `KUBE-SVC-${i}`;
    chains.push(service);
    const match = `-d 10.96.${i >> 8}.${i & 255}/32 -p tcp -m comment --comment "ns/svc-${i}" -m tcp --dport 80`;
    first.push(`-A KUBE-SERVICES ${match} -j ${service}`);
    rest.push(`-A ${service} ! -s 10.1.0.0/16 ${match} -j KUBE-MARK-MASQ`);
    for (let e = 0; e < 2; e++) {
      const endpoint = `10.2.${i % 200}.${e + 1}`;
      const chain = `KUBE-SEP-${i}-${e}`;
      chains.push(chain);
      const chance = e === 0 ? '-m statistic --mode random --probability 0.5 ' : '';
      rest.push(`-A ${service} ${chance}-j ${chain}`);
      rest.push(`-A ${chain} -s ${endpoint}/32 -j KUBE-MARK-MASQ`);
      rest.push(`-A ${chain} -p tcp -m tcp -j DNAT --to-destination ${endpoint}:8080`);
    }
  }
  return [
    ...['KUBE-SERVICES', 'KUBE-MARK-MASQ', ...chains].map((name) => `:${name} - [0:0]`),
    '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    ...first,
    '-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000',
    ...rest,
  ];
}

/** Ten rules about four sets, whose entries are what there are n of. */
const setRules = () =>
  Array.from({ length: 10 }, (_, i) => {
    const name = ['ip1', 'net1', 'ipport1', 'ip2'][i % 4];
    return `-A FORWARD -m set --match-set ${name} ${name === 'ipport1' ? 'dst,dst' : i % 3 ? 'src' : 'dst'} -j DROP`;
  });

/** `ipset restore` text of these sets; no packet of the captures is in them. '' for other kinds. */
export function setsText(kind, n) {
  if (kind !== 'set') return '';
  const size = `hashsize ${2 ** Math.max(6, Math.ceil(Math.log2(n + 1)))} maxelem ${n + 1}`;
  const address = (i, first) => `${first}.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
  const lines = ['ip1', 'ip2'].map((name) => `create ${name} hash:ip ${size}`);
  lines.push(`create net1 hash:net ${size}`, `create ipport1 hash:ip,port ${size}`);
  for (let i = 0; i < n; i++) {
    lines.push(`add ip1 ${address(i, 11)}`, `add ip2 ${address(i, 12)}`);
    lines.push(
      `add net1 ${address(i << 8, 13 + (i >> 16))}/24`,
      `add ipport1 ${address(i, 20)},tcp:${1 + (i % 60000)}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** iptables-save text with about n rules of a kind, and at the end those that decide. */
export function rulesText(kind, n) {
  const numbers = Array.from({ length: n }, (_, i) => i);
  const nat = kind === 'nat' ? numbers.map(natRule) : kind === 'kube' ? kubeRules(n) : [];
  const filter =
    kind === 'addr' ? numbers.map(addrRule) : kind === 'ct' ? numbers.map(ctRule) : kind === 'set' ? setRules() : [];
  const heads = (...chains) => chains.map((name) => `:${name} ACCEPT [0:0]`);
  return [
    ...(nat.length === 0 ? [] : ['*nat', ...heads('PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'), ...nat, 'COMMIT']),
    '*filter',
    ...heads('INPUT', 'FORWARD', 'OUTPUT'),
    ...filter,
    '-A FORWARD -p tcp -m tcp --dport 30000:39999 -j DROP',
    'COMMIT',
    '',
  ].join('\n');
}

/** What restore, save and single commands work on. */
export function mixedRules(n) {
  const lines = ['*filter', ':INPUT DROP [0:0]', ':FORWARD DROP [0:0]', ':OUTPUT ACCEPT [0:0]'];
  for (let i = 0; i < n; i++) {
    lines.push(
      `-A ${i % 5 ? 'FORWARD' : 'INPUT'} -s 10.${(i >> 14) & 255}.${(i >> 6) & 255}.${(i & 63) * 4}/30 -d 192.168.${i % 256}.0/24 -p tcp -m tcp --dport ${1 + (i % 65000)} -m conntrack --ctstate NEW -m comment --comment "rule ${i}" -j ACCEPT`,
    );
  }
  lines.push('COMMIT', '');
  return lines.join('\n');
}

const SYN = 2;
const ACK = 16;

/** An Ethernet frame with a TCP segment to the router's interface `device`. Addresses are numbers. */
function frame(device, source, sourcePort, destination, destinationPort, flags, sequence, acknowledgement, data) {
  const bytes = Buffer.alloc(54 + data);
  bytes.set([...MAC[device], ...PEER_MAC, 8, 0, 0x45], 0);
  bytes.writeUInt16BE(40 + data, 16);
  bytes.set([0x40, 0, 64, 6], 20);
  bytes.writeUInt32BE(source, 26);
  bytes.writeUInt32BE(destination, 30);
  bytes.writeUInt16BE(checksum(bytes, 14, 34, 0), 24);
  bytes.writeUInt16BE(sourcePort, 34);
  bytes.writeUInt16BE(destinationPort, 36);
  bytes.writeUInt32BE(sequence, 38);
  bytes.writeUInt32BE(acknowledgement, 42);
  bytes.set([0x50, flags, 0xfd, 0xe8], 46);
  bytes.fill(0x41, 54);
  bytes.writeUInt16BE(checksum(bytes, 26, bytes.length, 6 + 20 + data), 50);
  return bytes;
}

/** Writes an Ethernet frame with a UDP datagram of flow number `flow` to the router's eth0 into `bytes` at `at`. */
export function udpFrame(bytes, at, flow, data) {
  const ip = at + 14;
  bytes.set([...MAC[0], ...PEER_MAC, 8, 0, 0x45, 0], at);
  bytes.writeUInt16BE(28 + data, ip + 2);
  bytes.set([0, 0, 0x40, 0, 64, 17, 0, 0], ip + 4);
  bytes.writeUInt32BE(0x0a010001 + (flow & 0xfff), ip + 12);
  bytes.writeUInt32BE(0x0a020001 + (flow >>> 12), ip + 16);
  bytes.writeUInt16BE(checksum(bytes, ip, ip + 20, 0), ip + 10);
  bytes.writeUInt16BE(40000, ip + 20);
  bytes.writeUInt16BE(50000, ip + 22);
  bytes.writeUInt16BE(8 + data, ip + 24);
  // No checksum: none is asked for.
  bytes.writeUInt16BE(0, ip + 26);
}

function checksum(bytes, from, to, start) {
  let sum = start;
  for (let i = from; i + 1 < to; i += 2) sum += (bytes[i] << 8) | bytes[i + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Two captures (what arrives on eth0 and eth1) with `packets` packets together. */
export function captures(kind, n, packets) {
  const files = [[], []];
  const header = Buffer.alloc(24);
  for (const [value, at] of [
    [0xa1b2c3d4, 0],
    [0x00040002, 4],
    [65535, 16],
    [1, 20],
  ])
    header.writeUInt32LE(value, at);
  for (const file of files) file.push(header);
  let count = 0;
  const add = (device, bytes) => {
    const head = Buffer.alloc(16);
    head.writeUInt32LE(1_700_000_000 + Math.floor(count / 100_000), 0);
    head.writeUInt32LE((count % 100_000) * 10, 4);
    head.writeUInt32LE(bytes.length, 8);
    head.writeUInt32LE(bytes.length, 12);
    files[device].push(head, bytes);
    count++;
  };
  const flows = Array.from({ length: ESTABLISHED }, (_, f) => [
    0x0a010001 + f,
    51000 + f,
    0x0a020001 + ((f % 200) << 8) + (f % 250),
    50000 + f,
  ]);
  for (const [a, ap, b, bp] of flows) add(0, frame(0, a, ap, b, bp, SYN, 1000, 0, 0));
  for (const [a, ap, b, bp] of flows) add(1, frame(1, b, bp, a, ap, SYN | ACK, 2000, 1001, 0));
  for (const [a, ap, b, bp] of flows) add(0, frame(0, a, ap, b, bp, ACK, 1001, 2001, 0));
  const data = flows.map(([a, ap, b, bp]) => [
    frame(0, a, ap, b, bp, ACK | 8, 1001, 2001, 32),
    frame(1, b, bp, a, ap, ACK | 8, 2001, 1001, 32),
  ]);
  const services = Math.max(1, Math.floor(n / 8));
  let seed = 7;
  const random = (below) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >>> 8) % below;
  };
  for (let k = 0; count < packets; ) {
    if (random(10) < 7) {
      const device = random(2);
      add(device, data[random(ESTABLISHED)][device]);
      continue;
    }
    const drop = k % 3 !== 0;
    const service = !drop && kind === 'kube';
    const destination = service
      ? 0x0a600000 + ((k * 7919) % services)
      : 0x0a020001 + (((k * 13) % 200) << 8) + (k % 250);
    const port = service ? 80 : drop ? 30000 + (k % 10000) : 40000 + (k % 9000);
    add(0, frame(0, 0x0a018000 + (k & 0x7fff), 51000 + (k >> 15), destination, port, SYN, 1, 0, 0));
    k++;
  }
  return files.map((parts) => Buffer.concat(parts));
}
