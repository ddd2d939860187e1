import type { NameServices, PrintContext, Variant } from '../extensions/contract.ts';
import type { UdpMatch } from '../extensions/matches/udp.ts';
import { findMatch, findTarget } from '../extensions/registry.ts';
import { savedEwma } from '../extensions/targets/RATEEST.ts';
import { addressEquals, formatAddress, formatAddress4 } from '../packet/address-text.ts';
import type { Family } from '../packet/family.ts';
import { ANY_ADDRESS, prefixLength } from '../ruleset/addresses.ts';
import type { AddressMatch, InterfaceMatch, RuleSpec } from '../ruleset/rule.ts';
import type { StoredRule, Table } from '../ruleset/ruleset.ts';
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
  /** What else the kernel knows when rules are added; where it is absent, such things are taken for there. */
  kernel?: KernelKnowledge;
  /** Takes warnings that the real tools give while they print rules. */
  warn?: (text: string) => void;
}

/** What the kernel looks up when it checks a rule. */
export interface KernelKnowledge {
  /** Names of the rate estimators that rules of any table have made. */
  rateEstimators(): ReadonlySet<string>;
  /** Files of the machine, for what the kernel knows by path. */
  names: NameServices;
}

function maskText(match: AddressMatch, family: Family): string {
  const length = prefixLength(match.mask, family);
  if (length >= 0) return String(length);
  return family === 4 ? formatAddress4(match.mask[0]) : formatAddress(6, match.mask);
}

function saveAddress(letter: string, match: AddressMatch | null, family: Family): string {
  if (match === null) return '';
  if (addressEquals(match.mask, ANY_ADDRESS) && !match.invert) {
    if (family === 6 || addressEquals(match.address, ANY_ADDRESS)) return '';
  }
  return `${match.invert ? ' !' : ''} -${letter} ${formatAddress(family, match.address)}/${maskText(match, family)}`;
}

function saveInterface(letter: string, match: InterfaceMatch | null, stored: boolean): string {
  if (match === null || match.name === '') return '';
  const name = stored && /[\s"\\]/.test(match.name) ? `"${match.name.replace(/["\\]/g, '\\$&')}"` : match.name;
  return `${match.invert ? ' !' : ''} -${letter} ${name}`;
}

/** `-j standard`, which no kernel takes. */
export function isStandardExtension({ target }: RuleSpec): boolean {
  return target.kind === 'extension' && target.name === 'standard';
}

/** Inverted tests for every port, which the save text of tcp and udp leaves out. */
function unsavedPorts({ name, data }: RuleSpec['matches'][number]): string {
  if (name !== 'tcp' && name !== 'udp') return '';
  const { sourcePorts, destinationPorts, invertSource, invertDestination } = data as UdpMatch;
  const all = ([min, max]: readonly [number, number]): boolean => min === 0 && max === 0xffff;
  return (
    (invertSource && all(sourcePorts) ? ' ! --sport 0:65535' : '') +
    (invertDestination && all(destinationPorts) ? ' ! --dport 0:65535' : '')
  );
}

/**
 * The text that is kept of a rule: as formatRuleSpec, and readable again where the real save text is not (odd interface
 * names) or leaves out what a listing still shows.
 */
export function storeRuleSpec(rule: RuleSpec, settings: RuleTextSettings): string {
  const text = specText(rule, settings, '', true);
  // Looking at a character makes one string of the pieces, which then need not be kept.
  text.charCodeAt(0);
  return text;
}

const ONLY_STORED =
  / --icmp-type 255\/| --hashlimit-rate-interval | --seconds \d{10}| -[io] ["+]|port 0:65535|0:4294967295|-type \d+\/\d+:| --(?:monthdays (?:0|"")|weekdays 8|datestop 1970-01-01T00:00:00)|--(?:physdev-in|physdev-out|genre|hashlimit-name|name|rateest[12]?|dccp-types|label|rateest-name) "|-pfx ::\/0|nodemask =|ewmalog =|--to-source \S+\/1/;

/** The save text of a rule that is kept as `text`. */
export function printedText(text: string, variant: Variant): string {
  if (!ONLY_STORED.test(text)) return text;
  return savedEwma(text)
    .replace(/( --to-source \S+\/)1(?= |$)/, (_, head) => `${head}0`)
    .replace(/ -m (?:tcp|udp)(?= )(?:(?! -[mj] ).)*/g, (part) => part.replace(/ ! --[sd]port 0:65535/g, ''))
    .replace(/(?: !)? --(?:espspi|ahspi|ipcompspi|fragid|rt-segsleft) 0:4294967295/g, '')
    .replace(/(?<! --hashlimit-rate-match) --hashlimit-rate-interval \d+/g, '')
    .replace(/( --icmp-type )255\/\d+(?::\d+)?/g, '$1any')
    .replace(/( --icmp(?:v6)?-type \d+\/\d+):\d+/g, '$1')
    .replace(/( --seconds )(\d{10})/g, (_, option, seconds) => option + (Number(seconds) | 0))
    .replace(/( --monthdays )(?:0,?|"")/g, '$1')
    .replace(/( --weekdays )8/g, '$1')
    .replace(/ --(?:src|dst)-pfx ::\/0(?= |$)/g, '')
    .replace(/( --cluster-local-nodemask )=/g, '$1')
    .replace(
      /( -j IDLETIMER .*--label )"((?:[^"\\]|\\.)*)"/g,
      (_, option, name) => option + name.replace(/\\(.)/g, '$1'),
    )
    .replace(/ --datestop 1970-01-01T00:00:00/g, '')
    .replace(
      /( --(?:physdev-in|physdev-out|genre|hashlimit-name|name|rateest[12]?|dccp-types|rateest-name) )"((?:[^"\\]|\\.)*)"/g,
      (_, option, name) => option + name.replace(/\\(.)/g, '$1'),
    )
    .replace(/( -[io] )"((?:[^"\\]|\\.)*)"/g, (_, option, name) => option + name.replace(/\\(.)/g, '$1'))
    .replace(/( !)? -[io] \+(?= |$)/g, (all, not) => (variant === 'nft' && not !== undefined ? all : ''));
}

/** Matches whose printing may give a warning. */
const WARNING = / -m connlabel /;

/** The save text of a rule of a ruleset, with the warnings that the real tools give while they print it. */
export function savedText(rule: StoredRule, table: Table, settings: RuleTextSettings): string {
  if (settings.warn !== undefined && WARNING.test(rule.text)) {
    return formatRuleSpec(
      parseRuleSpec(rule.text, settings, (name) => table.chains.has(name)),
      settings,
    );
  }
  return printedText(rule.text, settings.variant);
}

/**
 * A rule in the form of iptables-save without `-A CHAIN`, beginning with a blank (or empty). `counters` is what -S -v
 * puts before the target (` -c 1 60`).
 */
export function formatRuleSpec(rule: RuleSpec, settings: RuleTextSettings, counters = ''): string {
  return printedText(specText(rule, settings, counters, false), settings.variant);
}

function specText(rule: RuleSpec, settings: RuleTextSettings, counters: string, stored: boolean): string {
  const { family } = rule;
  const context: PrintContext = {
    family,
    variant: settings.variant,
    numeric: true,
    names: settings.names,
    rule,
  };
  // Rules are kept in silence.
  if (!stored && settings.warn !== undefined) context.warn = settings.warn;
  let text =
    saveAddress('s', rule.source, family) +
    saveAddress('d', rule.destination, family) +
    saveInterface('i', rule.inInterface, stored) +
    saveInterface('o', rule.outInterface, stored);
  if (rule.protocol > 0) {
    text += `${rule.protocolInvert ? ' !' : ''} -p ${protocolName(rule.protocol, settings.names) ?? rule.protocol}`;
  }
  if (rule.fragment !== null) text += rule.fragment ? ' -f' : ' ! -f';
  for (const match of rule.matches) {
    const extension = findMatch(match.name, family);
    const words = stored ? extension?.store?.(match.data, context) : undefined;
    text += ` -m ${match.name}${words ?? extension?.save(match.data, context) ?? ''}`;
    if (stored) text += unsavedPorts(match);
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
    case 'extension': {
      const extension = findTarget(target.name, family);
      const words = stored ? extension?.store?.(target.data, context) : undefined;
      return `${text} -j ${target.name}${words ?? extension?.save(target.data, context) ?? ''}`;
    }
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
  return !invert && addressEquals(mask, ANY_ADDRESS) ? null : { address, mask, invert };
}
