import { HASH_TYPES } from './hash-types.ts';
import { NET_TYPES } from './net-types.ts';
import { PLAIN_TYPES } from './plain-types.ts';
import type { SetTypeSyntax } from './type-syntax.ts';

const ORDER = [
  'list:set',
  'hash:mac',
  'hash:ip,mac',
  'hash:net,iface',
  'hash:net,port',
  'hash:net,port,net',
  'hash:net,net',
  'hash:net',
  'hash:ip,port,net',
  'hash:ip,port,ip',
  'hash:ip,mark',
  'hash:ip,port',
  'hash:ip',
  'bitmap:port',
  'bitmap:ip,mac',
  'bitmap:ip',
];

const ALL = [...PLAIN_TYPES, ...HASH_TYPES, ...NET_TYPES];

/** All set types in the order in which `ipset help` lists them. */
export const SET_TYPES: readonly SetTypeSyntax[] = ORDER.map((name) => ALL.find((type) => type.name === name)!);

const BY_NAME = new Map<string, SetTypeSyntax>();
for (const type of SET_TYPES) for (const name of [type.name, ...type.aliases]) BY_NAME.set(name, type);

/** A set type by its name or an old name for it. */
export function setTypeByName(name: string): SetTypeSyntax | undefined {
  return BY_NAME.get(name);
}
