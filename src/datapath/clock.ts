/**
 * The simulation clock, in microseconds. `now` never goes backwards: all timers count by it. It runs `shift` ahead of the packets' own time where a
 * trace goes on with what an earlier one left behind but begins before that one's end. Whoever reads the packets moves it.
 */
export class SimulationClock {
  now: number;
  shift = 0;

  constructor(start = 0) {
    this.now = start;
  }

  /** The packets' own time: microseconds since the epoch. */
  get real(): number {
    return this.now - this.shift;
  }
}

/**
 * The seeded random generator (xoshiro128**, Blackman and Vigna 2018); the seed is spread with splitmix32.
 * Its state is plain data, so that a later trace goes on where an earlier one ended.
 */
export class RandomGenerator {
  readonly state: Uint32Array;

  constructor(seed: number, state?: readonly number[]) {
    this.state = new Uint32Array(4);
    if (state?.length === 4) {
      this.state.set(state);
      return;
    }
    let z = seed >>> 0;
    for (let i = 0; i < 4; i++) {
      z = (z + 0x9e3779b9) >>> 0;
      let x = z;
      x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
      x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
      this.state[i] = (x ^ (x >>> 16)) >>> 0;
    }
    if ((this.state[0]! | this.state[1]! | this.state[2]! | this.state[3]!) === 0) this.state[0] = 1;
  }

  /** Random bits for the identification of a packet, which tell nothing but that packet from others. */
  identification(): number {
    return this.next();
  }

  /** The next 32 bits. */
  next(): number {
    const s = this.state;
    const product = Math.imul(s[1]!, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const t = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= t;
    s[3] = (s[3]! << 11) | (s[3]! >>> 21);
    return result;
  }
}
