import type { HashType } from '../hash-type.ts';
import { hashIp } from './hash-ip.ts';
import { hashIpMark } from './hash-ip-mark.ts';
import { hashIpPort, hashIpPortIp, hashIpPortNet } from './hash-ip-port.ts';
import { hashIpMac, hashMac } from './hash-mac.ts';
import { hashNet, hashNetIface, hashNetPort } from './hash-net.ts';
import { hashNetNet, hashNetPortNet } from './hash-net-net.ts';

/** Every hash type, by name. */
export const HASH_TYPE_BY_NAME: ReadonlyMap<string, HashType> = new Map(
  [
    hashIp,
    hashMac,
    hashIpMac,
    hashIpMark,
    hashIpPort,
    hashIpPortIp,
    hashIpPortNet,
    hashNet,
    hashNetIface,
    hashNetPort,
    hashNetNet,
    hashNetPortNet,
  ].map((type) => [type.name, type]),
);
