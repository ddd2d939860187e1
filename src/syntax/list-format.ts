import type { NameServices, PrintContext, Variant } from '../extensions/contract.ts';
import { findMatch, findTarget } from '../extensions/registry.ts';
import { addressEquals, formatAddress } from '../packet/address-text.ts';
import type { Family } from '../packet/family.ts';
import { ANY_ADDRESS, formatMaskSuffix } from '../ruleset/addresses.ts';
import type { AddressMatch, RuleSpec, TargetUse } from '../ruleset/rule.ts';
import type { Chain } from '../ruleset/ruleset.ts';
import { protocolName } from './protocols.ts';

/** What -L and -v ask for. */
export interface ListFormat {
  variant: Variant;
  names: NameServices;
  numeric: boolean;
  /** Counters and interfaces (-v). */
  verbose: boolean;
  /** Full numbers instead of K, M, G (-x). */
  exact: boolean;
  lineNumbers: boolean;
  /** The form in which -v -A echoes a rule: no columns, no counters. */
  echo: boolean;
  /** Takes warnings that the real tools give while they list. */
  warn(text: string): void;
}

/** A counter, rounded as the real tools do from 100,000 on, with the blank after it. `table`: in a column. */
export function formatCount(count: bigint, exact: boolean, table: boolean): string {
  const field = (text: string, width: number): string => (table ? text.padStart(width) : text);
  if (exact) return `${field(String(count), 8)} `;
  if (count <= 99999n) return `${field(String(count), 5)} `;
  let rest = count;
  for (const unit of ['K', 'M', 'G']) {
    // 64-bit arithmetic: the greatest numbers wrap to 0.
    rest = BigInt.asUintN(64, rest + 500n) / 1000n;
    if (rest <= 9999n) return `${field(String(rest), 4)}${unit} `;
  }
  rest = BigInt.asUintN(64, rest + 500n) / 1000n;
  return `${field(String(rest), 4)}T `;
}

/** `Chain NAME (...)` and the column heads. `references` is for user-defined chains; null: unknown. */
export function formatHeader(chain: Chain, references: number | null, format: ListFormat): string {
  let text = `Chain ${chain.name}`;
  if (chain.policy === null) {
    text += references === null ? ' (ERROR obtaining refs)\n' : ` (${references} references)\n`;
  } else {
    text += ` (policy ${chain.policy}`;
    if (format.verbose) {
      const packets = formatCount(chain.packets, format.exact, false);
      const bytes = formatCount(chain.bytes, format.exact, false);
      text += ` ${packets}packets, ${bytes}bytes`;
    }
    text += ')\n';
  }
  if (format.lineNumbers) text += 'num  ';
  if (format.verbose) text += format.exact ? '    pkts      bytes ' : ' pkts bytes ';
  text += 'target     prot opt';
  if (format.verbose) text += ' in     out    ';
  return `${text} source               destination         \n`;
}

function addressText(match: AddressMatch | null, family: Family, format: ListFormat): string {
  const address = match?.address ?? ANY_ADDRESS;
  const mask = match?.mask ?? ANY_ADDRESS;
  if (!format.numeric) {
    if (addressEquals(family === 4 ? mask : address, ANY_ADDRESS)) return 'anywhere';
    const name =
      format.names.hostByAddress(address, family) ?? (family === 4 ? format.names.networkByAddress(address[0]) : null);
    if (name !== null) return name + formatMaskSuffix(mask, family);
  }
  return formatAddress(family, address) + formatMaskSuffix(mask, family);
}

function targetName(target: TargetUse, family: Family): string {
  switch (target.kind) {
    case 'none':
      return '';
    case 'verdict':
      return target.verdict;
    case 'jump':
    case 'goto':
      return target.chain;
    case 'extension':
      return findTarget(target.name, family)?.listedName ?? target.name;
  }
}

function fragmentText(rule: RuleSpec): string {
  if (rule.family === 6) return '--';
  return `${rule.fragment === false ? '!' : '-'}${rule.fragment === null ? '-' : 'f'}`;
}

/** A line of -L (with its newline). */
export function formatListLine(
  rule: RuleSpec,
  counters: { packets: bigint; bytes: bigint },
  number: number,
  format: ListFormat,
): string {
  const { family, protocol } = rule;
  const { echo } = format;
  const table = !echo;
  const pad = (text: string, width: number): string => (table ? text.padEnd(width) : text);
  let line = format.lineNumbers ? `${String(number).padEnd(4)} ` : '';
  if (format.verbose && !echo) {
    line += formatCount(counters.packets, format.exact, true);
    line += format.exact ? `${String(counters.bytes).padStart(8)} ` : formatCount(counters.bytes, format.exact, true);
  }
  line += `${pad(targetName(rule.target, rule.family), 9)} ${rule.protocolInvert ? '!' : ' '}`;
  const name = protocolName(protocol, format.names, !format.numeric);
  line += `${pad((format.numeric && !echo) || name === null ? String(protocol) : name, 4)} `;
  if (echo) line += 'opt ';
  line += `${fragmentText(rule)} `;
  if (format.verbose || echo) {
    const any = format.numeric ? '*' : 'any';
    const face = (match: RuleSpec['inInterface']): string =>
      `${match?.invert === true ? '!' : ''}${match === null || match.name === '' ? any : match.name}`;
    line += echo ? `in ${face(rule.inInterface)} ` : ` ${face(rule.inInterface).padEnd(6)} `;
    line += echo ? `out ${face(rule.outInterface)} ` : `${face(rule.outInterface).padEnd(6)} `;
  }
  line += `${rule.source?.invert === true ? '!' : ' '}${pad(addressText(rule.source, family, format), 19)} `;
  line += `${rule.destination?.invert === true ? '!' : ' '}${echo ? '-> ' : ''}${pad(addressText(rule.destination, family, format), 19)}`;
  line += echo ? '  ' : ' ';
  const { variant, numeric, names, warn } = format;
  const context: PrintContext = { family, variant, numeric, names, rule, warn };
  if (rule.target.kind === 'goto') line += '[goto] ';
  for (const match of rule.matches) line += findMatch(match.name, family)?.print(match.data, context) ?? '';
  if (rule.target.kind === 'extension') {
    line += findTarget(rule.target.name, family)?.print(rule.target.data, context) ?? '';
  }
  return `${line}\n`;
}
