import { formatAmount, parseAmount } from '../../src-shared/amount.ts';
import type { DriveHosts, HostStatus } from '../../src-shared/contract/index.ts';
import { AppError } from '../../src-shared/errors.ts';
import type { NodeServices } from '../api/index.ts';
import type { CodingRules, HostingTimes } from '../hosting/index.ts';
import { hashOfUserId } from '../identity/index.ts';
import { contractView, message, periodMs } from '../ledger/index.ts';
import type { ContractView } from '../ledger/index.ts';
import type { Online } from './core.ts';
import type { Drives } from './drives.ts';
import type { Chains, OpenChain } from './ledger/chains.ts';
import type { LedgerChores } from './ledger/ledger-chores.ts';
import { needsPassword } from './ledger/spending.ts';
import type { NodeSettings } from './settings.ts';
import { iso } from './shown-values.ts';
import { activityWords } from './activity-words.ts';

/** What is to be paid for copies; null: nothing. */
type Pay = {
  readonly price: string;
  readonly budget: string;
  readonly hours: number;
  readonly collateral: string;
} | null;

/** The settings that say how often hosts are looked after, in ms. */
export function hostingTimes(settings: NodeSettings): HostingTimes {
  return {
    auditMs: settings.get('hosting.auditSeconds') * 1000,
    silenceMs: settings.get('hosting.silenceSeconds') * 1000,
    repairMs: settings.get('hosting.repairSeconds') * 1000,
    pollMs: settings.get('hosting.pollSeconds') * 1000,
  };
}

/** The settings that say which files are erasure-coded. */
export function codingRules(settings: NodeSettings): CodingRules {
  return {
    codedBytes: settings.get('hosting.codedBytes'),
    coldMs: settings.get('hosting.coldSeconds') * 1000,
  };
}

/** How long an audit says that a host has a drive, ms: three rounds, an hour at least. */
export function recentAudits(settings: NodeSettings): number {
  return Math.max(3_600_000, 3 * hostingTimes(settings).auditMs);
}

interface Parts {
  readonly online: () => Online;
  readonly drives: () => Drives;
  readonly chains: () => Chains;
  readonly chores: () => LedgerChores;
}

export function createHostingServices({
  online,
  drives,
  chains,
  chores,
}: Parts): Pick<NodeServices, 'hosting'> {
  /** How amounts of the active network are shown; null: none is followed. */
  function coins(): {
    readonly open: OpenChain;
    readonly symbol: string;
    text(value: bigint): string;
  } | null {
    const open = chains().current();
    const spec = open?.genesis.tokens[0]?.spec;
    if (!open || !spec) return null;
    return { open, symbol: spec.symbol, text: (value) => formatAmount(value, spec.decimals) };
  }

  async function earned(): Promise<ReadonlyMap<string, HostStatus['drives'][number]['pay']>> {
    const found = coins();
    const me = online().identity.userId();
    if (!found || me === null) return new Map();
    const { open, text } = found;
    const copies = online()
      .hosting.paid()
      .list(open.record.chainId)
      .filter(({ taken }) => taken);
    const seen = await open.reader.read(
      ({ state }) =>
        copies.map(({ drive, contract }) => ({
          drive,
          contract: contractView(state, contract, hashOfUserId(me)),
        })),
      'paid copies',
    );
    return new Map(
      [...Map.groupBy(seen, ({ drive }) => drive)].map(([drive, all]) => {
        const some = all.flatMap(({ contract }) => contract ?? []);
        const sum = (of: (one: ContractView) => bigint): string =>
          text(some.reduce((total, one) => total + of(one), 0n));
        return [
          drive,
          {
            hour: sum(({ pay }) => pay),
            paid: sum(({ slot }) => slot?.paid ?? 0n),
            contracts: some.length,
            missed: some.reduce((total, { slot }) => total + (slot?.missed ?? 0), 0),
          },
        ];
      }),
    );
  }

  async function status(): Promise<HostStatus> {
    const { hosting, settings } = online();
    const quota = settings.get('hosting.quota');
    const paid = await earned();
    return {
      offering: quota !== null,
      quota: quota ?? 0,
      ...hosting.lent(),
      strangerShare: settings.get('hosting.strangerShare'),
      price: settings.get('hosting.price'),
      collateral: settings.get('hosting.collateral'),
      symbol: coins()?.symbol ?? null,
      drives: hosting.hosted().map(({ until, goes, ...one }) => ({
        ...one,
        until: iso(until),
        goes: goes === null ? null : iso(goes),
        pay: paid.get(one.driveId) ?? null,
      })),
      unpaid: hosting.unpaid().map(({ driveId, until }) => ({ driveId, until: iso(until) })),
    };
  }

  /** Contracts of a drive on the active network by host. */
  async function paidTo(driveId: string): Promise<ReadonlyMap<string, DriveHosts['hosts'][number]['pay']>> {
    const found = coins();
    if (!found) return new Map();
    const states = await chores().paidDrives.states(found.open, driveId);
    return new Map(
      [...Map.groupBy(states, ({ row }) => row.host)].map(([host, all]) => {
        const some = all.flatMap(({ contract }) => contract ?? []);
        const hour = some.reduce((sum, { pay }) => sum + pay, 0n);
        return [
          host,
          {
            hour: found.text(hour),
            paid: found.text(all.reduce((sum, { row }) => sum + row.paid, 0n)),
            missed: some.reduce((sum, { slot }) => sum + (slot?.missed ?? 0), 0),
            until: iso(Math.max(...all.map(({ row }) => row.until)) * periodMs),
            taken: all.every(({ contract }) => contract !== null && contract.hosts.length > 0),
          },
        ];
      }),
    );
  }

  async function hosts(drive: string): Promise<DriveHosts> {
    const { driveId } = drives().get(drive).record;
    const replicas = online().hosting.replicas(driveId);
    const found = coins();
    const terms = found && chores().paidDrives.termsOf(driveId);
    const paid = await paidTo(driveId);
    return {
      ...replicas,
      symbol: found?.symbol ?? null,
      pay:
        found && terms
          ? {
              price: found.text(terms.price),
              collateral: found.text(terms.collateral),
              hours: terms.periods,
              budget: found.text(terms.budget),
              spent: found.text(terms.spent),
              problem: chores().paidDrives.problem(driveId)?.code ?? null,
            }
          : null,
      hosts: replicas.hosts.map((host) => ({
        ...host,
        lastAudit: host.lastAudit && { time: iso(host.lastAudit.time), ok: host.lastAudit.ok },
        pay: paid.get(host.peerId) ?? null,
      })),
    };
  }

  /** Notes what is paid for copies of a drive from now on. It leaves the account by and by, so the whole of it is asked about once. */
  async function setPay(
    driveId: string,
    { pay, password }: { readonly pay: Pay; readonly password: string | undefined },
  ): Promise<void> {
    const open = await chains().get(null);
    const { records } = chores().paidDrives;
    if (pay === null) return records.setTerms(open.record.chainId, driveId, null);
    const { decimals } = open.genesis.tokens[0]!.spec;
    const [price, budget, collateral] = [pay.price, pay.budget, pay.collateral].map((text) =>
      parseAmount(text, decimals),
    ) as [bigint, bigint, bigint];
    if (price === 0n || budget === 0n) {
      throw new AppError('amount_too_small', 'Price and budget are more than nothing.');
    }
    const asks = await open.reader.read(
      (view) => needsPassword(online(), open, view, [message('storage.buyFuel', { amount: budget })]),
      'what is to be signed',
    );
    if (asks) await online().identity.checkPassword(password ?? '');
    records.setTerms(open.record.chainId, driveId, { price, budget, collateral, periods: pay.hours });
    chains().used(open);
  }

  return {
    hosting: {
      offer({ quota, price, collateral, strangerShare }) {
        const { settings } = online();
        if (price !== undefined) settings.write('hosting.price', price);
        if (collateral !== undefined) settings.write('hosting.collateral', collateral);
        if (strangerShare !== undefined) settings.write('hosting.strangerShare', strangerShare);
        settings.write('hosting.quota', quota);
        return status();
      },
      stop() {
        online().settings.write('hosting.quota', null);
        return status();
      },
      status,
      async replicate({ drive, copies, pay, password }) {
        const { driveId } = drives().get(drive).record;
        // Whoever wants no copies any more pays for none either.
        const terms = copies === 0 ? null : pay;
        if (terms || (terms === null && chores().paidDrives.termsOf(driveId))) {
          await setPay(driveId, { pay: terms, password });
        }
        await online().hosting.replicate(driveId, copies);
        return hosts(drive);
      },
      hosts: ({ drive }) => hosts(drive),
    },
  };
}

/** Tells the window when copies change, and people when a host fails them. Returns how to end that. */
export function watchHosting({ hosting, events, activity }: Online): () => void {
  const off = [
    hosting.on('changed', ({ driveId }) => events.emit('drives', { driveId })),
    hosting.on('problem', ({ driveId, error }) =>
      events.emit('activity', activity.add({ kind: 'problem', driveId, ...activityWords.failure(error) })),
    ),
  ];
  return () => off.forEach((end) => end());
}
