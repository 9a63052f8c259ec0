// Draws every icon anew from logo.svg: `node assets/render-icons.mjs`. Needs a Chromium (CHROMIUM, or one of the usual
// places); run by hand when the logo changes, the results are committed.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { chromium } from 'playwright-core';

const here = import.meta.dirname;
const places = [
  process.env.CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];
const executablePath = places.find((file) => file && existsSync(file));
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
const page = await browser.newPage();

/** A picture of an SVG, `size` pixels wide and high, with nothing behind it. */
async function render(svg, size) {
  await page.setViewportSize({ width: size, height: size });
  await page.setContent(
    `<style>*{margin:0}svg{display:block;width:${size}px;height:${size}px}</style>${svg}`,
  );
  return page.screenshot({ omitBackground: true });
}

/** Windows: a folder of PNG pictures (allowed since Vista) behind a table of their sizes. */
function ico(pictures) {
  const header = Buffer.alloc(6 + 16 * pictures.length);
  header.writeUInt16LE(1, 2);
  header.writeUInt16LE(pictures.length, 4);
  let offset = header.length;
  pictures.forEach(({ size, png }, index) => {
    const at = 6 + 16 * index;
    header.writeUInt8(size % 256, at);
    header.writeUInt8(size % 256, at + 1);
    header.writeUInt16LE(1, at + 4);
    header.writeUInt16LE(32, at + 6);
    header.writeUInt32LE(png.length, at + 8);
    header.writeUInt32LE(offset, at + 12);
    offset += png.length;
  });
  return Buffer.concat([header, ...pictures.map(({ png }) => png)]);
}

/** macOS: PNG pictures, each behind a name that says its size. */
function icns(pictures) {
  const names = {
    16: ['icp4'],
    32: ['icp5', 'ic11'],
    64: ['ic12'],
    128: ['ic07'],
    256: ['ic08', 'ic13'],
    512: ['ic09', 'ic14'],
    1024: ['ic10'],
  };
  const parts = pictures.flatMap(({ size, png }) =>
    (names[size] ?? []).map((name) => {
      const head = Buffer.alloc(8);
      head.write(name, 'latin1');
      head.writeUInt32BE(png.length + 8, 4);
      return Buffer.concat([head, png]);
    }),
  );
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(8);
  head.write('icns', 'latin1');
  head.writeUInt32BE(body.length + 8, 4);
  return Buffer.concat([head, body]);
}

const logo = readFileSync(path.join(here, 'logo.svg'), 'utf8');
const sizes = [16, 24, 32, 48, 64, 128, 256, 512, 1024];
const pictures = [];
mkdirSync(path.join(here, 'icons'), { recursive: true });
for (const size of sizes) {
  const png = await render(logo, size);
  pictures.push({ size, png });
  if (size <= 512) writeFileSync(path.join(here, 'icons', `${size}x${size}.png`), png);
}
const only = (...wanted) => pictures.filter(({ size }) => wanted.includes(size));
writeFileSync(path.join(here, 'icon.png'), only(512)[0].png);
writeFileSync(path.join(here, 'drag.png'), only(64)[0].png);
writeFileSync(path.join(here, 'icon.ico'), ico(only(16, 24, 32, 48, 64, 128, 256)));
writeFileSync(path.join(here, 'icon.icns'), icns(only(16, 32, 64, 128, 256, 512, 1024)));

// The tray: the links alone, with a mark at the lower right that says what goes on, also to who sees no colours.
const marks = {
  idle: '',
  busy: '<path d="M740 600v240M640 700l100-110 100 110" stroke="MARK" stroke-width="80" fill="none"/>',
  paused: '<path d="M680 600v260M820 600v260" stroke="MARK" stroke-width="90" fill="none"/>',
  alert: '<path d="M750 560v180M750 830v50" stroke="MARK" stroke-width="100" fill="none"/>',
};
const tones = { idle: '#3b7bff', busy: '#1fb6ff', paused: '#9aa3b2', alert: '#ff9f1c' };
const link = (angle) =>
  `<rect x="402" y="112" width="220" height="800" rx="110" fill="none" stroke="LINE" stroke-width="100" transform="rotate(${angle} 512 512)"/>`;
function traySvg(icon, line, mark) {
  const hole = icon === 'idle' ? '' : '<circle cx="745" cy="725" r="290" fill="#000"/>';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1024 1024"><mask id="m"><rect width="1024" height="1024" fill="#fff"/>${hole}</mask><g mask="url(#m)">${link(45)}${link(-45)}</g><g stroke-linecap="round">${marks[icon]}</g></svg>`
    .replaceAll('LINE', line)
    .replaceAll('MARK', mark);
}
mkdirSync(path.join(here, 'tray'), { recursive: true });
for (const icon of Object.keys(marks)) {
  for (const [suffix, size] of [
    ['', 18],
    ['@2x', 36],
  ]) {
    writeFileSync(
      path.join(here, 'tray', `${icon}${suffix}.png`),
      await render(traySvg(icon, tones[icon], tones[icon]), size),
    );
    writeFileSync(
      path.join(here, 'tray', `${icon}Template${suffix}.png`),
      await render(traySvg(icon, '#000', '#000'), size),
    );
  }
}
await browser.close();
