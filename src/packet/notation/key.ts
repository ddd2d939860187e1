import { parseMac } from '../address-text.ts';
import { fromHex } from '../bytes.ts';
import { Protocol } from '../protocol.ts';
import type { PacketDescription, WrongChecksum } from './description.ts';
import { encodeTcpOption } from './tcp-options.ts';

/** One `key=value` of the notation. */
export interface Key {
  name: string;
  aliases?: readonly string[];
  /** What the value may be, for messages: "a number from 0 to 255". */
  value: string;
  /** What it is, for the documentation. */
  meaning: string;
  /** Protocols that have such a field; absent: all. */
  protocols?: readonly number[];
  family?: 4 | 6;
  /** Takes in the value; false if it is none. */
  read(value: string, packet: PacketDescription): boolean;
}

type NumberField = {
  [K in keyof PacketDescription]-?: NonNullable<PacketDescription[K]> extends number ? K : never;
}[keyof PacketDescription];

/** A number in decimal or hexadecimal (0x..), or -1. */
export function parseNumber(text: string, max: number): number {
  const value = /^(\d{1,16}|0x[0-9a-f]{1,12})$/i.test(text) ? Number(text) : -1;
  return value <= max ? value : -1;
}

export function numeric(name: string, field: NumberField, max: number, meaning: string, more: Partial<Key> = {}): Key {
  return {
    name,
    value: `a number from 0 to ${max}`,
    meaning,
    read(value, packet) {
      const number = parseNumber(value, max);
      if (number < 0) return false;
      (packet[field] as number) = number;
      return true;
    },
    ...more,
  };
}

export function flag(name: string, field: 'dontFragment' | 'moreFragments', meaning: string): Key {
  return {
    name,
    value: '1 or 0',
    meaning,
    read(value, packet) {
      if (!/^(0|1|yes|no)$/.test(value)) return false;
      packet[field] = value === '1' || value === 'yes';
      return true;
    },
  };
}

export function checksumKey(
  name: string,
  field: 'checksum' | 'ipChecksum',
  meaning: string,
  more: Partial<Key> = {},
): Key {
  return {
    name,
    value: '"bad" or a number like 0x1234',
    meaning,
    ...more,
    read(value, packet) {
      const number = parseNumber(value, 0xffffffff);
      if (value === 'ok') return true;
      if (number < 0 && value !== 'bad') return false;
      packet[field] = (number < 0 ? 'bad' : number) satisfies WrongChecksum;
      return true;
    },
  };
}

export function hexKey(
  name: string,
  field: 'payload' | 'ipOptions' | 'tcpOptions',
  meaning: string,
  more: Partial<Key> = {},
): Key {
  return {
    name,
    value: 'bytes in hexadecimal like 0a1b2c',
    meaning,
    ...more,
    read(value, packet) {
      const bytes = fromHex(value.replace(/^0x/i, ''));
      if (bytes === null) return false;
      packet[field] = bytes;
      return true;
    },
  };
}

export function described(name: string, meaning: string, more: Partial<Key> = {}): Key {
  return {
    name,
    value: 'a word',
    meaning,
    ...more,
    read(value, packet) {
      if (value === '') return false;
      packet.described = { ...packet.described, [name]: value };
      return true;
    },
  };
}

export function tcpOption(name: string, value: string, meaning: string): Key {
  return {
    name,
    value,
    meaning,
    protocols: [Protocol.tcp],
    read(text, packet) {
      const bytes = encodeTcpOption(name, text);
      if (bytes === null) return false;
      packet.tcpOptions = Uint8Array.from([...(packet.tcpOptions ?? []), ...bytes]);
      return true;
    },
  };
}

export function icmpRest(
  name: string,
  meaning: string,
  put: (value: number, packet: PacketDescription) => number,
): Key {
  return {
    name,
    value: 'a number',
    meaning,
    protocols: [Protocol.icmp, Protocol.icmpv6],
    read(value, packet) {
      const number = parseNumber(value, 0xffffffff);
      if (number < 0) return false;
      packet.icmpRest = put(number, packet) >>> 0;
      return true;
    },
  };
}

export function macKey(name: string, field: 'sourceMac' | 'destinationMac', meaning: string): Key {
  return {
    name,
    value: 'a MAC address like 02:00:00:00:00:01',
    meaning,
    read(value, packet) {
      const mac = parseMac(value);
      if (mac !== null) packet[field] = mac;
      return mac !== null;
    },
  };
}
