import { AppRequestError, connect } from '../../../src-shared/sdk/index.ts';
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
import {
  attach,
  bytesOf,
  chooseFile,
  partKeys,
  pictureType,
  sizeText,
  type Attachment,
} from './attachments.ts';
import { openMembers } from './members.ts';
import { createDayNames, withLinks } from './text.ts';
import { words } from './words.ts';

const { root, side, main, problem, say: tell, fail, run } = createPanes(words.failed);

/** What stands under `m/<time>-<random>`. */
interface Message {
  readonly text: string;
  readonly file?: Attachment;
}

const dayNames = createDayNames(navigator.language);
const pageSize = 60;
/** Unread messages that are counted; more show as this with a plus. */
const mostUnread = 99;
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
/** What was begun in each group and not sent. */
const drafts = new Map<string, string>();
/** Pictures that were fetched, by attachment. */
const pictures = new Map<string, string>();
let open: { readonly info: AppCollection; readonly group: Collection } | null = null;
let shown = new Map<string, AppCollectionEntry>();
let names = new Map<string, string>();
let hasOlder = false;
/** What was there when the group was opened: what came after stands below a line. */
let seenBefore = '';
/** Rooms for other apps are offered from here; null while that is not known. */
let roomsOpen: boolean | null = null;
/** New messages are told while the page is hidden; null while that is not known. */
let tells: boolean | null = null;

/** How many are in the open group, under its name. */
const people = h('p', { class: 'quiet' });

const list = h('div', { class: 'messages', role: 'log', 'aria-live': 'polite' });

const nameOf = (user: string | null): string =>
  user === null ? '?' : (names.get(user) ?? (user === self ? words.you : shortId(user)));
const isMessage = (value: unknown): value is Message =>
  typeof value === 'object' && value !== null && typeof (value as Message).text === 'string';
const textOf = ({ value }: AppCollectionEntry): string =>
  isMessage(value) ? value.text || (value.file?.name ?? '') : '';

/** The last message of a group that was on the screen, kept by this browser. */
const readKey = (collection: string): string => `read/${collection}`;
const lastRead = (collection: string): string => localStorage.getItem(readKey(collection)) ?? '';
function markRead(collection: string): void {
  const last = lastOf.get(collection)?.key;
  if (last !== undefined && last > lastRead(collection)) localStorage.setItem(readKey(collection), last);
  unread.delete(collection);
}
/** How many of these came from others since the group was on the screen. */
const unreadIn = (collection: string, entries: readonly AppCollectionEntry[]): number =>
  entries.filter(({ key, user }) => key > lastRead(collection) && user !== self).length;

const byActivity = (a: AppCollection, b: AppCollection): number =>
  (lastOf.get(b.collection)?.time ?? '').localeCompare(lastOf.get(a.collection)?.time ?? '') ||
  a.name.localeCompare(b.name);

function drawSide(): void {
  const rows = [...groups].sort(byActivity).map((one) => {
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
        h(
          'span',
          { class: 'quiet' },
          last ? `${last.user === self ? `${words.youSaid} ` : ''}${textOf(last)}` : words.nothingYet,
        ),
      ),
      h(
        'span',
        { class: 'end' },
        last !== null &&
          last !== undefined &&
          h('time', { datetime: last.time }, dayNames.brief(new Date(last.time))),
        count > 0 &&
          h(
            'span',
            { class: 'count', title: words.unread.replace('{n}', String(count)) },
            count > mostUnread ? `${mostUnread}+` : String(count),
          ),
      ),
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
    h(
      'nav',
      { class: 'list' },
      ...invited,
      ...rows,
      rows.length + invited.length === 0 && welcome('only-narrow'),
    ),
    self === ''
      ? ''
      : h(
          'footer',
          { class: 'foot quiet' },
          words.yourId,
          h('br'),
          h('code', { class: 'own-id' }, self),
          tells === false &&
            h(
              'p',
              { class: 'rooms' },
              h('button', { class: 'button', onclick: run(askToTell) }, words.tellMe),
            ),
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

function drawPeople(): void {
  const count = groups.find(({ collection }) => collection === open?.info.collection)?.members ?? 1;
  people.textContent = count > 1 ? words.people.replace('{n}', String(count)) : words.alone;
}

async function askToTell(): Promise<void> {
  await app.ask('notifications');
  tells = true;
  drawSide();
}

/** What stands there while no group is open; on a narrow screen in the list, as there is no other pane. */
const welcome = (also: string): HTMLElement =>
  h(
    'div',
    { class: `blank ${also}` },
    h('h2', {}, words.welcome),
    h('p', { class: 'quiet' }, groups.length === 0 ? words.welcomeText : words.chooseGroup),
    h('button', { class: 'button primary', onclick: run(create) }, words.newGroup),
  );

function drawMain(): void {
  root.classList.toggle('open', open !== null);
  if (!open) {
    main.replaceChildren(welcome(''), problem);
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
    drafts.delete(info.collection);
    fit();
    try {
      await say(group, { text });
    } catch (error) {
      // What could not be said is not lost.
      if (field.value === '') field.value = text;
      fit();
      throw error;
    }
  });
  const fit = (): void => {
    field.style.height = 'auto';
    field.style.height = `${Math.min(160, field.scrollHeight + 2)}px`;
  };
  field.value = drafts.get(info.collection) ?? '';
  field.addEventListener('input', () => {
    drafts.set(info.collection, field.value);
    fit();
  });
  field.addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    run(() => sendFiles(group, files))();
  });
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
      h('div', {}, h('h1', { class: 'group-name' }, info.name), people),
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
  drawPeople();
  drawMessages();
  fit();
  field.focus();
}

function drawMessages(): void {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  const entries = [...shown.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  const children: HTMLElement[] = [];
  let hasLine = false;
  let day = '';
  let author: string | null = null;
  for (const entry of entries) {
    if (!isMessage(entry.value)) continue;
    const time = new Date(entry.time);
    const today = dayNames.day(time);
    if (today !== day) {
      children.push(h('p', { class: 'day' }, today));
      author = null;
    }
    day = today;
    const mine = entry.user === self;
    const { text, file } = entry.value;
    if (!hasLine && !mine && seenBefore !== '' && entry.key > seenBefore) {
      hasLine = true;
      children.push(h('p', { class: 'news' }, words.news));
      author = null;
    }
    children.push(
      h(
        'article',
        { class: mine ? 'bubble mine' : 'bubble' },
        !mine && entry.user !== author && h('b', { class: 'author' }, nameOf(entry.user)),
        text !== '' && h('p', {}, ...withLinks(text, (address) => run(() => app.openLink(address))())),
        file !== undefined && attachment(file),
        h(
          'footer',
          {},
          mine &&
            open?.info.role !== 'reader' &&
            h(
              'button',
              { class: 'take-back', onclick: run(() => takeBack(entry)), title: words.takeBack },
              words.takeBack,
            ),
          h(
            'time',
            { datetime: entry.time, title: time.toLocaleString(navigator.language) },
            dayNames.clock(time),
          ),
        ),
      ),
    );
    author = entry.user;
  }
  if (hasOlder) children.unshift(h('button', { class: 'button older', onclick: run(older) }, words.older));
  if (children.length === 0) {
    const text = (open?.info.members ?? 1) > 1 ? words.nothingYet : words.aloneText;
    children.push(h('p', { class: 'blank quiet' }, text));
  }
  list.replaceChildren(...children);
  if (atEnd) list.scrollTop = list.scrollHeight;
}

/** A picture is shown where it was sent, and large on a click; any other file is saved by one. */
function attachment(file: Attachment): HTMLElement {
  const type = pictureType(file.name);
  const saved = savedFile(file);
  if (type === null || !open) return saved;
  const { group } = open;
  const picture = h('img', { alt: file.name, class: 'picture' });
  const url = pictures.get(file.id);
  const place = (address: string): void => {
    picture.src = address;
    saved.replaceChildren(picture);
    saved.classList.add('pictured');
    saved.setAttribute('aria-label', file.name);
    saved.onclick = () => showPicture(address, file);
  };
  if (url !== undefined) place(url);
  else
    void bytesOf(group, file).then((bytes) => {
      if (!bytes) return;
      const made = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>], { type }));
      pictures.set(file.id, made);
      const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
      place(made);
      picture.addEventListener('load', () => {
        if (atEnd) list.scrollTop = list.scrollHeight;
      });
    }, fail);
  return saved;
}

function savedFile(file: Attachment): HTMLElement {
  return h(
    'button',
    {
      class: 'file',
      onclick: run(async () => {
        if (!pictures.has(file.id)) await save(file);
      }),
    },
    icon('file'),
    h('span', {}, h('b', {}, file.name), h('span', { class: 'quiet' }, sizeText(file.size))),
  );
}

/** Puts a file into a folder that the person picks once: a page of an app downloads nothing. */
async function save(file: Attachment): Promise<void> {
  const bytes = open && (await bytesOf(open.group, file));
  if (!bytes) throw new Error(words.onItsWay);
  const known = (await app.has('drive.write')) ? await app.drives.folders() : [];
  const folder =
    known.find(({ access, missing }) => access === 'write' && !missing) ??
    (await app.drives.pick({ access: 'write', reason: words.saveReason }));
  const dot = file.name.lastIndexOf('.');
  const [stem, end] = dot > 0 ? [file.name.slice(0, dot), file.name.slice(dot)] : [file.name, ''];
  for (let n = 1; ; n += 1) {
    const name = (n === 1 ? file.name : `${stem} (${n})${end}`).replaceAll('/', '_');
    try {
      await folder.write(name, bytes);
      tell(words.savedIn.replace('{name}', name).replace('{folder}', folder.name));
      return;
    } catch (error) {
      const taken = error instanceof AppRequestError && error.word === 'already_exists';
      if (!taken || n >= 50) throw error;
    }
  }
}

function showPicture(address: string, file: Attachment): void {
  const dialog = h(
    'dialog',
    { class: 'box large', 'aria-label': file.name, onclose: () => dialog.remove() },
    h(
      'section',
      {},
      h('img', { src: address, alt: file.name }),
      h(
        'footer',
        {},
        h('span', { class: 'quiet' }, `${file.name} · ${sizeText(file.size)}`),
        h(
          'button',
          { class: 'button', onclick: () => void save(file).then(() => dialog.close(), fail) },
          words.save,
        ),
        h('button', { class: 'button primary', onclick: () => dialog.close() }, words.close),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}

async function say(group: Collection, message: Message): Promise<void> {
  const key = `m/${Date.now().toString().padStart(14, '0')}-${crypto.randomUUID().slice(0, 8)}`;
  await group.put(key, message);
}

async function addFile(group: Collection): Promise<void> {
  const chosen = await chooseFile(app);
  for (const { name, bytes } of chosen)
    await say(group, { text: '', file: await attach(group, name, bytes) });
}

/** Files that were pasted or dropped here. */
async function sendFiles(group: Collection, files: readonly File[]): Promise<void> {
  for (const file of files) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    await say(group, { text: '', file: await attach(group, file.name, bytes) });
  }
}

/** A message disappears for everybody; its file, too. */
async function takeBack({ key, value }: AppCollectionEntry): Promise<void> {
  if (
    !open ||
    !(await confirm(words.takeBackAsk, {
      text: words.takeBackText,
      ok: words.takeBack,
      cancel: words.cancel,
    }))
  )
    return;
  const parts = isMessage(value) && value.file ? partKeys(value.file) : [];
  await open.group.remove(key, ...parts);
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
  if (open?.info.collection !== info.collection) seenBefore = lastRead(info.collection);
  open = { info, group };
  markRead(info.collection);
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
  const latest = await group.last(mostUnread + 1, { prefix: 'm/' });
  const newest = latest.reduce<AppCollectionEntry | null>((a, b) => (a && a.key > b.key ? a : b), null);
  lastOf.set(info.collection, newest);
  // Of a group that is seen for the first time here nothing was missed.
  if (localStorage.getItem(readKey(info.collection)) === null) markRead(info.collection);
  const missed = unreadIn(info.collection, latest);
  if (missed > 0) unread.set(info.collection, missed);
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
        else if (seenBefore === '' || document.hidden) seenBefore = lastRead(info.collection);
        app.notify(info.name, textOf(entry).slice(0, 100)).catch(() => {});
      }
    }
    if (isOpen && !document.hidden) markRead(info.collection);
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
  if (self === '') self = await app.collections.self();
  await Promise.all(groups.map(follow));
  drawPeople();
  drawSide();
}

/** What the person allows now. */
async function look(): Promise<void> {
  const [rooms, notices] = await Promise.all([app.has('services.provide'), app.has('notifications')]);
  if (rooms === roomsOpen && notices === tells) return;
  roomsOpen = rooms;
  tells = notices;
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
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && open) markRead(open.info.collection);
  });
  main.addEventListener('dragover', (event) => event.preventDefault());
  main.addEventListener('drop', (event) => {
    event.preventDefault();
    const files = [...(event.dataTransfer?.files ?? [])];
    if (open && open.info.role !== 'reader' && files.length > 0) {
      const { group } = open;
      run(() => sendFiles(group, files))();
    }
  });
  app.onSessionChanged(() => {
    void look().catch(fail);
  });
  await look();
}
begin().catch(fail);
