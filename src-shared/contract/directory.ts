import { z } from './zod.ts';
import { accepted, paying } from './amounts.ts';
import { count, driveId, time, userId } from './common.ts';
import { command, query } from '../rpc/contract.ts';

/** A public drive that others speak of. What is said of it is true when it is opened, not before. */
export const listedDrive = z.object({
  driveId,
  name: z.string(),
  files: count,
  bytes: count,
  time,
  /** Computers that say they have it. */
  holders: count,
  link: z.string(),
});
export type ListedDrive = z.infer<typeof listedDrive>;

const entryKind = z.enum(['drive', 'stream', 'person']);
const named = {
  kind: entryKind,
  /** Of the drive or stream; a person's user id. */
  id: z.string().min(1).max(128),
};
/** Something that its owner put into the directory of the active network, for rent by the day. */
export const directoryEntry = z.object({
  ...named,
  title: z.string(),
  /** What is searched besides the title. */
  text: z.string(),
  /** Where it is: a link for this program, or ''. */
  link: z.string(),
  owner: userId,
  paidUntil: time,
});
export type DirectoryEntry = z.infer<typeof directoryEntry>;

export const directoryPublish = z.object({
  ...paying,
  ...named,
  title: z.string().trim().min(1).max(100),
  text: z.string().trim().max(500).default(''),
  link: z.string().max(500).default(''),
  days: z.int().min(1).max(3650).default(365),
});
export const directoryRemove = z.object({ ...paying, ...named });

const search = z.object({
  text: z.string().max(255).default(''),
  limit: z.int().min(1).max(200).default(50),
});

export const directory = {
  /** Public drives this node has heard of from its neighbours, whose names contain all the words, newest first. */
  search: query(search, z.array(listedDrive)),
  /** Entries on the active network in whose title or text every word begins some word. */
  entries: query(search, z.array(directoryEntry)),
  /** Puts something into the directory of the network; what is there already of this account is changed, its rent goes on. */
  publish: command(directoryPublish, accepted),
  remove: command(directoryRemove, accepted),
};
