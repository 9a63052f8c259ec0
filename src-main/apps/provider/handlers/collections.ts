import type { AppHandlers, Call, HandlerDeps } from '../types.ts';
import { pump } from './pump.ts';

type Names =
  | 'exc_collectionCreate'
  | 'exc_collectionList'
  | 'exc_collectionListWatch'
  | 'exc_collectionGet'
  | 'exc_collectionEntries'
  | 'exc_collectionPut'
  | 'exc_collectionDelete'
  | 'exc_collectionWatch'
  | 'exc_collectionMembers'
  | 'exc_collectionShare'
  | 'exc_collectionUnshare'
  | 'exc_collectionJoin'
  | 'exc_collectionDecline'
  | 'exc_collectionLeave';

/** Collections: the app's own, named with its id, which the page can't choose. */
export function collectionHandlers({ node }: HandlerDeps): Pick<AppHandlers, Names> {
  const own = ({ app }: Call, collection: string) => ({ app: app.appId, collection });
  return {
    exc_collectionCreate: ({ app, signal }, { name }) =>
      node.collections.create({ app: app.appId, name }, signal),
    async exc_collectionList({ app, signal }) {
      const [kept, invited] = await Promise.all([
        node.collections.list({ app: app.appId }, signal),
        node.collections.invitations({ app: app.appId }, signal),
      ]);
      return {
        collections: kept.map(({ app: _, ...one }) => one),
        invitations: invited.map(({ app: _, ...one }) => one),
        self: node.userId(),
      };
    },
    exc_collectionListWatch: (call) =>
      call.subscribe('exc_collectionListWatch', (send) =>
        node.onCollections(call.app.appId, () => send({ changed: true })),
      ),
    exc_collectionGet: (call, { collection, key }) =>
      node.collections.get({ ...own(call, collection), key }, call.signal),
    exc_collectionEntries: (call, { collection, ...page }) =>
      node.collections.entries({ ...own(call, collection), ...page }, call.signal),
    exc_collectionPut: (call, { collection, writes }) =>
      node.collections.write({ ...own(call, collection), writes }, call.signal),
    exc_collectionDelete: (call, { collection, keys }) =>
      node.collections.write({ ...own(call, collection), writes: keys.map((key) => ({ key })) }, call.signal),
    exc_collectionWatch: (call, { collection, ...from }) =>
      call.subscribe('exc_collectionWatch', (send) =>
        pump((signal) => node.collections.watch({ ...own(call, collection), ...from }, signal), send),
      ),
    exc_collectionMembers: async (call, { collection }) => ({
      members: await node.collections.members(own(call, collection), call.signal),
      self: node.userId(),
    }),
    async exc_collectionShare(call, { collection, user, role }) {
      call.about(user);
      const found = (await node.collections.list({ app: call.app.appId }, call.signal)).find(
        (one) => one.collection === collection,
      );
      await call.ask({
        kind: 'share',
        text: `${found?.name ?? ''}: ${user}`,
        discloses: [
          'membersSeeAll',
          ...(role === 'manager' ? (['memberManages'] as const) : []),
          'membersLearnYou',
        ],
      });
      return node.collections.share({ ...own(call, collection), user, role }, call.signal);
    },
    exc_collectionUnshare: (call, { collection, user }) =>
      node.collections.unshare({ ...own(call, collection), user }, call.signal),
    async exc_collectionJoin(call, { collection }) {
      await node.collections.join(own(call, collection), call.signal);
      return { ok: true };
    },
    exc_collectionDecline: (call, { collection }) =>
      node.collections.decline(own(call, collection), call.signal),
    exc_collectionLeave: (call, { collection }) => node.collections.leave(own(call, collection), call.signal),
  };
}
