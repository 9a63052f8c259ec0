import { join } from 'node:path';
import { AppError } from '../../src-shared/errors.ts';
import { createEmitter } from '../../src-shared/emitter.ts';
import type { Clock, Events, Logger, RandomBytes, Service } from '../../src-shared/runtime.ts';
import type { Drive } from '../drive/index.ts';
import type { BlockSource, Exchange } from '../exchange/index.ts';
import type { EntryId } from '../history/index.ts';
import type { DeviceId, Signer, UserId } from '../identity/index.ts';
import type { Network } from '../network/index.ts';
import { openDatabase } from '../store/index.ts';
import type { Database } from '../store/index.ts';
import { createLocalBeacon } from './audit.ts';
import type { AuditBeacon } from './audit.ts';
import { createDriveKeeper } from './drive-keeper.ts';
import type { DriveKeeper, HostingTimes } from './drive-keeper.ts';
import { createHost } from './host.ts';
import type { Host } from './host.ts';
import { serveHostProtocol } from './host-protocol.ts';
import { createLeafPool } from './leaf-pool.ts';
import type { HostAnswer, HostRequest } from './messages.ts';
import { createOfferBook } from './offers.ts';
import { createReplicaRecords } from './replica-records.ts';
import type { ReplicaRecords } from './replica-records.ts';
import type { HostedDriveInfo } from './types.ts';

export interface HostingDeps {
  /** Folder of everything this layer keeps; made when missing. */
  readonly dir: string;
  readonly network: Network;
  readonly exchange: Exchange;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: RandomBytes;
  readonly signer: Signer;
  /** The encoded card of the actor a drive is used as. */
  readonly card: (user: UserId) => Uint8Array;
  /** Bytes lent to others; null: nothing is lent. */
  readonly quota: () => number | null;
  readonly times: () => HostingTimes;
  /** Where audits get their randomness; by default from this computer. */
  readonly beacon?: AuditBeacon;
}

/** One copy of a drive on a computer that is no member. */
export interface ReplicaInfo {
  readonly peerId: DeviceId;
  readonly userId: UserId | null;
  readonly connected: boolean;
  readonly complete: boolean;
  readonly bytes: number;
  /** Time in ms. */
  readonly lastAudit: { readonly time: number; readonly ok: boolean } | null;
  /** An error code when it does not count any more. */
  readonly problem: string | null;
}

export type HostingEvents = {
  /** Copies of a drive, or what is kept for others (null), changed. */
  changed: { readonly driveId: EntryId | null };
  problem: { readonly driveId: EntryId; readonly error: AppError };
};

/** Lending disk to others, and keeping copies of own drives on the disks of others. */
export interface Hosting extends Service, Events<HostingEvents> {
  /** A drive this node is a member of was opened. */
  addDrive(drive: Drive, source: BlockSource, user: UserId): void;
  removeDrive(drive: EntryId): Promise<void>;
  /** Its person left the drive: forgets its hosts. Call after `removeDrive`. */
  forgetDrive(drive: EntryId): void;
  /** Throws `drive_unknown`, `forbidden`. 0 takes all copies back. */
  replicate(drive: EntryId, copies: number): Promise<void>;
  replicas(drive: EntryId): { readonly wanted: number; readonly hosts: readonly ReplicaInfo[] };
  /** Hosts that hold everything and passed an audit within `withinMs`. */
  safeCopies(drive: EntryId, withinMs: number): number;
  /** Multiaddrs of the drive's hosts, for links. */
  addresses(drive: EntryId): readonly string[];
  hosted(): readonly HostedDriveInfo[];
  /** Bytes lent to others: on the disk, and promised. */
  lent(): { readonly used: number; readonly reserved: number };
}

const addressesInLink = 8;

export function createHosting(deps: HostingDeps): Hosting {
  const { network, exchange, clock, logger } = deps;
  const events = createEmitter<HostingEvents>((error) =>
    logger.error({ error }, 'a hosting listener failed'),
  );
  const keepers = new Map<EntryId, { readonly drive: Drive; readonly keeper: DriveKeeper }>();
  const leaves = createLeafPool();
  const offers = createOfferBook(network, clock, () => Math.min(60_000, deps.times().pollMs));
  const beacon = deps.beacon ?? createLocalBeacon(deps.random);
  let db: Database;
  let records: ReplicaRecords;
  let host: Host;

  async function answer(peer: DeviceId, request: HostRequest): Promise<HostAnswer> {
    if (request.t === 'contracts') {
      const own = keepers.get(request.drive);
      const newest = own?.keeper.contracts.newest();
      const user = network.cards.userOf(peer);
      if (own && newest && user !== null && own.drive.roleOf(user) !== null) {
        return { t: 'known', contracts: [newest.bytes] };
      }
    }
    const reply = await host.answer(peer, request);
    if (['contract', 'release'].includes(request.t)) events.emit('changed', { driveId: null });
    return reply;
  }

  function knownKeeper(drive: EntryId): DriveKeeper {
    const known = keepers.get(drive);
    if (!known) throw new AppError('drive_unknown', 'This drive is not open here.');
    return known.keeper;
  }

  function replicas(drive: EntryId): { wanted: number; hosts: ReplicaInfo[] } {
    const connected = new Set(network.peers().map(({ peerId }) => peerId));
    const contract = keepers.get(drive)?.keeper.contracts.newest()?.contract;
    const told = new Map(records.hosts(drive).map((row) => [row.host, row]));
    const steady = new Set(exchange.hosts(drive).flatMap((one) => (one.sameHistory ? [one.peerId] : [])));
    const names = new Set([...told.keys(), ...(contract?.hosts.map(({ peerId }) => peerId) ?? [])]);
    names.delete(network.peerId);
    return {
      wanted: records.wanted(drive) ?? contract?.copies ?? 0,
      hosts: [...names].sort().map((peerId) => {
        const row = told.get(peerId);
        const isConnected = connected.has(peerId);
        return {
          peerId,
          userId: network.cards.userOf(peerId),
          connected: isConnected,
          // What is connected and lacks an entry is not complete, whatever was so when it was last visited.
          complete: (row?.complete ?? false) && (!isConnected || steady.has(peerId)),
          bytes: row?.bytes ?? 0,
          lastAudit:
            row && row.auditTime !== null && row.auditOk !== null
              ? { time: row.auditTime, ok: row.auditOk }
              : null,
          problem: row?.broken ?? null,
        };
      }),
    };
  }

  return {
    on: (name, listener) => events.on(name, listener),
    async start() {
      db = openDatabase(join(deps.dir, 'hosting.db'));
      records = createReplicaRecords(db);
      host = createHost({ ...deps, dir: join(deps.dir, 'drives'), db, leaves });
      await host.start();
      serveHostProtocol(network, logger, answer);
    },
    async stop() {
      await Promise.all([...keepers.values()].map(({ keeper }) => keeper.stop()));
      keepers.clear();
      await host.stop();
      await leaves.stop();
      db.close();
    },
    addDrive(drive, source, user) {
      const keeper = createDriveKeeper({
        drive,
        source,
        records,
        network,
        exchange,
        offers,
        leaves,
        beacon,
        clock,
        logger,
        times: deps.times,
        signer: deps.signer,
        card: () => deps.card(user),
        onChange: () => events.emit('changed', { driveId: drive.id }),
        onProblem: (error) => events.emit('problem', { driveId: drive.id, error }),
      });
      keepers.set(drive.id, { drive, keeper });
    },
    async removeDrive(drive) {
      const known = keepers.get(drive);
      keepers.delete(drive);
      await known?.keeper.stop();
    },
    forgetDrive: (drive) => records.forget(drive),
    replicate: (drive, copies) => knownKeeper(drive).replicate(copies),
    replicas,
    safeCopies(drive, withinMs) {
      const since = clock.now() - withinMs;
      return replicas(drive).hosts.filter(
        ({ complete, problem, lastAudit }) =>
          complete && problem === null && lastAudit !== null && lastAudit.ok && lastAudit.time >= since,
      ).length;
    },
    addresses(drive) {
      const hosts = keepers.get(drive)?.keeper.contracts.newest()?.contract.hosts ?? [];
      return hosts.flatMap(({ addresses }) => addresses.slice(0, 2)).slice(0, addressesInLink);
    },
    hosted: () => host.drives(),
    lent: () => ({ used: host.used(), reserved: host.reserved() }),
  };
}
