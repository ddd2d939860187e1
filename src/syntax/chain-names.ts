import { UsageError } from '../extensions/contract.ts';
import { findTarget } from '../extensions/registry.ts';
import type { Family } from '../packet/family.ts';

/** Longest name of a chain, match or target (XT_EXTENSION_MAXNAMELEN less the final NUL). */
export const MAX_CHAIN_NAME = 28;

const STANDARD: ReadonlySet<string> = new Set(['', 'ACCEPT', 'DROP', 'QUEUE', 'RETURN', 'standard']);

/** Refuses what cannot be the name of a new chain. `announced`: names that are known to be chains, hiding targets. */
export function assertValidChainName(name: string, family: Family, announced: ReadonlySet<string>): void {
  if (name.length > MAX_CHAIN_NAME) {
    throw new UsageError(`chain name \`${name}' too long (must be under ${MAX_CHAIN_NAME + 1} chars)`);
  }
  if (name.startsWith('-') || name.startsWith('!')) {
    throw new UsageError(`chain name not allowed to start with \`${name.charAt(0)}'`);
  }
  if (STANDARD.has(name) || (!announced.has(name) && findTarget(name, family) !== undefined)) {
    throw new UsageError('chain name may not clash with target name');
  }
  if (/[\t-\r ]/.test(name)) throw new UsageError(`Invalid chain name \`${name}'`);
}

/** A name that is allowed, but that iptables-save text does not give back, cannot be kept here. Throws UsageError. */
export function assertWritable(name: string): void {
  if (name !== '' && !/[\t-\r "]/.test(name)) return;
  throw new UsageError(`a chain called "${name}", which save files cannot hold, is not simulated`, { status: 1 });
}
