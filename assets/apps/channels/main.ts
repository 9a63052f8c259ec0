import { connect } from '../../../src-shared/sdk/index.ts';
import type { App, AppStream } from '../../../src-shared/sdk/index.ts';
import { askLine, h, icon } from '../common/dom.ts';
import { createPanes } from '../common/panes.ts';
import {
  findChannels,
  openFollowed,
  openOwn,
  pictureOf,
  type Channel,
  type Followed,
  type OwnChannel,
  type Page,
  type Recording,
} from './channel.ts';
import { openAdd, sizeText } from './recordings.ts';
import { askAbout, clock, dates, face, facts, liveMark, nameOf, poster, viewersText } from './view.ts';
import { idOf, openWatching, type Shown, type Watching } from './watch.ts';
import { say, words } from './words.ts';

const { root, side, main, problem, fail, run } = createPanes(words.failed);

/** How often those who are there are asked for their channels, ms. */
const askEvery = 20_000;

let app: App;
let self = '';
let name = '';
let own: OwnChannel;
let followed: Followed;
let ownPage: Page | null = null;
let streams: readonly AppStream[] = [];
/** By owner: those that answer, and copies of those that are followed. */
let channels = new Map<string, Channel>();
let following = new Set<string>();
/** Others may see the person's channel: ExtraChain answers for it, also while this page is closed. */
let offered = false;
/** Pictures of recordings and streams by name; '' for one without. */
const pictures = new Map<string, string | Promise<string>>();
/** What is open: `channel` of somebody (one's own, too), or something that plays. */
let open: { readonly channel: string } | Shown | null = null;
let watching: Watching | null = null;

const liveNow = (): readonly AppStream[] => streams.filter(({ state }) => state === 'live');
const pageOf = (owner: string): Page | null => (owner === self ? ownPage : (channels.get(owner) ?? null));
const titleOf = (owner: string | null): string =>
  nameOf(owner === null ? undefined : pageOf(owner)?.title, owner);

function show(next: typeof open): void {
  watching?.close();
  watching = null;
  open = next;
  if (next && !('channel' in next))
    watching = openWatching(app, next, {
      self,
      name: () => name,
      titleOf: (user) => pageOf(user)?.title ?? '',
      fail,
    });
  draw();
  main.scrollTop = 0;
  // What somebody opens is asked for now, not when the next look is due.
  if (next && 'channel' in next && next.channel !== self) void look().catch(fail);
}
const watch = (stream: AppStream): void => show({ kind: 'stream', owner: stream.userId, stream });

function row(
  current: boolean,
  mark: HTMLElement,
  title: string,
  text: string,
  act: () => void,
  extra: HTMLElement | null = null,
): HTMLElement {
  return h(
    'button',
    { class: 'row', 'aria-current': current ? 'true' : null, onclick: act },
    mark,
    h('span', {}, h('b', {}, title), h('span', { class: 'quiet' }, text)),
    extra,
  );
}

function drawSide(): void {
  const live = liveNow().map((one) =>
    row(
      open !== null && !('channel' in open) && idOf(open) === one.streamId,
      face(one.userId ?? one.streamId, titleOf(one.userId)),
      one.title,
      titleOf(one.userId),
      () => watch(one),
      liveMark(),
    ),
  );
  const others = [...channels.values()].map((one) =>
    row(
      open !== null && 'channel' in open && open.channel === one.owner,
      face(one.owner, one.title),
      one.title,
      one.about.split('\n')[0] ?? '',
      () => show({ channel: one.owner }),
    ),
  );
  const mine = ownPage
    ? row(
        open !== null && 'channel' in open && open.channel === self,
        face(self, ownPage.title),
        ownPage.title,
        ownPage.about.split('\n')[0] ?? '',
        () => show({ channel: self }),
      )
    : h('button', { class: 'button wide', onclick: run(describe) }, words.make);
  side.replaceChildren(
    h('header', { class: 'bar' }, h('h1', {}, words.title)),
    h(
      'nav',
      { class: 'list' },
      h('h2', {}, words.liveNow),
      ...(live.length > 0 ? live : [h('p', { class: 'quiet none' }, words.nobodyLive)]),
      h('h2', {}, words.channels),
      ...(others.length > 0 ? others : [h('p', { class: 'quiet none' }, words.noChannels)]),
      h('h2', {}, words.yours),
      mine,
    ),
    h(
      'footer',
      { class: 'foot quiet' },
      h('span', {}, words.yourName),
      h('button', { class: 'button', onclick: run(rename) }, name || words.choose),
    ),
  );
}

const back = (): HTMLElement =>
  h(
    'button',
    { class: 'tool only-narrow', 'aria-label': words.back, onclick: () => show(null) },
    icon('back'),
  );

function drawHome(): void {
  const live = liveNow();
  main.replaceChildren(
    h('header', { class: 'bar' }, h('h1', {}, words.liveNow)),
    problem,
    live.length > 0
      ? h('div', { class: 'page' }, h('div', { class: 'cards' }, ...live.map(streamCard)))
      : h(
          'div',
          { class: 'blank' },
          h('h2', {}, words.nobodyLive),
          h('p', { class: 'quiet' }, ownPage ? words.goLive : words.makeText),
          !ownPage && h('button', { class: 'button primary', onclick: run(describe) }, words.make),
        ),
  );
}

function streamCard(one: AppStream): HTMLElement {
  return h(
    'button',
    { class: 'card', onclick: () => watch(one) },
    streamPicture(one),
    h('b', {}, one.title),
    h('span', { class: 'quiet' }, facts(titleOf(one.userId), viewersText(one.viewers))),
  );
}
/** Shows a picture in its place once it has come; asked for once by its name. */
function fill(place: HTMLElement, name: string, ask: () => Promise<string | null>): HTMLElement {
  const known = pictures.get(name);
  const show = (url: string): void => {
    if (url !== '') place.prepend(h('img', { src: url, alt: '' }));
  };
  if (typeof known === 'string') {
    show(known);
    return place;
  }
  const coming =
    known ??
    ask().then((url) => {
      pictures.set(name, url ?? '');
      return url ?? '';
    });
  pictures.set(name, coming);
  coming.then(show, () => pictures.delete(name));
  return place;
}
const streamPicture = (one: AppStream): HTMLElement => {
  const place = poster(one.streamId, icon('play'), liveMark());
  return one.poster === null ? place : fill(place, one.poster, () => app.streams.poster(one.streamId));
};
/** The picture of a recording: a coloured place until it has come. */
function pictured(owner: string, { id }: Recording): HTMLElement {
  const channel = channels.get(owner);
  const place = poster(id, icon('play'));
  if (owner === self) return fill(place, id, () => own.picture(id));
  return channel ? fill(place, id, () => pictureOf(app, channel, id)) : place;
}
function recordingCard(owner: string, one: Recording, editable: boolean): HTMLElement {
  return h(
    'div',
    { class: 'carded' },
    h(
      'button',
      { class: 'card', onclick: () => show({ kind: 'recording', owner, recording: one }) },
      pictured(owner, one),
      h('b', {}, one.title),
      h('span', { class: 'quiet' }, `${dates.format(one.time)} · ${sizeText(one.size)}`),
    ),
    editable &&
      h(
        'button',
        {
          class: 'tool',
          title: words.remove,
          'aria-label': `${words.remove}: ${one.title}`,
          onclick: run(() => own.remove(one.id)),
        },
        icon('trash'),
      ),
  );
}
function recordingsOf(owner: string, page: Page, editable = false): HTMLElement {
  return h(
    'section',
    {},
    h('h2', {}, words.recordings),
    page.recordings.length === 0
      ? h('p', { class: 'quiet' }, words.noRecordings)
      : h('div', { class: 'cards' }, ...page.recordings.map((one) => recordingCard(owner, one, editable))),
  );
}

function followButton(owner: string): HTMLElement | null {
  const channel = channels.get(owner);
  if (!channel) return null;
  const is = following.has(owner);
  return h(
    'button',
    {
      class: is ? 'button' : 'button primary',
      onclick: run(async () => {
        await (is ? followed.drop(owner) : followed.keep(channel));
        await look();
      }),
    },
    is ? words.unfollow : words.follow,
  );
}

function drawChannel(owner: string): void {
  const page = pageOf(owner);
  if (!page) {
    open = null;
    return drawHome();
  }
  const mine = owner === self;
  const live = liveNow().filter(({ userId }) => userId === owner);
  const past = page.streams.filter(({ id }) => !live.some(({ streamId }) => streamId === id));
  main.replaceChildren(
    h(
      'header',
      { class: 'bar' },
      back(),
      h('h1', { class: 'name' }, page.title),
      mine && h('button', { class: 'button', onclick: run(describe) }, words.edit),
      followButton(owner),
    ),
    problem,
    h(
      'div',
      { class: 'page' },
      !mine && channels.get(owner)?.here === false && h('p', { class: 'quiet' }, words.away),
      mine &&
        h(
          'p',
          { class: 'quiet notice' },
          offered ? words.shown : words.hidden,
          !offered && h('button', { class: 'button', onclick: run(offer) }, words.show),
        ),
      page.about !== '' && h('p', { class: 'about' }, page.about),
      live.length > 0 && h('div', { class: 'cards' }, ...live.map(streamCard)),
      mine && live.length === 0 && h('p', { class: 'quiet' }, words.goLive),
      recordingsOf(owner, page, mine),
      mine &&
        h(
          'button',
          { class: 'button', onclick: run(() => openAdd(app, own, fail)) },
          icon('plus'),
          words.add,
        ),
      h(
        'section',
        {},
        h('h2', {}, words.streams),
        past.length === 0
          ? h('p', { class: 'quiet' }, words.noStreams)
          : h(
              'ul',
              { class: 'past' },
              ...past.map((one) =>
                h(
                  'li',
                  {},
                  h('b', {}, one.title),
                  h('time', { class: 'quiet' }, dates.format(one.startedAt)),
                ),
              ),
            ),
      ),
    ),
  );
}

/** Only what stands below the picture is drawn anew: the picture goes on. */
function drawWatching(shown: Shown, now: Watching): void {
  const { owner } = shown;
  const page = owner === null ? null : pageOf(owner);
  const title = shown.kind === 'stream' ? shown.stream.title : shown.recording.title;
  const current =
    shown.kind === 'stream' ? streams.find(({ streamId }) => streamId === shown.stream.streamId) : undefined;
  const known =
    shown.kind === 'stream'
      ? [
          say(words.since, { time: clock.format(Date.parse(shown.stream.startedAt)) }),
          viewersText(current?.viewers ?? 0),
        ]
      : [dates.format(shown.recording.time)];
  now.below.replaceChildren(
    h(
      'div',
      { class: 'who' },
      face(owner ?? idOf(shown), titleOf(owner)),
      h(
        'div',
        { class: 'what' },
        h('h2', {}, title),
        h('p', { class: 'quiet' }, facts(titleOf(owner), ...known)),
      ),
      owner !== null &&
        owner !== self &&
        h(
          'div',
          { class: 'acts' },
          h('button', { class: 'button', onclick: run(() => now.tip()) }, words.tip),
          followButton(owner),
        ),
    ),
  );
  now.more.replaceChildren(page && owner !== null ? recordingsOf(owner, page) : '');
  if (main.contains(now.element)) return;
  main.replaceChildren(
    h(
      'header',
      { class: 'bar' },
      back(),
      h(
        'h1',
        { class: 'name' },
        page && owner !== null
          ? h('button', { class: 'link', onclick: () => show({ channel: owner }) }, page.title)
          : title,
      ),
    ),
    problem,
    now.element,
  );
}

function draw(): void {
  root.classList.toggle('open', open !== null);
  drawSide();
  if (open === null) drawHome();
  else if ('channel' in open) drawChannel(open.channel);
  else if (watching) drawWatching(open, watching);
}

/** Makes the person's channel, or changes what it says. */
async function describe(): Promise<void> {
  const about = await askAbout(ownPage ? words.edit : words.make, ownPage ?? { title: '', about: '' });
  if (!about) return;
  const isNew = ownPage === null;
  await own.describe(about);
  await readOwn();
  show({ channel: self });
  if (isNew) await offer();
}
async function offer(): Promise<void> {
  if (offered) return;
  await app.ask('services.provide');
  offered = true;
  draw();
}
async function rename(): Promise<void> {
  const next = await askLine(words.yourName, { label: words.yourName, ok: words.save, cancel: words.cancel });
  if (next === null) return;
  name = next.slice(0, 60);
  await followed.setName(name);
  drawSide();
}

async function readOwn(): Promise<void> {
  ownPage = await own.read();
}
async function readStreams(): Promise<void> {
  streams = await app.streams.list();
  // What is for those alone who have its link is not told by the channel.
  const mine = liveNow().filter(({ userId, audience }) => userId === self && audience === 'public');
  if (ownPage) await own.note(mine);
}
/** Asks those who are there for their channels; of those that are followed the copy is renewed. */
async function look(): Promise<void> {
  const [copies, found] = await Promise.all([followed.list(), findChannels(app, self)]);
  const before = JSON.stringify([...following, ...channels]);
  following = new Set(copies.map(({ owner }) => owner));
  channels = new Map([...copies, ...found].map((one) => [one.owner, one]));
  for (const one of found) {
    const copy = copies.find(({ owner }) => owner === one.owner);
    if (copy && JSON.stringify({ ...copy, here: true }) !== JSON.stringify(one)) await followed.keep(one);
  }
  // Drawn anew only for a reason: what has the focus keeps it.
  if (JSON.stringify([...following, ...channels]) !== before) draw();
}

async function start(): Promise<void> {
  root.replaceChildren(side, main);
  app = await connect();
  self = await app.collections.self();
  [own, followed] = await Promise.all([openOwn(app), openFollowed(app)]);
  name = await followed.name();
  await readOwn();
  await readStreams();
  draw();
  await own.watch(() => void readOwn().then(draw, fail));
  await app.streams.watchList(() => void readStreams().then(draw, fail));
  offered = await app.has('services.provide');
  draw();
  await look();
  app.onSessionChanged(() => {
    void app.has('services.provide').then((may) => {
      if (may === offered) return;
      offered = may;
      draw();
    }, fail);
  });
  setInterval(() => void look().catch(fail), askEvery);
  addEventListener('pagehide', () => watching?.close());
}
start().catch(fail);
