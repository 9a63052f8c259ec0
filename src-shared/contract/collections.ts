import { z } from './zod.ts';
import { count, done, driveId, peerId, role, time, userId } from './common.ts';
import { command, query, subscription } from '../rpc/contract.ts';

/** 52 small letters and digits; see docs/apps.md. */
const app = z.string().regex(/^[a-z2-7]{52}$/);
const collection = driveId;
const which = { app, collection };
/** 1 to 512 bytes; the node checks. */
const key = z.string().min(1).max(512);

export const collectionSummary = z.object({
  collection,
  app,
  name: z.string(),
  role: role.nullable(),
  members: count,
  /** Keys that have a value. */
  keys: count,
  /** Complete copies on computers of others. */
  copies: count,
});
export type CollectionSummary = z.infer<typeof collectionSummary>;

export const collectionEntry = z.object({
  key: z.string(),
  /** Any JSON. */
  value: z.unknown(),
  /** Names the write. */
  version: z.string(),
  /** Who wrote it. */
  user: userId.nullable(),
  time,
  /** Others wrote something else at the same time; this is the last in the one order. */
  concurrent: z.boolean(),
});
export type CollectionEntry = z.infer<typeof collectionEntry>;

/** Copies of a collection on computers that are no members and cannot read it. */
export const collectionHosts = z.object({
  wanted: count,
  copies: count,
  hosts: z.array(
    z.object({
      peerId,
      userId: userId.nullable(),
      connected: z.boolean(),
      /** It has everything that was written. */
      complete: z.boolean(),
      bytes: count,
      /** An error code when it does not count any more. */
      problem: z.string().nullable(),
    }),
  ),
});
export const collectionMember = z.object({ userId, role, since: time });
export const collectionInvitation = z.object({
  collection,
  app,
  name: z.string(),
  role,
  /** Who shares it, as their computer says. */
  from: userId,
  /** It is one of the person's own other computers. */
  own: z.boolean(),
  time,
});
export const collectionPage = {
  prefix: z.string().max(512).default(''),
  /** Keys after (with `reverse` before) this one. */
  after: key.nullable().default(null),
  limit: z.int().min(1).max(1000).default(200),
  reverse: z.boolean().default(false),
};
export const collectionWrites = z
  .array(z.object({ key, value: z.unknown().optional() }))
  .min(1)
  .max(1000);
export const collectionChanges = z.object({
  changes: z.array(z.object({ key: z.string(), entry: collectionEntry.nullable() })),
  revision: count,
});
export const collectionPageShown = z.object({
  entries: z.array(collectionEntry),
  /** `after` of the next page; null: that was the last. */
  next: z.string().nullable(),
  revision: count,
});

/** Collections: small key-value stores of apps, replicated as drives are, seen by their app only. */
export const collections = {
  /** Left out: of all apps. */
  list: query(z.object({ app: app.optional() }), z.array(collectionSummary)),
  create: command(z.object({ app, name: z.string().min(1).max(255) }), z.object({ collection })),
  get: query(z.object({ ...which, key }), z.object({ entry: collectionEntry.nullable() })),
  /** What was written at the same time, the one shown first; a deletion has the value null. */
  versions: query(z.object({ ...which, key }), z.object({ entries: z.array(collectionEntry) })),
  entries: query(z.object({ ...which, ...collectionPage }), collectionPageShown),
  /** Sets keys; those without a value are taken away. Answers when they are signed and on disk. */
  write: command(z.object({ ...which, writes: collectionWrites }), done),
  /** Changes from a revision on; null: from now on. The first item is empty and tells where it begins. */
  watch: subscription(
    z.object({
      ...which,
      prefix: z.string().max(512).default(''),
      since: count.nullable().default(null),
    }),
    collectionChanges,
  ),
  members: query(z.object(which), z.array(collectionMember)),
  /** On how many hosts copies are kept; null: as the setting `collections.copies` says. */
  replicate: command(z.object({ ...which, copies: z.int().min(0).max(16).nullable() }), collectionHosts),
  hosts: query(z.object(which), collectionHosts),
  share: command(
    z.object({ ...which, user: userId, role: z.enum(['manager', 'editor', 'reader']).default('editor') }),
    done,
  ),
  unshare: command(z.object({ ...which, user: userId }), done),
  /** Shared with this user and not kept here. */
  invitations: query(z.object({ app }), z.array(collectionInvitation)),
  /** Something of this app's list of collections and invitations may have changed. */
  watchList: subscription(z.object({ app }), z.object({ changed: z.literal(true) })),
  join: command(z.object(which), z.object({ collection })),
  decline: command(z.object(which), done),
  /** Forgets it here; other members keep it. */
  leave: command(z.object(which), done),
};
