import { count } from '../../contract/common.ts';
import {
  collectionChanges,
  collectionEntry,
  collectionInvitation,
  collectionMember,
  collectionPage,
  collectionPageShown,
  collectionSummary,
  collectionWrites,
} from '../../contract/collections.ts';
import { z } from '../../contract/zod.ts';
import { shownText } from '../text.ts';
import { method, nothing, ok, watching } from './frame.ts';

const collection = z.string().min(1).max(128);
const user = z.string().min(1).max(128);
const which = { collection };
const shown = collectionSummary.omit({ app: true });
const invitation = collectionInvitation.omit({ app: true });
export type AppCollection = z.infer<typeof shown>;
export type AppCollectionInvitation = z.infer<typeof invitation>;
export type AppCollectionEntry = z.infer<typeof collectionEntry>;
export type AppCollectionMember = z.infer<typeof collectionMember>;

/** Key-value stores of the app, the same on the computers of all members. Another app's are not there. */
export const collectionMethods = {
  exc_collectionCreate: method(['collections'], z.object({ name: shownText(255).min(1) }), z.object(which)),
  /** Those kept here, and those that others share and that wait to be joined or declined. `self`: what others add this person by. */
  exc_collectionList: method(
    ['collections'],
    nothing,
    z.object({ collections: z.array(shown), invitations: z.array(invitation), self: user }),
  ),
  /** Tells that the list may have changed. */
  exc_collectionListWatch: watching(['collections'], nothing, z.object({ changed: z.literal(true) })),
  exc_collectionGet: method(
    ['collections'],
    z.object({ ...which, key: z.string().min(1).max(512) }),
    z.object({ entry: collectionEntry.nullable() }),
  ),
  exc_collectionEntries: method(
    ['collections'],
    z.object({ ...which, ...collectionPage }),
    collectionPageShown,
  ),
  /** Up to 1,000 keys at once; answers when they are signed and on disk. */
  exc_collectionPut: method(['collections'], z.object({ ...which, writes: collectionWrites }), ok),
  exc_collectionDelete: method(
    ['collections'],
    z.object({ ...which, keys: z.array(z.string().min(1).max(512)).min(1).max(1000) }),
    ok,
  ),
  /** Changes of keys from a revision on (`entries` tells it); null: from now on. */
  exc_collectionWatch: watching(
    ['collections'],
    z.object({
      ...which,
      prefix: z.string().max(512).default(''),
      since: count.nullable().default(null),
    }),
    collectionChanges,
  ),
  exc_collectionMembers: method(
    ['collections'],
    z.object(which),
    z.object({ members: z.array(collectionMember), self: user }),
  ),
  /** Gives somebody a part in it; the person is asked, as the other one learns their user id. */
  exc_collectionShare: method(
    ['collections'],
    z.object({ ...which, user, role: z.enum(['manager', 'editor', 'reader']).default('editor') }),
    ok,
  ),
  exc_collectionUnshare: method(['collections'], z.object({ ...which, user }), ok),
  exc_collectionJoin: method(['collections'], z.object(which), ok),
  exc_collectionDecline: method(['collections'], z.object(which), ok),
  /** Forgets it on this computer; other members keep it. */
  exc_collectionLeave: method(['collections'], z.object(which), ok),
};
