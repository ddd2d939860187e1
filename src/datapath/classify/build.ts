import type { Device } from '../../host/device.ts';
import { Protocol } from '../../packet/protocol.ts';
import type { AddressMatch, RuleSpec } from '../../ruleset/rule.ts';
import { isPure, type TableProgram } from '../program.ts';
import { Classifier, type FiledRules } from './classifier.ts';
import { DeviceFiling } from './devices.ts';
import { type Filing, SlotLists } from './lists.ts';
import { MaskedFiling, type MaskedLists } from './masked.ts';
import { type Range, RangedFiling, type RangedLists } from './ranged.ts';

/** A field under which fewer rules are filed costs more than it saves. */
const FEWEST_FILED = 3;
const PORTS = 0x10000;
const PROTOCOLS = 0x100;

/** The fields of a packet, in the order in which they are preferred where they select alike. */
interface Filings {
  source: MaskedFiling;
  destination: MaskedFiling;
  tcpDestination: RangedFiling;
  udpDestination: RangedFiling;
  tcpSource: RangedFiling;
  udpSource: RangedFiling;
  mark: MaskedFiling;
  inDevice: DeviceFiling;
  outDevice: DeviceFiling;
  protocol: RangedFiling;
}

/** Files the rules of the chain whose slots are `first` to `end - 1`, each under that of its fields where it meets the fewest others. */
export function buildClassifier(
  program: TableProgram,
  first: number,
  end: number,
  devices: readonly Device[],
): Classifier {
  const count = end - first;
  const words = program.family === 4 ? 1 : 4;
  const filings: Filings = {
    source: new MaskedFiling(count, words),
    destination: new MaskedFiling(count, words),
    tcpDestination: new RangedFiling(count, PORTS),
    udpDestination: new RangedFiling(count, PORTS),
    tcpSource: new RangedFiling(count, PORTS),
    udpSource: new RangedFiling(count, PORTS),
    mark: new MaskedFiling(count, 1),
    inDevice: new DeviceFiling(count, devices),
    outDevice: new DeviceFiling(count, devices),
    protocol: new RangedFiling(count, PROTOCOLS),
  };
  for (let rule = 0; rule < count; rule++) offer(filings, rule, program.specs[first + rule]!, program);
  const chosen = choose(Object.values(filings), count);
  const masked = (filing: MaskedFiling): MaskedLists | null => {
    const rules = chosen.get(filing);
    return rules === undefined ? null : filing.file(rules, first);
  };
  const ranged = (filing: RangedFiling): RangedLists | null => {
    const rules = chosen.get(filing);
    return rules === undefined ? null : filing.file(rules, first);
  };
  const byDevice = (filing: DeviceFiling): SlotLists | null => {
    const rules = chosen.get(filing);
    return rules === undefined ? null : filing.file(rules, first);
  };
  const unfiled = chosen.get(null) ?? [];
  const source = masked(filings.source);
  const destination = masked(filings.destination);
  const mark = masked(filings.mark);
  const masks = [source, destination, mark].reduce(
    (sum, lists) => sum + (lists === null ? 0 : lists.numbers.length),
    0,
  );
  const filed: FiledRules = {
    source,
    destination,
    mark,
    tcpSource: ranged(filings.tcpSource),
    tcpDestination: ranged(filings.tcpDestination),
    udpSource: ranged(filings.udpSource),
    udpDestination: ranged(filings.udpDestination),
    protocol: ranged(filings.protocol),
    inDevice: byDevice(filings.inDevice),
    outDevice: byDevice(filings.outDevice),
    unfiled:
      unfiled.length === 0
        ? null
        : new SlotLists(
            1,
            new Int32Array(unfiled.length),
            unfiled.map((rule) => first + rule),
          ),
    // Besides the masked fields: two ports, protocol, two devices, the unfiled.
    mostLists: masks + 6,
  };
  return new Classifier(filed, end);
}

/** By field the rules filed there, ascending; null: the rules that are not filed. */
function choose(filings: readonly Filing[], count: number): Map<Filing | null, number[]> {
  const chosen = assign(filings, count);
  const worthwhile = filings.filter((filing) => (chosen.get(filing)?.length ?? 0) >= FEWEST_FILED);
  return worthwhile.length === chosen.size - (chosen.has(null) ? 1 : 0) ? chosen : assign(worthwhile, count);
}

function assign(filings: readonly Filing[], count: number): Map<Filing | null, number[]> {
  const chosen = new Map<Filing | null, number[]>();
  for (let rule = 0; rule < count; rule++) {
    let best: Filing | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const filing of filings) {
      const crowd = filing.crowd(rule);
      if (crowd >= least) continue;
      best = filing;
      least = crowd;
    }
    const rules = chosen.get(best);
    if (rules === undefined) chosen.set(best, [rule]);
    else rules.push(rule);
  }
  return chosen;
}

/**
 * Tells the fields what the rule asks of them: the header's tests, then those of its matches up to the first that must not be skipped (it has state, or
 * may drop the packet).
 */
function offer(filings: Filings, rule: number, spec: RuleSpec, { extensions }: TableProgram): void {
  offerAddress(filings.source, rule, spec.source);
  offerAddress(filings.destination, rule, spec.destination);
  if (spec.inInterface !== null) filings.inDevice.add(rule, spec.inInterface);
  if (spec.outInterface !== null) filings.outDevice.add(rule, spec.outInterface);
  const protocol = spec.protocolInvert ? 0 : spec.protocol;
  if (protocol !== 0) filings.protocol.add(rule, rangeOf(protocol));
  for (const { name, data } of spec.matches) {
    const extension = extensions.match(name);
    if (extension?.fields === undefined || !isPure(extension, data)) return;
    const tests = extension.fields(data);
    if (tests === null) return;
    for (const test of tests) {
      if (test.field === 'mark') {
        filings.mark.add(rule, [test.value], [test.mask]);
      } else if (protocol === Protocol.tcp) {
        (test.field === 'source-port' ? filings.tcpSource : filings.tcpDestination).add(rule, test.ranges);
      } else if (protocol === Protocol.udp) {
        (test.field === 'source-port' ? filings.udpSource : filings.udpDestination).add(rule, test.ranges);
      }
    }
  }
}

const PROTOCOL_RANGES: (readonly Range[])[] = [];

function rangeOf(protocol: number): readonly Range[] {
  PROTOCOL_RANGES[protocol] ??= [[protocol, protocol]];
  return PROTOCOL_RANGES[protocol];
}

function offerAddress(filing: MaskedFiling, rule: number, match: AddressMatch | null): void {
  if (match !== null && !match.invert) filing.add(rule, match.address, match.mask);
}
