import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { Clock, Logger } from '../../src-shared/runtime.ts';
import type { Drive } from '../drive/index.ts';
import type { BlockSource, Exchange } from '../exchange/index.ts';
import type { DeviceId, Signer } from '../identity/index.ts';
import type { Network } from '../network/index.ts';
import type { AuditBeacon } from './audit.ts';
import { createBlockList } from './block-list.ts';
import { memberTags, signContract } from './contract.ts';
import { createKnownContracts } from './contracts-known.ts';
import type { KnownContracts } from './contracts-known.ts';
import { talkTo } from './host-protocol.ts';
import type { LeafPool } from './leaf-pool.ts';
import type { OfferBook } from './offers.ts';
import type { Candidate } from './placement.ts';
import { planReplicas } from './repair.ts';
import type { ReplicaPlan, ReplicaRules } from './repair.ts';
import { createReplicaClient } from './replica-client.ts';
import type { HostRow, ReplicaRecords } from './replica-records.ts';
import type { HostAddress } from './types.ts';

/** How often things happen. ms. */
export interface HostingTimes extends ReplicaRules {
  readonly auditMs: number;
  readonly pollMs: number;
}

export interface DriveKeeperDeps {
  readonly drive: Drive;
  readonly source: BlockSource;
  readonly records: ReplicaRecords;
  readonly network: Network;
  readonly exchange: Exchange;
  readonly offers: OfferBook;
  readonly leaves: LeafPool;
  readonly beacon: AuditBeacon;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly times: () => HostingTimes;
  /** This device's key, and the card of the actor it speaks for in this drive. */
  readonly signer: Signer;
  readonly card: () => Uint8Array;
  readonly onChange: () => void;
  readonly onProblem: (error: AppError) => void;
}

/** A drive of this node and its hosts: who has copies, who should, and whether they really do. */
export interface DriveKeeper {
  readonly contracts: KnownContracts;
  /** Something changed: look soon. */
  wake(): void;
  /** Sets how many copies there should be (0: none) and waits until those that can be had now are asked for. */
  replicate(copies: number): Promise<void>;
  stop(): Promise<void>;
}

const contractMs = 90 * 86_400_000;
const renewMs = 60 * 86_400_000;
const MiB = 1024 * 1024;
/** While a copy is not complete it is looked at so often. ms. */
const busyMs = 1_000;
const wakeMs = 200;
const stepMs = 60_000;

export function createDriveKeeper(deps: DriveKeeperDeps): DriveKeeper {
  const { drive, records, network, exchange, clock, logger } = deps;
  const contracts = createKnownContracts(deps);
  const blocks = createBlockList(deps);
  const client = createReplicaClient(deps);
  const stopping = new AbortController();
  let cancelTimer: (() => void) | null = null;
  let running: Promise<void> | null = null;
  let again = false;
  let askedAt = Number.NEGATIVE_INFINITY;
  let asked = 0;
  let keeperSeen = clock.now();
  let retireAt = clock.now();
  const wantedPeers = new Set<DeviceId>();

  const rows = (): readonly HostRow[] => records.hosts(drive.id);
  const isConnected = (peer: DeviceId): boolean => network.peers().some(({ peerId }) => peerId === peer);
  const hasHistory = (peer: DeviceId): boolean =>
    exchange.hosts(drive.id).some((one) => one.peerId === peer && one.sameHistory);
  const isManager = (): boolean => ['owner', 'manager'].includes(drive.ownRole() ?? '');

  /** Copies this device sees to: as it was told, or in place of a keeper that is away for long. */
  function wantedHere(): number | null {
    const told = records.wanted(drive.id);
    if (told !== null) return told;
    const known = contracts.newest()?.contract;
    if (!known || !isManager()) return null;
    if (known.keeper === network.peerId || isConnected(known.keeper)) keeperSeen = clock.now();
    return clock.now() - keeperSeen >= deps.times().silenceMs ? known.copies : null;
  }

  function applyHosts(): void {
    const known = contracts.newest()?.contract.hosts ?? [];
    const own = rows().map(({ host, addresses }): HostAddress => ({ peerId: host, addresses }));
    const all = new Map([...known, ...own].map((one) => [one.peerId, one]));
    all.delete(network.peerId);
    exchange.setHosts(drive.id, new Set(all.keys()));
    for (const [peer, { addresses }] of all) {
      if (!wantedPeers.has(peer)) network.want(peer, addresses);
      wantedPeers.add(peer);
    }
    for (const peer of wantedPeers) {
      if (all.has(peer)) continue;
      wantedPeers.delete(peer);
      network.unwant(peer);
    }
  }

  function candidates(): Candidate[] {
    return deps.offers.list().flatMap(({ peerId, userId, offer, rtt }) => {
      // Members have the drive anyway.
      if (userId !== null && drive.roleOf(userId) !== null) return [];
      const reputation = records.reputation(peerId);
      if (offer.leaving || reputation.disqualified) return [];
      const score = reputation.alpha / (reputation.alpha + reputation.beta);
      const vetted = reputation.audits >= 100;
      return [{ peerId, owner: userId, free: offer.free, reputation: score, vetted, rtt }];
    });
  }

  /** What a contract reserves: what there is, what the history may need, and room to grow before the next one. */
  function bytesNeeded(): number {
    const { bytes } = records.totals(drive.id);
    const chain = Math.max(0, ...rows().map((row) => row.bytes - bytes));
    return Math.ceil((1.25 * (bytes + Math.min(chain, bytes + 64 * MiB) + 8 * MiB)) / (16 * MiB)) * 16 * MiB;
  }

  function plan(wanted: number): ReplicaPlan {
    const now = clock.now();
    return planReplicas({
      key: drive.id,
      wanted,
      bytes: bytesNeeded(),
      hosts: rows().map((row) => ({
        peerId: row.host,
        connected: isConnected(row.host),
        lastSeen: row.lastSeen,
        complete: row.complete,
        leaving: deps.offers.get(row.host)?.leaving ?? false,
        disqualified: records.reputation(row.host).disqualified,
        missSince: row.missSince,
        broken: row.broken !== null,
      })),
      candidates: candidates(),
      now,
      rules: deps.times(),
    });
  }

  function put(row: HostRow): void {
    records.putHost(drive.id, row);
  }

  function noteBroken(host: DeviceId, error: AppError): void {
    const row = rows().find((one) => one.host === host);
    if (!row || row.broken !== null) return;
    put({ ...row, broken: error.code, complete: false });
    logger.warn({ driveId: drive.id, host, code: error.code }, 'a host broke its contract');
    deps.onProblem(error);
    again = true;
  }

  /** The contract as it should be now: a new one when anything in it changed or it will end. */
  function currentContract(copies: number): number {
    const now = clock.now();
    const users = drive.members();
    const members = memberTags(
      drive.id,
      users.map(({ userId }) => userId),
    );
    const managers = memberTags(
      drive.id,
      users.filter(({ role }) => role === 'owner' || role === 'manager').map(({ userId }) => userId),
    );
    const hosts = rows().map(({ host, addresses }) => ({ peerId: host, addresses }));
    const old = contracts.newest()?.contract;
    const needed = bytesNeeded();
    const isSame =
      old !== undefined &&
      old.keeper === network.peerId &&
      old.copies === copies &&
      old.until - now > renewMs &&
      old.bytes >= 0.9 * needed &&
      sameTags(old.members, members) &&
      sameTags(old.managers, managers) &&
      JSON.stringify(old.hosts) === JSON.stringify(hosts);
    if (isSame) return old.number;
    const number = (old?.number ?? 0) + 1;
    const bytes = Math.max(needed, old?.bytes ?? 0);
    // Stored as it would be for ourselves; each host gets its own copy with its own name in it.
    contracts.learn(
      make({ number, copies, bytes, members, managers, hosts, from: now, until: now + contractMs }),
    );
    return number;
  }

  type Terms = Omit<Parameters<typeof signContract>[0], 'v' | 'drive' | 'host' | 'keeper'>;
  function make(terms: Terms, host: DeviceId = network.peerId) {
    const contract = { v: 1 as const, drive: drive.id, host, keeper: network.peerId, ...terms };
    return signContract(contract, deps.signer, deps.card());
  }

  async function lookAfter(row: HostRow, number: number): Promise<void> {
    await talkTo(
      network,
      row.host,
      AbortSignal.any([stopping.signal, AbortSignal.timeout(stepMs)]),
      async (ask) => {
        let now = row;
        if (now.contract < number) {
          const { v: _v, drive: _d, host: _h, keeper: _k, ...terms } = contracts.newest()!.contract;
          const genesis = genesisOf(drive);
          await ask({ t: 'contract', contract: make(terms, row.host).bytes, genesis });
          put((now = { ...now, contract: number }));
        }
        now = await client.sendBlocks(ask, now, true);
        const { bytes, missing } = await ask({ t: 'status', drive: drive.id });
        const complete = missing === 0 && hasHistory(row.host) && now.sentSeq === records.seq(drive.id);
        now = { ...now, bytes, complete, lastSeen: clock.now() };
        const due = now.missSince !== null || clock.now() - (now.auditTime ?? 0) >= deps.times().auditMs;
        if (due && (missing === 0 || now.missSince !== null)) now = await client.audit(ask, now);
        put(now);
        if (now.missSince !== null && clock.now() - now.missSince >= deps.times().repairMs) {
          noteBroken(row.host, new AppError('repair_refused', 'A host did not bring back what it lost.'));
        }
      },
    );
  }

  async function visit(row: HostRow, number: number): Promise<void> {
    try {
      await lookAfter(row, number);
    } catch (error) {
      if (stopping.signal.aborted) return;
      logger.debug({ host: row.host, error }, 'a host could not be looked after');
      const isFirst = row.contract === 0;
      // A host that refuses at once was a wrong choice, not a breach.
      if (isFirst && isAppError(error)) {
        records.removeHost(drive.id, row.host);
        deps.offers.avoid(row.host);
        again = true;
      } else if (isAppError(error, 'overcommitted') || isAppError(error, 'not_hosted')) {
        const failed = isAppError(error, 'not_hosted')
          ? new AppError('audit_failed', 'A host no longer keeps anything of the drive.', { cause: error })
          : error;
        noteBroken(row.host, failed);
      } else if (isAppError(error, 'contract_invalid')) {
        // Another manager's device made a newer one; it will be learnt.
        askedAt = Number.NEGATIVE_INFINITY;
      }
    }
  }

  async function release(host: DeviceId): Promise<void> {
    const row = rows().find((one) => one.host === host);
    if (!row) return;
    try {
      if (!isConnected(host)) throw new AppError('unreachable', 'The host is away.');
      const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(stepMs)]);
      const number = Math.max(row.contract, contracts.newest()?.contract.number ?? 0);
      await talkTo(network, host, signal, (ask) => ask({ t: 'release', drive: drive.id, number }));
    } catch (error) {
      // Its contract ends by itself one day.
      logger.debug({ host, error }, 'a host could not be told that it is released');
    }
    records.removeHost(drive.id, host);
  }

  async function keep(wanted: number): Promise<void> {
    await blocks.refresh(stopping.signal);
    await deps.offers.refresh(stopping.signal);
    if (wanted === 0) {
      for (const { host } of rows()) await release(host);
      if (records.wanted(drive.id) === 0) records.want(drive.id, null);
      applyHosts();
      return;
    }
    adoptHosts();
    for (const row of rows()) if (isConnected(row.host)) put({ ...row, lastSeen: clock.now() });
    const { add, release: leaving } = plan(wanted);
    for (const host of add) {
      const addresses = deps.offers.get(host)?.addresses ?? [];
      put({ ...newRow, host, addresses, lastSeen: clock.now() });
    }
    if (add.length > 0) applyHosts();
    for (const host of leaving) await release(host);
    if (leaving.length > 0) applyHosts();
    const number = currentContract(wanted);
    await Promise.all(
      rows()
        .filter((row) => isConnected(row.host) && row.broken === null)
        .map((row) => visit(row, number)),
    );
    await blocks.commit(stopping.signal);
    await retire();
  }

  /** Blocks of old versions leave the hosts once all copies are complete, looked at about once an hour. */
  async function retire(): Promise<void> {
    if (clock.now() < retireAt || !rows().every((row) => row.complete)) return;
    retireAt = clock.now() + 3_600_000;
    if ((await blocks.retire(stopping.signal)) > 0) again = true;
  }

  /** What a member that is not the keeper does: looks how the copies are, and names new blocks while the keeper is away. */
  async function standIn(): Promise<void> {
    const known = contracts.newest()?.contract;
    const named = new Set(known?.hosts.map(({ peerId }) => peerId));
    for (const { host } of rows()) if (!named.has(host)) records.removeHost(drive.id, host);
    if (!known || known.keeper === network.peerId) return;
    const isKeeperAway = !isConnected(known.keeper);
    if (isKeeperAway) await blocks.refresh(stopping.signal);
    const told = new Map(rows().map((row) => [row.host, row]));
    for (const { peerId, addresses } of known.hosts) {
      if (!isConnected(peerId)) continue;
      const row = told.get(peerId) ?? { ...newRow, host: peerId, addresses };
      const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(stepMs)]);
      await talkTo(network, peerId, signal, async (ask) => {
        const now = isKeeperAway ? await client.sendBlocks(ask, row, false) : row;
        const { bytes, missing } = await ask({ t: 'status', drive: drive.id });
        const complete = missing === 0 && hasHistory(peerId);
        put({ ...now, bytes, complete, contract: known.number, lastSeen: clock.now() });
      }).catch((error: unknown) => logger.debug({ peerId, error }, 'a host did not say how its copy is'));
    }
  }

  /** Hosts that another manager's device chose meanwhile are this keeper's from now on. */
  function adoptHosts(): void {
    const known = contracts.newest()?.contract;
    if (!known || known.keeper === network.peerId) return;
    const own = new Set(rows().map(({ host }) => host));
    for (const { peerId, addresses } of known.hosts) {
      if (own.has(peerId)) continue;
      put({ ...newRow, host: peerId, addresses, contract: known.number, lastSeen: clock.now() });
    }
  }

  /** Who was refused may be known there a moment later (cards are still on their way): soon at first, then seldom. */
  const askAgainMs = (): number =>
    contracts.newest() ? deps.times().pollMs : Math.min(500 * 2 ** Math.min(asked, 10), deps.times().pollMs);

  async function step(): Promise<void> {
    again = false;
    const before = JSON.stringify(rows());
    if (clock.now() - askedAt >= askAgainMs() && network.peers().length > 0) {
      askedAt = clock.now();
      asked++;
      await contracts.ask(stopping.signal);
    }
    applyHosts();
    const wanted = wantedHere();
    if (wanted !== null) await keep(wanted);
    else await standIn();
    if (JSON.stringify(rows()) !== before) deps.onChange();
  }

  function delay(): number {
    if (again) return wakeMs;
    const isBusy =
      wantedHere() !== null &&
      (records.totals(drive.id).rootless > 0 ||
        rows().some(
          (row) => isConnected(row.host) && row.broken === null && (!row.complete || row.missSince !== null),
        ));
    const { pollMs, auditMs } = deps.times();
    return Math.min(isBusy ? busyMs : pollMs, auditMs, network.peers().length > 0 ? askAgainMs() : pollMs);
  }

  function schedule(ms: number): void {
    cancelTimer?.();
    cancelTimer = clock.after(ms, () => void run());
  }

  function run(): Promise<void> {
    running ??= step()
      .catch((error: unknown) => {
        if (!stopping.signal.aborted) logger.warn({ driveId: drive.id, error }, 'looking after hosts failed');
      })
      .finally(() => {
        running = null;
        if (!stopping.signal.aborted) schedule(delay());
      });
    return running;
  }

  function wake(): void {
    again = true;
    if (running === null && !stopping.signal.aborted) schedule(wakeMs);
  }

  const off = [
    drive.on('tree', wake),
    drive.on('access', wake),
    network.on('peerConnected', () => {
      asked = 0;
      askedAt = Number.NEGATIVE_INFINITY;
      wake();
    }),
  ];
  applyHosts();
  schedule(wakeMs);

  return {
    contracts,
    wake,
    async replicate(copies) {
      if (!isManager()) {
        throw new AppError('forbidden', 'Only owners and managers of a drive decide where it is hosted.');
      }
      if (copies === 0 && rows().length === 0) records.want(drive.id, null);
      else records.want(drive.id, copies);
      await running;
      await run();
    },
    async stop() {
      stopping.abort(new AppError('shutting_down', 'The drive is being closed.'));
      for (const end of off) end();
      cancelTimer?.();
      await running;
      exchange.setHosts(drive.id, new Set());
      for (const peer of wantedPeers) network.unwant(peer);
    },
  };
}

const newRow: Omit<HostRow, 'host' | 'addresses'> = {
  lastSeen: 0,
  missSince: null,
  broken: null,
  complete: false,
  bytes: 0,
  auditTime: null,
  auditOk: null,
  contract: 0,
  sentSeq: 0,
};

function genesisOf(drive: Drive): Uint8Array {
  for (const entry of drive.missingFor([])) return entry.bytes;
  throw new AppError('corrupt', 'The first entry of the drive is missing.');
}

function sameTags(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a.length === b.length && a.every((tag, i) => Buffer.compare(tag, b[i]!) === 0);
}
