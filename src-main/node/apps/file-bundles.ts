import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { AppDetails } from '../../../src-shared/contract/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import type { Clock } from '../../../src-shared/runtime.ts';
import { appIdOf, openBundle, verifyBundle, type Installs } from '../../apps/index.ts';
import { hashOfUserId } from '../../identity/index.ts';
import { hex, iso } from '../ledger/shown.ts';
import type { BlockLists } from './block-lists.ts';

/** How long a bundle that came in waits to be installed, ms. */
const keptFor = 3_600_000;
/** How many wait at a time; with more the oldest goes. */
const mostKept = 4;

/** Bundles that a window sent, because a page knows no path of a file: they wait to be looked at and installed. */
export interface ReceivedBundles {
  /** @returns the name of the bundle, and what takes its bytes */
  accept(size: number): {
    readonly received: string;
    take(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
  };
  /** @throws AppError `not_found` when it did not come, or waited too long */
  file(received: string): string;
  drop(received: string): Promise<void>;
  stop(): Promise<void>;
}

/** @param deps `temporary`: a new path on the disk where apps are kept */
export function createReceivedBundles({
  temporary,
  clock,
}: {
  readonly temporary: () => Promise<string>;
  readonly clock: Clock;
}): ReceivedBundles {
  const kept = new Map<string, { readonly file: string; readonly cancel: () => void }>();

  async function drop(received: string): Promise<void> {
    const found = kept.get(received);
    if (!found) return;
    kept.delete(received);
    found.cancel();
    await rm(found.file, { force: true });
  }

  return {
    accept(size) {
      const received = randomUUID();
      return {
        received,
        async take(bytes, signal) {
          const file = await temporary();
          try {
            await pipeline(Readable.from(bytes), createWriteStream(file, { mode: 0o600 }), { signal });
            // Told while it is being sent, and not after a person has read what it asks for.
            const { size: whole } = await verifyBundle(file);
            if (whole !== size) throw new AppError('malformed', 'The bundle is not as long as was said.');
          } catch (error) {
            await rm(file, { force: true });
            throw error;
          }
          const cancel = clock.after(keptFor, () => void drop(received).catch(() => {}));
          kept.set(received, { file, cancel });
          for (const oldest of [...kept.keys()].slice(0, -mostKept)) await drop(oldest);
        },
      };
    },
    file(received) {
      const found = kept.get(received);
      if (found) return found.file;
      throw new AppError('not_found', 'The file is no longer here. Choose it again.');
    },
    drop,
    async stop() {
      for (const one of kept.keys()) await drop(one);
    },
  };
}

/**
 * What an install sheet shows of a bundle that nobody signed: it would be an app of the person's own. Every byte is checked first.
 * @throws AppError `not_found`, `malformed`, `bad_hash`
 */
export async function fileDetails(
  file: string,
  publisher: string,
  channel: string,
  { installs, lists }: { readonly installs: Installs; readonly lists: BlockLists },
): Promise<AppDetails> {
  const { manifest, root, size } = await verifyBundle(file);
  const appId = appIdOf(hashOfUserId(publisher), manifest.slug);
  return {
    appId,
    slug: manifest.slug,
    name: manifest.name,
    version: manifest.version,
    channel,
    publisher,
    publisherName: null,
    description: manifest.description,
    categories: manifest.categories,
    size,
    publishedAt: iso(0),
    rating: null,
    reviews: 0,
    installed: installs.find(appId)?.version ?? null,
    revoked: false,
    blocked: lists.blocked(appId),
    permissions: manifest.permissions,
    screenshots: manifest.screenshots.length,
    license: manifest.license,
    homepage: manifest.homepage ?? null,
    root: hex(root),
    link: '',
    source: 'file',
    consumes: manifest.services.consumes.map((one) => one.interface),
  };
}

/** @throws AppError `not_found` when the bundle has no such picture */
export async function filePicture(
  file: string,
  kind: 'icon' | 'screenshot',
  index: number,
): Promise<{ path: string; bytes: Uint8Array }> {
  const bundle = await openBundle(file);
  try {
    const path = kind === 'icon' ? bundle.manifest.icon : bundle.manifest.screenshots[index];
    const bytes = path === undefined ? null : await bundle.read(path);
    if (path === undefined || bytes === null) throw new AppError('not_found', 'The app has no such picture.');
    return { path, bytes };
  } finally {
    await bundle.close();
  }
}
