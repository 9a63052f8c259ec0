type Child = Node | string | null | false;

/** An element: attributes as they stand in HTML, `on…` as listeners. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, unknown>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value as EventListener);
    else element.setAttribute(name, value === true ? '' : String(value as string | number));
  }
  element.append(...children.filter((child): child is Node | string => child !== null && child !== false));
  return element;
}

const paths = {
  plus: 'M12 5v14M5 12h14',
  back: 'm15 5-7 7 7 7',
  people:
    'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7m-6 9a6 6 0 0 1 12 0M16 4.5a3.5 3.5 0 0 1 0 6.5m1.5 3.4A6 6 0 0 1 21 20',
  clip: 'm20 11-8.5 8.5a5 5 0 0 1-7-7L13 4a3.3 3.3 0 0 1 4.7 4.7l-8.5 8.4a1.7 1.7 0 0 1-2.4-2.3L14.5 7',
  send: 'M21 3 10 14M21 3l-7 18-4-7-7-4z',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13',
  note: 'M5 4h14v12l-4 4H5zM15 20v-4h4M8 9h8M8 13h5',
  check: 'm5 12 5 5L19 7',
  share: 'M12 15V3m0 0L8 7m4-4 4 4M5 13v6a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2v-6',
  link: 'M10 14a4.5 4.5 0 0 0 6.4.4l3-3a4.5 4.5 0 0 0-6.4-6.4l-1 1M14 10a4.5 4.5 0 0 0-6.4-.4l-3 3a4.5 4.5 0 0 0 6.4 6.4l1-1',
  close: 'M6 6l12 12M18 6 6 18',
  right: 'm9 5 7 7-7 7',
  play: 'M8 5.5v13l11-6.5z',
  talk: 'M21 11.5a8 8 0 0 1-8 8 8.6 8.6 0 0 1-3.6-.8L4 20l1.4-4.6A8 8 0 1 1 21 11.5z',
  folder: 'M3 7a2 2 0 0 1 2-2h4l2 2h8a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z',
} as const;

/** A drawing of 24 by 24, in the colour of the text. */
export function icon(name: keyof typeof paths): SVGElement {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', paths[name]);
  svg.append(path);
  return svg;
}

/** The language of the page: the first that there are words for. */
export function pick<T>(words: Readonly<Record<'en' | 'de', T>>): T {
  return navigator.language.startsWith('de') ? words.de : words.en;
}

export const whyOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** A user id, short enough for a line. */
export const shortId = (id: string): string => (id.length > 18 ? `${id.slice(0, 9)}…${id.slice(-6)}` : id);

/** Asks for a yes, for what can't be taken back. */
export function confirm(
  title: string,
  { text, ok, cancel }: { readonly text: string; readonly ok: string; readonly cancel: string },
): Promise<boolean> {
  return new Promise((resolve) => {
    const dialog = h(
      'dialog',
      { class: 'box', onclose: () => (dialog.remove(), resolve(dialog.returnValue === 'ok')) },
      h(
        'form',
        { method: 'dialog' },
        h('h2', {}, title),
        h('p', { class: 'quiet' }, text),
        h(
          'footer',
          {},
          h('button', { type: 'button', class: 'button', onclick: () => dialog.close() }, cancel),
          h('button', { class: 'button primary', value: 'ok' }, ok),
        ),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Asks for one line of text; null when it is closed. */
export function askLine(
  title: string,
  {
    label,
    text = '',
    ok,
    cancel,
  }: { readonly label: string; readonly text?: string; readonly ok: string; readonly cancel: string },
): Promise<string | null> {
  return new Promise((resolve) => {
    const field = h('input', { required: true, autocomplete: 'off', spellcheck: 'false' });
    const dialog = h(
      'dialog',
      {
        class: 'box',
        onclose: () => (dialog.remove(), resolve(dialog.returnValue === 'ok' ? field.value.trim() : null)),
      },
      h(
        'form',
        { method: 'dialog' },
        h('h2', {}, title),
        text === '' ? null : h('p', { class: 'quiet' }, text),
        h('label', {}, label, field),
        h(
          'footer',
          {},
          h('button', { type: 'button', class: 'button', onclick: () => dialog.close() }, cancel),
          h('button', { class: 'button primary', value: 'ok' }, ok),
        ),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}
