import type { NameServices, PrintContext, Variant } from '../extensions/contract.ts';
import { findMatch, findTarget } from '../extensions/registry.ts';
import type { Family } from '../packet/family.ts';
import { ANY_ADDRESS, formatAddress, formatIpv4, prefixLength, sameAddress } from '../ruleset/addresses.ts';
import type { AddressMatch, InterfaceMatch, RuleSpec } from '../ruleset/rule.ts';
import { parseCommandLine } from './command-line.ts';
import { Cmd } from './command-options.ts';
import { protocolName } from './protocols.ts';
import { splitWords } from './words.ts';

/** What reading and printing rules needs to know. */
export interface RuleTextSettings {
  family: Family;
  variant: Variant;
  names: NameServices;
  /** Sets by name, for `-m set` and `-j SET`; without it no set exists. */
  setByName?: (name: string) => { name: string; dimension: number; family: Family | 0 } | undefined;
}

function maskText(match: AddressMatch, family: Family): string {
  const length = prefixLength(match.mask, family);
  if (length >= 0) return String(length);
  return family === 4 ? formatIpv4(match.mask[0]) : formatAddress(match.mask, 6);
}

function saveAddress(letter: string, match: AddressMatch | null, family: Family): string {
  if (match === null) return '';
  if (sameAddress(match.mask, ANY_ADDRESS) && !match.invert) {
    if (family === 6 || sameAddress(match.address, ANY_ADDRESS)) return '';
  }
  return `${match.invert ? ' !' : ''} -${letter} ${formatAddress(match.address, family)}/${maskText(match, family)}`;
}

function saveInterface(letter: string, match: InterfaceMatch | null): string {
  // A lone `+` is any interface: nothing to say.
  if (match === null || match.name === '' || match.name === '+') return '';
  return `${match.invert ? ' !' : ''} -${letter} ${match.name}`;
}

/**
 * A rule in the form of iptables-save without `-A CHAIN`, beginning with a blank (or empty). `counters` is what -S -v
 * puts before the target (` -c 1 60`).
 */
export function formatRuleSpec(rule: RuleSpec, settings: RuleTextSettings, counters = ''): string {
  const { family } = rule;
  const context: PrintContext = {
    family,
    variant: settings.variant,
    numeric: true,
    names: settings.names,
    rule,
  };
  let text =
    saveAddress('s', rule.source, family) +
    saveAddress('d', rule.destination, family) +
    saveInterface('i', rule.inInterface) +
    saveInterface('o', rule.outInterface);
  if (rule.protocol > 0) {
    text += `${rule.protocolInvert ? ' !' : ''} -p ${protocolName(rule.protocol, settings.names) ?? rule.protocol}`;
  }
  if (rule.fragment !== null) text += rule.fragment ? ' -f' : ' ! -f';
  for (const { name, data } of rule.matches) {
    text += ` -m ${name}${findMatch(name, family)?.save(data, context) ?? ''}`;
  }
  text += counters;
  const { target } = rule;
  switch (target.kind) {
    case 'none':
      return text;
    case 'verdict':
      return `${text} -j ${target.verdict}`;
    case 'jump':
      return `${text} -j ${target.chain}`;
    case 'goto':
      return `${text} -g ${target.chain}`;
    case 'extension':
      return `${text} -j ${target.name}${findTarget(target.name, family)?.save(target.data, context) ?? ''}`;
  }
}

const NO_NAMES: ReadonlySet<string> = new Set();

/**
 * Reads the specification of one rule (canonical text as formatRuleSpec writes it, or anything that iptables takes after
 * `-A CHAIN`, without address lists). `isChain` tells chains of the table from target extensions. Throws UsageError.
 */
export function parseRuleSpec(
  text: string,
  settings: RuleTextSettings,
  isChain: (name: string) => boolean = () => false,
): RuleSpec {
  const line = parseCommandLine(['iptables', '-A', 'chain', ...splitWords(text)], 'filter', {
    family: settings.family,
    variant: settings.variant,
    program: settings.family === 4 ? 'iptables' : 'ip6tables',
    version: '',
    names: settings.names,
    restore: false,
    announced: NO_NAMES,
    warn: () => undefined,
    setByName: settings.setByName ?? (() => undefined),
  });
  const { rule, jumpTo } = line;
  if (line.command !== Cmd.append) throw new RangeError(`not a rule: ${text}`);
  const [source] = line.sources;
  const [destination] = line.destinations;
  if (source !== undefined) rule.source = addressMatch(source, line.sourceInvert);
  if (destination !== undefined) rule.destination = addressMatch(destination, line.destinationInvert);
  if (rule.target.kind === 'none' || isChain(jumpTo)) {
    if (line.goto) rule.target = { kind: 'goto', chain: jumpTo };
    else if (jumpTo !== '') rule.target = { kind: 'jump', chain: jumpTo };
  }
  return rule;
}

/** The address test of a rule, or null where it tests nothing. */
export function addressMatch({ address, mask }: Omit<AddressMatch, 'invert'>, invert: boolean): AddressMatch | null {
  return !invert && sameAddress(mask, ANY_ADDRESS) ? null : { address, mask, invert };
}
