import { AppError } from '../../../../src-shared/errors.ts';
import { maxAmount, sameBytes, verifyInList } from '../../codec/index.ts';
import { bytesOf, listOf, positiveAmount, record, whole } from '../../codec/shape.ts';
import { addressShape } from '../../codec/tx.ts';
import type { StateView } from '../../state/overlay.ts';
import { bytesKey, keyBytes, keyNumber, numberKey } from '../../state/table.ts';
import type { Key } from '../../state/table.ts';
import type { Address, Amount } from '../../types.ts';
import { kind } from '../context.ts';
import type { BlockContext, Module, TxContext } from '../context.ts';
import { nextNumber } from '../counters.ts';
import { account, balanceOf, move, pot } from '../value.ts';
import { openingFields, verifyContent } from './content.ts';
import type { ContentOpening } from './content.ts';
import {
  answerOf,
  challengeOf,
  claimsOpen,
  contractAt,
  contracts,
  fuelPriceOf,
  fuels,
  hosts,
  maxMisses,
  maxMissing,
  maxSlots,
  payOf,
  periodOf,
  priceBytes,
  samplesOf,
  seedOf,
  slotKey,
  slots,
  termsShape,
} from './state.ts';
import type { ContractRow, HostRow, SlotRow } from './state.ts';
import { noteWork } from './work.ts';

/*
 * Contracts, copies and proofs. In each period a host says in one claim, a Merkle root, that it read the leaf that the period's
 * seed asks of each of its contracts, and names those it can't; in the next period, whose seed nobody knew, it shows some of these answers
 * whole. So a proof costs the chain the same however many contracts a host keeps.
 */

const openingShape = record({
  ...openingFields,
  /** The answer's path to the claim's root. */
  inClaim: listOf(bytesOf(32), 16),
});

/** Quota for so much base coin, rounded down, in bytes times periods. */
const quotaFor = (value: Amount, price: Amount): bigint => (value * priceBytes) / price;

/** Periods of a copy that were paid. */
export function paidPeriods(slot: SlotRow, contract: Pick<ContractRow, 'until'>, settled: number): number {
  const last = Math.min(settled, contract.until - 1);
  return last < slot.from ? 0 : last - slot.from + 1 - slot.missed;
}

function hostOf(state: StateView, host: Address): HostRow {
  const found = state.get(hosts, bytesKey(host));
  if (found) return found;
  throw new AppError('host_unknown', 'This account keeps no copies.');
}

/** Ends a host's part in a contract; its place is free for another. */
function vacate(
  ctx: BlockContext,
  host: Address,
  number: number,
  slot: SlotRow,
  settled: number,
): ContractRow {
  const { state } = ctx;
  const contract = contractAt(state, number);
  const paid = BigInt(paidPeriods(slot, contract, settled)) * payOf(contract);
  const after = {
    ...contract,
    hosts: contract.hosts.filter((one) => !sameBytes(one, host)),
    spent: contract.spent + paid,
  };
  state.set(contracts, numberKey(number), after);
  state.set(slots, slotKey(host, number), null);
  return after;
}

/** A copy that a host keeps, with its contract. */
interface Copy {
  readonly key: Key;
  readonly number: number;
  readonly slot: SlotRow;
  readonly contract: ContractRow;
}

/** All copies of a host, in the order of their contracts' numbers. */
const copiesOf = (state: StateView, host: Address): readonly Copy[] =>
  [...state.rows(slots, bytesKey(host))].map(([key, slot]) => {
    const number = keyNumber(key, 32);
    return { key, number, slot, contract: contractAt(state, number) };
  });

/**
 * Settles a host's periods up to and with `period`: pays what was proven, counts what was not, ends what was missed too often.
 * @param missing contracts not proven in `period`; null: none was proven
 * @param reporter gets a tenth of the collateral that is lost; the rest is burned
 */
function settle(
  ctx: BlockContext,
  host: Address,
  row: HostRow,
  copies: readonly Copy[],
  period: number,
  missing: ReadonlySet<number> | null,
  reporter: Address | null,
): void {
  const { state, base } = ctx;
  let pay = 0n;
  let bytes = 0n;
  let kept = row.slots;
  for (const { key, number, slot, contract } of copies) {
    const last = Math.min(period, contract.until - 1);
    const due = last - Math.max(slot.from, row.settled + 1) + 1;
    if (due <= 0) continue;
    const proven = missing !== null && last === period && !missing.has(number);
    const missed = proven ? due - 1 : due;
    if (proven) {
      pay += payOf(contract);
      bytes += BigInt(contract.bytes);
    }
    const inRow = proven ? 0 : slot.inRow + missed;
    if (missed === 0 && inRow === slot.inRow) continue;
    const after = { ...slot, missed: slot.missed + missed, inRow };
    if (inRow < maxMisses) {
      state.set(slots, key, after);
      continue;
    }
    vacate(ctx, host, number, after, period);
    kept -= 1;
    const finder = reporter === null ? 0n : contract.collateral / 10n;
    if (reporter) move(ctx, pot('collateral'), account(reporter), base, finder);
    move(ctx, pot('collateral'), null, base, contract.collateral - finder);
  }
  move(ctx, pot('escrow'), account(host), base, pay);
  noteWork(ctx, host, period, bytes);
  state.set(hosts, bytesKey(host), { slots: kept, settled: period, claim: null });
}

function open(ctx: TxContext, terms: Omit<ContractRow, 'owner' | 'until' | 'hosts' | 'spent'>): void {
  const { state } = ctx;
  const copies = BigInt(terms.copies) * BigInt(terms.periods);
  const escrow = copies * payOf(terms);
  if (escrow > maxAmount)
    throw new AppError('too_large', 'The contract would cost more than any amount can be.');
  const needed = copies * BigInt(terms.bytes);
  const key = bytesKey(ctx.sender);
  const quota = state.get(fuels, key)?.quota ?? 0n;
  if (quota < needed) {
    throw new AppError('fuel_short', 'There is too little fuel for so many bytes, copies and periods.', {
      details: { needed: needed.toString(), quota: quota.toString() },
    });
  }
  state.set(fuels, key, quota === needed ? null : { quota: quota - needed });
  move(ctx, account(ctx.sender), pot('escrow'), ctx.base, escrow);
  const until = periodOf(ctx.time) + 1 + terms.periods;
  const number = nextNumber(state, 'contracts');
  state.set(contracts, numberKey(number), { ...terms, owner: ctx.sender, until, hosts: [], spent: 0n });
}

function accept(ctx: TxContext, number: number): void {
  const { state } = ctx;
  const contract = contractAt(state, number);
  const from = periodOf(ctx.time) + 1;
  if (from >= contract.until)
    throw new AppError('contract_ended', 'The contract ends before the next period.');
  if (contract.hosts.length >= contract.copies) {
    throw new AppError('contract_full', `${contract.copies} hosts keep this already.`);
  }
  if (contract.host && !sameBytes(contract.host, ctx.sender)) {
    throw new AppError('not_allowed', 'The contract is for another host.');
  }
  if (contract.hosts.some((one) => sameBytes(one, ctx.sender))) {
    throw new AppError('already_exists', 'This account keeps a copy of it already.');
  }
  const key = bytesKey(ctx.sender);
  const row = state.get(hosts, key) ?? { slots: 0, settled: from - 1, claim: null };
  if (row.slots >= maxSlots) throw new AppError('too_many', `A host keeps ${maxSlots} contracts at most.`);
  // Who keeps nothing owes no proofs: periods without copies are not missed.
  const settled = row.slots === 0 ? Math.max(row.settled, from - 1) : row.settled;
  move(ctx, account(ctx.sender), pot('collateral'), ctx.base, contract.collateral);
  state.set(hosts, key, { ...row, settled, slots: row.slots + 1 });
  state.set(slots, slotKey(ctx.sender, number), { from, missed: 0, inRow: 0 });
  state.set(contracts, numberKey(number), { ...contract, hosts: [...contract.hosts, ctx.sender] });
}

/** The contracts a host has to prove for a period, in the order of their numbers. */
export function dueContracts(
  state: StateView,
  host: Address,
  period: number,
): readonly { readonly number: number; readonly contract: ContractRow }[] {
  return copiesOf(state, host).filter((copy) => isDue(copy, period));
}

const isDue = ({ slot, contract }: Copy, period: number): boolean =>
  slot.from <= period && period < contract.until;

type Opening = ContentOpening & { readonly inClaim: readonly Uint8Array[] };

function prove(ctx: TxContext, stated: number, openings: readonly Opening[]): void {
  const { state } = ctx;
  const row = hostOf(state, ctx.sender);
  // Before anything is read: the fee pays for as many copies as the message states.
  if (stated < row.slots) {
    throw new AppError('invalid_argument', `The host keeps ${row.slots} copies, more than the proof states.`);
  }
  const period = periodOf(ctx.time) - 1;
  const { claim } = row;
  if (!claim || claim.period !== period || row.settled >= period) {
    throw new AppError('period_passed', 'There is no open claim of the period before.');
  }
  const missing = new Set(claim.missing);
  const copies = copiesOf(state, ctx.sender);
  const due = copies.filter((copy) => isDue(copy, period) && !missing.has(copy.number));
  const wanted = samplesOf(seedOf(state, period + 1), ctx.sender, due.length);
  if (openings.length !== wanted.length) {
    throw new AppError('proof_invalid', `${wanted.length} answers have to be shown.`);
  }
  const seed = seedOf(state, period);
  for (const [i, index] of wanted.entries()) {
    const opening = openings[i] as Opening;
    const { number, contract } = due[index] as (typeof due)[0];
    const at = challengeOf(seed, ctx.sender, number, contract.bytes);
    const answer = answerOf(seed, ctx.sender, number, opening.leaf);
    const claimed = { index, size: due.length, path: opening.inClaim };
    if (!verifyContent(contract.root, at, opening) || !verifyInList(claim.root, answer, claimed)) {
      throw new AppError('proof_invalid', `The proof for contract ${number} does not hold.`, {
        details: { contract: number, leaf: at },
      });
    }
  }
  settle(ctx, ctx.sender, row, copies, period, missing, null);
}

function close(ctx: TxContext, number: number): void {
  const { state } = ctx;
  let contract = contractAt(state, number);
  const period = periodOf(ctx.time);
  // A host may still prove the last period in the one after it.
  const ended = period >= contract.until + 1;
  const unused = contract.hosts.length === 0 && sameBytes(contract.owner, ctx.sender);
  if (!ended && !unused) {
    throw new AppError('contract_running', 'The contract runs, or its last proofs may still come.', {
      details: { until: contract.until + 1, period },
    });
  }
  for (const host of contract.hosts) {
    const row = hostOf(state, host);
    const slot = state.get(slots, slotKey(host, number)) as SlotRow;
    // What was not proven by now is not paid; it is no more than that.
    const open = Math.max(0, contract.until - Math.max(slot.from, row.settled + 1));
    const counted = { ...slot, missed: slot.missed + open };
    contract = vacate(ctx, host, number, counted, Math.max(row.settled, contract.until - 1));
    move(ctx, pot('collateral'), account(host), ctx.base, contract.collateral);
    state.set(hosts, bytesKey(host), { ...row, slots: row.slots - 1 });
  }
  const paidIn = BigInt(contract.copies) * BigInt(contract.periods) * payOf(contract);
  move(ctx, pot('escrow'), account(contract.owner), ctx.base, paidIn - contract.spent);
  state.set(contracts, numberKey(number), null);
}

export const storageModule = {
  name: 'storage',
  messages: {
    /** Burns base coin for quota: what is stored takes room of everybody who could store for others. */
    'storage.buyFuel': kind({
      shape: record({ amount: positiveAmount }),
      weight: 300,
      delegable: true,
      run(ctx, { amount: value }) {
        const made = quotaFor(value, fuelPriceOf(ctx.state));
        if (made === 0n) throw new AppError('amount_too_small', 'The amount buys no fuel.');
        move(ctx, account(ctx.sender), null, ctx.base, value);
        const key = bytesKey(ctx.sender);
        ctx.state.set(fuels, key, { quota: (ctx.state.get(fuels, key)?.quota ?? 0n) + made });
      },
    }),
    'storage.open': kind({
      shape: record(termsShape),
      weight: 2000,
      delegable: true,
      run: open,
    }),
    'storage.accept': kind({
      shape: record({ contract: whole() }),
      weight: 1000,
      delegable: true,
      run(ctx, { contract }) {
        accept(ctx, contract);
      },
    }),
    'storage.claim': kind({
      shape: record({ root: bytesOf(32), missing: listOf(whole(), maxMissing) }),
      weight: 500,
      delegable: true,
      run(ctx, { root, missing }) {
        const row = hostOf(ctx.state, ctx.sender);
        const period = periodOf(ctx.time);
        if (!claimsOpen(ctx.time)) {
          throw new AppError('period_passed', 'Claims are made in the first half of a period.');
        }
        // The claim before is still to be proven.
        if (row.claim?.period === period || (row.claim?.period === period - 1 && row.settled < period - 1)) {
          throw new AppError('period_passed', 'There is a claim already that has to be proven first.');
        }
        if (row.settled >= period) throw new AppError('period_passed', 'This period owes no proof.');
        ctx.state.set(hosts, bytesKey(ctx.sender), { ...row, claim: { period, root, missing } });
      },
    }),
    'storage.prove': kind({
      shape: record({
        /** Copies the host keeps, at least: all of them are read. */
        slots: whole(maxSlots),
        openings: listOf(openingShape, 6),
      }),
      weight: ({ slots: stated, openings }) => 2000 + 50 * stated + 500 * openings.length,
      delegable: true,
      run(ctx, { slots: stated, openings }) {
        prove(ctx, stated, openings);
      },
    }),
    /** Anybody may point at a host that proves nothing any more; its places become free for others. */
    'storage.report': kind({
      shape: record({ host: addressShape }),
      weight: 10_000,
      delegable: true,
      run(ctx, { host }) {
        const row = hostOf(ctx.state, host);
        const period = periodOf(ctx.time) - 2;
        if (row.slots === 0 || period - row.settled < maxMisses) {
          throw new AppError('host_proves', 'The host has not been silent for long enough.', {
            details: { settled: row.settled, period },
          });
        }
        settle(ctx, host, row, copiesOf(ctx.state, host), period, null, ctx.sender);
      },
    }),
    'storage.close': kind({
      shape: record({ contract: whole() }),
      weight: 5000,
      delegable: true,
      run(ctx, { contract }) {
        close(ctx, contract);
      },
    }),
  },
  invariants: {
    'the pots of escrow and collateral hold what contracts owe'(state, { base }) {
      let escrow = 0n;
      let collateral = 0n;
      for (const [key, contract] of state.rows(contracts)) {
        const number = keyNumber(key, 0);
        let paid = contract.spent;
        for (const host of contract.hosts) {
          const slot = state.get(slots, slotKey(host, number));
          const row = state.get(hosts, bytesKey(host));
          if (!slot || !row) return `contract ${number} has a host without a copy`;
          paid += BigInt(paidPeriods(slot, contract, row.settled)) * payOf(contract);
          collateral += contract.collateral;
        }
        escrow += BigInt(contract.copies) * BigInt(contract.periods) * payOf(contract) - paid;
      }
      const held = [balanceOf(state, pot('escrow'), base), balanceOf(state, pot('collateral'), base)];
      if (held[0] !== escrow) return `escrow ${held[0]}, owed ${escrow}`;
      return held[1] === collateral ? null : `collateral ${held[1]}, owed ${collateral}`;
    },
    'hosts have as many copies as they say, each in its contract'(state) {
      const counts = new Map<string, number>();
      for (const [key] of state.rows(slots)) {
        const host = key.slice(0, 32);
        counts.set(host, (counts.get(host) ?? 0) + 1);
        const contract = state.get(contracts, key.slice(32));
        if (!contract?.hosts.some((one) => sameBytes(one, keyBytes(host)))) return 'a copy of no contract';
      }
      for (const [key, row] of state.rows(hosts)) {
        if ((counts.get(key) ?? 0) !== row.slots) return `a host says ${row.slots}`;
      }
      return null;
    },
  },
} satisfies Module;
