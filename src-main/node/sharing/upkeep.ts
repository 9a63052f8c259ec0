import { isAppError } from '../../../src-shared/errors.ts';
import type { Drive } from '../../drive/index.ts';
import type { Hosting, Openness } from '../../hosting/index.ts';
import type { Online } from '../core.ts';
import type { Drives } from '../drives.ts';
import { accessKeyOf } from './open-access.ts';
import { providerKey, unlistedKey } from './sources.ts';

/** Drives one node speaks of in the DHT, at most. */
const maxAnnounced = 256;
const sweepEvery = 10 * 60_000;
const firstSweep = 2_000;

/** Keys under which the open drives kept here stand in the DHT. */
export function* openDriveKeys(drives: Drives): Iterable<Uint8Array> {
  let count = 0;
  for (const { drive } of drives.list()) {
    const visibility = drive.visibility();
    if (visibility === 'private') continue;
    if (++count > maxAnnounced) return;
    yield providerKey(drive.id, visibility === 'public' ? null : drive.readSecret());
  }
}

/** The same of open drives that are kept here for others. */
export function* openHostedKeys(hosting: Pick<Hosting, 'hosted' | 'openHosted'>): Iterable<Uint8Array> {
  let count = 0;
  for (const { driveId } of hosting.hosted()) {
    const open = hosting.openHosted(driveId);
    if (open === null) continue;
    if (++count > maxAnnounced) return;
    yield open === 'public' ? providerKey(driveId, null) : unlistedKey(driveId, open);
  }
}

/** Whom the hosts of a drive are to serve beside its members. */
export function opennessOf(drive: Drive): Openness {
  const visibility = drive.visibility();
  const secret = drive.readSecret();
  if (visibility === 'private' || secret === null) return null;
  return visibility === 'public' ? 'public' : accessKeyOf(secret);
}

/**
 * Ends invitations that have run out, from time to time.
 * @returns ends it
 */
export function keepInvitations({ clock, logger }: Online, drives: Drives): () => void {
  let stopped = false;
  let cancel = (): void => {};

  async function sweep(): Promise<void> {
    for (const { drive } of drives.list()) {
      await drive.sweepInvites().catch((error: unknown) => {
        // Without the keys of the drive, or while it closes, there is nothing to do.
        if (!isAppError(error)) throw error;
      });
    }
  }

  async function look(): Promise<void> {
    await sweep().catch((error: unknown) =>
      logger.warn({ err: error }, 'invitations could not be looked at'),
    );
    if (!stopped) cancel = clock.after(sweepEvery, () => void look());
  }

  cancel = clock.after(firstSweep, () => void look());
  return () => {
    stopped = true;
    cancel();
  };
}
