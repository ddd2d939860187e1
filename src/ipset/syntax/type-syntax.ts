import type { EntryField } from '../entry.ts';

/** Keywords of the command line; some words (`comment`, `range`, `from`) mean different things at different places. */
export type Keyword =
  | 'family'
  | 'inet'
  | 'inet6'
  | 'hashsize'
  | 'maxelem'
  | 'probes'
  | 'resize'
  | 'gc'
  | 'ignoredFrom'
  | 'ignoredTo'
  | 'ignoredNetwork'
  | 'size'
  | 'ipRange'
  | 'netmask'
  | 'portRange'
  | 'before'
  | 'after'
  | 'fromIp'
  | 'toIp'
  | 'network'
  | 'fromPort'
  | 'toPort'
  | 'forceadd'
  | 'markmask'
  | 'nomatch'
  | 'wildcard'
  | 'timeout'
  | 'counters'
  | 'packets'
  | 'bytes'
  | 'comment'
  | 'elementComment'
  | 'skbinfo'
  | 'skbmark'
  | 'skbprio'
  | 'skbqueue'
  | 'bucketsize'
  | 'initval'
  | 'bitmask';

/** How one part of an element is read. */
export type ElementParser =
  | 'ip'
  | 'singleIp'
  | 'ip4Single6'
  | 'ip4Net6'
  | 'ether'
  | 'tcpUdpPort'
  | 'protoPort'
  | 'mark'
  | 'iface'
  | 'setName';

/** How one part of an element is printed. */
export type ElementPrinter = 'ip' | 'ether' | 'port' | 'protoPort' | 'mark' | 'iface' | 'name';

/** What one command may have with one set type. */
export interface CommandSyntax {
  /** In the order of the real tool's table, which is also the order of printing. */
  options: readonly Keyword[];
  need: readonly EntryField[];
  /** Fields allowed besides those of `options`. */
  allow: readonly EntryField[];
  help: string;
}

/** The command line of one set type (its highest revision). */
export interface SetTypeSyntax {
  name: string;
  aliases: readonly string[];
  /** `none`: family neutral. */
  family: 'inet' | 'both' | 'none';
  lastElementOptional?: boolean;
  elements: readonly { parse: ElementParser; print: ElementPrinter; field: EntryField }[];
  create: CommandSyntax;
  add: CommandSyntax;
  del: CommandSyntax;
  test: CommandSyntax;
  usage: string;
  /** The list of protocols and ICMP names follows the usage. */
  portUsage?: boolean;
  /** Revisions that the tool knows, highest first. */
  revisions: readonly (readonly [number, string])[];
}
