import type { CreateOptions, Entry, SetAddress } from '../entry.ts';
import type { SetTypeSyntax } from './type-syntax.ts';

/** Everything that a command line can say. `before` beside `nameref` says on which side. */
export interface Values extends Entry, Omit<CreateOptions, 'comment'> {
  /** `comment` of `create`; `comment` alone is an element's. */
  createComment?: boolean;
}

/** Names to numbers and back, as the C library looks them up. */
export interface SetNames {
  protocolByName(name: string): number | null;
  protocolByNumber(number: number): string | null;
  serviceByName(name: string, protocol: string): number | null;
  /** Addresses of a host name, host order. */
  hostByName(name: string, family: 4 | 6): readonly SetAddress[];
  hostByAddress(address: SetAddress, family: 4 | 6): string | null;
}

export const ReportType = { none: 0, warning: 1, notice: 2, error: 3 } as const;
export type ReportType = (typeof ReportType)[keyof typeof ReportType];

/** An options's place in the tool's own numbering, which decides the order of checks and appears in one message. */
export const OPTION_NUMBER: readonly (readonly [keyof Values, number])[] = [
  ['ip', 4],
  ['ipTo', 5],
  ['cidr', 6],
  ['mark', 7],
  ['port', 8],
  ['portTo', 9],
  ['timeout', 10],
  ['hashsize', 12],
  ['maxelem', 13],
  ['markmask', 14],
  ['netmask', 15],
  ['size', 18],
  ['bitmask', 20],
  ['ether', 24],
  ['name', 25],
  ['nameref', 26],
  ['ip2', 27],
  ['cidr2', 28],
  ['ip2To', 29],
  ['proto', 30],
  ['iface', 31],
  ['packets', 38],
  ['bytes', 39],
  ['comment', 41],
  ['skbmark', 43],
  ['skbprio', 44],
  ['skbqueue', 45],
];

/**
 * The state of the ipset library while it reads commands (`struct ipset_session`): what the line has said so far, and
 * the report that errors and warnings are collected in.
 */
export class Session {
  values: Values = {};
  setName: string | undefined;
  secondName: string | undefined;
  type: SetTypeSyntax | undefined;
  /** undefined: not known yet. */
  family: 4 | 6 | 0 | undefined;
  /** The family is a default and may still be given. */
  familyIsDefault = false;
  /** Ignored options that were warned of. */
  readonly ignored = new Set<string>();
  report = '';
  reportType: ReportType = ReportType.none;
  /** Line of the restore input; 0 outside it. */
  line = 0;
  quiet = false;
  readonly names: SetNames;
  /** Prints a warning at once. */
  readonly warnNow: (text: string) => void;

  constructor(names: SetNames, warnNow: (text: string) => void) {
    this.names = names;
    this.warnNow = warnNow;
  }

  reset(): void {
    this.values = {};
    this.setName = undefined;
    this.secondName = undefined;
    this.type = undefined;
    this.family = undefined;
    this.familyIsDefault = false;
    if (this.ignored.size > 0) this.ignored.clear();
  }

  /** Adds to the report; an error also forgets what the line said. Returns -1. */
  message(type: ReportType, text: string): -1 {
    if (this.reportType > ReportType.none && this.reportType < type) this.report = '';
    if (this.line !== 0 && type === ReportType.error) this.report = `Error in line ${this.line}: `;
    this.report += `${text}\n`;
    this.reportType = type;
    if (type === ReportType.error) this.reset();
    return -1;
  }

  error(text: string): -1 {
    return this.message(ReportType.error, text);
  }

  syntaxError(text: string, type: ReportType = ReportType.error): -1 {
    return this.message(type, `Syntax error: ${text}`);
  }

  clearReport(): void {
    this.report = '';
    this.reportType = ReportType.none;
  }

  warningAsError(): -1 {
    this.reportType = ReportType.error;
    this.reset();
    return -1;
  }

  /** The family, by default IPv4. */
  addressFamily(): 4 | 6 {
    if (!this.family) {
      this.family = 4;
      this.familyIsDefault = false;
    }
    return this.family;
  }
}
