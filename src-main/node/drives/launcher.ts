import path from 'node:path';
import type { Drive } from '../../drive/index.ts';
import type { EntryId } from '../../history/index.ts';
import { createChunkStore, type Checkpointer, type Database } from '../../store/index.ts';
import { createFolderSync } from '../../sync/index.ts';
import type { Online } from '../core.ts';
import type { DriveRecord, MountPlace } from '../drive-records.ts';
import { recentAudits } from '../hosting-services.ts';
import { createOwnFeedCheck } from '../own-feed.ts';
import type { Running } from './running.ts';
import { activityWords } from '../activity-words.ts';

/** Puts the parts of a drive together, and takes them apart. */
export interface Launcher {
  /**
   * Starts engine, exchange and hosting of a drive; it is among `running` from then on. What it began is ended when that fails.
   * @param db the drive's database; stays open when it fails
   */
  launch(record: DriveRecord, drive: Drive, db: Database): Promise<Running>;
  /** Ends all of a drive. @param last done when nothing else works with it any more, before its database closes */
  close(one: Running, last?: (one: Running) => void): Promise<void>;
}

export function createLauncher(deps: {
  readonly node: Online;
  /** Kept up to date here. */
  readonly running: Map<EntryId, Running>;
  readonly checkpointer: Checkpointer;
  /** Where the data of a drive lies. */
  dirOf(driveId: EntryId): string;
  membersChanged(): void;
  /** Something changed that may concern drives with their place in a folder of another one. */
  look(): void;
}): Launcher {
  const { node, running, checkpointer } = deps;
  const { exchange, network, clock, random, logger, events, activity, settings } = node;

  async function launch(record: DriveRecord, drive: Drive, db: Database): Promise<Running> {
    const { mount } = record;
    const chunks = createChunkStore({
      dir: path.join(deps.dirOf(record.driveId), 'chunks'),
      budget: settings.get('versions.bytes'),
    });
    await chunks.start();
    const { driveId } = record;
    const borrowed = await node.hosting.borrow(driveId);
    const guarded = createOwnFeedCheck({ drive, exchange, network, clock, logger });
    const sync = createFolderSync({
      drive: guarded.drive,
      exchange,
      content: node.content,
      db,
      chunks,
      folder: record.folder,
      clock,
      random,
      logger,
      ...(mount && {
        marked: mount.state === 'mounted' || mount.state === 'ending',
        ignoredAbove: (inner, dir) => ignoredAbove(mount, inner, dir),
      }),
      options: {
        trashDays: settings.get('trash.days'),
        versionsShare: settings.get('versions.share'),
        versionsBytes: settings.get('versions.bytes'),
      },
      copies: () => settings.get('free.copies'),
      hosts: () => node.hosting.safeCopies(driveId, recentAudits(settings)),
      hostAway: (ms) => node.hosting.isHostAway(driveId, ms),
      kept: async (id) => (await borrowed.source.read([id]))[0] ?? null,
    });
    const changed = (): void => events.emit('drives', { driveId });
    const off = [
      sync.on('status', () => {
        changed();
        deps.look();
      }),
      drive.on('tree', () => deps.look()),
      sync.on('problem', (error) =>
        events.emit('activity', activity.add({ kind: 'problem', driveId, ...activityWords.failure(error) })),
      ),
      drive.on('access', () => {
        deps.membersChanged();
        changed();
        deps.look();
      }),
      drive.on('fork', (fork) =>
        events.emit('activity', activity.add({ kind: 'fork', driveId, ...activityWords.fork(fork.seq) })),
      ),
      () => guarded.stop(),
    ];
    const one: Running = { record, drive, sync, db, chunks, off, borrowed, endCheckpoints: async () => {} };
    running.set(driveId, one);
    try {
      exchange.addDrive(guarded.drive, node.hosting.serving(drive, sync.blocks, borrowed.source));
      node.hosting.addDrive(drive, sync.blocks, borrowed.source, record.user);
      if (record.paused) sync.pause();
      await sync.start();
    } catch (error) {
      await withdraw(one);
      throw error;
    }
    one.endCheckpoints = checkpointer.add(db);
    deps.membersChanged();
    changed();
    deps.look();
    return one;
  }

  /** The rules of the drive around one go on counting in its folder. */
  function ignoredAbove({ parent, node: folder }: MountPlace, inner: string, dir: boolean): boolean {
    const above = running.get(parent)?.sync;
    const at = above?.mounts.path(folder) ?? null;
    return above !== undefined && at !== null && above.ignored(`${at}/${inner}`, dir);
  }

  /** Takes a drive out of everything that works with it. */
  async function withdraw(one: Running): Promise<void> {
    const { driveId } = one.record;
    running.delete(driveId);
    for (const end of one.off) end();
    await node.hosting.removeDrive(driveId);
    await one.sync.stop();
    await exchange.removeDrive(driveId);
    one.borrowed.release();
  }

  async function close(one: Running, last?: (one: Running) => void): Promise<void> {
    await withdraw(one);
    await one.chunks.stop();
    one.drive.close();
    await one.endCheckpoints();
    try {
      last?.(one);
    } finally {
      one.db.close();
    }
  }

  return { launch, close };
}
