import type { SocketAnswer } from '../datapath/environment.ts';
import { addressEquals, parseAddress } from '../packet/address-text.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import { Protocol } from '../packet/protocol.ts';
import { HostError, type ListenDescription } from './description.ts';
import type { Device } from './device.ts';
import { parseNumber } from './numbers.ts';

const PROTOCOLS: Readonly<Record<string, number>> = {
  tcp: Protocol.tcp,
  udp: Protocol.udp,
  udplite: Protocol.udplite,
  sctp: Protocol.sctp,
  dccp: Protocol.dccp,
};

/** A socket of host.yaml's `listen`. */
interface Socket {
  protocol: number;
  port: number;
  /** Null: wildcard address of both families. */
  family: Family | null;
  address: AddressWords | null;
  device: string | null;
  answer: SocketAnswer;
}

const KNOWN_KEYS = ['port', 'address', 'uid', 'gid', 'cgroup', 'device', 'transparent', 'mark'];

/** The listening sockets of the machine. */
export class Sockets {
  readonly #byPort = new Map<number, Socket[]>();

  constructor(listen: readonly (string | ListenDescription)[]) {
    listen.forEach((entry, i) => {
      const socket = readSocket(entry, ['listen', i]);
      const key = socket.protocol * 0x10000 + socket.port;
      const sockets = this.#byPort.get(key);
      if (sockets === undefined) this.#byPort.set(key, [socket]);
      else sockets.push(socket);
    });
  }

  /** The socket that a packet to `destination`:`port` reaches: one bound to the address or the device goes before a wildcard one. */
  find(
    protocol: number,
    family: Family,
    destination: AddressWords,
    port: number,
    device: Device | null,
  ): SocketAnswer | null {
    const sockets = this.#byPort.get(protocol * 0x10000 + port);
    if (sockets === undefined) return null;
    let best: Socket | null = null;
    let bestScore = -1;
    for (const socket of sockets) {
      let score = 0;
      if (socket.address !== null) {
        if (socket.family !== family || !addressEquals(socket.address, destination)) continue;
        score += 4;
      }
      if (socket.device !== null) {
        if (device?.name !== socket.device) continue;
        score += 2;
      }
      if (score > bestScore) {
        best = socket;
        bestScore = score;
      }
    }
    return best === null ? null : best.answer;
  }
}

function readSocket(entry: string | ListenDescription, path: readonly (string | number)[]): Socket {
  const long: ListenDescription = typeof entry === 'object' && entry !== null ? entry : { port: String(entry) };
  for (const key of Object.keys(long)) {
    if (!KNOWN_KEYS.includes(key)) {
      throw new HostError([...path, key], `unknown key; a socket has ${KNOWN_KEYS.join(', ')}`);
    }
  }
  const [name, number] = String(long.port).split('/');
  const protocol = PROTOCOLS[name!];
  const port = parseNumber(number ?? '', 1, 65535);
  if (protocol === undefined || port < 0) {
    throw new HostError(path, `"${long.port}" is no socket; write it as tcp/22 or udp/53`);
  }
  const found = long.address == null ? null : parseAddress(String(long.address));
  if (long.address != null && found === null) {
    throw new HostError([...path, 'address'], `"${long.address}" is no address; write it as 10.0.0.1`);
  }
  const wildcard = found === null || found.words.every((word) => word === 0);
  const owner = {
    uid: whole(long.uid, [...path, 'uid']),
    gid: whole(long.gid, [...path, 'gid']),
    transparent: long.transparent ?? true,
    wildcard,
    ...(long.cgroup != null ? { cgroup: long.cgroup } : {}),
  };
  return {
    protocol,
    port,
    family: wildcard ? null : found.family,
    address: wildcard ? null : found.words,
    device: long.device ?? null,
    answer: { owner, wildcard, transparent: owner.transparent, mark: whole(long.mark, [...path, 'mark']) },
  };
}

function whole(value: number | null | undefined, path: readonly (string | number)[]): number {
  if (value == null) return 0;
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw new HostError(path, `"${value}": a number from 0 to 4294967295 is needed`);
  }
  return value;
}
