import { rm } from 'node:fs/promises';
import { AppError } from '../../../src-shared/errors.ts';
import {
  createDrive,
  openDrive,
  rootNode,
  type Drive,
  type DriveDeps,
  type DriveStorage,
} from '../../drive/index.ts';
import type { EntryId } from '../../history/index.ts';
import type { Borrowed } from '../../hosting/index.ts';
import type { UserId } from '../../identity/index.ts';
import type { Database } from '../../store/index.ts';
import { createSyncState } from '../../sync/index.ts';
import type { Online } from '../core.ts';
import type { DriveLink } from '../drive-link.ts';
import type { DriveRecord, DriveRecords } from '../drive-records.ts';
import { followOthers } from '../sharing/follow-others.ts';
import type { FollowedLinks } from '../sharing/followed-links.ts';
import { claimInvite } from '../sharing/invite-protocol.ts';
import type { Following } from './following.ts';
import type { Launcher } from './launcher.ts';
import type { Running } from './running.ts';

/** Called with the drive before its engine starts. */
export type Prepare = (drive: Drive, db: Database) => Promise<void>;

/** How a drive is joined. */
export interface Joining {
  readonly folder: string;
  readonly user: UserId;
  /** Nothing is brought here but what is asked for. */
  readonly onlineOnly: boolean;
  /** What is kept here of the drive for others: enough when nobody else is there. */
  readonly borrowed: Borrowed;
}

/** How drives come to be on this computer. One that does not come about leaves nothing: whoever tries again finds the place free. */
export interface Arrivals {
  /** Makes a new drive. */
  make(name: string, at: Pick<DriveRecord, 'folder' | 'user' | 'mount'>, prepare?: Prepare): Promise<Running>;
  /**
   * Brings a drive kept by others here: its history, then its files.
   * @param entries its history, the genesis first
   * @throws AppError `already_exists` also while it is on its way here
   */
  bring(record: DriveRecord, entries: readonly Uint8Array[], prepare?: Prepare): Promise<Running>;
  /** Joins a drive by its link. @throws AppError `unreachable`, `forbidden`, those of invitations and of the folder */
  joinBy(link: DriveLink, joining: Joining, limit: AbortSignal): Promise<Running>;
}

export function createArrivals(deps: {
  readonly node: Online;
  readonly records: DriveRecords;
  readonly running: ReadonlyMap<EntryId, Running>;
  readonly links: FollowedLinks;
  readonly following: Following;
  readonly launch: Launcher['launch'];
  /** What a drive of this user needs; null: one that is being made. */
  driveDeps(user: UserId, driveId: EntryId | null): DriveDeps;
  /** Where the data of a drive lies. */
  dirOf(driveId: EntryId): string;
  /** Makes that place and opens its database. */
  storage(driveId: EntryId): Promise<DriveStorage>;
  /** Takes a folder for a drive. @returns its real path */
  claim(folder: string): Promise<string>;
}): Arrivals {
  const { node, records, running, links, following } = deps;
  const { identity, network, exchange, logger } = node;

  /**
   * Those we have just met may know a card of ours from another computer, which lacks this one: until both are merged they
   * can't tell that this computer is ours.
   */
  async function findOwnCard(user: UserId, signal: AbortSignal): Promise<void> {
    try {
      identity.acceptCard(await network.cards.find(user, signal));
    } catch (error) {
      logger.debug({ err: error }, 'nobody here knows a card of ours');
    }
  }

  /** Drives on their way here. Two at once would share one folder of data, and the one that fails would delete it. */
  const arriving = new Set<EntryId>();
  async function bring(
    record: DriveRecord,
    entries: readonly Uint8Array[],
    prepare?: Prepare,
  ): Promise<Running> {
    const { driveId } = record;
    if (arriving.has(driveId) || running.has(driveId)) {
      throw new AppError('already_exists', 'This drive is on this computer already, or on its way here.');
    }
    arriving.add(driveId);
    try {
      return await bringOne(record, entries, prepare);
    } finally {
      arriving.delete(driveId);
    }
  }
  async function bringOne(
    record: DriveRecord,
    entries: readonly Uint8Array[],
    prepare?: Prepare,
  ): Promise<Running> {
    const { driveId } = record;
    const place = await deps.storage(driveId);
    try {
      const drive = await openDrive({
        ...deps.driveDeps(record.user, driveId),
        ...place,
        driveId,
        genesis: entries[0]!,
      });
      for (let at = 1; at < entries.length; at += 256) await drive.ingest(entries.slice(at, at + 256));
      await prepare?.(drive, place.db);
      records.add(record);
      return await deps.launch(record, drive, place.db);
    } catch (error) {
      if (!running.has(driveId)) await abandon(driveId, place.db);
      throw error;
    }
  }

  /** Leaves nothing of a drive that did not come about: whoever tries again finds the place free. */
  async function abandon(driveId: EntryId, db: Database): Promise<void> {
    if (db.open) db.close();
    records.remove(driveId);
    following.forget(driveId);
    await rm(deps.dirOf(driveId), { recursive: true, force: true });
  }

  async function joinBy(
    link: DriveLink,
    { folder, user, onlineOnly, borrowed }: Joining,
    limit: AbortSignal,
  ): Promise<Running> {
    const { driveId, power } = link;
    const kept = borrowed.entries();
    let peers = await node.sources.reach(link, limit).catch((error: unknown) => {
      if (kept === null) throw error;
      return [];
    });
    if (power?.t === 'invite') {
      const host = await claimInvite(node, driveId, power.secret, peers, limit);
      peers = [host, ...peers.filter((peer) => peer !== host)];
    } else if (power?.t === 'read') {
      links.put(driveId, { secret: power.secret, addresses: link.addresses });
      node.open.follow(driveId, power.secret, peers);
    } else if (power === null) {
      // It may be a public one.
      node.open.follow(driveId, null, peers);
    }
    const [entries, real] = await (async () => {
      await findOwnCard(user, limit);
      const fetched = exchange.fetchHistory(driveId, peers, limit).catch((error: unknown) => {
        if (kept === null) throw error;
        return kept;
      });
      return [await fetched, await deps.claim(folder)] as const;
    })().catch((error: unknown) => {
      following.forget(driveId);
      throw error;
    });
    const record: DriveRecord = { driveId, folder: real, user, paused: false, mount: null };
    return bring(record, entries, async (drive, db) => {
      // A host is given the history whether or not its person may read it.
      if (kept !== null) requireReadable(drive);
      if (power === null) {
        if (drive.roleOf(user) !== null || drive.visibility() !== 'public') node.open.unfollow(driveId);
        else links.put(driveId, { secret: null, addresses: link.addresses });
      }
      followOthers(node, link, () => following.lacksSome(driveId));
      // Said before anything is brought here.
      if (onlineOnly) createSyncState(db).policy.set(rootNode, false);
    });
  }

  async function make(
    name: string,
    at: Pick<DriveRecord, 'folder' | 'user' | 'mount'>,
    prepare?: Prepare,
  ): Promise<Running> {
    let place: DriveStorage | null = null;
    const drive = await createDrive({
      ...deps.driveDeps(at.user, null),
      name,
      storage: async (driveId) => (place = await deps.storage(driveId)),
    });
    const { db } = place!;
    try {
      await prepare?.(drive, db);
      const record: DriveRecord = { driveId: drive.id, ...at, paused: false };
      records.add(record);
      return await deps.launch(record, drive, db);
    } catch (error) {
      await abandon(drive.id, db);
      throw error;
    }
  }

  return { make, bring, joinBy };
}

/** Throws `forbidden` when this person has no key of the drive. */
function requireReadable(drive: Drive): void {
  try {
    drive.currentEpoch();
  } catch (cause) {
    throw new AppError('forbidden', 'You have no right to this drive.', { cause });
  }
}
