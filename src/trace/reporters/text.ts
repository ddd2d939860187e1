import type { TableName } from '../../datapath/hooks.ts';
import type { TraceVerdict } from '../../datapath/machine-contract.ts';
import type { Family } from '../../packet/family.ts';
import { formatSeconds } from '../../packet/notation/time.ts';
import { packetText } from '../packet-text.ts';
import type { Reporter, TracedPacket } from '../run.ts';
import type { Step } from '../steps.ts';
import { type Palette, wrap } from './text-layout.ts';

/** What the text reporter has to know of the rules. */
export interface RuleTexts {
  /** A rule as `iptables-save` prints it, without `-A CHAIN`; rules count from 1. */
  rule(family: Family, table: TableName, chain: string, rule: number): string;
  /** One plain sentence about what the rule does; null if there is none. */
  explain?(family: Family, table: TableName, chain: string, rule: number): string | null;
}

export interface TextOptions {
  write: (text: string) => void;
  /** Steps of the packet at hand. */
  steps: readonly Step[];
  rules: RuleTexts;
  palette: Palette;
  /** Also the rules that did not match, and why. */
  verbose: boolean;
  /** Width in columns. */
  width: number;
}

/** The report for people: hooks, tables, rules met, what changed, the way taken, the verdict. */
export function textReporter(options: TextOptions): Reporter {
  return {
    packet(traced) {
      options.write(new PacketReport(options, traced).text());
    },
  };
}

/** Rules in a row that did not match, of which more than so many are not all shown. */
const MANY = 12;

interface Miss {
  rule: number;
  failed: string;
  /** What the packet has instead; null if that is not known. */
  has: string | null;
}

class PacketReport {
  private readonly lines: string[] = [];
  private readonly options: TextOptions;
  private readonly traced: TracedPacket;
  private family: Family = 4;
  /** The table whose name is still to be printed. */
  private table: TableName | null = null;
  private misses: Miss[] = [];
  private missed: { table: TableName; chain: string } | null = null;

  constructor(options: TextOptions, traced: TracedPacket) {
    this.options = options;
    this.traced = traced;
  }

  text(): string {
    const { input, n, original } = this.traced;
    const { palette } = this.options;
    const where = input.device === null ? 'from this machine' : `in ${input.device.name}`;
    this.put(0, `${palette.bold(`#${n}`)} ${formatSeconds(input.time)}s ${where}: ${packetText(original)}`);
    if (input.label !== null) this.put(3, palette.dim(input.label));
    for (const step of this.options.steps) this.step(step);
    this.flushMisses();
    this.verdict();
    return `${this.lines.join('\n')}\n\n`;
  }

  private put(indent: number, text: string, hang = 4): void {
    this.lines.push(...wrap(text, this.options.width, indent, hang));
  }

  private step(step: Step): void {
    if (step.kind === 'rule' && !step.matched) {
      this.miss(step.table, step.chain, { rule: step.rule, failed: step.failed ?? '', has: step.has ?? null });
      return;
    }
    this.flushMisses();
    const { palette } = this.options;
    // A table that nobody looked into (nat, for what is known already) is not worth a line.
    if (step.kind === 'hook') this.table = null;
    else if (step.kind !== 'table') this.putTable();
    switch (step.kind) {
      case 'received':
        return;
      case 'hook': {
        this.family = step.family;
        const devices = [step.in === null ? '' : `in ${step.in}`, step.out === null ? '' : `out ${step.out}`];
        this.put(2, `${palette.hook(step.hook)} ${palette.dim(devices.filter(Boolean).join(' '))}`.trimEnd());
        return;
      }
      case 'table':
        this.table = step.table;
        return;
      case 'rule': {
        const text = this.options.rules.rule(this.family, step.table, step.chain, step.rule);
        this.put(6, `${palette.match(`${step.chain} ${step.rule}`)}  ${text}`, 4);
        const plain = this.options.verbose
          ? (this.options.rules.explain?.(this.family, step.table, step.chain, step.rule) ?? null)
          : null;
        if (plain !== null) this.put(10, palette.dim(plain));
        return;
      }
      case 'jump':
      case 'goto':
        this.put(8, palette.dim(`${step.kind === 'jump' ? 'to' : 'on in'} chain ${step.chain}`));
        return;
      case 'return':
        this.put(
          8,
          palette.dim(step.to === null ? `end of ${step.chain}` : `end of ${step.chain}, back to ${step.to}`),
        );
        return;
      case 'policy':
        this.put(6, `${step.chain} policy ${step.policy === 'DROP' ? palette.bad('DROP') : palette.good('ACCEPT')}`);
        return;
      case 'rewrite':
        this.put(
          8,
          palette.change(`${step.field}: ${step.before} → ${step.after}`) + (step.by ? `  (${step.by})` : ''),
        );
        return;
      case 'nat': {
        this.put(8, `${palette.change(`${step.manip}: ${step.before} → ${step.after}`)}`);
        if (this.options.verbose) this.put(10, palette.dim(step.mapping));
        return;
      }
      case 'conntrack': {
        const event = CONNTRACK_WORDS[step.event];
        this.put(
          4,
          `conntrack ${palette.state(step.state)}${event === '' ? '' : `, ${event}`}${step.reason ? `: ${step.reason}` : ''}`,
        );
        if (step.entry) this.put(6, palette.dim(step.entry.replace(/\s+/g, ' ').trim()));
        return;
      }
      case 'route':
        this.put(2, `${palette.hook(step.again ? 'routed again' : 'routing')} ${routeText(step)}`);
        return;
      case 'defrag':
        this.put(4, `fragments ${step.event}${step.text ? `: ${step.text}` : ''}`);
        return;
      case 'bridge':
        this.put(2, `bridge: ${step.text}${step.port === null ? '' : ` (${step.port})`}`);
        return;
      case 'queued': {
        const answer = step.verdict ? `: ${step.verdict}` : '';
        this.put(8, `queue ${step.queue}${step.listener ? answer : ', nobody listens'}`);
        return;
      }
      case 'log':
        this.put(8, `log <${step.level}> ${palette.dim(step.line)}`);
        return;
      case 'nflog':
        this.put(8, `nflog to group ${step.group}${step.prefix === '' ? '' : ` with prefix "${step.prefix}"`}`);
        return;
      case 'answer':
        this.put(2, `this machine: ${step.text}`);
        return;
      case 'emitted':
        this.put(2, `${palette.good(`out ${step.device}`)}: ${packetText(step.packet.bytes)}`);
        return;
      case 'delivered':
        this.put(2, `${palette.good('delivered')}: ${packetText(step.packet.bytes)}`);
        return;
      case 'dropped':
        this.put(6, palette.bad(EVIDENT.has(step.reason) ? 'dropped' : `dropped: ${step.reason}`));
        return;
      case 'note':
        this.put(8, palette.dim(`note: ${step.text}`));
        return;
    }
  }

  private putTable(): void {
    if (this.table !== null) this.put(4, this.options.palette.table(this.table));
    this.table = null;
  }

  private miss(table: TableName, chain: string, miss: Miss): void {
    if (!this.options.verbose) return;
    if (this.missed?.table !== table || this.missed.chain !== chain) this.flushMisses();
    this.putTable();
    this.missed = { table, chain };
    this.misses.push(miss);
  }

  /** Rules that did not match; of many only those that came near: they failed in more than interface, address or protocol. */
  private flushMisses(): void {
    const { misses, missed } = this;
    if (missed === null || misses.length === 0) return;
    const { palette, rules } = this.options;
    const shown = misses.length <= MANY ? misses : misses.filter(({ failed }) => failed.startsWith('-m')).slice(-MANY);
    if (shown.length < misses.length) {
      this.put(
        6,
        palette.dim(
          `${missed.chain} ${misses[0]!.rule}-${misses.at(-1)!.rule}: ${misses.length - shown.length} rules do not match`,
        ),
      );
    }
    for (const { rule, failed, has } of shown) {
      const text = rules.rule(this.family, missed.table, missed.chain, rule);
      this.put(6, palette.dim(`${missed.chain} ${rule}  ${text}`));
      this.put(10, palette.miss(`no: ${failed}${has === null ? '' : `; the packet has ${has}`}`));
    }
    this.misses = [];
    this.missed = null;
  }

  private verdict(): void {
    const { outcome, input } = this.traced;
    const { palette } = this.options;
    const paint = PASSED.has(outcome.verdict) ? palette.good : palette.bad;
    let text = paint(palette.bold(outcome.verdict.toUpperCase()));
    if (outcome.out !== null) text += ` out ${outcome.out.name}`;
    if (!PASSED.has(outcome.verdict)) {
      const reason = outcome.reason ?? input.refused;
      if (reason && !EVIDENT.has(reason)) text += `: ${reason}`;
    }
    if (outcome.table !== null) {
      const rule = outcome.rule === null ? 'policy' : `rule ${outcome.rule}`;
      text += `  (${outcome.table} ${outcome.chain}, ${rule})`;
    }
    this.put(2, `=> ${text}`);
  }
}

/** Reasons that the rule or policy shown says already. */
const EVIDENT: ReadonlySet<string> = new Set(['rule', 'policy']);

const PASSED: ReadonlySet<TraceVerdict> = new Set(['forwarded', 'delivered', 'sent']);

const CONNTRACK_WORDS: Readonly<Record<(Step & { kind: 'conntrack' })['event'], string>> = {
  'looked-up': 'known',
  created: 'new entry',
  confirmed: 'entry confirmed',
  invalid: 'no entry',
  untracked: 'not tracked',
  related: 'about a known connection',
  destroyed: 'entry removed',
  template: 'template of a CT rule',
  clash: 'clash',
  full: 'table full',
  expected: 'expects a connection',
};

function routeText(step: Step & { kind: 'route' }): string {
  const to = step.device === null ? '' : ` out ${step.device}`;
  const via = step.gateway === null || step.text.includes(' via ') ? '' : ` via ${step.gateway}`;
  const text = step.text === '' ? '' : `  (${step.text})`;
  return step.type === 'local' ? `to this machine${text}` : `${step.type}${to}${via}${text}`;
}
