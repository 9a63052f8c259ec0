import { AppRequestError, connect, type App, type Folder } from '../../../src-shared/sdk/index.ts';
import { h, icon } from '../common/dom.ts';
import { albumsOf, byMonth, inAlbum, pictureOf, type Kind, type Picture } from './library.ts';
import { openShare } from './share.ts';
import { language, locale, say, words } from './strings.ts';
import { forgetAddresses, showIn } from './thumbs.ts';
import { openViewer } from './viewer.ts';

const root = document.getElementById('app')!;
const months = new Intl.DateTimeFormat(locale, { month: 'long', year: 'numeric' });
const countOf = (n: number): string => (n === 1 ? words.onePicture : say(words.pictures, { n }));

let app: App;
let folders: readonly Folder[] = [];
let folder: Folder | null = null;
let pictures: readonly Picture[] = [];
let loading = false;
let problem = '';
let only: Kind | null = null;
/** `library`, `albums`, or the path of one album. */
let view: 'library' | 'albums' | { readonly album: string } = 'library';
let unwatch = (): void => {};
/** Counts up with each walk through a folder: an older one stops. */
let walk = 0;

const whyOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function pick(): Promise<void> {
  try {
    const picked = await app.drives.pick({ access: 'read', reason: words.pickReason });
    folders = await app.drives.folders();
    await open(folders.find((one) => one.folder === picked.folder) ?? picked);
  } catch (error) {
    if (error instanceof AppRequestError && error.rejected) return;
    problem = say(words.failed, { why: whyOf(error) });
    draw();
  }
}

async function open(next: Folder): Promise<void> {
  unwatch();
  folder = next;
  view = 'library';
  pictures = [];
  forgetAddresses();
  await look();
  let again = false;
  unwatch = await next.watch(() => {
    // One walk at a time, and one more when something changed meanwhile.
    if (loading) again = true;
    else
      void look().then(() => {
        if (again) void look();
        again = false;
      });
  });
}

/** Walks through the folder; what is found appears as it comes. */
async function look(): Promise<void> {
  if (!folder || folder.missing) return draw();
  const mine = (walk += 1);
  const found: Picture[] = [];
  loading = true;
  // What is shown already stays as it is until something else was found.
  if (pictures.length === 0 || problem !== '') {
    problem = '';
    draw();
  }
  try {
    let shown = Date.now();
    for await (const file of folder.walk()) {
      if (mine !== walk) return;
      const picture = pictureOf(file);
      if (picture) found.push(picture);
      if (pictures.length < found.length && Date.now() - shown > 500) {
        pictures = [...found];
        shown = Date.now();
        draw();
      }
    }
    loading = false;
    if (found.length > 0 && JSON.stringify(found) === JSON.stringify(pictures)) return;
    pictures = found;
  } catch (error) {
    problem = say(words.failed, { why: whyOf(error) });
  }
  loading = false;
  draw();
}

function toggle(label: string, pressed: boolean, act: () => void): HTMLElement {
  return h('button', { 'aria-pressed': String(pressed), onclick: () => (act(), draw()) }, label);
}

function bar(): HTMLElement {
  const album = typeof view === 'object' ? view.album : null;
  const choice = h(
    'select',
    {
      'aria-label': words.library,
      onchange: () => void open(folders.find((one) => one.folder === choice.value)!),
    },
    ...folders.map((one) =>
      h('option', { value: one.folder, selected: one.folder === folder?.folder }, one.name),
    ),
  );
  return h(
    'header',
    { class: 'bar' },
    h('h1', {}, words.title),
    choice,
    h(
      'div',
      { class: 'tabs' },
      toggle(words.library, view === 'library', () => (view = 'library')),
      toggle(words.albums, view !== 'library', () => (view = 'albums')),
    ),
    h('span', { class: 'space' }),
    view !== 'albums' &&
      h(
        'div',
        { class: 'tabs' },
        toggle(words.all, only === null, () => (only = null)),
        toggle(words.photos, only === 'photo', () => (only = 'photo')),
        toggle(words.videos, only === 'video', () => (only = 'video')),
      ),
    album !== null &&
      h(
        'button',
        { class: 'button', 'aria-label': words.share, onclick: () => openShare(folder!, album) },
        icon('share'),
        h('span', { class: 'label' }, words.share),
      ),
    h(
      'button',
      { class: 'button', 'aria-label': words.addFolder, onclick: () => void pick() },
      icon('plus'),
      h('span', { class: 'label' }, words.addFolder),
    ),
  );
}

function tiles(shown: readonly Picture[], all: readonly Picture[]): HTMLElement {
  return h(
    'div',
    { class: 'grid' },
    ...shown.map((one) => {
      const tile = h(
        'button',
        { class: 'tile', 'aria-label': one.name, onclick: () => openViewer(folder!, all, all.indexOf(one)) },
        one.kind === 'video' && h('span', { class: 'badge' }, icon('play')),
      );
      showIn(tile, folder!, one);
      return tile;
    }),
  );
}

function albums(): HTMLElement {
  return h(
    'div',
    { class: 'albums' },
    ...albumsOf(pictures).map(({ path, name, count, cover }) => {
      const picture = h('span', { class: 'cover' });
      showIn(picture, folder!, cover);
      return h(
        'button',
        { class: 'album', onclick: () => ((view = { album: path }), draw()) },
        picture,
        h('b', {}, name),
        h('span', { class: 'quiet' }, countOf(count)),
      );
    }),
  );
}

function content(): HTMLElement {
  if (folder?.missing) return middle(words.missing);
  if (problem !== '') return h('main', {}, h('p', { class: 'problem', role: 'alert' }, problem));
  const wanted = inAlbum(pictures, typeof view === 'object' ? view.album : '').filter(
    ({ kind }) => only === null || kind === only,
  );
  if (wanted.length === 0 || (view === 'albums' && albumsOf(pictures).length === 0)) {
    return middle(loading ? words.loading : words.empty);
  }
  if (view === 'albums') return h('main', {}, albums());
  const groups = byMonth(wanted);
  const inOrder = groups.flatMap((month) => month.pictures);
  return h(
    'main',
    {},
    ...(typeof view === 'object'
      ? [h('h2', { class: 'heading' }, view.album.slice(view.album.lastIndexOf('/') + 1))]
      : []),
    ...groups.map((month) =>
      h(
        'section',
        { class: 'month' },
        h('h2', {}, months.format(month.time)),
        tiles(month.pictures, inOrder),
      ),
    ),
  );
}

const middle = (text: string): HTMLElement =>
  h('main', { class: 'middle' }, h('p', { role: 'status' }, text));

function welcome(): HTMLElement {
  return h(
    'main',
    { class: 'middle' },
    h('img', { src: './icon.svg', alt: '' }),
    h('h2', {}, words.welcome),
    h('p', {}, words.welcomeText),
    problem !== '' && h('p', { class: 'problem', role: 'alert' }, problem),
    h('button', { class: 'button primary', onclick: () => void pick() }, icon('folder'), words.addFolder),
  );
}

function draw(): void {
  const { scrollY } = window;
  if (folder) root.replaceChildren(bar(), content());
  else root.replaceChildren(welcome());
  window.scrollTo({ top: scrollY });
}

document.documentElement.lang = language;
document.title = words.title;
try {
  app = await connect();
  folders = await app.drives.folders();
  app.onSessionChanged(() => {
    void app.drives.folders().then((now) => {
      folders = now;
      if (folder && !now.some((one) => one.folder === folder!.folder)) {
        folder = null;
        unwatch();
        draw();
      }
    });
  });
  if (folders[0]) await open(folders[0]);
  else draw();
} catch (error) {
  root.replaceChildren(middle(error instanceof AppRequestError ? whyOf(error) : words.outside));
}
