import { expect, it } from 'vitest';
import { tieOfKept } from './kept-ties.ts';

const line = (more: object): string =>
  `${JSON.stringify({
    id: 1,
    family: 4,
    protocol: 6,
    original: ['10.0.0.1', '192.0.2.9', 4000, 80],
    reply: ['192.0.2.9', '10.0.0.1', 80, 4000],
    left: 5,
    status: 8,
    ...more,
  })}\n`;

it('tells connections that lie between more than two addresses', () => {
  expect(tieOfKept('')).toBeNull();
  expect(tieOfKept(line({}) + line({ id: 2, mark: 7 }))).toBeNull();
  expect(tieOfKept(`${line({})}{"statistics":{}}\n`)).toBeNull();
  expect(tieOfKept(line({ reply: ['192.0.2.9', '192.0.2.1', 80, 4000] }))).toBe('is translated');
  expect(tieOfKept(line({ helper: { name: 'ftp', memory: {} } }))).toBe('has the helper ftp');
  expect(tieOfKept(line({ master: 7 }))).toBe('was expected by another');
  expect(tieOfKept(`${line({})}{"expect":{}}\n`)).toBe('expects others');
});
