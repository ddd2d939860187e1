import { formatAddress, inPrefix, parseAddress } from '../../packet/address-text.ts';
import type { AddressWords, Family } from '../../packet/family.ts';

/** An element of a set of networks. */
export interface Element {
  family: Family;
  address: AddressWords;
  length: number;
  /** Excepted from a larger one. */
  nomatch: boolean;
  /** As `add` takes it, `nomatch` included. */
  text: string;
}

export interface SetState {
  name: string;
  typeName: string;
  family: Family;
  maximum: number;
  /** What follows `create NAME`. */
  header: string;
  /** By address, prefix length and kind. */
  elements: ReadonlyMap<string, Element>;
}

/** Sets of networks in `ipset save` text, by name; of sets of other kinds only what is in the header. */
export function readSets(text: string): Map<string, SetState> {
  const sets = new Map<string, SetState & { elements: Map<string, Element> }>();
  for (const line of text.split('\n')) {
    const [command, name = '', ...rest] = line.split(' ');
    if (command === 'create') {
      const option = (key: string): string | undefined => rest[rest.indexOf(key) + 1];
      sets.set(name, {
        name,
        typeName: rest[0]!,
        family: rest.includes('family') && option('family') === 'inet6' ? 6 : 4,
        maximum: rest.includes('maxelem') ? Number(option('maxelem')) : 65536,
        header: rest.join(' '),
        elements: new Map(),
      });
    } else if (command === 'add') {
      const element = readElement(rest);
      if (element !== null) sets.get(name)?.elements.set(elementKey(element), element);
    }
  }
  return sets;
}

function readElement(words: readonly string[]): Element | null {
  const [address, length] = words[0]!.split('/');
  const found = parseAddress(address!);
  if (found === null) return null;
  const { family } = found;
  const nomatch = words.includes('nomatch');
  const bits = Number(length ?? (family === 4 ? 32 : 128));
  return { family, address: found.words, length: bits, nomatch, text: `${words[0]}${nomatch ? ' nomatch' : ''}` };
}

/** What two elements have in common that cannot both be in a set. */
export function placeKey({ family, address, length }: Element): string {
  return `${formatAddress(family, address)}/${length}`;
}

function elementKey(element: Element): string {
  return `${placeKey(element)}${element.nomatch ? ' nomatch' : ''}`;
}

/** Whether a set holds all of a range. */
export function holds(set: SetState | undefined, range: Pick<Element, 'family' | 'address' | 'length'>): boolean {
  if (set === undefined || set.family !== range.family) return false;
  const whole: Element = { ...range, nomatch: false, text: '' };
  if (set.elements.has(elementKey(whole))) return ![...set.elements.values()].some(({ nomatch }) => nomatch);
  for (const { family, address, length, nomatch } of set.elements.values()) {
    if (nomatch) return false;
    if (length <= range.length && inPrefix(family, range.address, address, length)) return true;
  }
  return false;
}
