import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import {
  blockListName,
  openBundle,
  readBlockList,
  releasePlaces,
  signBlockList,
  signRelease,
  verifyBundle,
  type DocumentSigner,
  type Release,
} from '../../apps/index.ts';
import type { NodeServices } from '../../api/index.ts';
import type { Online } from '../core.ts';
import type { Drives, OpenDrive } from '../drives.ts';
import { suggestFolder } from '../folders.ts';

/** Puts what a person publishes into a public drive of their own. */
export interface Publishing {
  /** A bundle with its signed release and pictures. @returns the release, and the link of the drive */
  release(file: string, channel: string): Promise<{ readonly release: Release; readonly link: string }>;
  blockList(
    title: string,
    apps: readonly { readonly appId: string; readonly reason: string }[],
  ): Promise<{ readonly link: string }>;
}

/** Name of the drive, and of its folder in the person's home. */
const driveName = 'Published apps';

export function createPublishing({
  online,
  drives,
  services,
}: {
  readonly online: () => Online;
  readonly drives: () => Drives;
  readonly services: () => Pick<NodeServices, 'drives'>;
}): Publishing {
  /** The user who publishes, with what signs for them. @throws AppError `no_identity` */
  function signer(): { readonly user: string; readonly signer: DocumentSigner } {
    const { identity } = online();
    const user = identity.userId();
    if (user === null)
      throw new AppError('no_identity', 'Create an identity first; releases are signed by it.');
    return { user, signer: { certificate: identity.certificate(), device: identity.deviceSigner } };
  }

  /** The public drive of the actor in use; made when there is none. */
  async function drive(user: string): Promise<OpenDrive> {
    const found = drives()
      .list()
      .find(
        ({ record, drive: one }) =>
          record.user === user &&
          one.name() === driveName &&
          one.ownRole() === 'owner' &&
          one.visibility() === 'public',
      );
    if (found) return found;
    const { folder } = await suggestFolder(driveName);
    const made = await drives().create(driveName, folder);
    await made.drive.setVisibility('public');
    return made;
  }

  async function linkOf({ record }: OpenDrive, signal = new AbortController().signal): Promise<string> {
    const input = { drive: record.driveId, role: null, expires: null, uses: null };
    return (await services().drives.link(input, signal)).link;
  }

  /** Whole or not at all, beside what is there. */
  async function put(one: OpenDrive, place: string, fill: (file: string) => Promise<unknown>): Promise<void> {
    const target = path.join(one.record.folder, ...place.split('/'));
    const temporary = path.join(one.record.folder, '.extrachain', 'tmp', `app-${randomUUID()}`);
    await mkdir(path.dirname(target), { recursive: true });
    await mkdir(path.dirname(temporary), { recursive: true });
    await fill(temporary);
    await rename(temporary, target);
  }

  return {
    async release(file, channel) {
      const who = signer();
      const { manifest, size } = await verifyBundle(file);
      const one = await drive(who.user);
      const made = signRelease(
        { manifest, bytes: size, channel, time: online().clock.now() },
        who.user,
        who.signer,
      );
      const { slug, version } = made.release;
      await put(one, releasePlaces.bundle(slug, version), (to) => copyFile(file, to));
      const bundle = await openBundle(file);
      try {
        for (const picture of new Set([manifest.icon, ...manifest.screenshots])) {
          const bytes = await bundle.read(picture);
          await put(one, releasePlaces.picture(slug, version, picture), (to) => writeFile(to, bytes!));
        }
      } finally {
        await bundle.close();
      }
      // Last, so that nobody finds a release whose bundle is not there yet.
      for (const place of [releasePlaces.release(slug, version), releasePlaces.newest(slug, channel)])
        await put(one, place, (to) => writeFile(to, made.file));
      await one.sync.scan();
      return { release: made.release, link: await linkOf(one) };
    },
    async blockList(title, apps) {
      const who = signer();
      const one = await drive(who.user);
      const before = await readFile(path.join(one.record.folder, blockListName)).catch(() => null);
      let number = 0;
      try {
        if (before) number = readBlockList(before).payload.number + 1;
      } catch (error) {
        if (!isAppError(error)) throw error;
        number = online().clock.now();
      }
      const text = signBlockList({ title, number, apps: [...apps] }, who.signer);
      await put(one, blockListName, (to) => writeFile(to, text));
      await one.sync.scan();
      return { link: await linkOf(one) };
    },
  };
}
