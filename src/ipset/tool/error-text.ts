import { SetError } from '../errors.ts';
import type { ToolCommand } from './commands.ts';

const CORE: Readonly<Record<number, string>> = {
  [SetError.notFound]: 'The set with the given name does not exist',
  [SetError.protocol]: 'Kernel error received: ipset protocol error',
  [SetError.findType]: 'Kernel error received: set type not supported',
  [SetError.maxSets]: 'Kernel error received: maximal number of sets reached, cannot create more.',
  [SetError.invalidNetmask]: 'The value of the netmask parameter is invalid',
  [SetError.invalidMarkmask]: 'The value of the markmask parameter is invalid',
  [SetError.invalidFamily]: 'Protocol family not supported by the set type',
  [SetError.bitmaskNetmask]: 'netmask and bitmask options are mutually exclusive, provide only one',
  [SetError.invalidCidr]: 'The value of the CIDR parameter of the IP address is invalid',
  [SetError.timeout]: 'Timeout cannot be used: set was created without timeout support',
  [SetError.counter]: 'Packet/byte counters cannot be used: set was created without counter support',
  [SetError.comment]: 'Comment cannot be used: set was created without comment support',
  [SetError.skbinfo]: 'Skbinfo mapping cannot be used: set was created without skbinfo support',
  [SetError.invalid]: 'Kernel error received: Invalid argument',
  [SetError.noMemory]: 'Kernel error received: Cannot allocate memory',
};

/** Texts that hold for one command. */
const BY_COMMAND: Readonly<Partial<Record<ToolCommand, Readonly<Record<number, string>>>>> = {
  create: { [SetError.exists]: 'Set cannot be created: set with the same name already exists' },
  destroy: { [SetError.busy]: 'Set cannot be destroyed: it is in use by a kernel component' },
  rename: {
    [SetError.secondSetName]: 'Set cannot be renamed: a set with the new name already exists',
    [SetError.referenced]: 'Set cannot be renamed: it is in use by another system',
  },
  swap: {
    [SetError.secondSetName]: 'Sets cannot be swapped: the second set does not exist',
    [SetError.typeMismatch]: 'The sets cannot be swapped: their type does not match',
  },
  add: { [SetError.elementExists]: "Element cannot be added to the set: it's already added" },
  del: { [SetError.elementExists]: "Element cannot be deleted from the set: it's not added" },
};

const BITMAP: Readonly<Record<number, string>> = {
  [SetError.bitmapRange]: 'Element is out of the range of the set',
};

const HASH: Readonly<Record<number, string>> = {
  [SetError.hashFull]: 'Hash is full, cannot add more elements',
  [SetError.hashElement]: 'Null-valued element, cannot be stored in a hash type of set',
  [SetError.invalidProtocol]: 'Invalid protocol specified',
  [SetError.missingProtocol]: 'Protocol missing, but must be specified',
  [SetError.rangeUnsupported]: 'Range is not supported in the "net" component of the element',
  [SetError.hashRange]: 'Invalid range, covers the whole address space',
};

const LIST: Readonly<Record<number, string>> = {
  [SetError.listName]: 'Set to be added/deleted/tested as element does not exist.',
  [SetError.listLoop]: 'Sets with list:set type cannot be added to the set.',
  [SetError.listBefore]: 'No reference set specified.',
  [SetError.listNameReference]: "The set to which you referred with 'before' or 'after' does not exist.",
  [SetError.listFull]: 'The set is full, more elements cannot be added.',
  [SetError.listReferenceMissing]: "The set to which you referred with 'before' or 'after' is not added to the set.",
};

/** The words for an error code that the kernel gave to a command. */
export function errorText(command: ToolCommand, code: number, typeName: string | undefined): string {
  if (code >= SetError.bitmapRange) {
    const isBitmap = typeName?.startsWith('bitmap:') ?? false;
    if (isBitmap && code === SetError.bitmapRangeSize && command === 'create') {
      return 'The range you specified exceeds the size limit of the set type';
    }
    const table = isBitmap ? BITMAP : typeName?.startsWith('list:') ? LIST : HASH;
    if (table[code] !== undefined) return table[code];
  }
  return BY_COMMAND[command]?.[code] ?? CORE[code] ?? `Undecoded error ${code} received from kernel`;
}
