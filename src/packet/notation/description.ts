import type { AddressWords, Family } from '../family.ts';

/** When a packet comes: at a time, or so long after the one before it. Microseconds. */
export type PacketTime = { at: number } | { after: number };

/** An IPv6 extension header: its type, and its bytes behind the next-header byte. */
export interface ExtensionHeader {
  kind: number;
  body: Uint8Array;
}

/** A checksum that is not the right one: spoilt, or a given value. */
export type WrongChecksum = 'bad' | number;

/**
 * A packet in words: plain data, what one line of the notation says. Absent fields have the defaults that
 * `buildPacket` documents.
 */
export interface PacketDescription {
  /** Input interface; `local` for a packet that the machine itself sends. */
  in?: string;
  out?: string;
  time?: PacketTime;

  family: Family;
  /** IP protocol number. */
  protocol: number;
  source: AddressWords;
  destination: AddressWords;
  /** The whole packet in bytes: then nothing else of the headers counts. */
  raw?: Uint8Array;

  version?: number;
  headerWords?: number;
  tos?: number;
  totalLength?: number;
  /** IPv4 identification, or that of the IPv6 fragment header. */
  ipId?: number;
  dontFragment?: boolean;
  moreFragments?: boolean;
  /** In bytes, a multiple of 8. */
  fragmentOffset?: number;
  ttl?: number;
  ipChecksum?: WrongChecksum;
  ipOptions?: Uint8Array;
  flowLabel?: number;
  extensions?: ExtensionHeader[];

  sourcePort?: number;
  destinationPort?: number;
  /** TCP, UDP, ICMP, ...: the transport's own checksum. */
  checksum?: WrongChecksum;
  /** TCP: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128. */
  tcpFlags?: number;
  sequence?: number;
  acknowledgement?: number;
  window?: number;
  urgent?: number;
  dataOffset?: number;
  tcpOptions?: Uint8Array;
  /** Length field of UDP and UDPlite (there: coverage). */
  udpLength?: number;
  icmpType?: number;
  icmpCode?: number;
  /** The four bytes after the ICMP checksum: identifier and sequence number, MTU, gateway, pointer. */
  icmpRest?: number;
  /** SCTP verification tag. */
  verificationTag?: number;
  /** SPI of ESP and AH. */
  spi?: number;
  payload?: Uint8Array;

  sourceMac?: Uint8Array;
  destinationMac?: Uint8Array;
  packetType?: 'host' | 'broadcast' | 'multicast' | 'otherhost';
  mark?: number;
  uid?: number;
  gid?: number;
  pid?: number;
  cgroup?: string;
  groups?: number[];
  /** net_cls class. */
  classId?: number;
  /** What goes along as words: `cpu`, `policy`, `ipvs`, ... */
  described?: Record<string, string>;
}
