import { rm } from 'node:fs/promises';
import path from 'node:path';
import open from 'open';
import writeFileAtomic from 'write-file-atomic';

export interface Surroundings {
  readonly platform: NodeJS.Platform;
  readonly env: NodeJS.ProcessEnv;
  /** Somebody looks at what is printed. */
  readonly terminal: boolean;
}

/** Whether a browser would be seen: somebody is there, with a screen, and has not said otherwise. */
export function hasScreen({ platform, env, terminal }: Surroundings): boolean {
  if (!terminal || env['CI'] || env['SSH_CONNECTION'] || env['EXTRACHAIN_BROWSER'] === 'off') return false;
  return platform !== 'linux' || Boolean(env['DISPLAY'] || env['WAYLAND_DISPLAY']);
}

/**
 * Opens the page in the person's browser. Its address holds the key, and arguments of programs can be read by everybody on a
 * computer: so the browser is given a file that only its owner can read, and that leads there.
 * @returns what takes the file away again
 */
export async function openPage(
  address: string,
  dataDir: string,
  start: (file: string) => Promise<unknown> = open,
): Promise<() => Promise<void>> {
  const file = path.join(dataDir, 'open.html');
  const safe = address.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
  const html = `<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0; url=${safe}"><title>ExtraChain</title><a href="${safe}">ExtraChain</a>\n`;
  await writeFileAtomic(file, html, { mode: 0o600 });
  // No browser, or one that does not start: the address stands in the terminal.
  await start(file).catch(() => {});
  return () => rm(file, { force: true });
}
