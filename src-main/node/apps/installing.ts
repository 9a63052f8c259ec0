import { copyFile, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { grownPermissions, isAboutFolder } from '../../../src-shared/apps/index.ts';
import type { BundleManifest, Grant, PermissionRequest } from '../../../src-shared/apps/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import {
  appIdOf,
  openBundle,
  releasePlaces,
  shippedPublisher,
  type InstallRecord,
  type Installs,
} from '../../apps/index.ts';
import { hashOfUserId } from '../../identity/index.ts';
import type { Base } from '../core.ts';
import type { BlockLists } from './block-lists.ts';
import type { PublicFiles } from './public-files.ts';
import type { AppStore, FoundRelease } from './store.ts';

/** A newer release, and what it needs that the installed one does not. */
export interface Update {
  readonly version: string;
  readonly grows: readonly PermissionRequest[];
}

/** Installs and updates apps: fetches, checks, grants. */
export interface Installing {
  install(
    app: string,
    channel: string,
    grants: readonly Grant[],
    signal: AbortSignal,
  ): Promise<InstallRecord>;
  /** A bundle of this computer: nobody signed it, so it is the person's own. */
  installFile(
    file: string,
    publisher: string,
    channel: string,
    grants: readonly Grant[],
  ): Promise<InstallRecord>;
  develop(dir: string, publisher: string, grants: readonly Grant[]): Promise<InstallRecord>;
  /** Bundles that came with the program: those that are new, or newer. */
  installShipped(folder: string): Promise<void>;
  /** What is known to be newer than what is installed. */
  pending(appId: string): Update | null;
  /** Looks for a newer release. By itself only one that needs no more; when a person asks, any. */
  update(appId: string, asked: boolean, signal: AbortSignal): Promise<InstallRecord>;
  /** As `update`, of all; what fails is logged. */
  updateAll(signal: AbortSignal): Promise<void>;
}

/** Where permissions are kept. */
export interface InstallGrants {
  grantAtInstall(appId: string, grants: readonly Grant[]): void;
}

export function createInstalling({
  base,
  installs,
  store,
  files,
  lists,
  grants: keeper,
}: {
  readonly base: Base;
  readonly installs: Installs;
  readonly store: AppStore;
  readonly files: PublicFiles;
  readonly lists: BlockLists;
  readonly grants: InstallGrants;
}): Installing {
  const updates = new Map<string, Update>();
  installs.on('removed', ({ appId }) => updates.delete(appId));

  /** @throws AppError `invalid_argument` for what the manifest does not ask for */
  function checkGrants({ permissions }: Pick<BundleManifest, 'permissions'>, grants: readonly Grant[]): void {
    const asked = new Set([...permissions.required, ...permissions.optional].map(({ name }) => name));
    const strange = grants.find(({ name }) => !asked.has(name));
    if (strange) throw new AppError('invalid_argument', `The app does not ask for ${strange.name}.`);
  }

  /** What is required and what was chosen. Folders are picked by the person, camera and microphone given in the window. */
  function granted(required: readonly PermissionRequest[], chosen: readonly Grant[]): readonly Grant[] {
    const byThemselves = required.filter(
      ({ name }) =>
        !isAboutFolder(name) &&
        name !== 'camera' &&
        name !== 'microphone' &&
        !chosen.some((one) => one.name === name),
    );
    return [...byThemselves.map(({ name, caveats }) => ({ name, caveats })), ...chosen];
  }

  function refuseBlocked(appId: string): void {
    const blocked = lists.blocked(appId);
    if (!blocked) return;
    throw new AppError('app_blocked', `The block list ${blocked.list} names this app: ${blocked.reason}`, {
      details: blocked,
    });
  }

  async function fetch(
    { release, drive, source }: FoundRelease,
    signal: AbortSignal,
  ): Promise<InstallRecord> {
    refuseBlocked(release.appId);
    const { slug, version, bytes, appId, root, publisher, channel } = release;
    const temporary = await installs.temporary();
    try {
      await files.fetch(drive, releasePlaces.bundle(slug, version), bytes, temporary, signal);
      return await installs.take(temporary, {
        publisher,
        channel,
        source,
        link: drive,
        expect: { appId, root },
      });
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async function takeCopy(
    file: string,
    take: (copy: string) => Promise<InstallRecord>,
  ): Promise<InstallRecord> {
    const temporary = await installs.temporary();
    try {
      await copyFile(file, temporary).catch((cause: unknown) => {
        throw new AppError('not_found', `The bundle ${file} can't be read.`, { cause });
      });
      return await take(temporary);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async function update(appId: string, asked: boolean, signal: AbortSignal): Promise<InstallRecord> {
    const record = installs.get(appId);
    if (record.source === 'dev' || record.source === 'file' || record.source === 'shipped') return record;
    const newest = await store.newest(appId, record.channel, record.version);
    if (newest && newest.revoked !== record.revoked) installs.change(appId, { revoked: newest.revoked });
    if (newest && newest.version === null && record.source === 'ledger') {
      if (updates.delete(appId)) base.events.emit('apps', {});
      return installs.get(appId);
    }
    const found = await store.find(appId, record.channel, signal);
    const { version, manifest } = found.release;
    if (version === record.version || (!asked && version === record.skipped)) return installs.get(appId);
    const grows = grownPermissions(record.manifest.permissions, manifest.permissions);
    if (!asked && (!record.autoUpdate || grows.length > 0)) {
      updates.set(appId, { version, grows });
      base.events.emit('apps', {});
      return installs.get(appId);
    }
    const now = await fetch(found, signal);
    updates.delete(appId);
    // What was taken back stays so; only what is new was agreed to now.
    keeper.grantAtInstall(appId, granted(grows, []));
    base.logger.info({ app: now.slug, version: now.version }, 'an app was updated');
    return now;
  }

  async function installOneShipped(file: string): Promise<void> {
    const bundle = await openBundle(file);
    const { manifest, root } = bundle;
    await bundle.close();
    const appId = appIdOf(hashOfUserId(shippedPublisher), manifest.slug);
    const before = installs.find(appId);
    if (installs.records.declined(appId) || before?.root === Buffer.from(root).toString('hex')) return;
    // With an older program over newer data the newer app stays.
    await takeCopy(file, (copy) =>
      installs.take(copy, { publisher: shippedPublisher, source: 'shipped', expect: null }),
    );
    const needed = before
      ? grownPermissions(before.manifest.permissions, manifest.permissions)
      : manifest.permissions.required;
    keeper.grantAtInstall(appId, granted(needed, []));
  }

  return {
    async install(app, channel, grants, signal) {
      const found = await store.find(app, channel, signal);
      const { manifest } = found.release;
      checkGrants(manifest, grants);
      const record = await fetch(found, signal);
      keeper.grantAtInstall(record.appId, granted(manifest.permissions.required, grants));
      return record;
    },
    async installFile(file, publisher, channel, grants) {
      const bundle = await openBundle(file);
      const { manifest } = bundle;
      await bundle.close();
      checkGrants(manifest, grants);
      refuseBlocked(appIdOf(hashOfUserId(publisher), manifest.slug));
      const record = await takeCopy(file, (copy) =>
        installs.take(copy, { publisher, channel, source: 'file', expect: null }),
      );
      keeper.grantAtInstall(record.appId, granted(manifest.permissions.required, grants));
      return record;
    },
    async develop(dir, publisher, grants) {
      const record = await installs.develop(dir, publisher);
      checkGrants(record.manifest, grants);
      keeper.grantAtInstall(record.appId, granted(record.manifest.permissions.required, grants));
      return record;
    },
    async installShipped(folder) {
      const names = await readdir(folder).catch(() => [] as string[]);
      for (const name of names.filter((one) => one.endsWith('.exapp')).sort()) {
        // A bundle that is damaged, or too new for what is here, leaves the node as it was.
        await installOneShipped(path.join(folder, name)).catch((error: unknown) =>
          base.logger.warn({ err: error, bundle: name }, 'a shipped app was not installed'),
        );
      }
    },
    pending: (appId) => updates.get(appId) ?? null,
    update,
    async updateAll(signal) {
      for (const { appId, slug } of installs.list()) {
        if (signal.aborted) return;
        await update(appId, false, signal).catch((error: unknown) => {
          if (!signal.aborted)
            base.logger.info({ err: error, app: slug }, 'no newer release could be looked for');
        });
      }
    },
  };
}
