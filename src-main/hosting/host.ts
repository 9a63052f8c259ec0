import { mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../src-shared/errors.ts';
import type { ErrorCode } from '../../src-shared/errors.ts';
import type { Clock, Logger } from '../../src-shared/runtime.ts';
import type { BlockSource, Exchange } from '../exchange/index.ts';
import type { EntryId } from '../history/index.ts';
import type { DeviceId, UserId } from '../identity/index.ts';
import type { Network } from '../network/index.ts';
import { createChunkStore } from '../store/index.ts';
import type { ChunkStore, Database } from '../store/index.ts';
import type { CodingPool } from './coding/coding-pool.ts';
import { hasTag, openContract } from './contract.ts';
import type { SignedContract } from './contract.ts';
import { openHostedDrive } from './hosted-drive.ts';
import type { HostedDrive } from './hosted-drive.ts';
import { createHostRecords } from './host-records.ts';
import type { HostRecords } from './host-records.ts';
import type { HostingTimes } from './drive-keeper.ts';
import { offerToStranger, strangersBound } from './lending.ts';
import type { StrangersBound } from './lending.ts';
import { limits } from './limits.ts';
import { createPaidCopies } from './paid-copies.ts';
import type { PaidCopies } from './paid-copies.ts';
import { createOwedDrives } from './owed.ts';
import type { OwedDrives } from './owed.ts';
import type { LeafPool } from './leaf-pool.ts';
import type { LeafProof } from '../history/index.ts';
import type { HostAnswer, HostRequest } from './messages.ts';
import type { Asks, Challenge, HostAddress, HostedDriveInfo, KeptBlock, Offer } from './types.ts';

export interface HostDeps {
  /** Folder for ciphertext and chains of others; made when missing. */
  readonly dir: string;
  readonly db: Database;
  readonly network: Network;
  readonly exchange: Exchange;
  readonly leaves: LeafPool;
  readonly coding: CodingPool;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Bytes lent to others; null: none. */
  readonly quota: () => number | null;
  /** What is wanted for keeping them; null: nothing. */
  readonly asks: () => Asks | null;
  /** Share of that, in [0, 1], that one stranger may reserve for nothing; 1: there is no bound. Default: 1. */
  readonly strangerShare?: () => number;
  /** Who is no stranger: the bound is not for them. */
  readonly isKnown?: (user: UserId) => boolean;
  readonly times: () => Pick<HostingTimes, 'pollMs'>;
}

/** What a computer that keeps a drive for others may use of it while its own person has the drive open. */
export interface Borrowed {
  /** The blocks kept; none when nothing is. */
  readonly source: BlockSource;
  /** The chain kept, its genesis first; null: nothing is kept. */
  entries(): readonly Uint8Array[] | null;
  /** The drive is not open any more. Call when it is no longer exchanged. */
  release(): void;
}

/** The side that lends disk. */
export interface Host {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** @param to who asks: a stranger is offered no more than one may reserve; left out: somebody who is known here */
  offer(to?: DeviceId): Promise<Offer>;
  /** Answers one request of a peer; throws AppError, which the peer is told as a refusal. */
  answer(peer: DeviceId, request: HostRequest): Promise<HostAnswer>;
  drives(): readonly HostedDriveInfo[];
  /** Drives that went because nothing paid for them, and when each would be taken again, ms. */
  unpaid(): readonly { readonly driveId: EntryId; readonly until: number }[];
  /** The person of this computer opens a drive that may be kept here for others: see `Hosting.borrow`. */
  borrow(drive: EntryId): Promise<Borrowed>;
  /** The contract under which a drive is kept here. */
  contractOf(drive: EntryId): SignedContract | null;
  used(): number;
  reserved(): number;
  /** What people who are not known here may reserve; null: whatever is free. */
  strangers(): StrangersBound | null;
  /** Copies that contracts on ledgers pay for. */
  paid(): PaidCopies;
  /** A paid contract is over: what was to go while it ran goes now. */
  endPaid(chain: string, contract: number): Promise<void>;
}

/** Left free on the disk whatever the quota says. Bytes. */
const diskReserve = 512 * 1024 * 1024;
/** A contract is kept so long beyond its end, in case its keeper was away. ms. */
const graceMs = 30 * 86_400_000;
/** So many times rarer than drives of others are asked after: a quarter of an hour, usually. */
const sweepPolls = 30;
/** Time another host has to answer when it is dialled, ms. */
const dialMs = 5_000;

export function createHost(deps: HostDeps): Host {
  const { network, clock, logger } = deps;
  const drives = new Map<EntryId, HostedDrive>();
  let records: HostRecords;
  let paid: PaidCopies;
  let owed: OwedDrives;
  let chunks: ChunkStore;
  let cancelSweep: (() => void) | null = null;
  /** Drives that are open here for their own person, and how often. */
  const borrowed = new Map<EntryId, number>();
  /** Contracts are taken one after another: what is free is counted once for each. */
  let taking: Promise<unknown> = Promise.resolve();
  let stopped = false;

  const dirOf = (drive: EntryId): string => join(deps.dir, drive);
  const reserved = (): number =>
    [...drives.values()].reduce((sum, drive) => sum + drive.contract().contract.bytes, 0);
  const used = (): number => [...drives.values()].reduce((sum, drive) => sum + drive.status().bytes, 0);

  const isKnown = (user: UserId | null): boolean => user !== null && (deps.isKnown?.(user) ?? false);
  const userOf = ({ contract }: SignedContract): UserId | null => network.cards.userOf(contract.keeper);

  /** Bytes reserved by strangers, and by this device's person among them. */
  function reservedByStrangers(peer: DeviceId): { readonly own: number; readonly strangers: number } {
    const user = network.cards.userOf(peer);
    let [own, strangers] = [0, 0];
    for (const hosted of drives.values()) {
      const signed = hosted.contract();
      const { keeper, bytes } = signed.contract;
      const who = userOf(signed);
      if (isKnown(who)) continue;
      strangers += bytes;
      if (keeper === peer || (who !== null && who === user)) own += bytes;
    }
    return { own, strangers };
  }

  function strangers(): StrangersBound | null {
    const share = deps.strangerShare?.() ?? 1;
    const quota = deps.quota();
    // Who asks for pay is paid for what is reserved, or gets rid of it.
    return quota === null || share >= 1 || deps.asks() !== null ? null : strangersBound(quota, share);
  }

  async function offer(to?: DeviceId): Promise<Offer> {
    const all = await offerToAll();
    const bound = strangers();
    if (to === undefined || bound === null || isKnown(network.cards.userOf(to))) return all;
    return { ...all, ...offerToStranger(all, bound, reservedByStrangers(to)) };
  }

  async function offerToAll(): Promise<Offer> {
    const quota = deps.quota();
    const addresses = network.addresses().slice(0, limits.addressesPerHost);
    if (quota === null) return { quota: 0, free: 0, leaving: true, asks: null, addresses };
    const disk = await statfs(deps.dir);
    // What is reserved but not yet written will still have to fit.
    const room = disk.bavail * disk.bsize - diskReserve - Math.max(0, reserved() - used());
    return {
      quota,
      free: Math.max(0, Math.floor(Math.min(quota - reserved(), room))),
      leaving: false,
      asks: deps.asks(),
      addresses,
    };
  }

  function open(contract: SignedContract, genesis?: Uint8Array): Promise<HostedDrive> {
    return openHostedDrive({
      dir: dirOf(contract.contract.drive),
      contract,
      records,
      paid,
      chunks,
      exchange: deps.exchange,
      coding: deps.coding,
      ownPeer: network.peerId,
      isAside: borrowed.has(contract.contract.drive),
      reach,
      clock,
      logger,
      ...(genesis && { genesis }),
    });
  }

  async function reach(hosts: readonly HostAddress[], signal: AbortSignal): Promise<void> {
    const connected = new Set(network.peers().map(({ peerId }) => peerId));
    const dial = async ({ peerId, addresses }: HostAddress): Promise<void> => {
      for (const address of addresses) {
        const limited = AbortSignal.any([signal, AbortSignal.timeout(dialMs)]);
        // An address names its peer: whoever else answers there is not let in.
        const isIt = address.endsWith(`/p2p/${peerId}`);
        const found = isIt ? await network.connect(address, limited).catch(() => null) : null;
        if (found !== null || signal.aborted) return;
      }
    };
    await Promise.all(hosts.filter(({ peerId }) => !connected.has(peerId)).map(dial));
  }

  function refuse(code: ErrorCode, message: string): never {
    throw new AppError(code, message);
  }

  function known(drive: EntryId): HostedDrive {
    return drives.get(drive) ?? refuse('not_hosted', 'This computer keeps nothing of that drive.');
  }

  function requireMember(peer: DeviceId, drive: EntryId, list: 'members' | 'managers'): HostedDrive {
    const hosted = known(drive);
    const user = network.cards.userOf(peer);
    if (user === null || !hasTag(hosted.contract().contract[list], drive, user)) {
      refuse('forbidden', 'The contract of this drive does not allow you that.');
    }
    return hosted;
  }

  /** Members, and the drive's other hosts: they rebuild what they lost. */
  function requireHolder(peer: DeviceId, drive: EntryId): HostedDrive {
    const hosted = known(drive);
    const isHost = hosted.contract().contract.hosts.some(({ peerId }) => peerId === peer);
    return isHost ? hosted : requireMember(peer, drive, 'members');
  }

  function keep(peer: DeviceId, drive: EntryId, blocks: readonly KeptBlock[]): void {
    const hosted = requireMember(peer, drive, 'members');
    hosted.keep(blocks, hosted.contract().contract.keeper === peer);
  }

  async function takeContract(peer: DeviceId, bytes: Uint8Array, genesis: Uint8Array): Promise<void> {
    const signed = openContract(bytes);
    const { contract } = signed;
    const before = drives.get(contract.drive);
    if (contract.host !== network.peerId) refuse('contract_invalid', 'This contract is for another host.');
    if (contract.keeper !== peer) refuse('contract_invalid', 'This contract was signed by another device.');
    if (contract.until <= clock.now()) refuse('contract_invalid', 'This contract has ended.');
    const user = network.cards.userOf(peer);
    if (user === null || !hasTag(contract.managers, contract.drive, user)) {
      refuse('contract_invalid', 'Who signs a contract must be among those who may change it.');
    }
    if (before) {
      requireMember(peer, contract.drive, 'managers');
      if (contract.number <= before.contract().contract.number) {
        refuse('contract_invalid', 'A newer contract of this drive is known here.');
      }
    }
    const more = contract.bytes - (before?.contract().contract.bytes ?? 0);
    const { free, leaving } = await offer(peer);
    if (!before && owed.isRefused(contract.drive, clock.now()))
      refuse('unpaid', 'This drive was kept here before, and nothing was paid for it.');
    if (leaving && !before) refuse('quota_exceeded', 'This computer lends no disk.');
    if (more > 0 && more > free) refuse('quota_exceeded', 'This computer does not lend so much.');
    records.takeBack(contract.drive);
    if (before) return before.renew(signed);
    await mkdir(dirOf(contract.drive), { recursive: true, mode: 0o700 });
    drives.set(contract.drive, await open(signed, genesis));
    records.putContract(contract.drive, signed.bytes);
    if (deps.asks() !== null) owed.taken(contract.drive, clock.now());
  }

  async function prove(drive: EntryId, challenges: readonly Challenge[]): Promise<(LeafProof | null)[]> {
    const proofs: (LeafProof | null)[] = [];
    const lost: Uint8Array[] = [];
    for (const { id, leaf } of challenges) {
      const bytes = records.isKept(drive, id) ? await chunks.get(id) : null;
      if (bytes === null) {
        lost.push(id);
        proofs.push(null);
      } else proofs.push((await deps.leaves.prove(bytes, [leaf]))[0] ?? null);
    }
    if (lost.length > 0) {
      records.lost(lost);
      known(drive).pull();
    }
    return proofs;
  }

  async function check(): Promise<void> {
    const lost = await chunks.recheck();
    if (lost.length === 0) return;
    logger.warn({ blocks: lost.length }, 'blocks kept for others were lost; they are fetched again');
    records.lost(lost);
    for (const drive of drives.values()) drive.pull();
  }

  async function release(drive: EntryId, number: number): Promise<void> {
    const hosted = known(drive);
    if (number < hosted.contract().contract.number) {
      refuse('contract_invalid', 'A newer contract of this drive is known here.');
    }
    // What is paid for stays until it is not: who has put something down for it would lose that.
    if (paid.holds(drive)) return records.putReleased(drive);
    drives.delete(drive);
    owed.forget(drive);
    await hosted.erase();
  }

  async function endPaid(chain: string, contract: number): Promise<void> {
    const ended = paid.ended(chain, contract);
    if (!ended) return;
    const hosted = drives.get(ended.drive);
    if (!hosted) return;
    if (records.isReleased(ended.drive) && !paid.holds(ended.drive)) {
      drives.delete(ended.drive);
      await hosted.erase();
    } else if (ended.ids.length > 0) await hosted.drop(ended.ids);
  }

  async function sweep(): Promise<void> {
    const now = clock.now();
    for (const [drive, hosted] of drives) {
      if (paid.holds(drive)) {
        owed.isPaid(drive, now);
        continue;
      }
      const unpaid = deps.asks() !== null && owed.overdue(drive, now);
      if (!unpaid && hosted.contract().contract.until + graceMs > now) continue;
      logger.info(
        { drive, unpaid },
        'a drive is kept no longer: its contract ended long ago, or nothing pays for it',
      );
      if (unpaid) owed.giveUp(drive, now);
      else owed.forget(drive);
      drives.delete(drive);
      await hosted.erase();
    }
  }

  /** Counted in waits, not by the clock: after a night's sleep keepers first have time to come. */
  let polls = 0;
  function sweepLater(): void {
    if (stopped) return;
    cancelSweep = clock.after(deps.times().pollMs, () => {
      polls += 1;
      if (polls % sweepPolls !== 0) return sweepLater();
      void sweep()
        .catch((error: unknown) => logger.warn({ error }, 'hosted drives could not be looked through'))
        .finally(sweepLater);
    });
  }

  return {
    async start() {
      await mkdir(deps.dir, { recursive: true, mode: 0o700 });
      records = createHostRecords(deps.db);
      owed = createOwedDrives(deps.db);
      paid = createPaidCopies({
        db: deps.db,
        read: async (drive, id) => (records.isKept(drive, id) ? chunks.get(id) : null),
        isKept: (drive, id) => records.isKept(drive, id),
        rootOf: (block) => deps.leaves.root(block),
        prove: async (block, leaf) => (await deps.leaves.prove(block, [leaf]))[0] ?? null,
      });
      chunks = createChunkStore({
        dir: join(deps.dir, 'chunks'),
        // What is kept is decided by contracts; nothing is thrown out for room.
        budget: Number.MAX_SAFE_INTEGER,
        onDamaged: (id) => {
          records.lost([id]);
          for (const drive of drives.values()) drive.pull();
        },
      });
      await chunks.start();
      records.eachStored((id) => chunks.has(id));
      for (const { drive, bytes } of records.contracts()) {
        try {
          drives.set(drive, await open(openContract(bytes)));
        } catch (error) {
          logger.error({ drive, error }, 'a hosted drive could not be opened');
        }
      }
      sweepLater();
    },
    async stop() {
      stopped = true;
      cancelSweep?.();
      await taking.catch(() => {});
      await Promise.all([...drives.values()].map((drive) => drive.stop()));
      drives.clear();
      await chunks.stop();
    },
    offer,
    async answer(peer, request) {
      switch (request.t) {
        case 'offer':
          return { t: 'offered', ...(await offer(peer)) };
        case 'others':
          // Answered where the offers of others are known.
          return { t: 'offers', offers: [] };
        case 'contract': {
          const taken = taking.then(() => takeContract(peer, request.contract, request.genesis));
          taking = taken.catch(() => {});
          await taken;
          return { t: 'ok' };
        }
        case 'keep':
          keep(peer, request.drive, request.blocks);
          return { t: 'ok' };
        case 'drop':
          await requireMember(peer, request.drive, 'managers').drop(request.ids);
          return { t: 'ok' };
        case 'stripes':
          requireMember(peer, request.drive, 'managers').noteStripes(request.add, request.remove);
          return { t: 'ok' };
        case 'search':
          return { t: 'found', stripes: requireHolder(peer, request.drive).stripesOf(request.ids) };
        case 'status':
          return { t: 'state', ...requireMember(peer, request.drive, 'members').status() };
        case 'check': {
          const hosted = requireMember(peer, request.drive, 'members');
          await check();
          return { t: 'state', ...hosted.status() };
        }
        case 'audit':
          requireMember(peer, request.drive, 'members');
          return { t: 'proofs', proofs: await prove(request.drive, request.challenges) };
        case 'paid': {
          const { contract } = requireMember(peer, request.drive, 'managers').contract();
          if (contract.keeper !== peer)
            refuse('forbidden', 'Only the keeper of a drive names what is paid for.');
          paid.note(request, clock.now());
          return { t: 'ok' };
        }
        case 'release':
          requireMember(peer, request.drive, 'managers');
          await release(request.drive, request.number);
          return { t: 'ok' };
        case 'contracts':
          return { t: 'known', contracts: [requireMember(peer, request.drive, 'members').contract().bytes] };
      }
    },
    drives: () =>
      [...drives].map(([driveId, hosted]) => {
        const { contract } = hosted.contract();
        const { bytes, missing } = hosted.status();
        return {
          driveId,
          bytes,
          missing,
          reserved: contract.bytes,
          userId: network.cards.userOf(contract.keeper),
          until: contract.until,
          goes: deps.asks() !== null && !paid.holds(driveId) ? owed.goesAt(driveId) : null,
        };
      }),
    unpaid: () => owed.gone(clock.now()),
    async borrow(drive) {
      borrowed.set(drive, (borrowed.get(drive) ?? 0) + 1);
      // A contract that is being taken sees it, or is waited for.
      await taking.catch(() => {});
      await drives.get(drive)?.stepAside();
      return {
        source: { read: async (ids) => drives.get(drive)?.source.read(ids) ?? ids.map(() => null) },
        entries: () => drives.get(drive)?.entries() ?? null,
        release() {
          const left = (borrowed.get(drive) ?? 1) - 1;
          if (left > 0) return void borrowed.set(drive, left);
          borrowed.delete(drive);
          drives.get(drive)?.comeBack();
        },
      };
    },
    contractOf: (drive) => drives.get(drive)?.contract() ?? null,
    used,
    reserved,
    strangers,
    paid: () => paid,
    endPaid,
  };
}
