import type { EntryField } from '../entry.ts';
import type { ElementParser, ElementPrinter, Keyword, SetTypeSyntax } from './type-syntax.ts';

/** One part of an element: how it is read and printed, and the fields that come of it. */
interface ElementPart {
  parse: ElementParser;
  print: ElementPrinter;
  field: EntryField;
  /** Every command needs these. */
  need: readonly EntryField[];
  /** Besides these, `add` and `del` take some and `test` takes some. */
  change: readonly EntryField[];
  test: readonly EntryField[];
}

function part(
  [parse, print, field]: readonly [ElementParser, ElementPrinter, EntryField],
  need: readonly EntryField[] = [field],
  change: readonly EntryField[] = [],
  test: readonly EntryField[] = [],
): ElementPart {
  return { parse, print, field, need, change, test };
}

/** Every part that an element of some type has. */
const PARTS = {
  bitmapIp: part(['ip', 'ip', 'ip'], ['ip'], ['ipTo']),
  hostIp: part(['singleIp', 'ip', 'ip']),
  bitmapPort: part(['tcpUdpPort', 'port', 'port'], ['port'], ['portTo']),
  ip: part(['ip4Single6', 'ip', 'ip'], ['ip'], ['ipTo']),
  /** A range is refused by the kernel, not by the tool, where it is tested. */
  rangeIp: part(['ip4Single6', 'ip', 'ip'], ['ip'], ['ipTo'], ['ipTo']),
  oneIp: part(['ip4Single6', 'ip', 'ip']),
  net: part(['ip4Net6', 'ip', 'ip'], ['ip'], ['cidr', 'ipTo'], ['cidr']),
  secondIp: part(['singleIp', 'ip', 'ip2']),
  secondNet: part(['ip4Net6', 'ip', 'ip2'], ['ip2'], ['cidr2', 'ip2To'], ['cidr2']),
  port: part(['protoPort', 'protoPort', 'port'], ['proto', 'port'], ['portTo']),
  mark: part(['mark', 'mark', 'mark']),
  iface: part(['iface', 'iface', 'iface'], ['iface'], ['physdev'], ['physdev']),
  ether: part(['ether', 'ether', 'ether']),
  optionalEther: part(['ether', 'ether', 'ether'], [], ['ether'], ['ether']),
  setName: part(['setName', 'name', 'name'], ['name'], ['before'], ['before']),
} as const;

/** A set type in short. */
export interface SetTypeDeclaration {
  name: string;
  alias: string;
  family: SetTypeSyntax['family'];
  parts: readonly (keyof typeof PARTS)[];
  create: readonly Keyword[];
  /** Fields that `create` needs, and its help. */
  range?: { need: readonly EntryField[]; help: string };
  add: readonly Keyword[];
  del?: readonly Keyword[];
  test?: readonly Keyword[];
  /** How help writes an element: of `add` and `del`, and of `test` where it is another. */
  element: string;
  tested?: string;
  usage: readonly string[];
  portUsage?: true;
  /** What the revisions brought, from the first that the tool knows on. */
  since: number;
  revisions: readonly string[];
}

/** The command line of a type. */
export function declareType(declaration: SetTypeDeclaration): SetTypeSyntax {
  const { range, element, tested = element } = declaration;
  const parts = declaration.parts.map((name) => PARTS[name]);
  const need = parts.flatMap((one) => one.need);
  const changed = [...need, ...parts.flatMap((one) => one.change)];
  return {
    name: declaration.name,
    aliases: [declaration.alias],
    family: declaration.family,
    ...(declaration.parts.includes('optionalEther') ? { lastElementOptional: true } : {}),
    elements: parts.map(({ parse, print, field }) => ({ parse, print, field })),
    create: {
      options: declaration.create,
      need: range?.need ?? [],
      allow: range?.need ?? [],
      help: range?.help ?? '',
    },
    add: { options: declaration.add, need, allow: changed, help: element },
    del: { options: declaration.del ?? [], need, allow: changed, help: element },
    test: {
      options: declaration.test ?? [],
      need,
      allow: [...need, ...parts.flatMap((one) => one.test)],
      help: tested,
    },
    usage: declaration.usage.join('\n      '),
    ...(declaration.portUsage ? { portUsage: true } : {}),
    revisions: declaration.revisions.map((text, i) => [declaration.since + i, text] as const).reverse(),
  };
}
