import { join } from 'node:path';
import { AppError } from '../../src-shared/errors.ts';
import { createEmitter } from '../../src-shared/emitter.ts';
import type { Clock, Events, Logger, RandomBytes, Service } from '../../src-shared/runtime.ts';
import type { Drive } from '../drive/index.ts';
import type { BlockSource, Exchange } from '../exchange/index.ts';
import { keptFirst, withKept } from './kept-source.ts';
import type { EntryId } from '../history/index.ts';
import type { DeviceId, Signer, UserId } from '../identity/index.ts';
import type { Network } from '../network/index.ts';
import { openDatabase } from '../store/index.ts';
import type { Database } from '../store/index.ts';
import { createLocalBeacon } from './audit.ts';
import type { AuditBeacon } from './audit.ts';
import { createCodingPool } from './coding/coding-pool.ts';
import { createCodedSource } from './coding/cold-files.ts';
import type { CodingRules } from './coding/cold-files.ts';
import { createRebuilder } from './coding/rebuilder.ts';
import { createStripeRecords } from './coding/stripe-records.ts';
import type { StripeRecords } from './coding/stripe-records.ts';
import { createDriveKeeper } from './drive-keeper.ts';
import type { DriveKeeper, HostingTimes } from './drive-keeper.ts';
import { createHost } from './host.ts';
import type { Borrowed, Host } from './host.ts';
import { serveHostProtocol, talkTo } from './host-protocol.ts';
import type { StrangersBound } from './lending.ts';
import { createLeafPool } from './leaf-pool.ts';
import { limits } from './limits.ts';
import type { HostAnswer, HostRequest } from './messages.ts';
import { createOfferBook } from './offers.ts';
import { createReplicaRecords } from './replica-records.ts';
import type { HostRow, ReplicaRecords } from './replica-records.ts';
import type { PaidBlock, PaidCopies } from './paid-copies.ts';
import type { Asks, HostAddress, HostedDriveInfo, HostRole, Openness } from './types.ts';

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
  /**
   * Asks peers for a newer card of that user and takes over what it says of other devices: a host that knows only that one takes
   * this device for a stranger's.
   */
  readonly learnOwnCard: (user: UserId, signal: AbortSignal) => Promise<void>;
  /** Bytes lent to others; null: nothing is lent. */
  readonly quota: () => number | null;
  /** What is wanted for keeping them; null: nothing. */
  readonly asks: () => Asks | null;
  /** Share of what is lent that one stranger may reserve for nothing, in [0, 1]. Default: 1, no bound. */
  readonly strangerShare?: () => number;
  /** Who is no stranger. */
  readonly isKnown?: (user: UserId) => boolean;
  /** What a drive of this node pays for copies; null: nothing. */
  readonly pays: (drive: EntryId) => Asks | null;
  /** Who may read a drive of this node beside its members. Default: nobody. */
  readonly openness?: (drive: Drive) => Openness;
  readonly times: () => HostingTimes;
  readonly codingRules: () => CodingRules;
  /** Hosts that are found without anybody's help (in the DHT); `key` decides which. */
  readonly find?: (key: string, signal: AbortSignal) => Promise<readonly HostAddress[]>;
  /** Where audits get their randomness; by default from this computer. */
  readonly beacon?: AuditBeacon;
}

/** One copy of a drive on a computer that is no member. */
export interface ReplicaInfo {
  readonly peerId: DeviceId;
  readonly userId: UserId | null;
  readonly connected: boolean;
  /** It has all history and every block it is to keep. */
  readonly complete: boolean;
  /** It keeps every file that is kept whole. */
  readonly whole: boolean;
  /** Its place among those that keep one shard each of erasure-coded files; null: it keeps none. */
  readonly slot: number | null;
  readonly bytes: number;
  /** Time in ms. */
  readonly lastAudit: { readonly time: number; readonly ok: boolean } | null;
  /** An error code when it does not count any more. */
  readonly problem: string | null;
}

/** All copies of a drive on hosts. */
export interface ReplicasInfo {
  readonly wanted: number;
  /** Complete copies: nothing is lost when all but one of so many hosts are. */
  readonly copies: number;
  readonly coded: {
    /** Ciphertext of the coded files, without parity; null: only the keeper knows. */
    readonly bytes: number | null;
    readonly data: number;
    readonly parity: number;
    /** Slots that a host fills with all its shards. */
    readonly complete: number;
  } | null;
  readonly hosts: readonly ReplicaInfo[];
}

export type HostingEvents = {
  /** Copies of a drive, or what is kept for others (null), changed. */
  changed: { readonly driveId: EntryId | null };
  problem: { readonly driveId: EntryId; readonly error: AppError };
};

/** Lending disk to others, and keeping copies of own drives on the disks of others. */
export interface Hosting extends Service, Events<HostingEvents> {
  /**
   * The person of this computer is about to open a drive, which may be one that is kept here for others: that steps aside in the
   * exchange. Call before the drive is added there, and `release` after it was removed.
   */
  borrow(drive: EntryId): Promise<Borrowed>;
  /** What this node serves of a drive that it is a member of: what `source` has, what is kept of it for others, and parity computed. */
  serving(drive: Drive, source: BlockSource, kept: BlockSource): BlockSource;
  /** A drive this node is a member of was opened. */
  addDrive(drive: Drive, source: BlockSource, kept: BlockSource, user: UserId): void;
  removeDrive(drive: EntryId): Promise<void>;
  /** Its person left the drive: forgets its hosts. Call after `removeDrive`. */
  forgetDrive(drive: EntryId): void;
  /** Throws `drive_unknown`, `forbidden`. 0 takes all copies back. */
  replicate(drive: EntryId, copies: number): Promise<void>;
  replicas(drive: EntryId): ReplicasInfo;
  /**
   * Hosts that hold everything and passed an audit within `withinMs`, as far as this device looks after them: only it audits. 0
   * while a host was not told of all blocks of the present tree, or some of them can't be audited.
   */
  safeCopies(drive: EntryId, withinMs: number): number;
  /** A host of the drive that was there within `withinMs` is not connected now: it may have what nobody else has. */
  isHostAway(drive: EntryId, withinMs: number): boolean;
  /** Multiaddrs of the drive's hosts, for links. */
  addresses(drive: EntryId): readonly string[];
  hosted(): readonly HostedDriveInfo[];
  /** Who may read a drive that is kept here for others, as its keeper says. */
  openHosted(drive: EntryId): Openness;
  /** Drives that are kept here no longer because nothing paid for them, and when each would be taken again, ms. */
  unpaid(): readonly { readonly driveId: EntryId; readonly until: number }[];
  /**
   * The seam to a ledger, on the side that pays: hosts of a drive that this device looks after, hold everything and passed their last audit, with
   * the blocks that each keeps and their audit roots. Empty while some block has no root yet.
   */
  payable(drive: EntryId): readonly PayableHost[];
  /** Tells a host which of its blocks a contract pays for. Throws what it refuses with. */
  namePaid(drive: EntryId, host: DeviceId, paid: PaidContract, signal: AbortSignal): Promise<void>;
  /** A host that proves nothing on the ledger is replaced. */
  failed(drive: EntryId, host: DeviceId, error: AppError): void;
  /** And on the side that keeps copies for pay. */
  paid(): PaidCopies;
  endPaid(chain: string, contract: number): Promise<void>;
  /** Bytes lent to others: on the disk, promised, and what strangers may be promised (null: whatever is free). */
  lent(): { readonly used: number; readonly reserved: number; readonly strangers: StrangersBound | null };
}

/** A host that can be paid for what it keeps. */
export interface PayableHost {
  readonly peerId: DeviceId;
  /** Whose account is paid; null: not known yet. */
  readonly userId: UserId | null;
  readonly connected: boolean;
  /** Another one as soon as the drive's list of blocks changes. */
  readonly revision: number;
  /** What it keeps, in the order it was named; up to 65,536 rows are read. */
  blocks(): readonly PaidBlock[];
}

/** A contract on a ledger, and the blocks it is over in their order. */
export interface PaidContract {
  readonly chain: string;
  readonly contract: number;
  readonly ids: readonly Uint8Array[];
}

const addressesInLink = 8;
/** Time a host has to say in which stripe a block is, ms. */
const askMs = 10_000;

export function createHosting(deps: HostingDeps): Hosting {
  const { network, exchange, clock, logger } = deps;
  const events = createEmitter<HostingEvents>((error) =>
    logger.error({ error }, 'a hosting listener failed'),
  );
  const keepers = new Map<EntryId, { readonly drive: Drive; readonly keeper: DriveKeeper }>();
  const leaves = createLeafPool();
  const coding = createCodingPool();
  const offers = createOfferBook({
    network,
    clock,
    freshMs: () => Math.min(60_000, deps.times().pollMs),
    find: deps.find,
  });
  const beacon = deps.beacon ?? createLocalBeacon(deps.random);
  let db: Database;
  let records: ReplicaRecords;
  let stripes: StripeRecords;
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
    if (request.t === 'others') {
      // Also a node that hosts nothing and has no drives passes on whom it knows.
      await offers.refresh(AbortSignal.timeout(askMs));
      return { t: 'offers', offers: offers.told(peer) };
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

  /** Stripes of blocks, as this keeper made them or as hosts tell. */
  async function stripesOf(
    drive: EntryId,
    ids: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<readonly Uint8Array[]> {
    const own = ids.map((id) => stripes.of(drive, id)).filter((one) => one !== null);
    if (own.length > 0) return own;
    for (const { peerId } of exchange.hosts(drive)) {
      const found = await searchAt(peerId, drive, ids, signal);
      if (found !== null && found.length > 0) return found;
    }
    return [];
  }

  /** Stripes of blocks as one host tells; null: it did not answer. */
  async function searchAt(
    host: DeviceId,
    drive: EntryId,
    ids: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<readonly Uint8Array[] | null> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(askMs)]);
    const asked = talkTo(network, host, limited, (ask) => ask({ t: 'search', drive, ids }));
    return asked.then((answer) => answer.stripes).catch(() => null);
  }

  /** As all connected hosts tell: one that came late may know few of them. */
  async function searchAll(drive: EntryId, ids: readonly Uint8Array[], signal: AbortSignal) {
    const told = await Promise.all(
      exchange.hosts(drive).map(({ peerId }) => searchAt(peerId, drive, ids, signal)),
    );
    const answers = told.filter((one) => one !== null);
    const distinct = new Map(answers.flat().map((bytes) => [Buffer.from(bytes).toString('base64'), bytes]));
    return { answered: answers.length, stripes: [...distinct.values()] };
  }

  function replicas(drive: EntryId): ReplicasInfo {
    const connected = new Set(network.peers().map(({ peerId }) => peerId));
    const contract = keepers.get(drive)?.keeper.contracts.newest()?.contract;
    const told = new Map(records.hosts(drive).map((row) => [row.host, row]));
    const steady = new Set(exchange.hosts(drive).flatMap((one) => (one.sameHistory ? [one.peerId] : [])));
    const names = new Set([...told.keys(), ...(contract?.hosts.map(({ peerId }) => peerId) ?? [])]);
    names.delete(network.peerId);
    const roleOf = (peerId: DeviceId): HostRole => {
      const known = told.get(peerId) ?? contract?.hosts.find((host) => host.peerId === peerId);
      return { whole: known?.whole ?? true, slot: known?.slot ?? null };
    };
    const seq = records.seq(drive);
    const isKeeper = records.wanted(drive) !== null || contract?.keeper === network.peerId;
    const kept = isKeeper ? keepers.get(drive)?.drive : undefined;
    // While the keeper is held up it has not told hosts of what is new; what they had when they were visited is not all then.
    const isListed = kept === undefined || records.revision(drive) === kept.tree.revision();
    const hasAll = (row: HostRow): boolean =>
      row.complete && (kept === undefined || (isListed && row.sentSeq === seq));
    const hosts = [...names].sort().map((peerId): ReplicaInfo => {
      const row = told.get(peerId);
      const isConnected = connected.has(peerId);
      return {
        peerId,
        userId: network.cards.userOf(peerId),
        connected: isConnected,
        // What is connected and lacks an entry is not complete, whatever was so when it was last visited.
        complete: row !== undefined && hasAll(row) && (!isConnected || steady.has(peerId)),
        ...roleOf(peerId),
        bytes: row?.bytes ?? 0,
        lastAudit:
          row && row.auditTime !== null && row.auditOk !== null
            ? { time: row.auditTime, ok: row.auditOk }
            : null,
        problem: row?.broken ?? null,
      };
    });
    const good = hosts.filter(({ complete, problem }) => complete && problem === null);
    const coded = codedFiles(drive, hosts, good);
    return {
      wanted: records.wanted(drive) ?? contract?.copies ?? 0,
      copies: copiesOf(drive, good, coded),
      coded,
      hosts,
    };
  }

  /** How files are coded: as the keeper's records say, or, elsewhere, as the roles of the hosts show. */
  function codedFiles(
    drive: EntryId,
    hosts: readonly ReplicaInfo[],
    good: readonly ReplicaInfo[],
  ): ReplicasInfo['coded'] {
    const complete = new Set(good.flatMap(({ slot }) => slot ?? [])).size;
    const codes = stripes.codes(drive);
    const weakest = codes.at(-1);
    if (weakest) {
      const bytes = codes.reduce((sum, one) => sum + one.bytes, 0);
      return { bytes, data: weakest.data, parity: weakest.parity, complete };
    }
    const slots = Math.max(-1, ...hosts.map(({ slot }) => slot ?? -1)) + 1;
    if (slots === 0) return null;
    const parity = Math.floor(slots / 3);
    return { bytes: null, data: slots - parity, parity, complete };
  }

  /** Hosts of which all but one may be lost: of whole files as many as have them, of coded ones one more than can be spared. */
  function copiesOf(drive: EntryId, good: readonly ReplicaInfo[], coded: ReplicasInfo['coded']): number {
    const isKeeper = records.wanted(drive) !== null;
    // What waits for its stripe is on no host yet.
    if (isKeeper && records.totals(drive).waiting > 0) return 0;
    const whole = good.filter((host) => host.whole).length;
    if (coded === null || (isKeeper && !stripes.isExposed(drive))) return whole;
    return Math.min(whole, Math.max(0, coded.complete - coded.data + 1));
  }

  return {
    on: (name, listener) => events.on(name, listener),
    async start() {
      db = openDatabase(join(deps.dir, 'hosting.db'));
      records = createReplicaRecords(db);
      stripes = createStripeRecords(db);
      host = createHost({ ...deps, dir: join(deps.dir, 'drives'), db, leaves, coding });
      await host.start();
      serveHostProtocol(network, logger, answer);
    },
    async stop() {
      await Promise.all([...keepers.values()].map(({ keeper }) => keeper.stop()));
      keepers.clear();
      await host.stop();
      await leaves.stop();
      await coding.stop();
      db.close();
    },
    borrow: (drive) => host.borrow(drive),
    serving: (drive, source, kept) =>
      withKept(createCodedSource({ drive, source, stripes: () => stripes, coding }), kept),
    addDrive(drive, source, kept, user) {
      const keeper = createDriveKeeper({
        drive,
        source,
        records,
        stripes,
        coding,
        codingRules: deps.codingRules,
        search: (ids, signal) => searchAll(drive.id, ids, signal),
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
        learnOwnCard: (signal) => deps.learnOwnCard(user, signal),
        openness: () => deps.openness?.(drive) ?? null,
        pays: () => deps.pays(drive.id),
        onChange: () => events.emit('changed', { driveId: drive.id }),
        onProblem: (error) => events.emit('problem', { driveId: drive.id, error }),
      });
      keepers.set(drive.id, { drive, keeper });
      const local = withKept(source, kept);
      exchange.setRebuilder(
        drive.id,
        keptFirst(
          kept,
          createRebuilder({
            driveId: drive.id,
            coding,
            local: { block: async (id) => (await local.read([id]))[0] ?? null },
            stripes: (ids, signal) => stripesOf(drive.id, ids, signal),
          }),
        ),
      );
    },
    async removeDrive(drive) {
      const known = keepers.get(drive);
      keepers.delete(drive);
      exchange.setRebuilder(drive, null);
      await known?.keeper.stop();
    },
    forgetDrive: (drive) => records.forget(drive),
    replicate: (drive, copies) => knownKeeper(drive).replicate(copies),
    replicas,
    safeCopies(drive, withinMs) {
      const known = keepers.get(drive);
      if (!known || records.revision(drive) !== known.drive.tree.revision()) return 0;
      if (records.totals(drive).rootless > 0) return 0;
      const since = clock.now() - withinMs;
      const seq = records.seq(drive);
      const told = new Set(records.hosts(drive).flatMap((row) => (row.sentSeq === seq ? [row.host] : [])));
      const { hosts } = replicas(drive);
      const audited = hosts.filter(
        ({ peerId, complete, problem, lastAudit }) =>
          told.has(peerId) &&
          complete &&
          problem === null &&
          lastAudit !== null &&
          lastAudit.ok &&
          lastAudit.time >= since,
      );
      return copiesOf(drive, audited, codedFiles(drive, hosts, audited));
    },
    isHostAway(drive, withinMs) {
      const since = clock.now() - withinMs;
      const seen = new Map(records.hosts(drive).map((row) => [row.host, row.lastSeen]));
      return replicas(drive).hosts.some(
        // One that another device chose and this one never met may have been there lately.
        ({ peerId, connected, problem }) =>
          !connected && problem === null && (seen.get(peerId) ?? Number.POSITIVE_INFINITY) >= since,
      );
    },
    payable(drive) {
      if (!keepers.has(drive) || records.wanted(drive) === null) return [];
      if (records.totals(drive).rootless > 0) return [];
      return replicas(drive).hosts.flatMap(({ peerId, userId, connected, whole, slot, ...host }) => {
        if (!host.complete || host.problem !== null || host.lastAudit?.ok !== true) return [];
        const revision = records.seq(drive);
        const blocks = (): readonly PaidBlock[] => records.rooted(drive, { whole, slot }, limits.paidBlocks);
        return [{ peerId, userId, connected, revision, blocks }];
      });
    },
    async namePaid(drive, peer, { chain, contract, ids }, signal) {
      await talkTo(network, peer, signal, async (ask) => {
        for (let at = 0; at < ids.length; at += limits.blocksPerMessage) {
          const some = ids.slice(at, at + limits.blocksPerMessage);
          await ask({ t: 'paid', drive, chain, contract, at, count: ids.length, ids: some });
        }
      });
    },
    failed: (drive, peer, error) => keepers.get(drive)?.keeper.failed(peer, error),
    paid: () => host.paid(),
    endPaid: (chain, contract) => host.endPaid(chain, contract),
    addresses(drive) {
      const hosts = keepers.get(drive)?.keeper.contracts.newest()?.contract.hosts ?? [];
      return hosts.flatMap(({ addresses }) => addresses.slice(0, 2)).slice(0, addressesInLink);
    },
    hosted: () => host.drives(),
    openHosted: (drive) => host.contractOf(drive)?.contract.open ?? null,
    unpaid: () => host.unpaid(),
    lent: () => ({ used: host.used(), reserved: host.reserved(), strangers: host.strangers() }),
  };
}
