import { connect } from '../../../src-shared/sdk/index.ts';
import type {
  App,
  AppCollection,
  AppCollectionEntry,
  AppCollectionInvitation,
  Collection,
} from '../../../src-shared/sdk/index.ts';
import { askLine, h, icon, shortId } from '../common/dom.ts';
import { createPanes } from '../common/panes.ts';
import { invitationCard } from '../common/invitation.ts';
import { attach, bytesOf, chooseFile, sizeText, type Attachment } from './attachments.ts';
import { openMembers } from './members.ts';
import { words } from './words.ts';

const { root, side, main, problem, fail, run } = createPanes(words.failed);

/** What stands under `m/<time>-<random>`. */
interface Message {
  readonly text: string;
  readonly file?: Attachment;
}

const days = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const clockTime = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const pageSize = 60;
/** The collection of rooms that other apps talk in (`answers` of the manifest): no group. */
const roomsName = 'Rooms of other apps';

let app: App;
let self = '';
let groups: readonly AppCollection[] = [];
let invitations: readonly AppCollectionInvitation[] = [];
/** The last message of each group, for the list. */
const lastOf = new Map<string, AppCollectionEntry | null>();
const unread = new Map<string, number>();
const watches = new Map<string, () => void>();
let open: { readonly info: AppCollection; readonly group: Collection } | null = null;
let shown = new Map<string, AppCollectionEntry>();
let names = new Map<string, string>();
let hasOlder = false;
/** Rooms for other apps are offered from here; null while that is not known. */
let roomsOpen: boolean | null = null;

const list = h('div', { class: 'messages', role: 'log', 'aria-live': 'polite' });

const nameOf = (user: string | null): string =>
  user === null ? '?' : (names.get(user) ?? (user === self ? words.you : shortId(user)));
const isMessage = (value: unknown): value is Message =>
  typeof value === 'object' && value !== null && typeof (value as Message).text === 'string';
const textOf = ({ value }: AppCollectionEntry): string =>
  isMessage(value) ? value.text || (value.file?.name ?? '') : '';

function drawSide(): void {
  const rows = groups.map((one) => {
    const last = lastOf.get(one.collection);
    const count = unread.get(one.collection) ?? 0;
    return h(
      'button',
      {
        class: 'row',
        'aria-current': open?.info.collection === one.collection ? 'true' : null,
        onclick: run(() => show(one)),
      },
      h('span', { class: 'face', 'aria-hidden': true }, [...one.name][0]?.toUpperCase() ?? '#'),
      h(
        'span',
        {},
        h('b', {}, one.name),
        h('span', { class: 'quiet' }, last ? textOf(last) : words.nothingYet),
      ),
      count > 0 && h('span', { class: 'count' }, String(count)),
    );
  });
  const invited = invitations.map((one) =>
    invitationCard(one, words, {
      join: run(() => join(one)),
      decline: run(() => app.collections.decline(one.collection)),
    }),
  );
  side.replaceChildren(
    h(
      'header',
      { class: 'bar' },
      h('h1', {}, words.title),
      h(
        'button',
        { class: 'tool', title: words.newGroup, 'aria-label': words.newGroup, onclick: run(create) },
        icon('plus'),
      ),
    ),
    h('nav', { class: 'list' }, ...invited, ...rows),
    self === ''
      ? ''
      : h(
          'footer',
          { class: 'foot quiet' },
          words.yourId,
          h('br'),
          h('code', { class: 'own-id' }, self),
          roomsOpen !== null &&
            h(
              'p',
              { class: 'rooms' },
              roomsOpen ? words.roomsOpen : words.roomsText,
              !roomsOpen && h('button', { class: 'button', onclick: run(openRooms) }, words.openRooms),
            ),
        ),
  );
}

/** Lets ExtraChain keep rooms that other apps talk in (`answers` of the manifest), also while this page is closed. */
async function openRooms(): Promise<void> {
  await app.ask('services.provide');
  roomsOpen = true;
  drawSide();
}

function drawMain(): void {
  root.classList.toggle('open', open !== null);
  if (!open) {
    const text = groups.length === 0 ? words.welcomeText : words.chooseGroup;
    main.replaceChildren(
      h(
        'div',
        { class: 'blank' },
        h('h2', {}, words.welcome),
        h('p', { class: 'quiet' }, text),
        h('button', { class: 'button primary', onclick: run(create) }, words.newGroup),
      ),
      problem,
    );
    return;
  }
  const { info, group } = open;
  const field = h('textarea', {
    rows: 1,
    placeholder: words.write,
    'aria-label': words.write,
    maxlength: 20000,
  });
  const send = run(async () => {
    const text = field.value.trim();
    if (text === '') return;
    field.value = '';
    fit();
    await say(group, { text });
  });
  const fit = (): void => {
    field.rows = Math.min(6, field.value.split('\n').length);
  };
  field.addEventListener('input', fit);
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  main.replaceChildren(
    h(
      'header',
      { class: 'bar' },
      h(
        'button',
        {
          class: 'tool only-narrow',
          'aria-label': words.back,
          onclick: () => ((open = null), drawSide(), drawMain()),
        },
        icon('back'),
      ),
      h('div', {}, h('h1', { class: 'group-name' }, info.name)),
      h(
        'button',
        {
          class: 'tool',
          title: words.members,
          'aria-label': words.members,
          onclick: () =>
            openMembers({
              group,
              name: info.name,
              names,
              self,
              fail,
              left: () => void refresh().catch(fail),
            }),
        },
        icon('people'),
      ),
    ),
    list,
    problem,
    info.role === 'reader'
      ? h('p', { class: 'foot quiet' }, words.readOnly)
      : h(
          'form',
          { class: 'composer', onsubmit: (event: Event) => (event.preventDefault(), send()) },
          h(
            'button',
            {
              type: 'button',
              class: 'tool',
              title: words.attach,
              'aria-label': words.attach,
              onclick: run(() => addFile(group)),
            },
            icon('clip'),
          ),
          field,
          h('button', { class: 'tool send', title: words.send, 'aria-label': words.send }, icon('send')),
        ),
  );
  drawMessages();
  field.focus();
}

function drawMessages(): void {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  const entries = [...shown.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  const children: HTMLElement[] = [];
  let day = '';
  let author: string | null = null;
  for (const entry of entries) {
    if (!isMessage(entry.value)) continue;
    const time = new Date(entry.time);
    const today = days.format(time);
    if (today !== day) {
      children.push(h('p', { class: 'day' }, today));
      author = null;
    }
    day = today;
    const mine = entry.user === self;
    const { text, file } = entry.value;
    children.push(
      h(
        'article',
        { class: mine ? 'bubble mine' : 'bubble' },
        !mine && entry.user !== author && h('b', { class: 'author' }, nameOf(entry.user)),
        text !== '' && h('p', {}, text),
        file !== undefined && attachment(file),
        h('time', { datetime: entry.time }, clockTime.format(time)),
      ),
    );
    author = entry.user;
  }
  if (hasOlder) children.unshift(h('button', { class: 'button older', onclick: run(older) }, words.older));
  if (children.length === 0) children.push(h('p', { class: 'blank quiet' }, words.nothingYet));
  list.replaceChildren(...children);
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function attachment(file: Attachment): HTMLElement {
  return h(
    'button',
    {
      class: 'file',
      onclick: run(async () => {
        const bytes = open && (await bytesOf(open.group, file));
        if (!bytes) throw new Error(words.onItsWay);
        const url = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>]));
        h('a', { href: url, download: file.name }).click();
        setTimeout(() => URL.revokeObjectURL(url), 60_000);
      }),
    },
    icon('file'),
    h('span', {}, h('b', {}, file.name), h('span', { class: 'quiet' }, sizeText(file.size))),
  );
}

async function say(group: Collection, message: Message): Promise<void> {
  const key = `m/${Date.now().toString().padStart(14, '0')}-${crypto.randomUUID().slice(0, 8)}`;
  await group.put(key, message);
}

async function addFile(group: Collection): Promise<void> {
  if (!(await app.has('drive.read'))) await app.ask('drive.read');
  const chosen = await chooseFile(app);
  if (chosen) await say(group, { text: '', file: await attach(group, chosen.name, chosen.bytes) });
}

async function create(): Promise<void> {
  const name = await askLine(words.newGroup, {
    label: words.groupName,
    ok: words.create,
    cancel: words.cancel,
  });
  if (!name) return;
  const { id } = await app.collections.create(name);
  await refresh();
  const made = groups.find((one) => one.collection === id);
  if (made) await show(made);
}

async function join({ collection }: AppCollectionInvitation): Promise<void> {
  await app.collections.join(collection);
  await refresh();
  const joined = groups.find((one) => one.collection === collection);
  if (joined) await show(joined);
}

async function show(info: AppCollection): Promise<void> {
  const group = app.collections.open(info.collection);
  const [messages, people, members] = await Promise.all([
    group.last(pageSize, { prefix: 'm/' }),
    group.last(200, { prefix: 'name/' }),
    group.members(),
  ]);
  self = members.self;
  open = { info, group };
  unread.delete(info.collection);
  shown = new Map(messages.map((entry) => [entry.key, entry]));
  names = namesIn(people);
  hasOlder = messages.length === pageSize;
  drawSide();
  drawMain();
  list.scrollTop = list.scrollHeight;
}

/** A name counts when its person wrote it. */
function namesIn(entries: readonly AppCollectionEntry[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const { key, user, value } of entries) {
    if (user !== null && key === `name/${user}` && typeof value === 'string' && value !== '') {
      found.set(user, value.slice(0, 60));
    }
  }
  return found;
}

async function older(): Promise<void> {
  const first = [...shown.keys()].sort()[0];
  if (!open || first === undefined) return;
  const more = await open.group.last(pageSize, { prefix: 'm/', before: first });
  for (const entry of more) shown.set(entry.key, entry);
  hasOlder = more.length === pageSize;
  const height = list.scrollHeight;
  drawMessages();
  list.scrollTop += list.scrollHeight - height;
}

/** Follows a group: what is said in it is shown at once, or counted. */
async function follow(info: AppCollection): Promise<void> {
  if (watches.has(info.collection)) return;
  watches.set(info.collection, () => {});
  const group = app.collections.open(info.collection);
  const [last] = await group.last(1, { prefix: 'm/' });
  lastOf.set(info.collection, last ?? null);
  const stop = await group.watch((changes) => {
    const isOpen = open?.info.collection === info.collection;
    if (changes.length === 0 && isOpen) return void show(info).catch(fail);
    for (const { key, entry } of changes) {
      if (key.startsWith('name/') && entry && isOpen) {
        for (const [user, name] of namesIn([entry])) names.set(user, name);
      }
      if (!key.startsWith('m/')) continue;
      if (isOpen && entry) shown.set(key, entry);
      else if (isOpen) shown.delete(key);
      if (!entry) continue;
      const before = lastOf.get(info.collection);
      if (!before || before.key < key) lastOf.set(info.collection, entry);
      const news = entry.user !== self && (!isOpen || document.hidden);
      if (news) {
        if (!isOpen) unread.set(info.collection, (unread.get(info.collection) ?? 0) + 1);
        app.notify(info.name, textOf(entry).slice(0, 100)).catch(() => {});
      }
    }
    if (isOpen) drawMessages();
    drawSide();
  });
  watches.set(info.collection, stop);
}

async function refresh(): Promise<void> {
  const [kept, invited] = await Promise.all([app.collections.list(), app.collections.invitations()]);
  groups = kept.filter(({ name }) => name !== roomsName);
  // Another computer of the person has it already: nothing to decide.
  for (const one of invited.filter(({ own }) => own))
    void app.collections.join(one.collection).catch(() => {});
  invitations = invited.filter(({ own, name }) => !own && name !== roomsName);
  if (open && !groups.some(({ collection }) => collection === open?.info.collection)) {
    open = null;
    drawMain();
  }
  await Promise.all(groups.map(follow));
  if (self === '') self = await app.collections.self();
  drawSide();
}

async function begin(): Promise<void> {
  root.replaceChildren(side, main);
  drawSide();
  drawMain();
  app = await connect();
  await app.collections.watchList(() => void refresh().catch(fail));
  await refresh();
  drawMain();
  app.onSessionChanged(() => {
    void app.has('services.provide').then((may) => {
      if (may === roomsOpen) return;
      roomsOpen = may;
      drawSide();
    }, fail);
  });
  roomsOpen = await app.has('services.provide');
  drawSide();
}
begin().catch(fail);
