import type {
  AppCollection,
  AppCollectionEntry,
  AppCollectionInvitation,
  AppCollectionMember,
  ParamsOf,
} from '../apps/methods/index.ts';
import type { Transport, Unsubscribe } from './transport.ts';

/** A key that changed; `entry` null: it has no value any more. */
export interface CollectionChange {
  readonly key: string;
  readonly entry: AppCollectionEntry | null;
}

/**
 * One key-value store: text keys of up to 512 bytes, JSON values of up to 256 KiB, the same on the computers of all members. Of
 * values written at the same time the last in one order counts everywhere. Written while nobody is connected it goes out later.
 */
export interface Collection {
  readonly id: string;
  get(key: string): Promise<AppCollectionEntry | null>;
  put(key: string, value: unknown): Promise<void>;
  /** Many keys at once: far faster than one after another. */
  putAll(values: Readonly<Record<string, unknown>>): Promise<void>;
  remove(...keys: readonly string[]): Promise<void>;
  /** Keys in order, page by page. */
  entries(options?: {
    readonly prefix?: string;
    readonly after?: string;
    readonly reverse?: boolean;
  }): AsyncIterable<AppCollectionEntry>;
  /** The last `limit` keys with that prefix, the last first. */
  last(
    limit: number,
    options?: { readonly prefix?: string; readonly before?: string },
  ): Promise<readonly AppCollectionEntry[]>;
  /** Changes as they come, own ones included. */
  watch(
    listener: (changes: readonly CollectionChange[]) => void,
    options?: { readonly prefix?: string },
  ): Promise<Unsubscribe>;
  /** `self` is the person's own user id. */
  members(): Promise<{ readonly members: readonly AppCollectionMember[]; readonly self: string }>;
  /** Gives somebody a part in it. Their app is told, and joins by `invitations`. */
  share(user: string, role?: ParamsOf<'exc_collectionShare'>['role']): Promise<void>;
  unshare(user: string): Promise<void>;
  /** Forgets it on this computer. */
  leave(): Promise<void>;
}

export interface Collections {
  create(name: string): Promise<Collection>;
  open(id: string): Collection;
  list(): Promise<readonly AppCollection[]>;
  /** Shared with the person by others (or by another computer of theirs: `own`), not joined yet. */
  invitations(): Promise<readonly AppCollectionInvitation[]>;
  /** The person's user id: what members of collections know each other by. */
  self(): Promise<string>;
  /** Says that either list may have changed. */
  watchList(listener: () => void): Promise<Unsubscribe>;
  join(id: string): Promise<Collection>;
  decline(id: string): Promise<void>;
}

/** Keys of one call; the host takes no more. */
const putAtOnce = 500;

export function createCollections(transport: Transport): Collections {
  const { request } = transport;

  function open(collection: string): Collection {
    return {
      id: collection,
      get: async (key) => (await request('exc_collectionGet', { collection, key })).entry,
      put: async (key, value) =>
        void (await request('exc_collectionPut', { collection, writes: [{ key, value }] })),
      async putAll(values) {
        const writes = Object.entries(values).map(([key, value]) => ({ key, value }));
        for (let at = 0; at < writes.length; at += putAtOnce) {
          await request('exc_collectionPut', { collection, writes: writes.slice(at, at + putAtOnce) });
        }
      },
      remove: async (...keys) =>
        void (await request('exc_collectionDelete', { collection, keys: [...keys] })),
      async *entries({ prefix = '', after, reverse = false } = {}) {
        let next: string | null = after ?? null;
        do {
          const page: { entries: AppCollectionEntry[]; next: string | null } = await request(
            'exc_collectionEntries',
            { collection, prefix, after: next, reverse, limit: 500 },
          );
          yield* page.entries;
          next = page.next;
        } while (next !== null);
      },
      last: async (limit, { prefix = '', before } = {}) =>
        (
          await request('exc_collectionEntries', {
            collection,
            prefix,
            after: before ?? null,
            reverse: true,
            limit,
          })
        ).entries,
      async watch(listener, { prefix = '' } = {}) {
        let revision: number | null = null;
        const stop = await transport.subscribe(
          'exc_collectionWatch',
          { collection, prefix, since: null },
          (item) => {
            // After a lost connection the watch begins anew: what came meanwhile is told by reading it again.
            if (item.changes.length === 0 && revision !== null && item.revision > revision) listener([]);
            revision = item.revision;
            if (item.changes.length > 0) listener(item.changes);
          },
        );
        return stop;
      },
      members: () => request('exc_collectionMembers', { collection }),
      share: async (user, role = 'editor') =>
        void (await request('exc_collectionShare', { collection, user, role })),
      unshare: async (user) => void (await request('exc_collectionUnshare', { collection, user })),
      leave: async () => void (await request('exc_collectionLeave', { collection })),
    };
  }

  return {
    create: async (name) => open((await request('exc_collectionCreate', { name })).collection),
    open,
    list: async () => (await request('exc_collectionList')).collections,
    invitations: async () => (await request('exc_collectionList')).invitations,
    self: async () => (await request('exc_collectionList')).self,
    watchList: (listener) => transport.subscribe('exc_collectionListWatch', {}, () => listener()),
    async join(collection) {
      await request('exc_collectionJoin', { collection });
      return open(collection);
    },
    decline: async (collection) => void (await request('exc_collectionDecline', { collection })),
  };
}
