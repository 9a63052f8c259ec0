import { connect } from '../../../src-shared/sdk/index.ts';
import type {
  App,
  AppCollection,
  AppCollectionEntry,
  AppCollectionInvitation,
  Collection,
} from '../../../src-shared/sdk/index.ts';
import { askLine, confirm, h, icon, shortId } from '../common/dom.ts';
import { createPanes } from '../common/panes.ts';
import { invitationCard } from '../common/invitation.ts';
import { openTalk, type Talk } from '../common/talk.ts';
import { bindField, changesOf, openNote, type Note } from './note.ts';
import { words } from './words.ts';

const { root, side, main, problem, say, fail, run } = createPanes(words.failed);

/** What stands under `n/<id>`. */
interface NoteInfo {
  readonly title: string;
}
interface Row {
  readonly id: string;
  readonly title: string;
  readonly time: number;
}

/** Somebody is said to write for so long after their last letter, ms. */
const writingFor = 4000;
const dates = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

let app: App;
let self = '';
let notebooks: readonly AppCollection[] = [];
let invitations: readonly AppCollectionInvitation[] = [];
const notes = new Map<string, Map<string, Row>>();
const watches = new Set<string>();
let open: {
  readonly notebook: AppCollection;
  readonly store: Collection;
  readonly id: string;
  readonly note: Note;
  readonly unbind: () => void;
} | null = null;
/** Who else wrote in the open note, and when last. */
const writers = new Map<string, number>();
/** Shows who writes now beside the title. */
let showWriters = (): void => {};
/** The talk beside the note that is open. */
let talk: Talk | null = null;

const firstLine = (text: string): string =>
  text
    .split('\n')
    .find((line) => line.trim() !== '')
    ?.trim()
    .slice(0, 80) ?? '';

function rowOf({ key, value, time }: AppCollectionEntry): Row {
  const title = typeof value === 'object' && value !== null ? (value as NoteInfo).title : '';
  return { id: key.slice(2), title: typeof title === 'string' ? title : '', time: Date.parse(time) };
}

function drawSide(): void {
  const invited = invitations.map((one) =>
    invitationCard(one, words, {
      join: run(() => join(one)),
      decline: run(() => app.collections.decline(one.collection)),
    }),
  );
  const books = notebooks.map((book) => {
    const rows = [...(notes.get(book.collection)?.values() ?? [])].sort((a, b) => b.time - a.time);
    return h(
      'section',
      { class: 'book' },
      h(
        'header',
        {},
        h('h2', {}, book.name),
        h(
          'span',
          { class: 'quiet' },
          book.members > 1 ? words.people.replace('{n}', String(book.members)) : words.alone,
        ),
        book.role === 'owner' || book.role === 'manager'
          ? h(
              'button',
              {
                class: 'tool',
                title: words.share,
                'aria-label': words.share,
                onclick: run(() => share(book)),
              },
              icon('people'),
            )
          : null,
        book.role === 'reader'
          ? null
          : h(
              'button',
              {
                class: 'tool',
                title: words.newNote,
                'aria-label': words.newNote,
                onclick: run(() => begin(book)),
              },
              icon('plus'),
            ),
        h(
          'button',
          {
            class: 'tool',
            title: words.forget,
            'aria-label': words.forget,
            onclick: run(() => forget(book)),
          },
          icon('trash'),
        ),
      ),
      rows.length === 0 && h('p', { class: 'quiet none' }, words.noNotes),
      ...rows.map((row) =>
        h(
          'button',
          {
            class: 'row',
            'aria-current': open?.id === row.id ? 'true' : null,
            onclick: run(() => show(book, row.id)),
          },
          h('span', {}, icon('note')),
          h(
            'span',
            {},
            h('b', {}, row.title || words.untitled),
            h('span', { class: 'quiet' }, dates.format(row.time)),
          ),
        ),
      ),
    );
  });
  side.replaceChildren(
    h(
      'header',
      { class: 'bar' },
      h('h1', {}, words.title),
      h(
        'button',
        { class: 'tool', title: words.newNotebook, 'aria-label': words.newNotebook, onclick: run(create) },
        icon('plus'),
      ),
    ),
    h(
      'nav',
      { class: 'list' },
      ...invited,
      ...books,
      books.length + invited.length === 0 && welcome('only-narrow'),
    ),
    self === ''
      ? ''
      : h('footer', { class: 'foot quiet' }, words.yourId, h('br'), h('code', { class: 'own-id' }, self)),
  );
}

/** What stands there while no note is open; on a narrow screen in the list, as there is no other pane. */
const welcome = (also: string): HTMLElement =>
  h(
    'div',
    { class: `blank ${also}` },
    h('h2', {}, words.welcome),
    h('p', { class: 'quiet' }, notebooks.length === 0 ? words.welcomeText : words.choose),
    h('button', { class: 'button primary', onclick: run(create) }, words.newNotebook),
  );

function drawMain(): void {
  root.classList.toggle('open', open !== null);
  if (open) return;
  main.replaceChildren(welcome(''), problem);
}

async function leave(): Promise<void> {
  const before = open;
  open = null;
  talk?.close();
  talk = null;
  writers.clear();
  showWriters = () => {};
  before?.unbind();
  await before?.note.close();
}

async function show(notebook: AppCollection, id: string): Promise<void> {
  await leave();
  const store = app.collections.open(notebook.collection);
  const writable = notebook.role !== 'reader';
  const note = await openNote(store, id, writable);
  const field = h('textarea', {
    class: 'sheet',
    placeholder: words.writeHere,
    'aria-label': words.writeHere,
    readonly: !writable,
    spellcheck: true,
  });
  const state = h('span', { class: 'quiet', 'aria-live': 'polite' }, words.saved);
  const title = h('h1', { class: 'title' }, firstLine(note.text.toJSON()) || words.untitled);
  const unbind = bindField(field, note.text);
  let told = notes.get(notebook.collection)?.get(id)?.title ?? '';
  let tellTitle: ReturnType<typeof setTimeout> | null = null;
  const tellState = (): void => {
    const now = Date.now();
    for (const [user, time] of writers) if (now - time >= writingFor) writers.delete(user);
    const who = [...writers.keys()].map(shortId).join(', ');
    state.textContent =
      who !== '' ? words.writes.replace('{who}', who) : note.pending() ? words.saving : words.saved;
  };
  showWriters = () => {
    tellState();
    setTimeout(tellState, writingFor);
  };
  note.onState(tellState);
  note.text.observe((event) => {
    const first = firstLine(note.text.toJSON());
    title.textContent = first || words.untitled;
    // The list follows at once, also what others write; the title itself is told a moment later.
    const row = notes.get(notebook.collection)?.get(id);
    if (row && row.title !== first) {
      notes.get(notebook.collection)?.set(id, { ...row, title: first });
      drawSide();
    }
    if (event.transaction.origin !== field || first === told || tellTitle !== null) return;
    tellTitle = setTimeout(() => {
      tellTitle = null;
      told = firstLine(note.text.toJSON());
      store.put(`n/${id}`, { title: told } satisfies NoteInfo).catch(fail);
    }, 600);
  });
  open = { notebook, store, id, note, unbind };
  main.replaceChildren(
    h(
      'header',
      { class: 'bar' },
      h(
        'button',
        {
          class: 'tool only-narrow',
          'aria-label': words.back,
          onclick: run(async () => {
            await leave();
            drawSide();
            drawMain();
          }),
        },
        icon('back'),
      ),
      h('div', {}, title),
      writable ? state : h('span', { class: 'quiet' }, words.readOnly),
      h(
        'button',
        {
          class: 'tool',
          title: words.talkBeside,
          'aria-label': words.talkBeside,
          onclick: run(() => toggleTalk(store, id)),
        },
        icon('talk'),
      ),
      writable
        ? h(
            'button',
            { class: 'tool', title: words.remove, 'aria-label': words.remove, onclick: run(remove) },
            icon('trash'),
          )
        : null,
    ),
    problem,
    h('div', { class: 'with-talk' }, field),
  );
  drawSide();
  root.classList.add('open');
  field.focus();
}

/** A room of Chat beside the note, named by it and kept by the notebook's owner. */
async function toggleTalk(store: Collection, id: string): Promise<void> {
  if (talk) {
    talk.close();
    talk.element.remove();
    talk = null;
    return;
  }
  if (!(await app.has('services.call'))) await app.ask('services.call');
  const { members } = await store.members();
  const owner = members.find(({ role }) => role === 'owner');
  if (!owner || open?.id !== id || talk) return;
  talk = openTalk(app, {
    owner: owner.userId,
    room: `desk/note/${id}`,
    name: () => '',
    self,
    words: words.talk,
  });
  main.querySelector('.with-talk')?.append(talk.element);
}

/** A notebook goes from this computer; other members keep it. */
async function forget({ collection, name, members }: AppCollection): Promise<void> {
  const text = members > 1 ? words.forgetShared : words.forgetAlone;
  const sure = await confirm(words.forgetAsk.replace('{name}', name), {
    text,
    ok: words.forgetOk,
    cancel: words.cancel,
  });
  if (!sure) return;
  if (open?.notebook.collection === collection) await leave();
  await app.collections.open(collection).leave();
  watches.delete(collection);
  await refresh();
}

async function remove(): Promise<void> {
  if (!open) return;
  const { store, id } = open;
  const sure = await confirm(words.removeAsk, {
    text: words.removeText,
    ok: words.removeOk,
    cancel: words.cancel,
  });
  if (!sure || open?.id !== id) return;
  await leave();
  await store.remove(`n/${id}`);
  const keys: string[] = [];
  for await (const { key } of store.entries({ prefix: changesOf(id) })) keys.push(key);
  for (let at = 0; at < keys.length; at += 500) await store.remove(...keys.slice(at, at + 500));
  drawSide();
  drawMain();
}

async function create(): Promise<void> {
  const name = await askLine(words.newNotebook, {
    label: words.notebookName,
    ok: words.create,
    cancel: words.cancel,
  });
  if (!name) return;
  const { id } = await app.collections.create(name);
  await refresh();
  const made = notebooks.find((one) => one.collection === id);
  if (made) await begin(made);
}

async function begin(notebook: AppCollection): Promise<void> {
  const id = crypto.randomUUID();
  await app.collections.open(notebook.collection).put(`n/${id}`, { title: '' } satisfies NoteInfo);
  await show(notebook, id);
}

async function share(notebook: AppCollection): Promise<void> {
  const user = await askLine(words.share, {
    label: words.userId,
    text: words.shareText,
    ok: words.shareOk,
    cancel: words.cancel,
  });
  if (!user) return;
  await app.collections.open(notebook.collection).share(user);
  say(words.shared);
  await refresh();
}

async function join({ collection }: AppCollectionInvitation): Promise<void> {
  await app.collections.join(collection);
  await refresh();
}

/** Follows a notebook: its list of notes, and the note that is open. */
async function follow({ collection }: AppCollection): Promise<void> {
  if (watches.has(collection)) return;
  watches.add(collection);
  const store = app.collections.open(collection);
  const rows = new Map<string, Row>();
  const read = async (): Promise<void> => {
    for await (const entry of store.entries({ prefix: 'n/' })) rows.set(entry.key.slice(2), rowOf(entry));
  };
  notes.set(collection, rows);
  await store.watch((changes) => {
    const here = open?.notebook.collection === collection ? open : null;
    if (changes.length === 0) {
      void read().then(drawSide, fail);
      if (here) void show(here.notebook, here.id).catch(fail);
      return;
    }
    here?.note.take(changes);
    const mine = here && changesOf(here.id);
    for (const { key, entry } of changes) {
      if (!mine || !key.startsWith(mine) || !entry?.user || entry.user === self) continue;
      writers.set(entry.user, Date.now());
      showWriters();
    }
    let listed = false;
    for (const { key, entry } of changes) {
      if (!key.startsWith('n/')) continue;
      listed = true;
      if (entry) rows.set(key.slice(2), rowOf(entry));
      else rows.delete(key.slice(2));
    }
    if (listed) drawSide();
  });
  await read();
}

async function refresh(): Promise<void> {
  const [kept, invited] = await Promise.all([app.collections.list(), app.collections.invitations()]);
  notebooks = kept;
  // Another computer of the person has it already: nothing to decide.
  for (const one of invited.filter(({ own }) => own))
    void app.collections.join(one.collection).catch(() => {});
  invitations = invited.filter(({ own }) => !own);
  if (self === '') self = await app.collections.self();
  await Promise.all(notebooks.map(follow));
  drawSide();
  drawMain();
}

async function start(): Promise<void> {
  root.replaceChildren(side, main);
  drawSide();
  drawMain();
  app = await connect();
  await app.collections.watchList(() => void refresh().catch(fail));
  await refresh();
  addEventListener('pagehide', () => void leave());
}
start().catch(fail);
