import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import { openDrive, type Content, type Drive, type DriveIdentity } from '../../drive/index.ts';
import { keptFirst, type Borrowed } from '../../hosting/index.ts';
import { tryUnwrap, type DeviceId } from '../../identity/index.ts';
import { openDatabase, type Database } from '../../store/index.ts';
import type { FolderSync, OnlineFiles } from '../../sync/index.ts';
import type { Online } from '../core.ts';
import { parseDriveLink, type DriveLink } from '../drive-link.ts';
import { createRemoteReader } from './remote-reader.ts';
import { followOthers } from './follow-others.ts';

/** A drive whose files can be read: one kept here, or a view. */
export interface Readable {
  readonly record: { readonly driveId: string };
  readonly drive: Drive;
  readonly sync: Pick<FolderSync, 'readContent' | 'contentState'> & {
    readonly online?: Pick<OnlineFiles, 'held'>;
    readonly status?: FolderSync['status'];
  };
  /** Nothing of it is kept: what is not here comes when it is read. */
  readonly online?: true;
}

/** A drive looked at by its link, without joining: its history is here for a while, its bytes come as they are read. */
export type View = Readable & { readonly online: true };

export interface Views {
  /**
   * Opens a link (or the id of a public drive), or gives the view that is open already.
   * @throws AppError of the link; `forbidden`, `unreachable`, `timeout`
   */
  open(link: string, signal: AbortSignal): Promise<View>;
  /** A view of this drive is open. */
  has(driveId: string): boolean;
  /** Ends the view of a drive, if there is one: it is about to be kept here. */
  close(driveId: string): Promise<void>;
  stop(): Promise<void>;
}

type Kept = View & {
  readonly db: Database;
  readonly dir: string;
  readonly secret: string;
  readonly borrowed: Borrowed;
  lastUsed: number;
  /** Somebody gave its history to this view: a refusal after that is no misunderstanding at the beginning. */
  wasServed: boolean;
};

/** A view nobody used for so long is closed, ms. */
const idleAfter = 15 * 60_000;
const lookEvery = 60_000;
const patience = 30_000;
/** Others that have the drive are looked for once what was asked for first is there, ms. */
const othersAfter = 1_000;

export function createViews(node: Online): Views {
  const { clock, exchange, identity, logger, random } = node;
  const root = path.join(node.dataDir, 'views');
  const views = new Map<string, Kept>();
  const opening = new Map<string, Promise<Kept>>();
  let cancel: (() => void) | null = null;
  let stopped = false;
  // What a crash left behind.
  const cleaned = rm(root, { recursive: true, force: true });

  /** Reads with whatever keys the person has, and never writes: it stands for nobody. */
  function reader(secret: Uint8Array | null): DriveIdentity {
    return {
      userId: '',
      device: identity.deviceSigner,
      get certificate(): never {
        throw new AppError('forbidden', 'A drive that is only looked at cannot be changed.');
      },
      encKey: new Uint8Array(32),
      unwrap: (box) =>
        (identity.userId() === null ? null : identity.tryUnwrap(box)) ?? (secret && tryUnwrap(secret, box)),
    };
  }

  async function close(driveId: string, view: Kept): Promise<void> {
    if (views.get(driveId) === view) views.delete(driveId);
    await exchange.removeDrive(driveId);
    exchange.setRebuilder(driveId, null);
    view.borrowed.release();
    node.readers.cache.forget(driveId);
    node.open.unfollow(driveId);
    view.drive.close();
    view.db.close();
    await rm(view.dir, { recursive: true, force: true });
  }

  function closeIdle(): void {
    cancel = null;
    for (const [id, view] of views) {
      if (clock.now() - view.lastUsed < idleAfter) continue;
      close(id, view).catch((error: unknown) => logger.warn({ err: error }, 'a view could not be closed'));
    }
    if (views.size > 0 && !stopped) cancel = clock.after(lookEvery, closeIdle);
  }

  /** The link does not open the drive any more: what had been fetched of it is not shown any longer either. */
  function closeRefused(driveId: string): void {
    const view = views.get(driveId);
    const members = view ? exchange.members(driveId) : [];
    if (!view || members.length === 0) return;
    if (members.some((one) => !one.refused && one.sameHistory)) view.wasServed = true;
    // At first one may be refused because the other side has not heard yet that the link is known here.
    if (!view.wasServed || !members.every((one) => one.refused)) return;
    logger.info({ drive: driveId }, 'a drive that was looked at is open no more');
    close(driveId, view).catch((error: unknown) => logger.warn({ err: error }, 'a view could not be closed'));
  }
  const unwatch = exchange.on('members', ({ driveId }) => closeRefused(driveId));

  async function build(link: DriveLink, secret: Uint8Array | null, signal: AbortSignal): Promise<Kept> {
    const { driveId } = link;
    await cleaned;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(patience)]);
    // It may be one that is kept here for others: enough when nobody else is there.
    const borrowed = await node.hosting.borrow(driveId);
    const kept = borrowed.entries();
    const peers = await node.sources.reach(link, limit).catch((error: unknown): readonly DeviceId[] => {
      if (kept !== null) return [];
      borrowed.release();
      throw error;
    });
    node.open.follow(driveId, secret, peers);
    const dir = path.join(root, randomUUID());
    let db: Database | null = null;
    let drive: Drive | null = null;
    try {
      let wasServed = true;
      const entries = await exchange.fetchHistory(driveId, peers, limit).catch((error: unknown) => {
        if (kept === null) throw error;
        wasServed = false;
        return kept;
      });
      await mkdir(dir, { recursive: true, mode: 0o700 });
      db = openDatabase(path.join(dir, 'drive.db'));
      const writer = random(32);
      drive = await openDrive({
        identity: reader(secret),
        writerKeys: { get: () => writer, put: () => {} },
        clock,
        random,
        logger,
        dir,
        db,
        driveId,
        genesis: entries[0]!,
      });
      for (let at = 1; at < entries.length; at += 256) await drive.ingest(entries.slice(at, at + 256));
      drive.currentEpoch();
      exchange.addDrive(drive, borrowed.source, true);
      exchange.setRebuilder(driveId, keptFirst(borrowed.source, null));
      const sync = {
        readContent: createRemoteReader({
          drive,
          exchange,
          content: node.content,
          kept: borrowed.source,
          cache: node.readers.cache,
        }),
        contentState: (content: Content) =>
          content.kind === 'link' || content.inline !== null ? ('here' as const) : ('elsewhere' as const),
      };
      const record = { driveId };
      const secretHex = hexOf(secret);
      clock.after(othersAfter, () => {
        followOthers(node, { ...link, power: { t: 'read', secret } }, () => views.get(driveId)?.db === db);
      });
      return {
        record,
        drive,
        sync,
        online: true,
        db,
        dir,
        secret: secretHex,
        borrowed,
        lastUsed: clock.now(),
        wasServed,
      };
    } catch (error) {
      node.open.unfollow(driveId);
      borrowed.release();
      drive?.close();
      if (db?.open) db.close();
      await rm(dir, { recursive: true, force: true });
      if (!isAppError(error, 'key_missing')) throw error;
      throw new AppError('forbidden', 'This link does not open the drive any more, or never did.', {
        cause: error,
      });
    }
  }

  return {
    async open(text, signal) {
      const link = parseDriveLink(text);
      const { driveId, power } = link;
      if (power?.t === 'invite') {
        throw new AppError('not_allowed', 'This link is an invitation: join the drive to see what it holds.');
      }
      const secret = power?.secret ?? null;
      const known = views.get(driveId);
      if (known && (secret === null || known.secret === hexOf(secret))) {
        known.lastUsed = clock.now();
        return known;
      }
      if (known) await close(driveId, known);
      let pending = opening.get(driveId);
      if (!pending) {
        pending = build(link, secret, signal).finally(() => opening.delete(driveId));
        opening.set(driveId, pending);
      }
      const view = await pending;
      if (views.get(driveId) !== view) {
        views.set(driveId, view);
        const oldest = [...views].sort(([, a], [, b]) => a.lastUsed - b.lastUsed)[0];
        if (views.size > node.settings.get('open.views') && oldest) await close(...oldest);
        cancel ??= clock.after(lookEvery, closeIdle);
      }
      return view;
    },
    has: (driveId) => views.has(driveId),
    async close(driveId) {
      await opening.get(driveId)?.catch(() => {});
      const view = views.get(driveId);
      if (view) await close(driveId, view);
    },
    async stop() {
      stopped = true;
      unwatch();
      cancel?.();
      await Promise.allSettled(opening.values());
      for (const [id, view] of [...views]) await close(id, view);
    },
  };
}

const hexOf = (bytes: Uint8Array | null): string => Buffer.from(bytes ?? []).toString('hex');
