import { maxInlineBytes } from '../apps/methods/limits.ts';
import type { AppFile, AppFolder, ParamsOf } from '../apps/methods/index.ts';
import { fromBase64url, toBase64url, toBytes } from './bytes.ts';
import type { Bytes } from './bytes.ts';
import { AppRequestError, providerErrors } from './errors.ts';
import type { Transport, Unsubscribe } from './transport.ts';

/** A `Blob` or `File` of the page. */
export interface BlobLike {
  readonly size: number;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** One folder that the person picked for this app. Paths are `/`-separated and begin in it; '' is the folder itself. */
export interface Folder extends AppFolder {
  /** One folder inside, by name, in pages. */
  list(path?: string): AsyncIterable<AppFile>;
  /** All files below a folder, folder by folder. */
  walk(path?: string): AsyncIterable<AppFile>;
  /** A whole file; for large ones and media use `url`. */
  read(path: string): Promise<Uint8Array>;
  /** An address on this page's own origin, for `<img>`, `<video>` or `fetch` with ranges. Good for an hour after each use. */
  url(path: string): Promise<string>;
  /** Writes a file whole, or leaves nothing. @param options `replace`: also when the name is in use */
  write(path: string, content: Bytes | BlobLike, options?: { readonly replace?: boolean }): Promise<void>;
  mkdir(path: string): Promise<void>;
  /** Into the drive's trash, where the person finds it. */
  remove(...paths: readonly string[]): Promise<void>;
  /** Says that something in the folder may have changed, at most four times a second. */
  watch(listener: () => void): Promise<Unsubscribe>;
  /** A link by which others open this folder, or one inside it; the person is asked. The manifest names `drive.share`. */
  share(
    options?: Omit<ParamsOf<'exc_driveShare'>, 'folder' | 'path'> & { readonly path?: string },
  ): Promise<string>;
  /**
   * Opens this folder, or one inside it, to everybody who has the link, to read without joining; the person is asked. The manifest names
   * `drive.share`. @returns the link, for `Streams.recording` and for people
   */
  publish(path?: string): Promise<string>;
}

export interface Drives {
  /** The folders this app was given. */
  folders(): Promise<readonly Folder[]>;
  /** Lets the person pick one. @throws AppRequestError `rejected` */
  pick(options?: { readonly access?: 'read' | 'write'; readonly reason?: string }): Promise<Folder>;
}

/** What a page has, and the types of this folder do not. */
interface Fetching {
  fetch(
    url: string,
    options?: { readonly method: string; readonly body: unknown },
  ): Promise<{
    readonly ok: boolean;
    readonly status: number;
    readonly headers: { get(name: string): string | null };
    arrayBuffer(): Promise<ArrayBuffer>;
  }>;
}

export function createDrives(transport: Transport): Drives {
  const { request } = transport;
  const { fetch } = globalThis as unknown as Fetching;

  async function fetched(url: string, options?: Parameters<Fetching['fetch']>[1]) {
    const answer = await fetch(url, options);
    if (answer.ok) return answer;
    throw new AppRequestError(
      providerErrors.internal,
      answer.headers.get('error-code') ?? 'internal',
      `The file could not be ${options ? 'written' : 'read'} (${answer.status}).`,
    );
  }

  function folderOf(info: AppFolder): Folder {
    const { folder } = info;
    const url = async (path: string): Promise<string> =>
      (await request('exc_driveRead', { folder, path, as: 'url' })).url!;

    async function* list(path = ''): AsyncGenerator<AppFile> {
      let after: string | null = null;
      do {
        const page: { items: AppFile[]; next: string | null } = await request('exc_driveEntries', {
          folder,
          path,
          after,
          limit: 1000,
        });
        yield* page.items;
        after = page.next;
      } while (after !== null);
    }

    async function* walk(path = ''): AsyncGenerator<AppFile> {
      const waiting = [path];
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        for await (const one of list(next)) {
          if (one.kind === 'dir') waiting.push(one.path);
          else yield one;
        }
      }
    }

    return {
      ...info,
      list,
      walk,
      url,
      async read(path) {
        const { size, bytes } = await request('exc_driveRead', { folder, path });
        if (size <= maxInlineBytes) return fromBase64url(bytes ?? '');
        return new Uint8Array(await (await fetched(await url(path))).arrayBuffer());
      },
      async write(path, content, { replace = false } = {}) {
        const blob = typeof content === 'object' && 'arrayBuffer' in content ? content : null;
        const bytes = blob ? null : toBytes(content as Bytes);
        const size = blob ? blob.size : bytes!.length;
        if (bytes && size <= maxInlineBytes) {
          await request('exc_driveWrite', { folder, path, bytes: toBase64url(bytes), replace });
          return;
        }
        const to = await request('exc_driveWrite', { folder, path, size, replace });
        await fetched(to.url!, { method: 'PUT', body: blob ?? bytes });
      },
      mkdir: async (path) => void (await request('exc_driveMkdir', { folder, path })),
      remove: async (...paths) => void (await request('exc_driveRemove', { folder, paths: [...paths] })),
      watch: (listener) => transport.subscribe('exc_driveWatch', { folder }, () => listener()),
      publish: async (path = '') => (await request('exc_drivePublish', { folder, path })).link,
      share: async ({ path = '', ...options } = {}) =>
        (await request('exc_driveShare', { folder, path, ...options })).link,
    };
  }

  return {
    folders: async () => (await request('exc_driveList')).folders.map(folderOf),
    pick: async (options = {}) => folderOf(await request('exc_pickFolder', options)),
  };
}
