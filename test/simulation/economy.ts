/**
 * `npm run simulate:economy [-- --hours 8760 --contracts 20 --deleted 0.4 --off 0.01 --seed 1 --out docs/economics.svg]`: a year of paid
 * storage with honest, lazy, lying and colluding hosts. Prints a table and draws what each kind has come to over time.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { simulateEconomy } from './storage-economy.ts';
import type { HostKind, HostResult } from './storage-economy.ts';

const { values } = parseArgs({
  options: {
    hours: { type: 'string', default: '8760' },
    contracts: { type: 'string', default: '20' },
    deleted: { type: 'string', default: '0.4' },
    off: { type: 'string', default: '0.01' },
    seed: { type: 'string', default: '1' },
    out: { type: 'string' },
  },
});
const options = {
  periods: Number(values.hours),
  contracts: Number(values.contracts),
  deleted: Number(values.deleted),
  off: Number(values.off),
  diskCost: 0.4,
  collateralHours: 240,
  seed: Number(values.seed),
};
const results = simulateEconomy(options);
const colours: Readonly<Record<HostKind, string>> = {
  honest: '#1a7f4b',
  lazy: '#b7791f',
  lying: '#c53030',
  colluding: '#2b6cb0',
};

/** Lines over time, one for each host, with its kind at its end. */
function drawing(all: readonly HostResult[]): string {
  const [width, height, left, bottom] = [760, 360, 70, 40];
  const ends = all.flatMap(({ net }) => net);
  const [low, high] = [Math.min(0, ...ends), Math.max(1, ...ends)];
  const x = (i: number, n: number): number => left + ((width - left - 110) * i) / Math.max(1, n - 1);
  const y = (value: number): number => 20 + ((height - 20 - bottom) * (high - value)) / (high - low);
  const lines = all.map(({ kind, net, name }) => {
    const points = net.map((value, i) => `${x(i, net.length).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
    const label = name.endsWith(' 0')
      ? `<text x="${x(net.length - 1, net.length) + 6}" y="${(y(net.at(-1)!) + 4).toFixed(1)}" fill="${colours[kind]}">${kind}</text>`
      : '';
    return `<polyline points="${points}" fill="none" stroke="${colours[kind]}" stroke-width="1.5"/>${label}`;
  });
  const ticks = [low, 0, high / 2, high].map(
    (value) =>
      `<text x="${left - 8}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end">${Math.round(value).toLocaleString('en')}</text>` +
      `<line x1="${left}" x2="${width - 110}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}" stroke="#d0d5dd"/>`,
  );
  const title = 'Net earnings of each host over time, in pay of one contract and hour';
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12" fill="#344054" role="img" aria-label="${title}">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...ticks,
    ...lines,
    `<text x="${left}" y="${height - 14}">begin</text><text x="${width - 110}" y="${height - 14}" text-anchor="end">${options.periods} hours</text>`,
    '</svg>',
  ].join('\n');
}

console.log('| host | net | caught | copies ended | collateral burned |');
console.log('|---|---|---|---|---|');
for (const { name, net, caught, ended, burned } of results) {
  console.log(
    `| ${name} | ${net.at(-1)!.toFixed(0)} | ${caught} | ${ended} of ${options.contracts} | ${burned} |`,
  );
}
if (values.out !== undefined) await writeFile(values.out, `${drawing(results)}\n`);
