import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { hasScreen, openPage } from './open-page.ts';

test('a browser is opened only where somebody would see it', () => {
  const there = { platform: 'linux', env: { DISPLAY: ':0' }, terminal: true } as const;
  expect(hasScreen(there)).toBe(true);
  expect(hasScreen({ ...there, env: { WAYLAND_DISPLAY: 'wayland-0' } })).toBe(true);
  expect(hasScreen({ ...there, platform: 'darwin', env: {} })).toBe(true);
  expect(hasScreen({ ...there, env: {} })).toBe(false);
  expect(hasScreen({ ...there, terminal: false })).toBe(false);
  for (const env of [{ CI: '1' }, { SSH_CONNECTION: '1' }, { EXTRACHAIN_BROWSER: 'off' }])
    expect(hasScreen({ ...there, env: { DISPLAY: ':0', ...env } })).toBe(false);
});

test('the key is in a file for its owner alone, never among arguments, and goes again', async () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'extrachain-open-'));
  try {
    const started: string[] = [];
    const close = await openPage('http://127.0.0.1:1/#token="><script>', dir, async (file) => {
      started.push(file);
      throw new Error('no browser');
    });
    const [file = ''] = started;
    expect(file).not.toContain('token');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toContain('url=http://127.0.0.1:1/#token=&quot;>&lt;script>');
    await close();
    expect(existsSync(file)).toBe(false);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
