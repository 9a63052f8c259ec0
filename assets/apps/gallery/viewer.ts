import type { Folder } from '../../../src-shared/sdk/index.ts';
import { h, icon } from '../common/dom.ts';
import type { Picture } from './library.ts';
import { locale, say, words } from './strings.ts';
import { addressOf } from './thumbs.ts';

const dates = new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'short' });
/** How far a finger has to go to turn the page, px. */
const swipe = 60;

/** Shows pictures one by one, over everything. */
export function openViewer(folder: Folder, pictures: readonly Picture[], first: number): void {
  let at = first;
  const caption = h('figcaption');
  const stage = h('div');
  const left = h(
    'button',
    { class: 'left', 'aria-label': words.previous, onclick: () => go(-1) },
    icon('back'),
  );
  const right = h(
    'button',
    { class: 'right', 'aria-label': words.next, onclick: () => go(1) },
    icon('right'),
  );
  const close = h(
    'button',
    { class: 'close', 'aria-label': words.close, onclick: () => dialog.close() },
    icon('close'),
  );
  const dialog = h(
    'dialog',
    { class: 'viewer', 'aria-label': words.title, onclose: () => dialog.remove() },
    h('figure', {}, stage, caption),
    left,
    right,
    close,
  );

  function show(): void {
    const picture = pictures[at]!;
    const failed = (): void => stage.replaceChildren(words.noPreview);
    const media: HTMLImageElement | HTMLVideoElement =
      picture.kind === 'photo'
        ? h('img', { alt: picture.name, onerror: failed })
        : h('video', { controls: true, autoplay: true, onerror: failed });
    stage.replaceChildren(media);
    const place = say(words.place, { n: at + 1, all: pictures.length });
    caption.textContent = `${picture.name} · ${dates.format(picture.time)} · ${place}`;
    left.disabled = at === 0;
    right.disabled = at === pictures.length - 1;
    addressOf(folder, picture).then((url) => {
      media.src = url;
      // The next one is there before it is asked for.
      const next = pictures[at + 1];
      if (next?.kind === 'photo') void addressOf(folder, next).then((ahead) => (new Image().src = ahead));
    }, failed);
  }
  function go(step: number): void {
    turnTo(at + step);
  }
  function turnTo(next: number): void {
    if (!pictures[next] || next === at) return;
    at = next;
    show();
  }

  dialog.addEventListener('keydown', ({ key, target }) => {
    // A film's own keys go forward and back in it.
    if (target instanceof HTMLVideoElement) return;
    if (key === 'ArrowLeft') go(-1);
    if (key === 'ArrowRight') go(1);
    if (key === 'Home') turnTo(0);
    if (key === 'End') turnTo(pictures.length - 1);
  });
  let from: number | null = null;
  dialog.addEventListener(
    'pointerdown',
    ({ clientX, pointerType }) => (from = pointerType === 'touch' ? clientX : null),
  );
  dialog.addEventListener('pointerup', ({ clientX }) => {
    if (from !== null && Math.abs(clientX - from) > swipe) go(clientX < from ? 1 : -1);
    from = null;
  });
  document.body.append(dialog);
  show();
  dialog.showModal();
  close.focus();
}
