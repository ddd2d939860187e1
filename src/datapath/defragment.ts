import type { Packet } from '../packet/packet.ts';
import type { SimulationClock } from './clock.ts';
import type { Host } from './environment.ts';
import type { Recorder } from './recorder.ts';

export class FragmentQueues {
  constructor(_host: Host, _clock: SimulationClock) {}
  reassemble(packet: Packet, _user: 'in' | 'out' | 'local', recorder: Recorder): boolean {
    recorder.stolen(packet, 'a fragment that waits for the others');
    return false;
  }
  expire(_recorder: Recorder): void {}
  load(_memory: unknown): void {}
  save(): unknown {
    return null;
  }
}
