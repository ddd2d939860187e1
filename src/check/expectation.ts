import type { TableName } from '../datapath/hooks.ts';
import { TABLE_NAMES } from '../datapath/hooks.ts';
import type { TraceVerdict } from '../datapath/machine-contract.ts';
import { VERDICTS } from '../trace/run.ts';

/** `allowed`: forwarded, delivered or sent; `blocked`: anything else. */
export type ExpectedVerdict = TraceVerdict | 'allowed' | 'blocked';

/** The rule that is to decide: by place, or by a part of its text (options, comment). */
export type ExpectedRule =
  | { kind: 'place'; table: TableName; chain: string; rule: number | 'policy' | null }
  | { kind: 'text'; text: string };

/** What is to become of a packet. Absent fields are not looked at. */
export interface Expectation {
  verdict?: ExpectedVerdict;
  rule?: ExpectedRule;
  /** Interface by which it leaves. */
  out?: string;
  /** Source and destination as it leaves or is delivered: an address, or with its port. */
  source?: string;
  destination?: string;
  /** What connection tracking says of it: NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED. */
  state?: string;
  /** Words of the machine's answer (`rst`, `icmp port-unreachable`), or `none`. */
  answer?: string;
  /** How many packets leave because of it. */
  emitted?: number;
  /** Number of the queue that gets it. */
  queue?: number;
}

/** An expectation that cannot be: what is wrong, and what would be right. */
export class ExpectationError extends Error {
  /** The key at fault; null for the whole. */
  readonly key: string | null;
  constructor(message: string, key: string | null = null) {
    super(message);
    this.key = key;
  }
}

const KEYS = ['verdict', 'rule', 'out', 'source', 'destination', 'state', 'answer', 'emitted', 'queue'] as const;
const EXPECTED_VERDICTS: readonly string[] = [...VERDICTS, 'allowed', 'blocked'];
const STATES = ['NEW', 'ESTABLISHED', 'RELATED', 'INVALID', 'UNTRACKED'];

/** Reads `expect`: a verdict alone, or a mapping. Throws ExpectationError. */
export function readExpectation(value: unknown): Expectation {
  if (typeof value === 'string') return { verdict: readVerdict(value) };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ExpectationError('expect: a verdict like "dropped", or a mapping like { verdict: forwarded, out: eth0 }');
  }
  const expectation: Expectation = {};
  for (const [key, given] of Object.entries(value)) {
    switch (key) {
      case 'verdict':
        expectation.verdict = readVerdict(given);
        break;
      case 'rule':
        expectation.rule = readRule(given);
        break;
      case 'state':
        if (!STATES.includes(String(given).toUpperCase())) {
          throw new ExpectationError(`state "${String(given)}": expected one of ${STATES.join(', ')}`, key);
        }
        expectation.state = String(given).toUpperCase();
        break;
      case 'emitted':
      case 'queue':
        if (typeof given !== 'number' || !Number.isInteger(given) || given < 0) {
          throw new ExpectationError(`${key}: expected a whole number, not ${JSON.stringify(given)}`, key);
        }
        expectation[key] = given;
        break;
      case 'out':
      case 'source':
      case 'destination':
      case 'answer':
        if (typeof given !== 'string' || given === '') throw new ExpectationError(`${key}: expected a text`, key);
        expectation[key] = given;
        break;
      default:
        throw new ExpectationError(`unknown key "${key}" in expect; known are ${KEYS.join(', ')}`, key);
    }
  }
  if (Object.keys(expectation).length === 0) throw new ExpectationError('expect says nothing: give at least a verdict');
  return expectation;
}

function readVerdict(value: unknown): ExpectedVerdict {
  if (typeof value === 'string' && EXPECTED_VERDICTS.includes(value)) return value as ExpectedVerdict;
  throw new ExpectationError(
    `verdict ${JSON.stringify(value)}: expected one of ${EXPECTED_VERDICTS.join(', ')}`,
    'verdict',
  );
}

/** `filter/INPUT/3`, `filter/INPUT/policy`, `filter/INPUT`; any other text is a part of the rule. */
function readRule(value: unknown): ExpectedRule {
  if (typeof value !== 'string' || value.trim() === '') {
    throw new ExpectationError('rule: expected a place like filter/INPUT/3, or a part of its text', 'rule');
  }
  const place = /^(\w+)[/ ]([^\s/]+)(?:[/ ](\d+|policy))?$/.exec(value.trim());
  const table = place === null ? undefined : TABLE_NAMES.find((name) => name === place[1]);
  if (place === null || table === undefined) return { kind: 'text', text: value };
  const rule = place[3] === undefined ? null : place[3] === 'policy' ? 'policy' : Number(place[3]);
  return { kind: 'place', table, chain: place[2]!, rule };
}
