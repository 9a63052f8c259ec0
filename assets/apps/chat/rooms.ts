import type { App, Collection } from '../../../src-shared/sdk/index.ts';
import definition from './rooms.json';

interface Said {
  readonly user: string;
  readonly name: string;
  readonly text: string;
}
interface Shown extends Said {
  readonly id: string;
  readonly time: number;
}
interface RoomParams {
  readonly room: string;
}

/** Messages kept in a room; the oldest give way, so many at a time. A collection answers with 1,000 at once at the most. */
const mostKept = 900;
const dropped = 50;
const idOf = (): string => `${Date.now().toString().padStart(14, '0')}-${crypto.randomUUID().slice(0, 8)}`;

/**
 * Rooms that other apps talk in: live chat beside a stream, comments on a page. They are kept by the person who offers them, each in
 * a part of one collection.
 */
export async function offerRooms(app: App): Promise<void> {
  let rooms: Promise<Collection> | null = null;
  const store = (): Promise<Collection> =>
    (rooms ??= (async () => {
      const kept = (await app.collections.list()).find(({ name }) => name === roomsName);
      return kept ? app.collections.open(kept.collection) : app.collections.create(roomsName);
    })());
  /** Messages since a room was last looked through for old ones. */
  const posted = new Map<string, number>();
  async function dropOld(collection: Collection, prefix: string): Promise<void> {
    const count = (posted.get(prefix) ?? dropped) + 1;
    posted.set(prefix, count < dropped ? count : 0);
    if (count < dropped) return;
    const old = (await collection.last(mostKept + dropped, { prefix })).slice(mostKept);
    if (old.length > 0) await collection.remove(...old.map(({ key }) => key));
  }
  const prefixOf = (room: string): string => `room/${encodeURIComponent(room).slice(0, 300)}/`;
  const shown = (prefix: string, entry: { key: string; value: unknown; time: string }): Shown => ({
    ...(entry.value as Said),
    id: entry.key.slice(prefix.length),
    time: Date.parse(entry.time),
  });
  await app.services.provide(
    { slug: 'chat', title: 'Chat rooms', text: 'Rooms to talk in, for other apps.', interface: definition },
    {
      post: async ({ room, name = '', text }: RoomParams & { name?: string; text: string }, { user }) => {
        const prefix = prefixOf(room);
        const id = idOf();
        const collection = await store();
        await collection.put(`${prefix}${id}`, { user, name, text } satisfies Said);
        // What was said is said, also when tidying up fails.
        await dropOld(collection, prefix).catch(() => {});
        return { id };
      },
      read: async ({ room, limit = 50 }: RoomParams & { limit?: number }) => {
        const prefix = prefixOf(room);
        const found = await (await store()).last(limit, { prefix });
        return found.map((entry) => shown(prefix, entry)).reverse();
      },
      watch: async ({ room, seconds = 60 }: RoomParams & { seconds?: number }, { item }) => {
        const prefix = prefixOf(room);
        const stop = await (
          await store()
        ).watch(
          (changes) => {
            for (const { entry } of changes) if (entry) item(shown(prefix, entry)).catch(stop);
          },
          { prefix },
        );
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
        stop();
        return true;
      },
    },
  );
}

/** The collection that holds them; it is no group. */
export const roomsName = 'Rooms of other apps';
