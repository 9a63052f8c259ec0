import type { App, AppStream, Collection } from '../../../src-shared/sdk/index.ts';
import definition from './page.json';

export interface ShownStream {
  readonly id: string;
  readonly title: string;
  /** ms since 1970. */
  readonly startedAt: number;
  /** null: live, as far as the channel's owner knew when he said so. */
  readonly endedAt: number | null;
}
export interface Recording {
  readonly id: string;
  readonly title: string;
  /** Opens the folder that it lies in. */
  readonly link: string;
  readonly path: string;
  readonly size: number;
  readonly time: number;
}
/** A channel as its owner shows it: what `page.json` describes. */
export interface Page {
  readonly title: string;
  readonly about: string;
  readonly streams: readonly ShownStream[];
  readonly recordings: readonly Recording[];
}
/** A channel of somebody, as it is known here. */
export interface Channel extends Page {
  readonly owner: string;
  /** Its owner's page answers now; otherwise this is a copy. */
  readonly here: boolean;
}

const mostStreams = 50;
const mostRecordings = 200;
/** Channels that are asked at once. */
const mostAsked = 60;
const ownName = 'Channel';
const followedName = 'Followed channels';

/** The collection of that name, made when there is none yet. */
async function collectionOf(app: App, name: string): Promise<Collection> {
  // Another computer of the person may have made it.
  for (const one of await app.collections.invitations()) {
    if (one.own && one.name === name) await app.collections.join(one.collection).catch(() => {});
  }
  const kept = (await app.collections.list()).find((one) => one.name === name);
  return kept ? app.collections.open(kept.collection) : app.collections.create(name);
}

/** The person's own channel: keys `about`, `stream/<id>`, `recording/<id>` and `folder/<folder>` of one collection. */
export interface OwnChannel {
  /** null: none was made. */
  read(): Promise<Page | null>;
  describe(about: Pick<Page, 'title' | 'about'>): Promise<void>;
  add(recording: Recording): Promise<void>;
  remove(id: string): Promise<void>;
  /** The link of a folder that was opened for recordings; null: it was not. */
  linkOf(folder: string): Promise<string | null>;
  opened(folder: string, link: string): Promise<void>;
  /** Takes down who is live now of the person's streams, and what has ended. */
  note(live: readonly AppStream[]): Promise<void>;
  watch(listener: () => void): Promise<void>;
}

export async function openOwn(app: App): Promise<OwnChannel> {
  const store = await collectionOf(app, ownName);
  const values = async <T>(prefix: string, limit: number): Promise<T[]> =>
    (await store.last(limit, { prefix })).map(({ value }) => value as T);
  const streams = async (): Promise<ShownStream[]> =>
    (await values<ShownStream>('stream/', 500))
      .sort((a, b) => b.startedAt - a.startedAt)
      .slice(0, mostStreams);
  return {
    async read() {
      const about = (await store.get('about'))?.value as Pick<Page, 'title' | 'about'> | undefined;
      if (!about) return null;
      const recordings = await values<Recording>('recording/', mostRecordings);
      return {
        title: about.title,
        about: about.about,
        streams: await streams(),
        recordings: recordings.sort((a, b) => b.time - a.time),
      };
    },
    describe: (about) => store.put('about', about),
    add: (recording) => store.put(`recording/${recording.id}`, recording),
    remove: (id) => store.remove(`recording/${id}`),
    linkOf: async (folder) => ((await store.get(`folder/${folder}`))?.value as string | undefined) ?? null,
    opened: (folder, link) => store.put(`folder/${folder}`, link),
    async note(live) {
      const before = await streams();
      const writes: Record<string, ShownStream> = {};
      for (const { streamId: id, title, startedAt } of live) {
        const known = before.find((one) => one.id === id);
        if (known?.endedAt === null && known.title === title) continue;
        writes[`stream/${id}`] = { id, title, startedAt: Date.parse(startedAt), endedAt: null };
      }
      for (const one of before) {
        if (one.endedAt !== null || live.some(({ streamId }) => streamId === one.id)) continue;
        writes[`stream/${one.id}`] = { ...one, endedAt: Date.now() };
      }
      if (Object.keys(writes).length > 0) await store.putAll(writes);
    },
    watch: async (listener) => void (await store.watch(listener)),
  };
}

/** Answers others who ask for the person's channel, as long as the page is open. */
export async function offerPage(app: App, own: OwnChannel): Promise<void> {
  await app.services.provide(
    { slug: 'channel', title: 'Channel', text: 'A page of streams and recordings.', interface: definition },
    {
      async page() {
        const page = await own.read();
        if (!page) throw new Error('There is no channel here.');
        return page;
      },
    },
  );
}

/** What this person follows, and what they are called beside streams. */
export interface Followed {
  list(): Promise<readonly Channel[]>;
  keep(channel: Channel): Promise<void>;
  drop(owner: string): Promise<void>;
  name(): Promise<string>;
  setName(name: string): Promise<void>;
}

export async function openFollowed(app: App): Promise<Followed> {
  const store = await collectionOf(app, followedName);
  return {
    list: async () =>
      (await store.last(500, { prefix: 'channel/' })).map(({ value }) => ({
        ...(value as Channel),
        here: false,
      })),
    keep: (channel) => store.put(`channel/${channel.owner}`, channel),
    drop: (owner) => store.remove(`channel/${owner}`),
    name: async () => ((await store.get('name'))?.value as string | undefined) ?? '',
    setName: (name) => store.put('name', name),
  };
}

/** The channels that answer now. One that fails is left out. */
export async function findChannels(app: App, self: string): Promise<readonly Channel[]> {
  const found = await app.services.find({ interface: await app.services.hashOf(definition) });
  const pages = await Promise.all(
    found
      .filter(({ owner, price }) => price === null && owner !== self)
      .slice(0, mostAsked)
      .map(async ({ service, owner }): Promise<Channel | null> => {
        try {
          const { value } = await app.services.call(service, 'page', {}, { timeout: 15 });
          return { ...(value as Page), owner, here: true };
        } catch {
          return null;
        }
      }),
  );
  return pages.filter((one) => one !== null);
}
