import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { Clock, Logger } from '../../src-shared/runtime.ts';
import type { Drive } from '../drive/index.ts';
import type { BlockSource, Exchange } from '../exchange/index.ts';
import type { DeviceId, Signer } from '../identity/index.ts';
import type { Network } from '../network/index.ts';
import type { AuditBeacon } from './audit.ts';
import { createBlockList } from './block-list.ts';
import type { CodingPool } from './coding/coding-pool.ts';
import type { CodingRules } from './coding/cold-files.ts';
import { createDriveCoding } from './coding/drive-coding.ts';
import type { DriveCodingDeps } from './coding/drive-coding.ts';
import { fetchShard } from './coding/rebuilder.ts';
import type { StripeRecords } from './coding/stripe-records.ts';
import { codeFor } from './coding/stripe.ts';
import { createContractMaker } from './contract-maker.ts';
import { createKnownContracts } from './contracts-known.ts';
import type { KnownContracts } from './contracts-known.ts';
import { talkTo } from './host-protocol.ts';
import { createIdleHosts } from './idle-hosts.ts';
import type { LeafPool } from './leaf-pool.ts';
import type { OfferBook } from './offers.ts';
import type { Candidate } from './placement.ts';
import { planDrive } from './drive-plan.ts';
import type { DrivePlan } from './drive-plan.ts';
import type { ReplicaRules } from './repair.ts';
import { isVetted, score } from './reputation.ts';
import { createReplicaClient } from './replica-client.ts';
import type { HostRow, ReplicaRecords } from './replica-records.ts';
import type { Asks, HostAddress, Openness } from './types.ts';

/** How often things happen. ms. */
export interface HostingTimes extends ReplicaRules {
  readonly auditMs: number;
  readonly pollMs: number;
}

export interface DriveKeeperDeps {
  readonly drive: Drive;
  readonly source: BlockSource;
  readonly records: ReplicaRecords;
  readonly stripes: StripeRecords;
  readonly coding: CodingPool;
  readonly codingRules: () => CodingRules;
  /** Asks connected hosts of the drive for stripes of blocks. */
  readonly search: DriveCodingDeps['search'];
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
  readonly learnOwnCard: (signal: AbortSignal) => Promise<void>;
  /** Whom hosts serve beside members. */
  readonly openness: () => Openness;
  /** What is paid for a copy on a ledger; null: nothing. */
  readonly pays: () => Asks | null;
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
  /** A host failed the audits that others see, too: it is replaced. */
  failed(host: DeviceId, error: AppError): void;
  stop(): Promise<void>;
}

const hourMs = 3_600_000;
/** While a copy is not complete it is looked at so often. ms. */
const busyMs = 1_000;
const wakeMs = 200;
const stepMs = 60_000;
/** Blocks looked at to know whether a host lacks what is to be had here. */
const sampled = 4;
/** A card of our own is asked for so often. ms. */
const cardMs = 10_000;
/** How long a host lacks blocks before it is looked whether anybody can have them; then less and less often. ms. */
const firstLostLookMs = 3_000;
const lastLostLookMs = 300_000;

export function createDriveKeeper(deps: DriveKeeperDeps): DriveKeeper {
  const { drive, records, network, exchange, clock, logger } = deps;
  const isConnected = (peer: DeviceId): boolean => network.peers().some(({ peerId }) => peerId === peer);
  const contracts = createKnownContracts(deps);
  const maker = createContractMaker({ ...deps, contracts });
  const coding = createDriveCoding({
    ...deps,
    rules: deps.codingRules,
    silenceMs: () => deps.times().silenceMs,
    isConnected,
    reserved: maker.reserved,
    fetch: (shard, signal) =>
      fetchShard((some, limit) => exchange.fetch(drive.id, some, limit), shard, signal),
  });
  const blocks = createBlockList({ ...deps, cold: coding.cold, mayCode: () => coding.isOn });
  const client = createReplicaClient(deps);
  const idle = createIdleHosts(clock, () => deps.times().repairMs);
  const stopping = new AbortController();
  let cancelTimer: (() => void) | null = null;
  let running: Promise<void> | null = null;
  let again = false;
  let askedAt = Number.NEGATIVE_INFINITY;
  let asked = 0;
  let keeperSeen = clock.now();
  let cardAt = clock.now();
  let lostLookMs = firstLostLookMs;
  let lostLookAt = clock.now() + lostLookMs;
  let retireAt = clock.now();
  const wantedPeers = new Set<DeviceId>();
  /** Hosts that may hold blocks of the drive that are not theirs (any more). */
  const untidy = new Set<DeviceId>();
  /** Hosts without room for what the drive has by now: they keep what they have until another one has all. */
  const full = new Set<DeviceId>();

  const rows = (): readonly HostRow[] => records.hosts(drive.id);
  const hasHistory = (peer: DeviceId): boolean =>
    [...exchange.hosts(drive.id), ...exchange.members(drive.id)].some(
      (one) => one.peerId === peer && one.sameHistory,
    );
  const isMember = (peer: DeviceId): boolean => {
    const user = network.cards.userOf(peer);
    return user !== null && drive.roleOf(user) !== null;
  };
  const isManager = (): boolean => ['owner', 'manager'].includes(drive.ownRole() ?? '');

  /** Copies this device sees to: as it was told, or in place of a keeper that is away for long. */
  function wantedHere(): number | null {
    const told = records.wanted(drive.id);
    if (told !== null) return told;
    const known = contracts.newest()?.contract;
    if (!known || !isManager()) return null;
    // This device took over before; it goes on until another one makes a newer contract.
    if (known.keeper === network.peerId) return known.copies;
    if (isConnected(known.keeper)) keeperSeen = clock.now();
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

  /** Whether the drive pays what a host asks for. */
  function isMet(asks: Asks | null): boolean {
    const pays = asks && deps.pays();
    return asks === null || (pays?.chain === asks.chain && pays.price >= asks.price);
  }

  function candidates(): Candidate[] {
    return deps.offers.list().flatMap(({ peerId, userId, offer, rtt }) => {
      // Members have the drive anyway.
      if (isMember(peerId)) return [];
      const reputation = records.reputation(peerId);
      if (offer.leaving || reputation.disqualified || !isMet(offer.asks)) return [];
      const vetted = isVetted(reputation);
      const { quota, free } = offer;
      return [{ peerId, owner: userId, quota, free, reputation: score(reputation), vetted, rtt }];
    });
  }

  /** With fewer offers than that more are looked for: some to choose from, and some for a repair. */
  function hostsToChooseFrom(wanted: number): number {
    const coded = codeFor(wanted);
    return Math.max(2 * wanted, coded ? coded.data + coded.parity + 2 : 0);
  }

  /** Whether so many hosts of whole files have everything in the list that is kept whole. */
  function areWhole(wanted: number): boolean {
    const seq = records.seq(drive.id);
    const good = rows().filter(
      (row) =>
        row.whole &&
        row.complete &&
        row.sentSeq === seq &&
        row.broken === null &&
        row.missSince === null &&
        isConnected(row.host),
    );
    return good.length >= wanted;
  }

  function plan(wanted: number): DrivePlan {
    const now = clock.now();
    return planDrive({
      key: drive.id,
      wanted,
      bytes: maker.reserved({ whole: true, slot: null }),
      coded: coding.slotsWanted(),
      mayForgetShards: areWhole(wanted),
      hosts: rows().map((row) => ({
        peerId: row.host,
        connected: isConnected(row.host),
        lastSeen: row.lastSeen,
        complete: row.complete,
        // Whose person has become a member keeps the drive for himself.
        leaving: isMember(row.host) || full.has(row.host) || (deps.offers.get(row.host)?.leaving ?? false),
        disqualified: records.reputation(row.host).disqualified,
        missSince: row.missSince,
        broken: row.broken !== null,
        whole: row.whole,
        slot: row.slot,
      })),
      candidates: candidates(),
      now,
      rules: deps.times(),
    });
  }

  /** Gives hosts their new roles, and releases those without one. */
  async function follow({ changes }: DrivePlan): Promise<void> {
    const known = new Map(rows().map((row) => [row.host, row]));
    for (const [host, role] of changes) {
      const row = known.get(host);
      if (!role.whole && role.slot === null) {
        if (row) await release(host);
        continue;
      }
      const addresses = deps.offers.get(host)?.addresses ?? [];
      const base = row ?? { ...newRow, host, addresses, lastSeen: clock.now() };
      put({ ...base, ...role, complete: false, sentSeq: 0 });
      if (row) untidy.add(host);
    }
    if (changes.size > 0) applyHosts();
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

  async function lookAfter(row: HostRow, number: number): Promise<void> {
    await talkTo(
      network,
      row.host,
      AbortSignal.any([stopping.signal, AbortSignal.timeout(stepMs)]),
      async (ask) => {
        let now = row;
        if (now.contract < number) {
          await ask({
            t: 'contract',
            contract: maker.of(row, untidy.has(row.host)).bytes,
            genesis: genesisOf(drive),
          });
          put((now = { ...now, contract: number }));
        }
        full.delete(row.host);
        const isTidied = now.sentSeq < 0;
        // It forgets what others keep only while they do.
        if (isTidied && !rows().every((one) => one.host === row.host || one.complete))
          now = { ...now, sentSeq: 0 };
        now = await client.sendBlocks(ask, now, true);
        const { bytes, missing } = await ask({ t: 'status', drive: drive.id });
        const complete = missing === 0 && hasHistory(row.host) && now.sentSeq === records.seq(drive.id);
        now = { ...now, bytes, complete, lastSeen: clock.now() };
        const isIdle = idle.note(row.host, missing) && (await isAtHand());
        const due = now.missSince !== null || clock.now() - (now.auditTime ?? 0) >= deps.times().auditMs;
        if (isIdle || (due && (missing === 0 || now.missSince !== null))) now = await client.audit(ask, now);
        put(now);
        if (records.reputation(row.host).disqualified) {
          noteBroken(row.host, new AppError('disqualified', 'A host failed too many audits.'));
        }
        // It was complete never: it has no room, or meant nothing by its contract.
        if (isIdle && row.auditTime === null && now.auditOk === false) {
          noteBroken(
            row.host,
            new AppError('overcommitted', 'A host takes in nothing of what it promised to keep.'),
          );
        }
        if (now.missSince !== null && clock.now() - now.missSince >= deps.times().repairMs) {
          noteBroken(row.host, new AppError('repair_refused', 'A host did not bring back what it lost.'));
        }
      },
    );
  }

  /** Whether this computer has the bytes itself, so that nobody has to wait for them. */
  async function isAtHand(): Promise<boolean> {
    const some = records.living(drive.id);
    const sample = Array.from({ length: sampled }, (_, i) => some[Math.floor((i * some.length) / sampled)]);
    const ids = [...new Set(sample)].filter((id) => id !== undefined);
    return ids.length > 0 && (await deps.source.read(ids)).every((bytes) => bytes !== null);
  }

  async function visit(row: HostRow, number: number): Promise<void> {
    try {
      await lookAfter(row, number);
    } catch (error) {
      if (stopping.signal.aborted) return;
      if (!isConnected(row.host)) idle.forget(row.host);
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
      } else if (isAppError(error, 'quota_exceeded')) {
        // It need not lend more than it did: that is no breach.
        if (!full.has(row.host)) again = true;
        full.add(row.host);
      } else if (isAppError(error, 'forbidden') && clock.now() >= cardAt) {
        // The host may know a card of another computer of this user, which lacks this one.
        cardAt = clock.now() + cardMs;
        await deps.learnOwnCard(stopping.signal).catch((failed: unknown) => {
          logger.debug({ error: failed }, 'nobody here knows another card of ours');
        });
        again = true;
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
    full.delete(host);
  }

  async function keep(wanted: number): Promise<void> {
    await deps.offers.refresh(stopping.signal);
    if (wanted > 0 && candidates().length < hostsToChooseFrom(wanted)) {
      await deps.offers.listen(stopping.signal);
      await deps.offers.reach(drive.id, stopping.signal);
    }
    coding.choose(
      wanted,
      candidates().map(({ peerId }) => peerId),
    );
    await blocks.refresh(stopping.signal);
    if (wanted === 0) {
      for (const { host } of rows()) await release(host);
      if (records.wanted(drive.id) === 0) records.want(drive.id, null);
      applyHosts();
      return;
    }
    adoptHosts();
    for (const row of rows()) if (isConnected(row.host)) put({ ...row, lastSeen: clock.now() });
    if (await coding.step(wanted, blocks.walk, stopping.signal)) again = true;
    await follow(plan(wanted));
    const number = maker.current(wanted);
    await Promise.all(
      rows()
        .filter((row) => isConnected(row.host) && row.broken === null)
        .map((row) => visit(row, number)),
    );
    const { settled, ended } = coding.settle(wanted);
    if (settled || ended) again = true;
    // Of stripes that ended, what is in no use goes before any host is told to keep it whole.
    if (ended) retireAt = clock.now();
    await blocks.commit(stopping.signal);
    await retire(wanted);
  }

  /** Blocks of old versions leave the hosts once all copies are complete, looked at about once an hour. */
  async function retire(wanted: number): Promise<void> {
    await retireLost();
    if (clock.now() < retireAt || !rows().every((row) => row.complete)) return;
    retireAt = clock.now() + hourMs;
    const onUsed = (used: ReadonlySet<string>): number => coding.dissolveWasteful(used, wanted);
    if ((await blocks.retire('all', stopping.signal, onUsed)) > 0) again = true;
    if (!areWhole(wanted)) return;
    for (const row of rows()) if (untidy.delete(row.host)) put({ ...row, sentSeq: -1 });
  }

  /**
   * A file that was written again at once may leave blocks in the list that nobody has any more. A host that waits for them would
   * never be complete.
   */
  async function retireLost(): Promise<void> {
    const seq = records.seq(drive.id);
    const isWaiting = rows().some(
      (row) => isConnected(row.host) && row.broken === null && !row.complete && row.sentSeq === seq,
    );
    if (!isWaiting) {
      lostLookMs = firstLostLookMs;
      lostLookAt = clock.now() + lostLookMs;
    } else if (clock.now() >= lostLookAt) {
      if ((await blocks.retire('lost', stopping.signal)) > 0) again = true;
      lostLookMs = Math.min(2 * lostLookMs, lastLostLookMs);
      lostLookAt = clock.now() + lostLookMs;
    }
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
    for (const { peerId, addresses, whole, slot } of known.hosts) {
      if (!isConnected(peerId)) continue;
      const row = { ...(told.get(peerId) ?? { ...newRow, host: peerId, addresses }), whole, slot };
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
    // What those were told meanwhile is not known here: they are told everything again.
    for (const row of rows()) put({ ...row, sentSeq: 0, sentStripe: 0, complete: false });
    for (const { peerId, addresses, whole, slot } of known.hosts) {
      if (own.has(peerId)) continue;
      const role = { whole, slot, contract: known.number };
      put({ ...newRow, host: peerId, addresses, ...role, lastSeen: clock.now() });
      untidy.add(peerId);
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
        coding.cold.pending ||
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
    failed(host, error) {
      noteBroken(host, error);
      wake();
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
  sentStripe: 0,
  whole: false,
  slot: null,
};

function genesisOf(drive: Drive): Uint8Array {
  for (const entry of drive.missingFor([])) return entry.bytes;
  throw new AppError('corrupt', 'The first entry of the drive is missing.');
}
