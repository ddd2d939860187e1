import type { AddressWords, Family } from '../packet/family.ts';

/** An address of an interface with its prefix. */
export interface InterfaceAddress {
  family: Family;
  address: AddressWords;
  prefixLength: number;
  /** IPv4 only: the prefix's broadcast address; null for /31 and /32. */
  broadcast: AddressWords | null;
  /** IPv4 only: how far it may be used (`enum rt_scope_t`); of IPv6 the address itself says so. */
  scope: number;
  /** False for `noprefixroute`: the address makes no route to its prefix. */
  prefixRoute: boolean;
}

export type DeviceKind = 'ethernet' | 'loopback' | 'bridge' | 'vlan';

/** A network interface of the simulated machine. Made once from host.yaml; identity is what the datapath compares. */
export interface Device {
  readonly index: number;
  readonly name: string;
  readonly kind: DeviceKind;
  /** Six bytes. */
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly addresses: readonly InterfaceAddress[];
  /** Device group (`-m devgroup`). */
  readonly group: number;
  /** The bridge whose port this is. */
  bridge: Device | null;
  /** Ports, for a bridge. */
  ports: readonly Device[];
  /** Of a port: its bridge sends frames back out where they came in. */
  hairpin: boolean;
  /** VLAN devices: the device below and the tag. */
  link: Device | null;
  vlan: number;
}
