import { createMessageRecords, createMessages, type Messages } from '../../apps/index.ts';
import type { NodeServices } from '../../api/index.ts';
import type { UserId } from '../../identity/index.ts';
import type { Online } from '../core.ts';
import { createCollectionServices } from './collection-services.ts';
import { createCollections, type Collections } from './collections.ts';
import type { Chains } from '../ledger/chains.ts';
import type { Wallet } from '../ledger/wallet.ts';
import { createMessageServices } from './message-services.ts';
import { createNodeServicesOfApps, createServiceServices } from './service-services.ts';
import type { NodeServicesOfApps } from './service-services.ts';

/** What apps keep and exchange through this node. */
export interface AppData {
  readonly collections: Collections;
  readonly services: NodeServicesOfApps;
  readonly messages: Messages;
  /** People to keep in touch with for it. */
  users(): Iterable<UserId>;
  start(): Promise<void>;
  stop(): Promise<void>;
  actorChanged(): Promise<void>;
}

export function createAppData(
  node: Online,
  {
    refreshMembers,
    accepts,
    quotaOf,
    ...market
  }: {
    /** Keeps this node in touch with those that `users` names. */
    readonly refreshMembers: () => void;
    /** Whether an app takes messages here. */
    readonly accepts: (app: string) => boolean;
    /** Bytes that an app may keep here; null: it is not installed. */
    readonly quotaOf: (app: string) => number | null;
    readonly chains: () => Chains;
    readonly wallet: () => Wallet;
  },
): AppData {
  const services = createNodeServicesOfApps(node, market);
  const collections = createCollections(node, { refreshMembers, quotaOf });
  const { network, identity, clock, random, logger } = node;
  const messages = createMessages({
    network,
    records: createMessageRecords(node.db),
    user: () => identity.userId(),
    tryUnwrap: (box) => identity.tryUnwrap(box),
    accepts,
    refreshMembers,
    clock,
    random,
    logger,
  });
  return {
    collections,
    messages,
    services,
    *users() {
      yield* messages.receivers();
      for (const { drive } of collections.list()) for (const { userId } of drive.members()) yield userId;
    },
    start: () => collections.start(),
    async stop() {
      services.stop();
      messages.stop();
      await collections.stop();
    },
    actorChanged: () => collections.actorChanged(),
  };
}

export function createAppDataServices(
  online: () => Online,
  data: () => AppData,
): Pick<NodeServices, 'collections' | 'messages' | 'services'> {
  return {
    ...createCollectionServices(online, () => data().collections),
    ...createMessageServices(() => data().messages),
    ...createServiceServices(() => data().services),
  };
}
