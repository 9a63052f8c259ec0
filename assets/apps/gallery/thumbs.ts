import type { Folder } from '../../../src-shared/sdk/index.ts';
import { h } from '../common/dom.ts';
import type { Picture } from './library.ts';
import { words } from './strings.ts';

/** Addresses that were asked for, by folder and path: they hold for an hour after each use. */
const addresses = new Map<string, Promise<string>>();
const mostKept = 2000;

/** Where a picture's bytes are. */
export function addressOf(folder: Folder, { path }: Picture): Promise<string> {
  const key = `${folder.folder}/${path}`;
  let found = addresses.get(key);
  if (!found) {
    found = folder.url(path);
    addresses.set(key, found);
    found.catch(() => addresses.delete(key));
    if (addresses.size > mostKept) addresses.delete(addresses.keys().next().value!);
  }
  return found;
}

/** Permissions changed, so what was given out may be closed. */
export const forgetAddresses = (): void => addresses.clear();

/** Asks for pictures as they come near the screen, and lets go of those far away: a folder may hold thousands. */
const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const load = loaders.get(target);
      if (isIntersecting) load?.show();
      else load?.hide();
    }
  },
  { rootMargin: '800px 0px' },
);
const loaders = new WeakMap<Element, { show(): void; hide(): void }>();

/** Lets `frame` show a picture while it is near the screen. */
export function showIn(frame: HTMLElement, folder: Folder, picture: Picture): void {
  let media: HTMLElement | null = null;
  const failed = (): void => {
    media?.remove();
    media = h('span', { class: 'broken', title: words.noPreview }, picture.name);
    frame.prepend(media);
  };
  loaders.set(frame, {
    show() {
      if (media) return;
      const seen = (): void => media?.classList.add('seen');
      const shown: HTMLImageElement | HTMLVideoElement =
        picture.kind === 'photo'
          ? h('img', { alt: '', decoding: 'async', onload: seen, onerror: failed })
          : h('video', { muted: true, preload: 'metadata', onloadeddata: seen, onerror: failed });
      media = shown;
      frame.prepend(shown);
      // A little into it: many videos begin in black.
      addressOf(folder, picture).then((url) => {
        if (media === shown) shown.src = picture.kind === 'video' ? `${url}#t=0.5` : url;
      }, failed);
    },
    hide() {
      media?.remove();
      media = null;
    },
  });
  observer.observe(frame);
}
