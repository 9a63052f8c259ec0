import { h, shortId } from '../common/dom.ts';
import { say, words } from './words.ts';

export const dates = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
export const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });

/** A hue of its own for each id, so that pages without pictures can be told apart. */
function hueOf(id: string): number {
  let hash = 0;
  for (const char of id) hash = (hash * 31 + char.charCodeAt(0)) % 360;
  return hash;
}

export const face = (id: string, name: string): HTMLElement =>
  h(
    'span',
    { class: 'face tinted', style: `--hue: ${hueOf(id)}`, 'aria-hidden': true },
    [...name.trim()][0]?.toUpperCase() ?? '#',
  );

/** Stands where a picture of a stream or a recording would be. */
export const poster = (id: string, ...marks: readonly (HTMLElement | SVGElement | false)[]): HTMLElement =>
  h('span', { class: 'poster tinted', style: `--hue: ${hueOf(id)}`, 'aria-hidden': true }, ...marks);

export const liveMark = (): HTMLElement => h('span', { class: 'live' }, words.live);

/** How many look; '' for nobody. */
export const viewersText = (n: number): string =>
  n === 0 ? '' : n === 1 ? words.watchingOne : say(words.watching, { n });

/** What is known, as one line. */
export const facts = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join(' · ');

export const nameOf = (title: string | undefined, user: string | null): string =>
  title || (user === null ? '?' : shortId(user));

/** Asks for a channel's name and what it is about; null when it is closed. */
export function askAbout(
  heading: string,
  before: { readonly title: string; readonly about: string },
): Promise<{ readonly title: string; readonly about: string } | null> {
  return new Promise((resolve) => {
    const title = h('input', { required: true, maxlength: 100, autocomplete: 'off', value: before.title });
    const about = h('textarea', { maxlength: 2000, rows: 5 });
    about.value = before.about;
    const dialog = h(
      'dialog',
      {
        class: 'box',
        onclose: () => {
          dialog.remove();
          const saved = dialog.returnValue === 'ok' && title.value.trim() !== '';
          resolve(saved ? { title: title.value.trim(), about: about.value.trim() } : null);
        },
      },
      h(
        'form',
        { method: 'dialog' },
        h('h2', {}, heading),
        h('label', {}, words.name, title),
        h('label', {}, words.about, about),
        h(
          'footer',
          {},
          h('button', { type: 'button', class: 'button', onclick: () => dialog.close() }, words.cancel),
          h('button', { class: 'button primary', value: 'ok' }, words.save),
        ),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}
