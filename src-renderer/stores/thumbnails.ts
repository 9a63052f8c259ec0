import { defineStore } from 'pinia';
import type { FileEntry } from '../../src-shared/contract/index.ts';
import { useLink } from '../rpc/node-link.ts';

/** Pictures kept, about 36 KB each; those not shown for longest give way. */
const kept = 300;
/** Larger files would cost more than a thumbnail is worth. */
const largest = 6_000_000;
const atOnce = 2;
/** Pixels of an edge: 40 on screens of twice the density, and some more. */
const edge = 96;

interface Wish {
  readonly key: string;
  readonly drive: string;
  readonly path: string;
  wanted: boolean;
  readonly done: (picture: ImageBitmap | null) => void;
}

/** Small square pictures of photos, made by the browser from the files themselves, a few at a time. */
export const useThumbnails = defineStore('thumbnails', () => {
  const link = useLink();
  const pictures = new Map<string, ImageBitmap | null>();
  const queue: Wish[] = [];
  let running = 0;

  const keyOf = (drive: string, entry: FileEntry) => `${drive} ${entry.path} ${entry.version}`;

  function keep(key: string, picture: ImageBitmap | null) {
    pictures.set(key, picture);
    for (const [oldest, old] of pictures) {
      if (pictures.size <= kept) break;
      pictures.delete(oldest);
      old?.close();
    }
  }

  async function make(drive: string, path: string): Promise<ImageBitmap | null> {
    try {
      const { url } = await link.call((client) => client.files.open({ drive, path, as: 'preview' }));
      const whole = await createImageBitmap(await (await fetch(url)).blob());
      const side = Math.min(whole.width, whole.height);
      const [x, y] = [(whole.width - side) / 2, (whole.height - side) / 2];
      const small = await createImageBitmap(whole, x, y, side, side, {
        resizeWidth: edge,
        resizeHeight: edge,
        resizeQuality: 'medium',
      });
      whole.close();
      return small;
    } catch {
      // No picture after all, or not one this browser draws: its icon stays.
      return null;
    }
  }

  function pump() {
    while (running < atOnce) {
      // The newest wish is what is on screen now.
      const wish = queue.pop();
      if (!wish) return;
      if (!wish.wanted) continue;
      running += 1;
      void make(wish.drive, wish.path).then((picture) => {
        running -= 1;
        keep(wish.key, picture);
        if (wish.wanted) wish.done(picture);
        pump();
      });
    }
  }

  return {
    fits: (entry: FileEntry) => entry.kind === 'file' && entry.state === 'here' && entry.size <= largest,
    /** What is there already; undefined: not made yet. */
    ready(drive: string, entry: FileEntry): ImageBitmap | null | undefined {
      const key = keyOf(drive, entry);
      const found = pictures.get(key);
      if (found !== undefined) {
        pictures.delete(key);
        pictures.set(key, found);
      }
      return found;
    },
    /** Makes it when its turn comes; what is returned takes the wish back. */
    want(drive: string, entry: FileEntry, done: (picture: ImageBitmap | null) => void): () => void {
      const wish: Wish = { key: keyOf(drive, entry), drive, path: entry.path, wanted: true, done };
      queue.push(wish);
      pump();
      return () => (wish.wanted = false);
    },
  };
});
