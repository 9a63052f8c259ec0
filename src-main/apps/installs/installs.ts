import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { compareVersions, defaultChannel } from '../../../src-shared/apps/index.ts';
import type { BundleManifest } from '../../../src-shared/apps/index.ts';
import { createEmitter } from '../../../src-shared/emitter.ts';
import { AppError } from '../../../src-shared/errors.ts';
import type { Clock, Events, Logger } from '../../../src-shared/runtime.ts';
import { hashOfUserId } from '../../identity/index.ts';
import type { Database } from '../../store/index.ts';
import { openBundle, verifyBundle } from '../bundle/index.ts';
import type { Bundle } from '../bundle/index.ts';
import { appIdOf } from '../ids.ts';
import { devManifest, openDevFolder } from './dev-folder.ts';
import type { DevFolder } from './dev-folder.ts';
import { createInstallRecords } from './records.ts';
import type { InstallRecord, InstallRecords, InstallSource, KeptBundle } from './records.ts';

export type InstallEvents = {
  /** Something about what is installed is different. */
  changed: Record<string, never>;
  /** An app has other files now: open pages of it are old. */
  files: { readonly appId: string };
  /** It is no longer installed. */
  removed: { readonly appId: string; readonly keepData: boolean };
};

/** Where a bundle came from, and what it has to be. */
export interface Origin {
  readonly publisher: string;
  readonly channel?: string;
  readonly source: InstallSource;
  readonly link?: string | null;
  /** What the publisher signed or the ledger says; null: nobody said. */
  readonly expect: { readonly appId: string; readonly root: string } | null;
}

/** The apps installed on this computer: their bundles, each under its root, and what led to them. */
export interface Installs extends Events<InstallEvents> {
  readonly records: InstallRecords;
  /** Takes away what an interrupted install left, opens the rest. */
  start(): Promise<void>;
  stop(): Promise<void>;
  list(): readonly InstallRecord[];
  /** null: no such app is installed. */
  find(appId: string): InstallRecord | null;
  /** @throws AppError `app_not_installed` */
  get(appId: string): InstallRecord;
  /** A file of an app, checked against its hash; null: it has none of that path. @throws AppError `bad_hash`, `app_not_installed` */
  read(appId: string, file: string): Promise<Uint8Array | null>;
  /** A new path for a bundle that is being fetched, on the disk where it will stay. */
  temporary(): Promise<string>;
  /**
   * Checks a bundle fully and takes it (the file is moved): installs it, or makes it the version in use.
   * @throws AppError `malformed`, `bad_hash`, `app_id_mismatch`, `version_not_newer`
   */
  take(file: string, origin: Origin): Promise<InstallRecord>;
  /** @throws AppError `not_found` when the version before is not kept */
  rollback(appId: string): Promise<InstallRecord>;
  develop(dir: string, publisher: string): Promise<InstallRecord>;
  change(
    appId: string,
    change: Partial<Pick<InstallRecord, 'pinned' | 'autoUpdate' | 'revoked'>>,
  ): InstallRecord;
  remove(appId: string, keepData: boolean): Promise<void>;
}

/** @param dir folder of the bundles */
export function createInstalls({
  db,
  dir,
  clock,
  log,
}: {
  readonly db: Database;
  readonly dir: string;
  readonly clock: Clock;
  readonly log: Logger;
}): Installs {
  const records = createInstallRecords(db);
  const events = createEmitter<InstallEvents>((error) =>
    log.error({ err: error }, 'a listener of apps failed'),
  );
  const installed = new Map<string, InstallRecord>(records.all().map((one) => [one.appId, one]));
  const open = new Map<string, Promise<Bundle>>();
  const folders = new Map<string, DevFolder>();
  let temporaries = 0;

  const fileOf = (root: string): string => path.join(dir, `${root}.exapp`);

  function find(appId: string): InstallRecord | null {
    return installed.get(appId) ?? null;
  }
  function get(appId: string): InstallRecord {
    const found = find(appId);
    if (found) return found;
    throw new AppError('app_not_installed', 'That app is not installed.');
  }
  function put(record: InstallRecord): InstallRecord {
    records.put(record);
    installed.set(record.appId, record);
    events.emit('changed', {});
    return record;
  }

  function bundle(root: string): Promise<Bundle> {
    let found = open.get(root);
    if (!found) {
      found = openBundle(fileOf(root));
      open.set(root, found);
      found.catch(() => open.delete(root));
    }
    return found;
  }

  /** Takes away bundles that no app has any more. */
  async function sweep(): Promise<void> {
    const wanted = new Set(
      [...installed.values()].flatMap(({ root, previous }) => [
        `${root}.exapp`,
        `${previous?.root ?? ''}.exapp`,
      ]),
    );
    for (const name of await readdir(dir).catch(() => [])) {
      if (wanted.has(name) || (temporaries > 0 && name.endsWith('.part'))) continue;
      const root = name.replace(/\.exapp$/, '');
      await (await open.get(root)?.catch(() => null))?.close();
      open.delete(root);
      await rm(path.join(dir, name), { force: true });
    }
  }

  function watchFolder(appId: string, folder: string): DevFolder {
    const made = openDevFolder(folder, clock, () => void reload(appId, made));
    folders.set(appId, made);
    return made;
  }
  async function reload(appId: string, folder: DevFolder): Promise<void> {
    try {
      const manifest = await folder.manifest();
      // A page that is loaded in the middle of a build shows an error, and hears of nothing any more.
      if ((await folder.read(manifest.entry)) === null) return;
      // Meanwhile a bundle may have taken its place.
      const record = find(appId);
      if (!record || folders.get(appId) !== folder) return;
      // Under another slug it would be another app.
      if (manifest.slug === record.slug)
        put({ ...record, manifest, version: manifest.version, updatedAt: clock.now() });
    } catch (error) {
      log.warn({ err: error, app: appId }, 'the manifest of an app in development can’t be read');
      return;
    }
    events.emit('files', { appId });
  }
  /** From now on the app is no folder any more; resolves when nothing watches it. */
  async function endFolder(appId: string): Promise<void> {
    const folder = folders.get(appId);
    folders.delete(appId);
    await folder?.stop();
  }

  /** @throws AppError `version_not_newer` */
  function refuseDowngrade(
    before: InstallRecord,
    manifest: BundleManifest,
    root: string,
    source: InstallSource,
  ): void {
    const step = compareVersions(manifest.version, before.version);
    // Who tries out a file of his own packs one version many times.
    if (step > 0 || before.root === root || (step === 0 && source === 'file')) return;
    if (step === 0 && before.source === 'dev') return;
    throw new AppError(
      'version_not_newer',
      `${before.version} is installed; ${manifest.version} is not newer.`,
      { details: { installed: before.version, version: manifest.version } },
    );
  }

  return {
    on: events.on,
    records,
    async start() {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await sweep();
      for (const { appId, dir: folder } of installed.values())
        if (folder !== null) watchFolder(appId, folder);
    },
    async stop() {
      for (const appId of [...folders.keys()]) await endFolder(appId);
      for (const one of open.values()) await (await one.catch(() => null))?.close();
      open.clear();
    },
    list: () => [...installed.values()],
    find,
    get,
    async read(appId, file) {
      const { root } = get(appId);
      const folder = folders.get(appId);
      return folder ? folder.read(file) : (await bundle(root)).read(file);
    },
    async temporary() {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      return path.join(dir, `${clock.now()}-${(temporaries += 1)}.part`);
    },
    async take(file, { publisher, channel = defaultChannel, source, link = null, expect }) {
      const { manifest, root: bytes, size } = await verifyBundle(file);
      const root = Buffer.from(bytes).toString('hex');
      const appId = appIdOf(hashOfUserId(publisher), manifest.slug);
      if (expect && expect.appId !== appId)
        throw new AppError(
          'app_id_mismatch',
          'The bundle is of another app than the one that was asked for.',
        );
      if (expect && expect.root !== root)
        throw new AppError('bad_hash', 'The bundle is not the one that its publisher released.');
      const before = find(appId);
      if (before) refuseDowngrade(before, manifest, root, source);
      await rename(file, fileOf(root));
      const now = clock.now();
      const kept: KeptBundle | null =
        before && before.source !== 'dev' && before.root !== root
          ? { version: before.version, root: before.root, size: before.size }
          : (before?.previous ?? null);
      const ending = endFolder(appId);
      const record = put({
        appId,
        publisher,
        slug: manifest.slug,
        channel,
        source,
        link,
        dir: null,
        manifest,
        version: manifest.version,
        root,
        size,
        previous: kept,
        skipped: null,
        pinned: before?.pinned ?? false,
        autoUpdate: before?.autoUpdate ?? true,
        revoked: false,
        installedAt: before?.installedAt ?? now,
        updatedAt: now,
      });
      await ending;
      await sweep();
      events.emit('files', { appId });
      return record;
    },
    async rollback(appId) {
      const record = get(appId);
      if (!record.previous)
        throw new AppError('not_found', 'No version before this one is kept of that app.');
      const { manifest } = await verifyBundle(fileOf(record.previous.root));
      const back = put({
        ...record,
        ...record.previous,
        manifest,
        previous: null,
        skipped: record.version,
        revoked: false,
        updatedAt: clock.now(),
      });
      await sweep();
      events.emit('files', { appId });
      return back;
    },
    async develop(folder, publisher) {
      const manifest = await devManifest(folder);
      const appId = appIdOf(hashOfUserId(publisher), manifest.slug);
      const before = find(appId);
      const now = clock.now();
      const ending = endFolder(appId);
      watchFolder(appId, folder);
      const record = put({
        appId,
        publisher,
        slug: manifest.slug,
        channel: defaultChannel,
        source: 'dev',
        link: null,
        dir: folder,
        manifest,
        version: manifest.version,
        root: '',
        size: 0,
        previous: null,
        skipped: null,
        pinned: before?.pinned ?? false,
        autoUpdate: false,
        revoked: false,
        installedAt: before?.installedAt ?? now,
        updatedAt: now,
      });
      await ending;
      await sweep();
      events.emit('files', { appId });
      return record;
    },
    change: (appId, change) => put({ ...get(appId), ...change }),
    async remove(appId, keepData) {
      const { source } = get(appId);
      await endFolder(appId);
      installed.delete(appId);
      if (source === 'shipped') records.setDeclined(appId, true);
      records.remove(appId);
      await sweep();
      events.emit('removed', { appId, keepData });
      events.emit('changed', {});
    },
  };
}
