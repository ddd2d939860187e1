import type { Device } from '../../host/device.ts';
import type { InterfaceMatch } from '../../ruleset/rule.ts';
import { interfaceTable } from '../program.ts';
import { type Filing, SlotLists } from './lists.ts';

/** The interface of a packet: by device the list of the rules that take it. Most rules of a set share few tests. */
export class DeviceFiling implements Filing {
  readonly #devices: readonly Device[];
  /** By rule: number of its test + 1; 0 if it asks for none. */
  readonly #testOf: Int32Array;
  readonly #tables: Uint8Array[] = [];
  readonly #byText = new Map<string, number>();
  /** By device index + 1: rules that take it. */
  readonly #counts: Int32Array;

  constructor(rules: number, devices: readonly Device[]) {
    this.#devices = devices;
    this.#testOf = new Int32Array(rules);
    this.#counts = new Int32Array(devices.reduce((highest, { index }) => Math.max(highest, index), 0) + 2);
  }

  add(rule: number, test: InterfaceMatch): void {
    const text = `${test.invert} ${test.name}`;
    let number = this.#byText.get(text);
    if (number === undefined) {
      number = this.#tables.length;
      this.#byText.set(text, number);
      this.#tables.push(interfaceTable(test, this.#devices));
    }
    this.#testOf[rule] = number + 1;
    const table = this.#tables[number]!;
    for (let i = 0; i < table.length; i++) this.#counts[i]! += table[i]!;
  }

  crowd(rule: number): number {
    if (this.#testOf[rule] === 0) return Number.POSITIVE_INFINITY;
    const table = this.#tables[this.#testOf[rule]! - 1]!;
    let most = 0;
    let taken = 0;
    for (let i = 0; i < table.length; i++) {
      if (table[i] === 0) continue;
      taken++;
      most = Math.max(most, this.#counts[i]!);
    }
    // Wide tests would stand in the lists of many devices.
    return taken > MOST_DEVICES ? Number.POSITIVE_INFINITY : most;
  }

  /** The lists of these rules, in ascending order; list 0 is for packets without a device. */
  file(rules: readonly number[], first: number): SlotLists {
    const listOf: number[] = [];
    const slots: number[] = [];
    for (const rule of rules) {
      const table = this.#tables[this.#testOf[rule]! - 1]!;
      for (let i = 0; i < table.length; i++) {
        if (table[i] === 0) continue;
        listOf.push(i);
        slots.push(first + rule);
      }
    }
    return new SlotLists(this.#counts.length, listOf, slots);
  }
}

const MOST_DEVICES = 16;
