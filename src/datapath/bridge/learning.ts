import type { Device } from '../../host/device.ts';
import { toHex } from '../../packet/bytes.ts';
import type { Host } from '../environment.ts';
import type { MachineMemory } from '../machine-contract.ts';

/** Learned addresses are forgotten after 300 s (`ageing_time`). */
const AGEING = 300_000_000;

interface Learned {
  port: Device;
  time: number;
}

/** Which MAC address lives behind which port of a bridge (net/bridge/br_fdb.c). */
export class LearnedMacs {
  readonly #bridges = new Map<Device, Map<string, Learned>>();

  #of(bridge: Device): Map<string, Learned> {
    let learned = this.#bridges.get(bridge);
    if (learned === undefined) {
      learned = new Map();
      this.#bridges.set(bridge, learned);
    }
    return learned;
  }

  /** Takes down that a frame from `header`'s source came in on `port`. */
  learn(bridge: Device, port: Device, header: Uint8Array, now: number): void {
    this.#of(bridge).set(toHex(header, 6, 12), { port, time: now });
  }

  /** The port behind which the frame's destination lives; null if it is not known. */
  find(bridge: Device, header: Uint8Array, now: number): Device | null {
    const entry = this.#bridges.get(bridge)?.get(toHex(header, 0, 6));
    return entry === undefined || now - entry.time > AGEING ? null : entry.port;
  }

  save(now: number): MachineMemory['learnedMacs'] {
    const memory: MachineMemory['learnedMacs'] = {};
    for (const [bridge, learned] of this.#bridges) {
      const entries = [...learned].filter(([, entry]) => now - entry.time <= AGEING);
      memory[bridge.name] = Object.fromEntries(
        entries.map(([mac, entry]) => [mac, { port: entry.port.name, age: now - entry.time }]),
      );
    }
    return memory;
  }

  /** Takes in what `save` gave; ports that are gone are left out. */
  load(memory: MachineMemory['learnedMacs'], host: Host, now: number): void {
    for (const [name, learned] of Object.entries(memory)) {
      const bridge = host.device(name);
      if (bridge === null) continue;
      for (const [mac, { port, age }] of Object.entries(learned)) {
        const device = host.device(port);
        if (device?.bridge === bridge) this.#of(bridge).set(mac, { port: device, time: now - age });
      }
    }
  }
}
