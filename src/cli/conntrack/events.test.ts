import { describe, expect, it } from 'vitest';
import { createConntrack } from '../../conntrack/service.ts';
import { CONNTRACK_SYSCTLS } from '../../conntrack/settings.ts';
import { wordsOf } from '../../conntrack/store.ts';
import { Extra, Field } from '../../conntrack/table.ts';
import { EventRecorder, showEvents } from './events.ts';
import { parseRequest } from './request.ts';

const sysctl = (name: string): number => CONNTRACK_SYSCTLS[name.replace('net.netfilter.', '')] ?? 0;
const names = { protocolByName: (name: string) => (name === 'udp' ? 17 : null), labels: () => null };

/** A flow of UDP that is answered, marked and destroyed, with a recorder that listens. */
function recorded(): { live: string; text: string } {
  let live = '';
  const clock = { now: 5e6 };
  const service = createConntrack({ now: () => clock.now, random: () => 0, sysctl });
  const recorder = new EventRecorder((line) => {
    live += line;
  }, true);
  service.settings.timestamps = true;
  service.listen(recorder);
  const entry = service.entry(service.table.allocate());
  const original = {
    family: 4 as const,
    protocol: 17,
    source: [0x0a090001, 0, 0, 0] as const,
    destination: [0x0a090002, 0, 0, 0] as const,
    sourcePort: 40002,
    destinationPort: 53,
  };
  const reply = { ...original, source: original.destination, destination: original.source };
  entry.words.set(wordsOf(original), entry.base);
  entry.words.set(wordsOf({ ...reply, sourcePort: 53, destinationPort: 40002 }), entry.base + Field.reply);
  entry.words[entry.base + Field.zone] = 3 << 16;
  entry.setExtra(Extra.accounting);
  entry.count(0, 1, 29);
  entry.expiry = 30e6;
  service.insert(entry);
  recorder.time = 5e6;
  const teller = (service as unknown as { teller: { passed(one: typeof entry): void } }).teller;
  teller.passed(entry);
  teller.passed(entry);
  entry.status |= 2;
  teller.passed(entry);
  clock.now = 7.5e6;
  recorder.time = 7.5e6;
  entry.mark = 5;
  entry.status |= 4;
  teller.passed(entry);
  service.destroy(entry, '');
  return { live, text: recorder.text() };
}

/** Lines as `conntrack -E` of conntrack 1.4.7 printed them for such a flow on Linux 6.18, with accounting and time stamps. */
const TUPLES = 'src=10.9.0.1 dst=10.9.0.2 sport=40002 dport=53';
const REPLY = 'src=10.9.0.2 dst=10.9.0.1 sport=53 dport=40002';

function shown(text: string, ...args: string[]): { lines: string[]; count: number } {
  let out = '';
  const request = parseRequest(['-E', ...args], names);
  const scratch = createConntrack({ now: () => 0, random: () => 0, sysctl });
  const styleAt = (clock: number) => ({ output: request.output, labelNames: new Map(), use: 1, clock });
  const count = showEvents(text, request, scratch, styleAt, (line) => {
    out += line;
  });
  return { lines: out.split('\n').slice(0, -1), count };
}

describe('events of connection tracking', () => {
  it('are printed as conntrack -E prints them', () => {
    const { live, text } = recorded();
    expect(shown(text).lines).toEqual([
      `    [NEW] udp      17 30 ${TUPLES} [UNREPLIED] ${REPLY}`,
      ` [UPDATE] udp      17 30 ${TUPLES} ${REPLY}`,
      ` [UPDATE] udp      17 27 ${TUPLES} ${REPLY} [ASSURED] mark=5`,
      `[DESTROY] udp      17 27 ${TUPLES} packets=1 bytes=29 ${REPLY} packets=0 bytes=0 [ASSURED] mark=5 delta-time=2`,
    ]);
    expect(live.split('\n').slice(0, 3)).toEqual([
      `[5.000000]\t    [NEW] udp      17 30 ${TUPLES} [UNREPLIED] ${REPLY}`,
      `[5.000000]\t [UPDATE] udp      17 30 ${TUPLES} ${REPLY}`,
      `[7.500000]\t [UPDATE] udp      17 27 ${TUPLES} ${REPLY} [ASSURED] mark=5`,
    ]);
  });

  it('are chosen by -e and by marks that are told', () => {
    const { text } = recorded();
    expect(shown(text, '-e', 'NEW,DESTROY').lines.map((line) => line.slice(0, 9))).toEqual(['    [NEW]', '[DESTROY]']);
    expect(shown(text, '-m', '0').count).toBe(0);
    expect(shown(text, '-m', '5').count).toBe(2);
    expect(shown(text, '-p', '6').count).toBe(0);
  });

  it('have the forms of -o save and -o xml', () => {
    const { text } = recorded();
    expect(shown(text, '-o', 'save').lines.map((line) => line.slice(0, 25))).toEqual([
      '-A -t 30 -u UNSET -s 10.9',
      '-U -t 30 -u SEEN_REPLY -s',
      '-U -t 27 -u SEEN_REPLY,AS',
      '-D -t 27 -u SEEN_REPLY,AS',
    ]);
    const xml = shown(text, '-o', 'xml').lines;
    expect(xml[0]).toBe('<?xml version="1.0" encoding="utf-8"?>');
    expect(xml[1]).toBe('<conntrack>');
    expect(xml.at(-1)).toBe('</conntrack>');
    expect(xml[2]).toContain('<timeout>30</timeout><id>1</id><unreplied/></meta></flow>');
    expect(xml[5]).toContain('<flow type="destroy">');
    expect(xml[5]).toContain('<timeout>27</timeout><mark>5</mark><id>1</id><assured/><deltatime>2</deltatime></meta>');
  });
});
