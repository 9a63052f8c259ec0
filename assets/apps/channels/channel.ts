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
  /** Its owner's computer answers now; otherwise this is a copy. */
  readonly here: boolean;
  /** What answers for it; '' for a copy. */
  readonly service: string;
}

const mostStreams = 50;
const mostRecordings = 200;
/** Channels that are asked at once. */
const mostAsked = 60;
/** Characters of a page as JSON: a value of a collection has at most 256 KiB. */
const mostPage = 200_000;
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

/**
 * The person's own channel: keys `about`, `stream/<id>`, `recording/<id>`, `picture/<id>` and `folder/<folder>` of one collection, and
 * `page`, which ExtraChain answers others with (`answers` of the manifest), also while this app is closed.
 */
export interface OwnChannel {
  /** null: none was made. */
  read(): Promise<Page | null>;
  describe(about: Pick<Page, 'title' | 'about'>): Promise<void>;
  /** @param picture as a data: URL; null: it has none */
  add(recording: Recording, picture: string | null): Promise<void>;
  remove(id: string): Promise<void>;
  /** Of a recording; null: it has none. */
  picture(id: string): Promise<string | null>;
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
  async function read(): Promise<Page | null> {
    const about = (await store.get('about'))?.value as Pick<Page, 'title' | 'about'> | undefined;
    if (!about) return null;
    const recordings = await values<Recording>('recording/', mostRecordings);
    return {
      title: about.title,
      about: about.about,
      streams: await streams(),
      recordings: recordings.sort((a, b) => b.time - a.time),
    };
  }
  /** Puts what others see beside what it is made of. */
  async function show(): Promise<void> {
    const page = await read();
    if (!page) return;
    let { recordings } = page;
    while (JSON.stringify({ ...page, recordings }).length > mostPage) recordings = recordings.slice(0, -1);
    const next = { ...page, recordings };
    const before = (await store.get('page'))?.value;
    if (JSON.stringify(before) !== JSON.stringify(next)) await store.put('page', next);
  }
  const then =
    <A extends unknown[]>(work: (...given: A) => Promise<unknown>) =>
    async (...given: A): Promise<void> => {
      await work(...given);
      await show();
    };
  await show();
  return {
    read,
    describe: then((about) => store.put('about', about)),
    add: then((recording: Recording, picture: string | null) =>
      store.putAll({
        [`recording/${recording.id}`]: recording,
        ...(picture !== null && { [`picture/${recording.id}`]: picture }),
      }),
    ),
    remove: then((id: string) => store.remove(`recording/${id}`, `picture/${id}`)),
    picture: async (id) => ((await store.get(`picture/${id}`))?.value as string | undefined) ?? null,
    linkOf: async (folder) => ((await store.get(`folder/${folder}`))?.value as string | undefined) ?? null,
    opened: (folder, link) => store.put(`folder/${folder}`, link),
    note: then(async (live: readonly AppStream[]) => {
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
    }),
    watch: async (listener) => void (await store.watch(listener)),
  };
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
        service: '',
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
          return { ...(value as Page), owner, here: true, service };
        } catch {
          return null;
        }
      }),
  );
  return pages.filter((one) => one !== null);
}

/** The picture of a recording on somebody's channel; null: it has none, or is not here now. */
export async function pictureOf(app: App, { service }: Channel, id: string): Promise<string | null> {
  if (service === '') return null;
  try {
    const { value } = await app.services.call(service, 'picture', { id }, { timeout: 15 });
    // What is shown is a picture whatever the other one answers: no address that something could be loaded from.
    return typeof value === 'string' && /^data:image\/(?:webp|jpeg|png);base64,[A-Za-z0-9+/=]+$/.test(value)
      ? value
      : null;
  } catch {
    return null;
  }
}
