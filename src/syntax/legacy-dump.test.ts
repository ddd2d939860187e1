import { expect, it } from 'vitest';
import { NO_NAMES } from '../extensions/no-names.ts';
import { dumpTable } from './legacy-dump.ts';
import { readRules } from './rules-reader.ts';

it('dumps a table as iptables-legacy -vv does', () => {
  const settings = { family: 4, variant: 'legacy', names: { ...NO_NAMES, protocolByName: () => 6 } } as const;
  const rules = `*filter
:INPUT DROP [5:600]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:foo - [0:0]
[1:60] -A INPUT ! -s 10.0.0.0/8 -i eth+ -p tcp -m tcp --dport 22 -m comment --comment hi -g foo
COMMIT
`;
  const table = readRules(rules, settings).tables.get('filter')!;
  const text = dumpTable(table, 4, settings);
  // Recorded from iptables 1.8.9 on x86-64.
  expect(
    text.startsWith(`libiptc vlibxtables.so.12. 1448 bytes.
Table \`filter'
Hooks: pre/in/fwd/out/post = ffffffff/0/280/318/ffffffff
Underflows: pre/in/fwd/out/post = ffffffff/1e8/280/318/ffffffff
Entry 0 (0):
SRC IP: 10.0.0.0/255.0.0.0
DST IP: 0.0.0.0/0.0.0.0
Interface: \`eth+'/XXX.............to \`'/................
Protocol: 6
Flags: 02
Invflags: 08
Counters: 1 packets, 60 bytes
Cache: 00000000
Match name: \`tcp'
Match name: \`comment'
Target name: \`' [40]
verdict=1120

Entry 1 (488):
`),
  ).toBe(true);
  expect(text).toContain("Target name: `' [40]\nverdict=NF_DROP\n");
  expect(text.endsWith("Target name: `ERROR' [64]\nerror=`ERROR'\n\n")).toBe(true);
});
