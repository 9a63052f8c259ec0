import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, isAppError } from '../../src-shared/errors.ts';
import { createEmitter } from '../../src-shared/emitter.ts';
import type { Clock, Logger } from '../../src-shared/runtime.ts';
import type { DriveEvents } from '../drive/index.ts';
import type { BlockSource, Exchange, ExchangedDrive } from '../exchange/index.ts';
import { createHistory } from '../history/index.ts';
import type { History } from '../history/index.ts';
import { createSigner } from '../identity/index.ts';
import { hashChunk, openDatabase } from '../store/index.ts';
import type { ChunkStore, Database } from '../store/index.ts';
import type { CodingPool } from './coding/coding-pool.ts';
import { createRebuilder } from './coding/rebuilder.ts';
import { decodeStripe, stripeId } from './coding/stripe.ts';
import { hasTag } from './contract.ts';
import type { SignedContract } from './contract.ts';
import type { HostRecords } from './host-records.ts';
import type { PaidCopies } from './paid-copies.ts';
import type { HostAddress, KeptBlock, ReplicaStatus } from './types.ts';

export interface HostedDriveDeps {
  /** Folder of the drive's chain and its index. */
  readonly dir: string;
  readonly contract: SignedContract;
  /** The first time. */
  readonly genesis?: Uint8Array;
  readonly records: HostRecords;
  readonly paid: PaidCopies;
  readonly chunks: ChunkStore;
  readonly exchange: Exchange;
  readonly coding: CodingPool;
  readonly ownPeer: string;
  /** The drive is open here for its own person, who exchanges it: see `stepAside`. */
  readonly isAside: boolean;
  /** Connects to other hosts of the drive, as far as they answer. */
  readonly reach: (hosts: readonly HostAddress[], signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One drive kept for others: its chain and its ciphertext, fetched from members and other hosts, served to both. */
export interface HostedDrive {
  contract(): SignedContract;
  /** The blocks kept. */
  readonly source: BlockSource;
  /** All entries of the chain as they were signed. */
  entries(): readonly Uint8Array[];
  /**
   * The person of this computer opens the drive: from now on it is exchanged as that one's. What is kept here stays, is answered for, and goes on
   * being fetched.
   */
  stepAside(): Promise<void>;
  /** That is over. */
  comeBack(): void;
  /** A newer contract of the same drive. */
  renew(contract: SignedContract): void;
  status(): ReplicaStatus;
  /**
   * Throws `quota_exceeded` when that is more than the contract reserves.
   * @param isKeeper whether the contract's own keeper asks: any other leaves out blocks that are shards of a stripe, as it does not
   *   know whose they are
   */
  keep(blocks: readonly KeptBlock[], isKeeper: boolean): void;
  /** Remembers stripes and forgets others; throws `malformed`, `quota_exceeded`. */
  noteStripes(add: readonly Uint8Array[], remove: readonly Uint8Array[]): void;
  /** Encoded stripes that hold these blocks. */
  stripesOf(ids: readonly Uint8Array[]): Uint8Array[];
  drop(ids: readonly Uint8Array[]): Promise<void>;
  /** Blocks may be missing now: fetch them. */
  pull(): void;
  stop(): Promise<void>;
  /** Ends it and gives the space back. */
  erase(): Promise<void>;
}

/** Asked of the exchange at once. */
const pullBlocks = 256;
const pullBytes = 64 * 1024 * 1024;
const firstRetryMs = 1_000;
const lastRetryMs = 60_000;

/**
 * Opens a drive that this node keeps for others.
 * @throws what opening a history throws: a genesis entry that is not the drive's, a damaged index
 */
export async function openHostedDrive(deps: HostedDriveDeps): Promise<HostedDrive> {
  const { records, exchange, clock, logger } = deps;
  const driveId = deps.contract.contract.drive;
  const db = openDatabase(join(deps.dir, 'host.db'));
  let history: History;
  try {
    history = await openChain(deps, db);
  } catch (error) {
    db.close();
    throw error;
  }
  let signed = deps.contract;
  const events = createEmitter<DriveEvents>((error) => logger.error({ error }, 'a listener failed'));
  const stopping = new AbortController();
  let chainBytes = history.position();
  let totals = records.totals(driveId);
  let pulling: Promise<void> | null = null;
  let again = false;
  let retryMs = firstRetryMs;
  let cancelRetry: (() => void) | null = null;
  let isAside = deps.isAside;

  const chain: ExchangedDrive = {
    id: driveId,
    on: (name, listener) => events.on(name, listener),
    frontier: () => history.frontier(),
    missingFor: (frontier) => history.missingFor(frontier),
    ownTip: () => null,
    roleOf: (user) => (hasTag(signed.contract.members, driveId, user) ? 'reader' : null),
    async ingest(entries, source) {
      const size = entries.reduce((sum, entry) => sum + entry.length, 0);
      if (chainBytes + totals.named + size > signed.contract.bytes) {
        throw new AppError(
          'quota_exceeded',
          'The history of a hosted drive is larger than its contract reserves.',
        );
      }
      const result = await history.ingest(entries, source);
      chainBytes = history.position();
      if (result.added.length > 0) events.emit('entries', { entries: result.added, local: false });
      return result;
    },
  };
  const source: BlockSource = {
    read: (ids) =>
      Promise.all(
        ids.map(async (id) => {
          if (!records.isKept(driveId, id)) return null;
          const bytes = await deps.chunks.get(id);
          if (bytes === null) noteLost([id]);
          return bytes;
        }),
      ),
  };

  function noteLost(ids: readonly Uint8Array[]): void {
    records.lost(ids);
    totals = records.totals(driveId);
    pull();
  }

  function applyHosts(): void {
    if (isAside) return;
    const others = signed.contract.hosts.map(({ peerId }) => peerId).filter((peer) => peer !== deps.ownPeer);
    exchange.setHosts(driveId, new Set(others));
  }

  async function pullOnce(): Promise<void> {
    for (;;) {
      const batch = takeBatch(records.missing(driveId, pullBlocks));
      if (batch.length === 0 || stopping.signal.aborted) return;
      const requests = batch.map(({ id, size }) => ({
        ref: { id, epoch: '', plainHash: id, len: size, weak: 0 },
        accept: (ciphertext: Uint8Array) => accept(id, ciphertext),
      }));
      try {
        await exchange.fetch(driveId, requests, stopping.signal);
      } finally {
        totals = records.totals(driveId);
      }
      retryMs = firstRetryMs;
    }
  }

  async function accept(id: Uint8Array, ciphertext: Uint8Array): Promise<void> {
    if (Buffer.compare(await hashChunk(ciphertext), id) !== 0) {
      throw new AppError('bad_hash', 'A block does not match its id.');
    }
    await deps.chunks.put([{ id, bytes: ciphertext }], { durable: true });
    records.stored(driveId, id, ciphertext.length);
  }

  function pull(): void {
    cancelRetry?.();
    cancelRetry = null;
    again = true;
    pulling ??= run().finally(() => (pulling = null));
  }

  async function run(): Promise<void> {
    while (again && !stopping.signal.aborted) {
      again = false;
      try {
        await pullOnce();
      } catch (error) {
        if (stopping.signal.aborted) return;
        if (!isAppError(error, 'gone'))
          logger.warn({ driveId, error }, 'blocks of a hosted drive did not come');
        // No member is there, and other hosts need not be connected for anything else.
        const others = signed.contract.hosts.filter(({ peerId }) => peerId !== deps.ownPeer);
        await deps.reach(others, stopping.signal);
        if (stopping.signal.aborted) return;
        const ms = retryMs;
        retryMs = Math.min(retryMs * 2, lastRetryMs);
        cancelRetry = clock.after(ms, pull);
      }
    }
  }

  function encodedStripes(ids: readonly Uint8Array[]): Uint8Array[] {
    const found = ids.map((id) => records.stripeOf(driveId, id)).filter((one) => one !== null);
    return [...new Map(found.map((bytes) => [Buffer.from(stripeId(bytes)).toString('hex'), bytes])).values()];
  }

  function attach(): void {
    exchange.addDrive(chain, source);
    // What no member and no other host has as it is may be computed from other shards.
    exchange.setRebuilder(
      driveId,
      createRebuilder({
        driveId,
        coding: deps.coding,
        local: { block: (id) => source.read([id]).then(([bytes]) => bytes ?? null) },
        stripes: async (ids) => encodedStripes(ids),
      }),
    );
    applyHosts();
  }

  async function detach(): Promise<void> {
    await exchange.removeDrive(driveId);
    exchange.setRebuilder(driveId, null);
  }

  if (!isAside) attach();
  // Somebody who may have what is missing came or learnt something.
  const off = exchange.on('members', (event) => {
    if (event.driveId === driveId && totals.missing > 0 && pulling === null) pull();
  });
  pull();

  async function stop(): Promise<void> {
    if (stopping.signal.aborted) return;
    stopping.abort();
    off();
    cancelRetry?.();
    if (!isAside) {
      await detach();
      exchange.setHosts(driveId, new Set());
    }
    await pulling;
    history.close();
    db.close();
  }

  return {
    contract: () => signed,
    source,
    entries: () => Array.from(history.missingFor([]), ({ bytes }) => bytes),
    async stepAside() {
      if (isAside || stopping.signal.aborted) return;
      isAside = true;
      await detach();
    },
    comeBack() {
      if (!isAside || stopping.signal.aborted) return;
      isAside = false;
      attach();
      pull();
    },
    renew(contract) {
      signed = contract;
      records.putContract(driveId, contract.bytes);
      applyHosts();
    },
    status: () => ({ bytes: totals.bytes + chainBytes, blocks: totals.blocks, missing: totals.missing }),
    keep(named, isKeeper) {
      const blocks = isKeeper ? named : named.filter(({ id }) => records.stripeOf(driveId, id) === null);
      const added = records.bytesOfNew(driveId, blocks);
      if (added > 0 && chainBytes + totals.named + added > signed.contract.bytes) {
        throw new AppError('quota_exceeded', 'The contract of this drive reserves less than that.');
      }
      records.keep(driveId, blocks);
      deps.paid.keptAgain(
        driveId,
        blocks.map(({ id }) => id),
      );
      totals = records.totals(driveId);
      pull();
    },
    noteStripes(add, remove) {
      for (const id of remove) records.removeStripe(driveId, id);
      const size = add.reduce((sum, bytes) => sum + bytes.length, 0);
      if (chainBytes + totals.named + size > signed.contract.bytes) {
        throw new AppError('quota_exceeded', 'The contract of this drive reserves less than that.');
      }
      for (const bytes of add) {
        const { blocks, parity } = decodeStripe(bytes);
        records.addStripe(
          driveId,
          stripeId(bytes),
          bytes,
          [...blocks, ...parity].map(({ id }) => id),
        );
      }
      totals = records.totals(driveId);
    },
    stripesOf: (ids) => encodedStripes(ids),
    async drop(ids) {
      const held = new Set(deps.paid.held(driveId, ids));
      const there = records.drop(
        driveId,
        ids.filter((id) => !held.has(id)),
      );
      totals = records.totals(driveId);
      await deps.chunks.delete(there);
    },
    pull() {
      totals = records.totals(driveId);
      pull();
    },
    stop,
    async erase() {
      await stop();
      await deps.chunks.delete(records.removeDrive(driveId));
      await rm(deps.dir, { recursive: true, force: true });
    },
  };
}

/** A host never writes entries; its signer exists because a history wants one. */
function openChain(deps: HostedDriveDeps, db: Database): Promise<History> {
  return createHistory({
    dir: deps.dir,
    db,
    driveId: deps.contract.contract.drive,
    signer: createSigner(randomBytes(32)),
    clock: deps.clock,
    random: (n) => randomBytes(n),
    logger: deps.logger,
    ...(deps.genesis && { genesis: deps.genesis }),
  });
}

function takeBatch(blocks: readonly KeptBlock[]): readonly KeptBlock[] {
  let bytes = 0;
  const fits = blocks.findIndex(({ size }, i) => i > 0 && (bytes += size) > pullBytes);
  return fits < 0 ? blocks : blocks.slice(0, fits);
}
