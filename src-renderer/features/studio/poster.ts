import { shallowRef } from 'vue';
import { openImage, SourceError } from './engine/media.ts';

/** The picture a stream is shown with: a chosen one, or what is seen when it goes live. */
export function createPoster(ask: (of: ImageBitmap | null) => void) {
  /** The chosen one, as it is sent; null: the first picture is taken. */
  const chosen = shallowRef<Uint8Array<ArrayBuffer> | null>(null);
  const shown = shallowRef<ImageBitmap | null>(null);
  const waiting: ((bytes: Uint8Array<ArrayBuffer> | null) => void)[] = [];

  function make(of: ImageBitmap | null): Promise<Uint8Array<ArrayBuffer> | null> {
    return new Promise((resolve) => {
      waiting.push(resolve);
      ask(of);
    });
  }

  function forget(): void {
    chosen.value = null;
    shown.value?.close();
    shown.value = null;
  }

  return {
    shown,
    /** The worker's answers, in order. */
    made: (bytes: Uint8Array<ArrayBuffer> | null) => waiting.shift()?.(bytes),
    forget,
    /** @throws SourceError */
    async choose(file: File): Promise<void> {
      const bytes = await make(await openImage(file));
      if (!bytes) throw new SourceError('image', 'unreadable');
      const small = await createImageBitmap(new Blob([bytes]));
      forget();
      chosen.value = bytes;
      shown.value = small;
    },
    /** The chosen one in base64, if any. */
    chosen: async (): Promise<string | null> => chosen.value && base64Of(chosen.value),
    /** In base64; null: there is nothing to see. */
    async forStart(): Promise<string | null> {
      const bytes = chosen.value ?? (await make(null));
      return bytes && base64Of(bytes);
    },
  };
}

function base64Of(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192)
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}
