import type { AddressMatch, RuleSpec } from '../ruleset/rule.ts';
import type { CommandLine } from './command-line.ts';
import { addressMatch } from './rule-text.ts';

/** Every rule that a command line stands for: sources outside, destinations inside. */
export function expandRules(line: CommandLine): RuleSpec[] {
  const sources = line.sources.map((source) => addressMatch(source, line.sourceInvert));
  const destinations = line.destinations.map((destination) => addressMatch(destination, line.destinationInvert));
  if (sources.length === 1 && destinations.length === 1) {
    line.rule.source = sources[0] as AddressMatch | null;
    line.rule.destination = destinations[0] as AddressMatch | null;
    return [line.rule];
  }
  return sources.flatMap((source) => destinations.map((destination) => ({ ...line.rule, source, destination })));
}
