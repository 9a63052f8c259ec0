import { AppError } from '../../../src-shared/errors.ts';
import type { EntryId } from '../../history/index.ts';
import { hashOfUserId } from '../../identity/index.ts';
import { hostingLimits } from '../../hosting/index.ts';
import type { Asks, PaidBlock, PayableHost } from '../../hosting/index.ts';
import {
  contentOf,
  contractView,
  leafBytes,
  message,
  payOf,
  priceBytes,
  storageView,
  upcomingContract,
} from '../../ledger/index.ts';
import type { ContractView, LedgerView, WireMessage } from '../../ledger/index.ts';
import type { Online } from '../core.ts';
import type { OpenChain } from './chains.ts';
import type { Chore } from './ledger-chores.ts';
import { createPaidRecords } from './paid-records.ts';
import type { PaidRecords, PaidRow, PayTerms } from './paid-records.ts';

/*
 * Drives of this node whose hosts are paid: for what each host keeps a contract of its own is opened, for it alone and over the very
 * roots it is audited by. New blocks get further contracts, all of which end together and are then made anew as one. What
 * a host proves is between it and the ledger; who proves nothing is replaced as if it had failed an audit.
 */

/** A contract of a drive with a host, as it stands on the ledger. */
export interface PaidState {
  readonly row: PaidRow;
  /** null: it is in no block yet. */
  readonly contract: ContractView | null;
}

export interface PaidDrives {
  readonly records: PaidRecords;
  /** What a drive pays on the active network. */
  termsOf(drive: EntryId): PayTerms | null;
  asksMet(drive: EntryId): Asks | null;
  states(open: OpenChain, drive: EntryId): Promise<readonly PaidState[]>;
  /** Why contracts of a drive are not made now; null: nothing is wrong. */
  problem(drive: EntryId): AppError | null;
  /** What is to be sent now, in one transaction. */
  chore(open: OpenChain, me: Uint8Array): Promise<Chore>;
}

/** Contracts with one host at a time: more wait until all are made anew as one. */
const maxRows = 8;
/** Opened in one transaction. */
const opensAtOnce = 4;
/** Blocks after which a transaction that was sent and stands nowhere counts as lost. */
const lostAfter = 20;
/** A host is told again so often while it does not take a contract, ms. */
const nameAgainMs = 30_000;
/** Periods in a row without a proof after which a host is replaced: an hour off costs two, so twice that. */
const missesTaken = 4;
/** Contracts looked through for one's own in a turn. */
const searched = 256;

export function createPaidDrives(node: Online, current: () => OpenChain | null): PaidDrives {
  const { hosting, clock, logger } = node;
  const records = createPaidRecords(node.db);
  /** Why no contract can be made, and why one that was made could not be sent. */
  const problems = new Map<EntryId, AppError>();
  const unsent = new Map<EntryId, AppError>();
  const namedAt = new Map<string, number>();
  /** By drive and host: what was looked at when all blocks were paid for. */
  const coveredAt = new Map<string, string>();

  function termsOf(drive: EntryId): PayTerms | null {
    const open = current();
    return open && records.termsOf(open.record.chainId, drive);
  }

  const hostAccount = (row: PaidRow): Uint8Array => hashOfUserId(row.account);

  function stateOf(view: LedgerView, row: PaidRow, me: Uint8Array): ContractView | null {
    if (row.contract !== null) return contractView(view.state, row.contract, hostAccount(row));
    const end = Math.min(upcomingContract(view.state), row.from + searched);
    for (let number = row.from; number < end; number++) {
      const one = contractView(view.state, number, hostAccount(row));
      const isIt =
        one !== null &&
        // Its block may lie in the period after the one it was made in.
        (one.until === row.until || one.until === row.until + 1) &&
        Buffer.compare(one.root, row.root) === 0 &&
        Buffer.compare(one.owner, me) === 0 &&
        one.host !== null &&
        Buffer.compare(one.host, hostAccount(row)) === 0;
      if (isIt) return one;
    }
    return null;
  }

  /** Brings what is noted up to what the ledger holds; false: the row is over. */
  function follow(chain: string, row: PaidRow, found: ContractView | null, height: number): boolean {
    if (found) {
      if (row.contract === null) records.setContract(chain, row, found.number);
      const paid = (found.slot?.paid ?? 0n) + found.spent;
      if (paid !== row.paid) records.setPaid(chain, row, paid);
      return true;
    }
    if (row.contract === null && height <= row.height + lostAfter) return true;
    // Closed, or never in a block: what was not paid to the host is back.
    records.spend(chain, row.drive, row.paid - row.escrow);
    records.remove(chain, row);
    return false;
  }

  /** Has the host take a contract it did not take yet. */
  function name(chain: string, row: PaidRow, number: number): void {
    const key = `${chain} ${number}`;
    if (clock.now() - (namedAt.get(key) ?? Number.NEGATIVE_INFINITY) < nameAgainMs) return;
    namedAt.set(key, clock.now());
    const ids = Array.from({ length: row.ids.length / 32 }, (_, i) => row.ids.subarray(32 * i, 32 * i + 32));
    hosting
      .namePaid(row.drive, row.host, { chain, contract: number, ids }, AbortSignal.timeout(nameAgainMs))
      .catch((error: unknown) => logger.debug({ error, host: row.host }, 'a host took no paid contract'));
  }

  /** Replaces a host that proved nothing for some periods. */
  function judge(row: PaidRow, found: ContractView, silent: number): void {
    if (!found.slot || found.slot.inRow + silent < missesTaken) return;
    hosting.failed(
      row.drive,
      row.host,
      new AppError('audit_failed', 'A host proved nothing on the ledger for hours.'),
    );
  }

  /** A contract for the blocks of a host that none is over. */
  function wanted(
    terms: PayTerms,
    host: PayableHost,
    rows: readonly PaidRow[],
    period: number,
  ): { readonly blocks: readonly PaidBlock[]; readonly periods: number } | null {
    // Those that end with this period leave their blocks to the next ones.
    const running = rows.filter((row) => row.host === host.peerId && row.until > period + 1);
    if (running.length >= maxRows || running.some((row) => row.opened === period)) return null;
    // Lists are long: one in which nothing was left over is looked at again when it or what is paid has changed.
    const looked = `${host.revision} ${running.map(({ until, opened }) => `${opened}-${until}`).join(' ')}`;
    const place = `${terms.drive} ${host.peerId}`;
    if (coveredAt.get(place) === looked) return null;
    const covered = new Set<string>();
    for (const { ids } of running) {
      for (let at = 0; at < ids.length; at += 32)
        covered.add(Buffer.from(ids.subarray(at, at + 32)).toString('hex'));
    }
    const blocks = host
      .blocks()
      .filter(({ id }) => !covered.has(Buffer.from(id).toString('hex')))
      .slice(0, hostingLimits.blocksPerPaidCopy);
    if (blocks.length === 0) {
      coveredAt.set(place, looked);
      return null;
    }
    const end = Math.max(...running.map((row) => row.until), 0);
    return { blocks, periods: end > 0 ? end - period - 1 : terms.periods };
  }

  async function look(open: OpenChain, me: Uint8Array, drive: EntryId): Promise<readonly WireMessage[]> {
    const { chainId } = open.record;
    const terms = records.termsOf(chainId, drive);
    const known = records.rows(chainId, drive);
    const hosts = hosting.payable(drive);
    const mayName = new Set(hosts.flatMap((host) => (host.connected ? host.peerId : [])));
    const seen = await open.reader.read((view) => {
      const found = known.map((row) => {
        const contract = stateOf(view, row, me);
        const settled = storageView(view.state, view.time, hostAccount(row)).host?.settled ?? 0;
        return { row, contract, settled };
      });
      const { quota, price, period } = storageView(view.state, view.time, me);
      return { found, quota, price, period, height: view.height, next: upcomingContract(view.state) };
    }, `paid ${drive}`);
    const { period, height } = seen;
    const rows: PaidRow[] = [];
    const made: WireMessage[] = [];
    for (const { row, contract, settled } of seen.found) {
      if (!follow(chainId, row, contract, height)) continue;
      rows.push(row);
      if (!contract) continue;
      if (period >= contract.until + 1) made.push(message('storage.close', { contract: contract.number }));
      else if (contract.hosts.length === 0) {
        if (period + 1 < contract.until && mayName.has(row.host)) name(chainId, row, contract.number);
      } else judge(row, contract, Math.max(0, Math.min(period - 2, contract.until - 1) - settled));
    }
    if (made.length > 0) return made.slice(0, opensAtOnce);
    if (terms === null) return [];
    let { spent } = terms;
    let { quota } = seen;
    let fuel = 0n;
    const opens: PaidRow[] = [];
    for (const host of hosts) {
      if (opens.length === opensAtOnce || host.userId === null || !host.connected) continue;
      // To pay oneself would burn fuel for nothing.
      if (Buffer.compare(hashOfUserId(host.userId), me) === 0) continue;
      const contract = wanted(terms, host, rows, period);
      if (!contract || contract.periods < 1) continue;
      const content = contentOf(contract.blocks.map(({ root, size }) => ({ root, bytes: size })));
      const bytes = content.leaves * leafBytes;
      const escrow = BigInt(contract.periods) * payOf({ bytes, price: terms.price });
      const needed = BigInt(contract.periods) * BigInt(bytes);
      const short = needed > quota ? needed - quota : 0n;
      const burned = short === 0n ? 0n : (short * seen.price) / priceBytes + 1n;
      if (spent + escrow + burned > terms.budget) {
        throw new AppError('budget_spent', 'What may be spent on copies of this drive is used up.');
      }
      spent += escrow + burned;
      fuel += burned;
      quota += (burned * priceBytes) / seen.price - needed;
      const { collateral, price } = terms;
      made.push(
        message('storage.open', {
          ...{ root: content.root, bytes, copies: 1, periods: contract.periods, price, collateral },
          host: hashOfUserId(host.userId),
        }),
      );
      opens.push({
        ...{ drive, host: host.peerId, account: host.userId, root: content.root },
        ids: new Uint8Array(Buffer.concat(contract.blocks.map(({ id }) => id))),
        until: period + 1 + contract.periods,
        ...{ opened: period, escrow, paid: 0n, from: seen.next, height, contract: null },
      });
    }
    // Noted before it is sent: what then stands in no block is given up by itself.
    for (const row of opens) records.add(chainId, row);
    records.spend(chainId, drive, spent - terms.spent);
    return fuel > 0n ? [message('storage.buyFuel', { amount: fuel }), ...made] : made;
  }

  return {
    records,
    termsOf,
    asksMet(of) {
      const terms = termsOf(of);
      return terms && { chain: current()!.record.chainId, price: terms.price };
    },
    states(open, of) {
      const rows = records.rows(open.record.chainId, of);
      const me = node.identity.userId();
      return open.reader.read(
        (view) =>
          rows.map((row) => ({
            row,
            contract: me === null ? null : stateOf(view, row, hashOfUserId(me)),
          })),
        `paid ${of}`,
      );
    },
    problem: (of) => problems.get(of) ?? unsent.get(of) ?? null,
    async chore(open, me) {
      for (const drive of records.drives(open.record.chainId)) {
        try {
          const made = await look(open, me, drive);
          problems.delete(drive);
          if (made.length === 0) continue;
          return {
            made,
            sent: () => void unsent.delete(drive),
            failed: (error) => void unsent.set(drive, error),
          };
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          problems.set(drive, error);
        }
      }
      return null;
    },
  };
}
