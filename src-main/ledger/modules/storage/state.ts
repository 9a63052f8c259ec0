import { AppError } from '../../../../src-shared/errors.ts';
import { hashIn, maxTime } from '../../codec/index.ts';
import {
  amount,
  bytesOf,
  listOf,
  nullable,
  positiveAmount,
  record,
  unsigned,
  whole,
} from '../../codec/shape.ts';
import type { ValueOf } from '../../codec/shape.ts';
import { addressShape } from '../../codec/tx.ts';
import type { StateView } from '../../state/overlay.ts';
import { bytesKey, numberKey, table } from '../../state/table.ts';
import type { Key } from '../../state/table.ts';
import type { Address, Amount, Hash } from '../../types.ts';

/*
 * Storage that is paid for: contracts say what is to be kept, hosts take them and prove every period that they still have it. All of it
 * goes by periods of an hour of the blocks' time.
 */

export const periodMs = 3_600_000;
export const periodOf = (time: number): number => Math.floor(time / periodMs);
/**
 * The first half of a period is for claims, the second for the beacon's secrets: from them follows which answers of the claims have to be
 * shown, so who could claim after they are out would need no more than those.
 */
export const claimsOpen = (time: number): boolean => time % periodMs < periodMs / 2;
/** Prices are for so many bytes kept for a period. */
export const priceBytes = 2n ** 30n;

/** Quota bought and not yet used, in bytes times periods, by account. */
export const fuels = table('O', 'storage fuel', record({ quota: unsigned(24) }));

/** What validators want fuel to cost, by operator; and what it costs. */
export const fuelVotes = table('P', 'votes on the price of fuel', record({ price: positiveAmount }));
export const fuelPrices = table('Q', 'price of fuel', record({ price: positiveAmount, period: whole() }));
/** Base units for a GiB and period before anybody voted: 0.001 of a coin with six decimals. */
const firstFuelPrice = 1000n;
export const fuelPriceOf = (state: StateView): Amount => state.get(fuelPrices, '')?.price ?? firstFuelPrice;

const maxCopies = 16;
/** Leaf indices of a Merkle path have 32 bits: of more leaves no host could prove one. */
export const maxBytes = 1024 * (2 ** 32 - 1);
export const maxPeriods = 24 * 3660;

export const termsShape = {
  /** Of its content: see content.ts. */
  root: bytesOf(32),
  bytes: whole(maxBytes, 1),
  copies: whole(maxCopies, 1),
  periods: whole(maxPeriods, 1),
  /** Base units for a GiB, copy and period. */
  price: positiveAmount,
  /** What a host puts down for its copy. */
  collateral: amount,
  /** The only account that may take it; null: whoever comes first. */
  host: nullable(addressShape),
};
const contractShape = record({
  ...termsShape,
  owner: addressShape,
  /** First period that is not paid any more. */
  until: whole(),
  /** Who keeps a copy now. */
  hosts: listOf(addressShape, maxCopies),
  /** Paid to hosts that keep it no longer. */
  spent: amount,
});
export type ContractRow = ValueOf<typeof contractShape>;
/** By number. */
export const contracts = table('R', 'storage contracts', contractShape);

/** @throws AppError `contract_unknown` */
export function contractAt(state: StateView, number: number): ContractRow {
  const found = state.get(contracts, numberKey(number));
  if (found) return found;
  throw new AppError('contract_unknown', `There is no storage contract ${number}.`);
}

/** What one copy costs in one period, rounded up. */
export const payOf = ({ bytes, price }: Pick<ContractRow, 'bytes' | 'price'>): Amount =>
  (BigInt(bytes) * price + priceBytes - 1n) / priceBytes;

/** A copy with its host, by host and contract: what a host has to prove is found together. */
const slotShape = record({
  /** First period that counts. */
  from: whole(),
  /** Periods since then that were not proven, and how many of them just now in a row. */
  missed: whole(),
  inRow: whole(),
});
export type SlotRow = ValueOf<typeof slotShape>;
export const slots = table('S', 'storage copies', slotShape);
export const slotKey = (host: Address, contract: number): Key => bytesKey(host) + numberKey(contract);

/** Contracts a host may keep: each proof, report and settlement reads all of them. */
export const maxSlots = 128;
/** Contracts that a claim may admit to have lost: all of them. */
export const maxMissing = maxSlots;

const hostShape = record({
  slots: whole(maxSlots),
  /** The last period whose proof was settled, or that passed without one. */
  settled: whole(),
  /** What the host says of the period it is in; it is asked for samples in the next one. */
  claim: nullable(record({ period: whole(), root: bytesOf(32), missing: listOf(whole(), maxMissing) })),
});
export type HostRow = ValueOf<typeof hostShape>;
/** By account. */
export const hosts = table('T', 'hosts', hostShape);

/**
 * Misses in a row that end a host's part in a contract: half a day. An hour off costs two proofs, so with a limit of three an honest
 * computer that is off one hour in a hundred would lose all it put down once or twice a year; see docs/economics.md.
 */
export const maxMisses = 12;

/** Seeds of the periods, made of what validators revealed; by period, the last ones. */
export const seeds = table('U', 'beacon seeds', bytesOf(32));
export const keptSeeds = 8;
/** What operators will reveal in the next period, and what they put down for it. */
export const beaconCommits = table(
  'V',
  'beacon commitments',
  record({ period: whole(), hash: bytesOf(32), deposit: amount }),
);
/** Revealed in the current period, by operator. */
export const beaconReveals = table('W', 'beacon secrets', bytesOf(32));
/** The period whose start was last handled. */
export const periodsBegun = table('X', 'storage period', record({ period: whole(), at: whole(maxTime) }));

const u64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
};

/** The seed of a period; before any validator took part it follows from the period alone. */
export const seedOf = (state: StateView, period: number): Hash =>
  state.get(seeds, numberKey(period)) ?? hashIn('beacon', u64(period));

/** Leaves of 1 KiB. */
export const leafBytes = 1024;
export const leavesOf = (bytes: number): number => Math.ceil(bytes / leafBytes);

const numberOf = (hash: Hash, below: number): number =>
  Number(Buffer.from(hash.buffer, hash.byteOffset, 8).readBigUInt64BE() % BigInt(below));

/** Which leaf of a contract a host has to show for a period. */
export function challengeOf(seed: Hash, host: Address, contract: number, bytes: number): number {
  const hash = hashIn('storage challenge', Buffer.concat([seed, host, u64(contract)]));
  return numberOf(hash, leavesOf(bytes));
}

/** What stands in a claim's tree for a contract: nobody makes it without the leaf. */
export const answerOf = (seed: Hash, host: Address, contract: number, leaf: Uint8Array): Hash =>
  hashIn('storage answer', Buffer.concat([seed, host, u64(contract), leaf]));

/** Samples asked of a claim. */
export const samples = 6;

/** Which of a claim's `count` answers have to be shown, by the seed of the period after it; each once. */
export function samplesOf(seed: Hash, host: Address, count: number): readonly number[] {
  const chosen = new Set<number>();
  for (let i = 0; i < samples && chosen.size < count; i++) {
    chosen.add(numberOf(hashIn('storage sample', Buffer.concat([seed, host, u64(i)])), count));
  }
  return [...chosen].sort((a, b) => a - b);
}
