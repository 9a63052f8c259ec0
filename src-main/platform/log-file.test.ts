import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { createLogFile, keepCrashReports, logsDir, readLogs } from './log-file.ts';
import { redact } from './redact.ts';

const crash = (process as NodeJS.EventEmitter).emit.bind(process);
const dirs: string[] = [];
const dataDir = (): string => {
  dirs.push(mkdtempSync(path.join(tmpdir(), 'extrachain-log-')));
  return dirs.at(-1)!;
};
afterEach(() => dirs.splice(0).forEach((dir) => rmSync(dir, { recursive: true, force: true })));

test('a log stays within its bounds and tells its last lines', async () => {
  const dir = dataDir();
  const log = createLogFile(dir);
  const line = `{"msg":"${'x'.repeat(1000)}"}\n`;
  for (let n = 0; n < 16_000; n += 1) {
    log.write(line);
    if (n % 1000 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  log.write('{"msg":"last"}\n');
  await log.close();
  const files = readdirSync(logsDir(dir));
  const bytes = files.reduce((sum, name) => sum + statSync(path.join(logsDir(dir), name)).size, 0);
  expect(files.length).toBeLessThanOrEqual(4);
  expect(bytes).toBeLessThan(17_000_000);
  const { log: text } = readLogs(dir, 10_000);
  expect(text.endsWith('{"msg":"last"}\n')).toBe(true);
  expect(text.length).toBeLessThanOrEqual(10_000);
  for (const one of text.trim().split('\n')) JSON.parse(one);
});

test('what ends the program is kept, a few times', () => {
  const dir = dataDir();
  const end = keepCrashReports(dir, '0.1.0');
  for (let n = 0; n < 3; n += 1)
    crash('uncaughtExceptionMonitor', new Error(`boom ${n}`), 'uncaughtException');
  end();
  crash('uncaughtExceptionMonitor', new Error('later'), 'uncaughtException');
  const kept = Object.values(readLogs(dir).crashes);
  expect(kept.length).toBeGreaterThan(0);
  expect(JSON.parse(kept.at(-1)!)).toMatchObject({ version: '0.1.0', origin: 'uncaughtException' });
  expect(kept.join()).not.toContain('later');
});

test('nothing of it says what somebody has, or where', () => {
  const secrets = [
    '/home/anna/Documents/Divorce papers.pdf',
    'Divorce papers.pdf',
    'C:\\Users\\Anna\\Letters\\mum.docx',
    '/ip4/84.112.6.19/tcp/4001/p2p/12D3KooWLfUkkPSb9sisfK7y1LL7Diz4WhQ',
    '84.112.6.19:4001',
    'exc1t522w6fcq3p4tyhk3r6dsfsdhyj7nxt80lwvhxfzuzsg2ceyl3ssy6mj5y',
    'bafyreigdrvq3zwpe2q6qqv3kkxmkz3pcbsbh5yw4u4rjv3m2nqiyqcx5ba',
    'c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00',
  ];
  const [file, name, windows, address, host, user, drive, key] = secrets;
  const text = redact(
    [
      JSON.stringify({ level: 40, path: file, msg: 'a file could not be read' }),
      JSON.stringify({ level: 50, msg: `“${name}”: Permission denied` }),
      `Error: EACCES: permission denied, open '${file}'`,
      `Error: EACCES: permission denied, open '${windows}'`,
      `dialling ${address} failed (${host}), user ${user}, drive ${drive}, key ${key}`,
      '    at read (file:///opt/app/src-main/sync/scan/scanner.ts:120:9)',
    ].join('\n'),
  );
  for (const secret of secrets) expect(text, secret).not.toContain(secret);
  expect(text).not.toMatch(/anna/i);
  expect(text).toContain('a file could not be read');
  expect(text).toContain('EACCES: permission denied');
  expect(text).toContain('src-main/sync/scan/scanner.ts:120:9');
});

test('reads whatever lies there', () => {
  const dir = dataDir();
  expect(readLogs(dir)).toEqual({ log: '', crashes: {} });
  fc.assert(fc.property(fc.string(), (text) => typeof redact(text) === 'string'));
  createLogFile(dir);
  writeFileSync(path.join(logsDir(dir), 'crash-1.json'), '\0');
  expect(readLogs(dir).crashes['crash-1.json']).toBe('\0');
});
