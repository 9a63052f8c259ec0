// Stands in for the module `electron` when the bundled application runs under plain Node (bundle.test.ts): a page connects,
// walks through the contract, writes what it saw as one line of JSON, and quits.
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { createFakeElectron } from '../../src-main/desktop/testing.ts';

const fake = createFakeElectron({ keyring: true });
export const {
  app,
  BrowserWindow,
  crashReporter,
  desktopCapturer,
  dialog,
  ipcMain,
  Menu,
  nativeImage,
  Notification,
  powerMonitor,
  protocol,
  safeStorage,
  session,
  shell,
  Tray,
} = fake.electron;

async function walk(): Promise<Record<string, unknown>> {
  for (let tries = 0; fake.windows.length === 0; tries += 1) {
    if (tries > 500) throw new Error('no window was opened');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const page = await fake.fetch('extrachain-app://window/index.html');
  const { client } = fake.connectPage();
  const { version, keystore } = await client.node.status();
  const apps = (await client.apps.installed()).filter(({ source }) => source === 'shipped');
  const { userId } = await client.identity.create({});
  const folder = path.join(process.env['EXTRACHAIN_DATA']!, '..', 'folder');
  await mkdir(folder);
  // Large enough to be cut into blocks, which a worker thread does; another one lists the folder.
  await writeFile(path.join(folder, 'a.bin'), Buffer.alloc(300_000, 7));
  const { driveId } = await client.drives.create({ name: 'd', folder });
  const { files, state } = await client.drives.wait({ drive: driveId, timeout: 30 });
  const { url } = await client.files.open({ drive: driveId, path: 'a.bin' });
  const bytes = await (await fake.fetch(url)).arrayBuffer();
  const preload = fake.windows[0]!.settings.webPreferences?.preload ?? '';
  return {
    page: page.status,
    version,
    keystore,
    userId,
    files,
    state,
    bytes: bytes.byteLength,
    preload: existsSync(preload),
    apps: apps.map(({ slug }) => slug).sort(),
  };
}

const late = setTimeout(() => process.exit(3), 50_000);
void walk()
  .then(
    (seen) => process.stdout.write(`${JSON.stringify(seen)}\n`),
    (error: unknown) => process.stderr.write(`${String(error)}\n${fake.told.errors.join('\n')}\n`),
  )
  .then(() => app.quit());
void fake.exited().then(() => {
  clearTimeout(late);
  process.exit(fake.told.exitCode ?? 1);
});
