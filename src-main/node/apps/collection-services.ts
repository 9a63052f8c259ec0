import { watchCollection } from '../../apps/index.ts';
import type { CollectionEntry } from '../../apps/index.ts';
import type { EntryId } from '../../history/index.ts';
import { parseUserId } from '../../identity/index.ts';
import type { NodeServices } from '../../api/index.ts';
import type { JsonValue } from '../../apps/index.ts';
import type { Online } from '../core.ts';
import type { Collections } from './collections.ts';
import { iso } from '../shown-values.ts';
const shown = (entry: CollectionEntry) => ({ ...entry, time: iso(entry.time) });

/** The `collections` group of the contract. */
export function createCollectionServices(
  online: () => Online,
  collections: () => Collections,
): Pick<NodeServices, 'collections'> {
  function hostsOf(driveId: EntryId) {
    const { wanted, copies, hosts } = collections().hosts.replicas(driveId);
    return {
      wanted,
      copies,
      hosts: hosts.map(({ peerId, userId, connected, complete, bytes, problem }) => ({
        ...{ peerId, userId, connected, complete, bytes, problem },
      })),
    };
  }

  return {
    collections: {
      list: ({ app }) =>
        collections()
          .list(app)
          .map(({ record, drive }) => ({
            collection: record.driveId,
            app: record.app,
            name: drive.name(),
            role: drive.ownRole(),
            members: drive.members().length,
            keys: drive.registers.count(),
            copies: collections().hosts.replicas(record.driveId).copies,
          })),
      async create({ app, name }) {
        collections().checkQuota(app);
        return { collection: (await collections().create(app, name)).record.driveId };
      },
      get({ app, collection, key }) {
        const entry = collections().get(app, collection).collection.get(key);
        return { entry: entry && shown(entry) };
      },
      versions: ({ app, collection, key }) => ({
        entries: collections().get(app, collection).collection.versions(key).map(shown),
      }),
      entries({ app, collection: id, after, ...page }) {
        const { collection } = collections().get(app, id);
        const revision = collection.revision();
        const { entries, next } = collection.entries({ ...page, ...(after !== null && { after }) });
        return { entries: entries.map(shown), next, revision };
      },
      async write({ app, collection, writes }) {
        // What is full can still be tidied up.
        if (writes.some(({ value }) => value !== undefined)) collections().checkQuota(app);
        await collections()
          .get(app, collection)
          .collection.write(writes.map(({ key, value }) => ({ key, value: value as JsonValue | undefined })));
        return { ok: true };
      },
      async *watch({ app, collection, prefix, since }, signal) {
        const one = collections().get(app, collection);
        for await (const { changes, revision } of watchCollection(
          one.drive,
          one.collection,
          { prefix, since },
          signal,
        )) {
          yield {
            revision,
            changes: changes.map(({ key, entry }) => ({ key, entry: entry && shown(entry) })),
          };
        }
      },
      members: ({ app, collection }) =>
        collections()
          .get(app, collection)
          .drive.members()
          .map((one) => ({ ...one, since: iso(one.since) })),
      async replicate({ app, collection, copies }) {
        await collections().hosts.replicate(app, collection, copies);
        return hostsOf(collection);
      },
      hosts: ({ app, collection }) => hostsOf(collections().get(app, collection).record.driveId),
      async share({ app, collection, user, role }, signal) {
        const { drive } = collections().get(app, collection);
        parseUserId(user);
        const { network, identity } = online();
        const card = user === identity.userId() ? identity.card() : await network.cards.find(user, signal);
        await drive.share(user, card.encKey, role);
        collections().rightsChanged();
        await collections().hosts.membersChanged(app, collection);
        return { ok: true };
      },
      async unshare({ app, collection, user }) {
        await collections().get(app, collection).drive.unshare(user);
        collections().rightsChanged();
        await collections().hosts.membersChanged(app, collection);
        return { ok: true };
      },
      invitations: ({ app }) =>
        collections()
          .invitations(app)
          .map(({ driveId, name, role, from, time }) => ({
            collection: driveId,
            app,
            name,
            role,
            from,
            own: from === online().identity.userId(),
            time: iso(time),
          })),
      async join({ app, collection }, signal) {
        return { collection: (await collections().join(app, collection, signal)).record.driveId };
      },
      decline({ app, collection }) {
        collections().decline(app, collection);
        return { ok: true };
      },
      async leave({ app, collection }) {
        await collections().leave(app, collection);
        return { ok: true };
      },
    },
  };
}
