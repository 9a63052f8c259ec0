import path from 'node:path';
import { AppError } from '../../src-shared/errors.ts';
import type { Clock } from '../../src-shared/runtime.ts';
import type { AppContract } from '../../src-shared/contract/index.ts';
import type { Handlers } from '../../src-shared/rpc/index.ts';
import type { NodeServices } from './node-services.ts';
import type { PlatformServices } from './platform-services.ts';
import { watchState } from './watch.ts';

/** The `platform` group: names files of drives, never paths of this computer, so that the window reaches nothing else. */
export function createPlatformHandlers(
  node: Pick<NodeServices, 'drives'>,
  platform: PlatformServices,
  clock: Clock,
): Handlers<AppContract>['platform'] {
  const ok = { ok: true } as const;

  async function localFile(drive: string, file: string, signal: AbortSignal): Promise<string> {
    const { folder } = await node.drives.status({ drive }, signal);
    return inside(folder, file);
  }

  return {
    capabilities: () => platform.capabilities,
    pickFolder: async (input) => ({ folder: await platform.pickFolder(input) }),
    async reveal({ drive, path: file }, signal) {
      await platform.reveal(await localFile(drive, file, signal));
      return ok;
    },
    async open({ drive, path: file }, signal) {
      await platform.open(await localFile(drive, file, signal));
      return ok;
    },
    async drag({ drive, paths }, signal) {
      const { folder } = await node.drives.status({ drive }, signal);
      platform.drag(paths.map((file) => inside(folder, file)));
      return ok;
    },
    async openExternal({ url }) {
      await platform.openExternal(url);
      return ok;
    },
    preferences: () => platform.preferences(),
    setPreferences: (input) => platform.setPreferences(input),
    async *watchLinks(_, signal) {
      let wake = () => {};
      const end = platform.links.on(() => wake());
      const onAbort = () => wake();
      signal.addEventListener('abort', onAbort);
      try {
        while (!signal.aborted) {
          const links = platform.links.take();
          for (const link of links) yield { link };
          if (links.length === 0) await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        end();
        signal.removeEventListener('abort', onAbort);
      }
    },
    watchUpdate: (_, signal) => watchState(platform.update.on, () => platform.update.state(), clock, signal),
    async checkForUpdate() {
      await platform.update.check();
      return ok;
    },
    async installUpdate() {
      await platform.update.install();
      return ok;
    },
  };
}

/** The file of a drive in its folder. Throws `invalid_argument` for what would lie elsewhere. */
export function inside(folder: string, file: string): string {
  const parts = file === '' ? [] : file.split('/');
  const strange = (part: string) =>
    part === '' ||
    part === '.' ||
    part === '..' ||
    part.includes('\0') ||
    (path.sep === '\\' && /[\\:]/.test(part));
  if (parts.some(strange)) throw new AppError('invalid_argument', 'This is not a path inside the drive.');
  return path.join(folder, ...parts);
}
