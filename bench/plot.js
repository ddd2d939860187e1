// Packets/s over the number of rules, both axes logarithmic, as SVG.

const WIDTH = 360;
const HEIGHT = 240;
const LEFT = 52;
const TOP = 28;
const COLORS = { iptsim: '#1a7f37', legacy: '#0969da', nft: '#cf222e' };

const x = (rules) => LEFT + ((Math.log10(rules) - 1) / 4) * (WIDTH - LEFT - 16);
const y = (rate) => TOP + (1 - (Math.log10(rate) - 2) / 4) * (HEIGHT - TOP - 32);

/** @param rows `{ kind, rules, iptsim, legacy, nft }`, packets/s; undefined where it was not measured */
export function plot(rows) {
  const kinds = [...new Set(rows.map((row) => row.kind))];
  const parts = kinds.map((kind, i) => {
    const of = rows.filter((row) => row.kind === kind);
    const at = `translate(${(i % 2) * WIDTH} ${Math.floor(i / 2) * HEIGHT})`;
    return `<g transform="${at}"><text x="${LEFT}" y="18" font-weight="bold">${kind}</text>${axes()}${Object.keys(
      COLORS,
    )
      .map((who) => line(of, who))
      .join('')}</g>`;
  });
  const height = HEIGHT * Math.ceil(kinds.length / 2) + 24;
  const legend = Object.entries(COLORS)
    .map(
      ([who, color], i) =>
        `<text x="${LEFT + i * 150}" y="${height - 8}" fill="${color}">${who === 'iptsim' ? who : `kernel, ${who}`}</text>`,
    )
    .join('');
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${2 * WIDTH}" height="${height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>${parts.join('')}${legend}</svg>\n`;
}

function axes() {
  let text = '';
  for (const power of [1, 2, 3, 4, 5]) {
    text += `<path d="M${x(10 ** power)} ${TOP}V${y(100)}" stroke="#ddd"/><text x="${x(10 ** power)}" y="${HEIGHT - 14}" text-anchor="middle">${(10 ** power).toLocaleString('en')}</text>`;
  }
  for (const [rate, label] of [
    [1e2, '100/s'],
    [1e3, '1k/s'],
    [1e4, '10k/s'],
    [1e5, '100k/s'],
    [1e6, '1M/s'],
  ]) {
    text += `<path d="M${LEFT} ${y(rate)}H${WIDTH - 16}" stroke="#ddd"/><text x="${LEFT - 4}" y="${y(rate) + 4}" text-anchor="end">${label}</text>`;
  }
  return text;
}

function line(rows, who) {
  const points = rows.filter((row) => row[who] > 0).map((row) => [x(row.rules).toFixed(1), y(row[who]).toFixed(1)]);
  if (points.length === 0) return '';
  const dots = points.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3" fill="${COLORS[who]}"/>`).join('');
  return `<polyline points="${points.map((point) => point.join(',')).join(' ')}" fill="none" stroke="${COLORS[who]}" stroke-width="2"/>${dots}`;
}
