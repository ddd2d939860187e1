import type { Outcome } from '../datapath/machine-contract.ts';
import { InputPacket } from '../trace/input.ts';
import { packetText } from '../trace/packet-text.ts';
import { type RuleTexts, textReporter } from '../trace/reporters/text.ts';
import { type Palette, wrap } from '../trace/reporters/text-layout.ts';
import type { Conversation, Stop } from './converse.ts';
import { hopsOf } from './converse.ts';
import type { Hop, Lost, Network } from './network.ts';

export interface NetworkTextOptions {
  palette: Palette;
  /** Also hooks, tables and rules of every host. */
  verbose: boolean;
  /** Columns. */
  width: number;
}

/** A conversation as a tree: each packet, each host that it crossed, what was rewritten there, and what decided. */
export function conversationText(conversation: Conversation, network: Network, options: NetworkTextOptions): string {
  const { palette, width } = options;
  const { protocol, source, destination } = conversation;
  const lines = [palette.bold(`${protocol} ${source} > ${destination}, from ${conversation.client}`), ''];
  conversation.packets.forEach(({ from, root }, index) => {
    lines.push(...wrap(`${palette.bold(`#${index + 1}`)} ${from}: ${packetText(root.bytes)}`, width, 0, 4));
    putHop(root, '  ', '  ', lines, network, options);
    lines.push('');
  });
  lines.push(...wrap(`=> ${resultText(conversation, palette)}`, width, 0, 4));
  return `${lines.join('\n')}\n`;
}

/** The result in one sentence. */
export function resultText(conversation: Conversation, palette: Palette): string {
  const { result, stop, server, seenAs } = conversation;
  const seen = seenAs === null ? '' : ` who sees ${seenAs.source} > ${seenAs.destination}`;
  if (result === 'answered') return `${palette.good(palette.bold('ANSWERED'))} by ${server},${seen}`;
  const word = palette.bad(palette.bold(result.toUpperCase()));
  return stop === null ? word : `${word} at ${stop.host}: ${stopText(stop)}`;
}

/** Why a conversation ended. */
export function stopText({ reason, table, chain, rule }: Stop): string {
  if (table === null) return reason;
  const where = `${table} ${chain}, ${rule === null ? 'policy' : `rule ${rule}`}`;
  return reason === 'rule' || reason === 'policy' ? `dropped  (${where})` : `${reason}  (${where})`;
}

function putHop(
  hop: Hop,
  first: string,
  indent: string,
  lines: string[],
  network: Network,
  options: NetworkTextOptions,
): void {
  const text = `${options.palette.hook(hop.host)}  ${hopText(hop, options.palette)}`;
  const wrapped = wrap(text, options.width - indent.length, 0, 4);
  wrapped.forEach((line, index) => {
    lines.push((index === 0 ? first : indent) + line);
  });
  if (options.verbose) putSteps(hop, indent, lines, network, options);
  for (const next of worthTelling(hop)) {
    if (next.kind === 'hop') putHop(next, `${indent}└ `, `${indent}  `, lines, network, options);
    else lines.push(`${indent}└ ${options.palette.bad(`lost: ${next.reason}`)}`);
  }
}

/** Of a frame that went to several: the copies that got somewhere, if any did. */
function worthTelling(hop: Hop): readonly (Hop | Lost)[] {
  const arrived = hop.next.filter(
    (next) => next.kind === 'hop' && hopsOf(next).some((each) => each.delivered.length > 0),
  );
  return arrived.length > 0 ? arrived : hop.next;
}

/** What one host did, in a line. */
function hopText(hop: Hop, palette: Palette): string {
  const { outcome, steps } = hop;
  const parts: string[] = [];
  parts.push(hop.in === null ? 'sends' : `in ${hop.in.name}`);
  const state = steps.find((step) => step.kind === 'conntrack');
  if (state?.kind === 'conntrack') parts.push(palette.state(state.state));
  if (hop.delivered.length > 0) parts.push(palette.good('delivered'));
  for (const step of steps) {
    if (step.kind === 'nat') parts.push(palette.change(`${step.manip} ${step.before} → ${step.after}`));
    if (step.kind === 'answer') parts.push(`answers with ${step.text}`);
    if (step.kind === 'queued') parts.push(`queue ${step.queue}`);
  }
  const passed = outcome.verdict === 'forwarded' || outcome.verdict === 'sent' || outcome.verdict === 'delivered';
  if (outcome.out !== null) parts.push(palette.good(`out ${outcome.out.name}`));
  if (!passed) {
    const evident = outcome.reason === null || outcome.reason === 'rule' || outcome.reason === 'policy';
    parts.push(palette.bad(evident ? outcome.verdict : `${outcome.verdict}: ${outcome.reason}`));
  }
  const by =
    outcome.table === null
      ? ''
      : `  (${outcome.table} ${outcome.chain}, ${outcome.rule === null ? 'policy' : `rule ${outcome.rule}`})`;
  return parts.join(', ') + by;
}

/** Hooks, tables and rules, as `iptsim trace` prints them. */
function putSteps(hop: Hop, indent: string, lines: string[], network: Network, options: NetworkTextOptions): void {
  const node = network.nodes.get(hop.host)!;
  const rules: RuleTexts = {
    rule: (family, table, chain, rule) =>
      (family === 4 ? node.ruleset4 : node.ruleset6).tables
        .get(table)
        ?.chains.get(chain)
        ?.rules[rule - 1]?.text.trim() ?? '',
  };
  const input = new InputPacket();
  input.time = hop.time;
  input.device = hop.in;
  const outcome: Outcome = {
    ...hop.outcome,
    emitted: [],
    delivered: hop.delivered,
    queue: [],
    log: [],
    nflog: [],
    traced: [],
    pending: null,
  };
  const write = (text: string): void => {
    // The first line says what the tree says already; the last is the verdict.
    for (const line of text.trimEnd().split('\n').slice(1)) lines.push(`${indent}  ${line}`);
  };
  const { palette } = options;
  textReporter({
    write,
    steps: hop.steps,
    rules,
    palette,
    verbose: false,
    width: options.width - indent.length - 2,
  }).packet({
    n: 1,
    input,
    original: hop.bytes,
    outcome,
  });
}
