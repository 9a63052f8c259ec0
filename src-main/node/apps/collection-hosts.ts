import type { Drive } from '../../drive/index.ts';
import type { BlockSource } from '../../exchange/index.ts';
import type { Borrowed, Hosting } from '../../hosting/index.ts';
import type { EntryId } from '../../history/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import type { Online } from '../core.ts';
import type { CollectionRecord, createCollectionRecords } from './collection-records.ts';

/** How often it is looked whether collections have the copies that are wanted, ms. */
const lookEvery = 10_000;
/** Hosts that are slow to hear of a change hear of it later, ms. */
const tellPatience = 5000;
/** A collection has no files, so no blocks: hosts keep its history. */
const noBlocks: BlockSource = { read: (ids) => Promise.resolve(ids.map(() => null)) };

interface Kept {
  readonly record: CollectionRecord;
  /** The one that is replicated. */
  readonly drive: Drive;
}

/** Copies of collections on computers that are no members and cannot read them. */
export interface CollectionHosts {
  /** One was opened: its hosts are looked after or followed, where it has or is to have some. */
  opened(one: Kept): Promise<void>;
  /** It is being closed. Call before it leaves the exchange. */
  closing(driveId: EntryId): Promise<void>;
  /** Call when it was closed and forgotten here. */
  forget(driveId: EntryId): void;
  /** Members changed here: resolves when the hosts that can be reached know whom they serve now, after a few seconds at the latest. */
  membersChanged(one: Kept): Promise<void>;
  /** Somebody who may speak for it says that it has hosts. */
  heard(one: Kept): void;
  /**
   * @param copies on how many hosts; null: as the setting `collections.copies` says for those that the person owns
   * @throws AppError `forbidden`
   */
  replicate(one: Kept, copies: number | null): Promise<void>;
  replicas: Hosting['replicas'];
  addresses(driveId: EntryId): readonly string[];
  stop(): Promise<void>;
}

export function createCollectionHosts(
  node: Online,
  records: ReturnType<typeof createCollectionRecords>,
  running: () => Iterable<Kept>,
): CollectionHosts {
  const { hosting, settings, clock, logger } = node;
  const attached = new Map<EntryId, Promise<Borrowed>>();
  let stopped = false;

  /** Each keeper asks around for contracts: only collections that have to do with hosts get one. */
  async function attach({ record, drive }: Kept): Promise<void> {
    const { driveId } = record;
    if (stopped || attached.has(driveId)) return;
    // It may be one that is kept here for others.
    const borrowing = hosting.borrow(driveId);
    attached.set(driveId, borrowing);
    const borrowed = await borrowing;
    if (attached.get(driveId) === borrowing) hosting.addDrive(drive, noBlocks, borrowed.source, record.user);
  }

  const isOwner = ({ drive }: Kept): boolean => drive.ownRole() === 'owner';
  const wantedOf = (one: Kept): number | null => {
    const told = records.copies(one.record.driveId);
    return told ?? (isOwner(one) ? settings.get('collections.copies') : null);
  };

  async function see(one: Kept): Promise<void> {
    const { driveId } = one.record;
    const wanted = wantedOf(one);
    const { wanted: now } = hosting.replicas(driveId);
    if (wanted === null || (wanted === now && (wanted === 0 || attached.has(driveId)))) return;
    await attach(one);
    if (!attached.has(driveId)) return;
    records.setHosted(driveId);
    await hosting.replicate(driveId, wanted);
  }

  const look = (one: Kept): Promise<void> =>
    see(one).catch((error: unknown) =>
      logger.warn({ err: error, driveId: one.record.driveId }, 'copies of a collection could not be seen to'),
    );
  let cancel = (): void => {};
  const later = (): void => {
    cancel = clock.after(lookEvery, () => {
      void Promise.all([...running()].map(look)).finally(() => {
        if (!stopped) later();
      });
    });
  };
  later();

  return {
    async opened(one) {
      if (records.hosted(one.record.driveId)) await attach(one);
      void look(one);
    },
    async closing(driveId) {
      const borrowing = attached.get(driveId);
      if (!borrowing) return;
      attached.delete(driveId);
      const borrowed = await borrowing;
      await hosting.removeDrive(driveId);
      borrowed.release();
    },
    forget: (driveId) => hosting.forgetDrive(driveId),
    async membersChanged(one) {
      const wanted = wantedOf(one);
      if (wanted === null || wanted === 0 || !attached.has(one.record.driveId)) return;
      let done = (): void => {};
      const late = new Promise<void>((resolve) => (done = clock.after(tellPatience, resolve)));
      await Promise.race([hosting.replicate(one.record.driveId, wanted).catch(() => {}), late]);
      done();
    },
    heard(one) {
      if (records.hosted(one.record.driveId)) return;
      records.setHosted(one.record.driveId);
      void attach(one);
    },
    async replicate(one, copies) {
      if (!['owner', 'manager'].includes(one.drive.ownRole() ?? '')) {
        throw new AppError('forbidden', 'Only owners and managers of a collection decide where it is kept.');
      }
      records.setCopies(one.record.driveId, copies);
      await see(one);
    },
    replicas: (driveId) => hosting.replicas(driveId),
    addresses: (driveId) => (attached.has(driveId) ? hosting.addresses(driveId) : []),
    async stop() {
      stopped = true;
      cancel();
      await Promise.allSettled(attached.values());
    },
  };
}
