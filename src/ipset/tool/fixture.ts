import { SetKernel } from '../kernel.ts';
import type { SetNames } from '../syntax/session.ts';
import { Tool } from './tool.ts';

const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  gre: 47,
  esp: 50,
  'ipv6-icmp': 58,
  sctp: 132,
  udplite: 136,
};
const SERVICES: Readonly<Record<string, number>> = { http: 80, domain: 53, ssh: 22 };

/** A few names, for tests. */
export const TEST_NAMES: SetNames = {
  protocolByName: (name) => PROTOCOLS[name] ?? null,
  protocolByNumber: (number) => Object.keys(PROTOCOLS).find((name) => PROTOCOLS[name] === number) ?? null,
  serviceByName: (name) => SERVICES[name] ?? null,
  hostByName: (name, family) => (name === 'localhost' && family === 4 ? [[0x7f000001]] : []),
  hostByAddress: () => null,
};

/** The answer of one call. */
export interface ToolAnswer {
  status: number;
  out: string;
  err: string;
}

/** The program on sets in memory, for tests. */
export class ToolBench {
  readonly clock = { now: 0 };
  readonly kernel: SetKernel;
  readonly rules = new Map<string, number>();
  constructor(missingTypes: ReadonlySet<string> = new Set()) {
    this.kernel = new SetKernel({
      clock: this.clock,
      random: () => 0x12345678,
      missingTypes,
      rulesUsing: (name) => this.rules.get(name) ?? 0,
    });
  }

  /** Runs `ipset` with words separated by blanks; quotes group. */
  run(line: string, stdin = ''): ToolAnswer {
    const words = (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"|"$/g, ''));
    let out = '';
    let err = '';
    const tool = new Tool(this.kernel, TEST_NAMES, {
      out(text) {
        out += text;
      },
      err(text) {
        err += text;
      },
      readStdin: () => stdin,
      readFile: () => null,
      writeFile: () => null,
    });
    const status = tool.run(words);
    return { status, out, err };
  }
}
