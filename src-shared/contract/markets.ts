import { z } from './zod.ts';
import { accepted, amount, paying, symbol, wanted } from './amounts.ts';
import { count, hash, localPath, nothing, time, userId } from './common.ts';
import { command, query } from '../rpc/contract.ts';
import { directoryPublish, directoryRemove } from './directory.ts';

const basisPoints = z.int().min(0).max(10_000);
/** Of a pool: hundredths of a percent of what comes in. */
const fee = z.int().min(1).max(1000);
/** Hundredths of a percent by which the outcome may be worse than seen. */
const slippage = z.int().min(0).max(5000).default(100);
/** Seconds after which it is not done any more. */
const deadline = z.int().min(1).max(86_400).default(1200);
/** A whole number of shares; they have no decimals. */
const shares = z.string().regex(/^\d{1,39}$/);

export const pool = z.object({
  a: symbol,
  b: symbol,
  fee,
  reserveA: amount,
  reserveB: amount,
  /** Of one `a` in `b`, of the reserves now, and the average of the last minutes (null: the pool is too young). */
  price: z.number(),
  average: z.number().nullable(),
  shares,
  /** In the last 24 hours. */
  tradedA: amount,
  tradedB: amount,
  /** One's own part with what it holds, and what of emission it has earned and not been paid; null: none. */
  position: z.object({ shares, a: amount, b: amount, earnedA: amount, earnedB: amount }).nullable(),
});
export type Pool = z.infer<typeof pool>;

export const quote = z.object({
  from: symbol,
  to: symbol,
  in: amount,
  out: amount,
  /** By how many percent the trade moves the price against itself, fees not counted. */
  impact: z.number(),
  /** Fees of the pools on the way, percent. */
  fee: z.number(),
  /** Token by token, with the fee of each pool. */
  path: z
    .array(z.object({ to: symbol, fee }))
    .min(1)
    .max(4),
});
export type Quote = z.infer<typeof quote>;

const swapFields = {
  from: symbol,
  to: symbol,
  amount: wanted,
  /** `in`: the amount is what goes in; `out`: what is to come out. */
  exact: z.enum(['in', 'out']).default('in'),
};
const swap = z.object({
  ...paying,
  ...swapFields,
  /** The least that must come out (or the most that may go in); null: as quoted, less `slippage`. */
  limit: wanted.nullable().default(null),
  slippage,
  deadline,
});
const pair = { a: symbol, b: symbol, fee: fee.default(30) };
const poolCreate = z.object({ ...paying, ...pair, amountA: wanted, amountB: wanted });
const poolDeposit = z.object({
  ...paying,
  ...pair,
  /** At most; as much of both as fits the price is taken. */
  amountA: wanted,
  amountB: wanted,
  slippage,
  deadline,
});
const poolWithdraw = z.object({
  ...paying,
  ...pair,
  /** null: all. */
  shares: shares.nullable().default(null),
  slippage,
  deadline,
});
const poolClaim = z.object({ ...paying, ...pair });
const poolFavour = z.object({ ...paying, symbol, ...pair });

export const pools = {
  list: query(nothing, z.array(pool)),
  /** The best way through up to four pools. */
  quote: query(z.object(swapFields), quote),
  swap: command(swap, accepted),
  create: command(poolCreate, accepted),
  deposit: command(poolDeposit, accepted),
  withdraw: command(poolWithdraw, accepted),
  /** Pays what one's part earned by emission. */
  claim: command(poolClaim, accepted),
  /** Names the pool that the emission for liquidity of one's own token goes to. */
  favour: command(poolFavour, accepted),
};

const place = z.int().min(0).max(8);
const strategy = z.object({
  /** The pool of the vault's token with this one. */
  other: symbol,
  fee: fee.default(30),
  targetBp: basisPoints,
  minBp: basisPoints.default(0),
  maxBp: basisPoints.default(10_000),
});
export const vaultTerms = z.object({
  name: z.string().trim().min(1).max(64),
  asset: symbol,
  strategies: z.array(strategy).min(1).max(8),
  /** `target`: the parts declared; `usage`: by what is traded in each pool. */
  follow: z.enum(['target', 'usage']).default('target'),
  minMove: wanted,
  cooldownSeconds: z.int().min(1).max(31_536_000).default(600),
  maxMoveBp: basisPoints.min(1).default(2000),
  periodSeconds: z.int().min(60).max(31_536_000).default(86_400),
  maxLossBp: z.int().min(1).max(1000).default(100),
  tipBp: z.int().min(0).max(100).default(10),
  tipCap: wanted.default('0'),
});
export type VaultTerms = z.infer<typeof vaultTerms>;

export const vault = vaultTerms.omit({ strategies: true }).extend({
  vault: count,
  owner: userId,
  /** In its token, at average prices. */
  worth: amount,
  idle: amount,
  shares,
  strategies: z.array(
    strategy.extend({
      worth: amount,
      /** What of the vault is there and should be there, hundredths of a percent. */
      nowBp: basisPoints,
      wantedBp: basisPoints,
    }),
  ),
  /** One's own part, and what it is worth; null: none. */
  position: z.object({ shares, worth: amount }).nullable(),
  /** The last moves, newest first. `from` and `to`: a token, or null for what is idle. */
  moves: z.array(
    z.object({
      time,
      by: userId,
      from: symbol.nullable(),
      to: symbol.nullable(),
      moved: amount,
      lost: amount,
      tip: amount,
      /** How far from its targets the vault was and is. */
      before: amount,
      after: amount,
    }),
  ),
  /** There is something to do that its bounds allow now. */
  due: z.boolean(),
});
export type Vault = z.infer<typeof vault>;

const vaultDeposit = z.object({ ...paying, vault: count, amount: wanted, slippage, deadline });
const vaultWithdraw = z.object({
  ...paying,
  vault: count,
  /** null: all. */
  shares: shares.nullable().default(null),
  slippage: slippage.default(500),
  deadline,
});
const vaultCreate = z.object({ ...paying, terms: vaultTerms });
const vaultMove = z.object({
  ...paying,
  vault: count,
  move: z.object({ from: place, to: place, amount: wanted }).nullable().default(null),
});
const vaultTargets = z.object({
  ...paying,
  vault: count,
  targets: z.array(basisPoints).min(1).max(8),
});

export const vaults = {
  list: query(nothing, z.array(vault)),
  create: command(vaultCreate, accepted),
  deposit: command(vaultDeposit, accepted),
  withdraw: command(vaultWithdraw, accepted),
  /** One move; by itself the one that helps most within its bounds. `amount`: of its token from what is idle, else pool shares. */
  rebalance: command(vaultMove, accepted),
  setTargets: command(vaultTargets, accepted),
};

const nameText = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{1,30}[a-z0-9]$/, 'A name is 3 to 32 of a-z, 0-9 and inner hyphens.');
const nameKind = z.enum(['person', 'drive', 'stream', 'app']);
export const name = z.object({
  name: z.string(),
  kind: nameKind,
  /** What it stands for: the user id of a person, else the id that was given. */
  target: z.string(),
  owner: userId,
  paidUntil: time,
  /** False: its rent is over; it can still be renewed for a while. */
  holds: z.boolean(),
});
export type Name = z.infer<typeof name>;
const days = z.int().min(1).max(3650).default(365);
const pointer = { kind: nameKind.default('person'), target: z.string().max(128).default('') };
const nameRenew = z.object({ ...paying, name: nameText, days });
const nameTransfer = z.object({ ...paying, name: nameText, to: userId });
const namePoint = z.object({ ...paying, name: nameText, ...pointer });

/** Names on the active network. Wherever an id is asked for, `@name` will do. */
export const names = {
  /** Claims it blindly, waits for the block and reveals it. */
  claim: command(z.object({ ...paying, name: nameText, ...pointer, days }), accepted),
  renew: command(nameRenew, accepted),
  transfer: command(nameTransfer, accepted),
  point: command(namePoint, accepted),
  resolve: query(z.object({ name: nameText }), name),
  /** What a claim of so many days costs in base coin, and whether it is free. */
  price: query(z.object({ name: nameText, days }), z.object({ price: amount, symbol, free: z.boolean() })),
  own: query(nothing, z.array(name)),
  /** The names accounts go by; those without one are left out. */
  of: query(z.object({ users: z.array(userId).max(200) }), z.record(z.string(), z.string())),
};

const storageOpen = z.object({
  ...paying,
  /** What `measure` says of the content, and its size. */
  root: hash,
  bytes: z
    .int()
    .min(1)
    .max(1024 * (2 ** 32 - 1)),
  copies: z.int().min(1).max(16).default(3),
  /** Hours. */
  periods: z.int().min(1).max(87_840),
  /** Base coins for a GiB, copy and hour. */
  price: wanted,
  collateral: wanted.default('0'),
  /** The only account that may take it. */
  host: userId.optional(),
});
const storageFuel = z.object({ ...paying, amount: wanted });
const storageContract = z.object({ ...paying, contract: count });
const storageCollect = z.object({ ...paying, symbol });
const storageVote = z.object({ ...paying, price: wanted });
const storageReport = z.object({ ...paying, user: userId });
const relayFund = z.object({
  ...paying,
  /** Id of the stream. */
  stream: hash,
  amount: wanted,
  /** Base coins for a GiB that a viewer got. */
  price: wanted,
  /** Bytes of one viewer that count in an hour. */
  perViewer: z
    .int()
    .min(1)
    .max(2 ** 50),
  /** The most one account gets of an hour's part, in ten-thousandths. */
  shareBp: z.int().min(1).max(10_000).default(2500),
  /** What an account must have at stake to be paid. */
  minStake: wanted.default('0'),
  hours: z.int().min(1).max(87_840),
});
const relayClose = z.object({ ...paying, fund: count });
export const shownRelayFund = z.object({
  fund: count,
  stream: hash,
  payer: userId,
  price: amount,
  amount,
  left: amount,
  until: time,
  /** What this account got of it. */
  paid: amount,
});
export type RelayFund = z.infer<typeof shownRelayFund>;

export const keptContract = z.object({
  contract: count,
  owner: userId,
  root: hash,
  bytes: count,
  copies: count,
  hosts: z.array(userId),
  /** Base coins for one copy and hour. */
  pay: amount,
  collateral: amount,
  until: time,
  /** The copy this account keeps; null: none. `file`: where this computer has it. */
  kept: z.object({ paid: amount, missed: count, inRow: count, file: z.string().nullable() }).nullable(),
});
export type StorageContract = z.infer<typeof keptContract>;

export const storageProof = z.object({
  hash,
  /** The hour it is for. */
  period: count,
  time,
  copies: count,
  bytes: count,
  /** Base coins, if it stood. */
  pay: amount,
});
export type StorageProof = z.infer<typeof storageProof>;

/** Paid storage: fuel, contracts, and copies kept for others. */
export const storage = {
  fuel: command(storageFuel, accepted),
  status: query(
    nothing,
    z.object({
      /** GiB times hours that may still be stored. */
      fuel: z.number(),
      /** Of fuel, base coins for a GiB and hour. */
      price: amount,
      symbol,
      /** Periods are hours; the number of this one and when it ends. */
      period: count,
      ends: time,
      /** Copies kept for others, and the last period that was settled; null: none. */
      host: z.object({ copies: count, settled: count }).nullable(),
    }),
  ),
  contracts: query(nothing, z.array(keptContract)),
  earnings: query(
    nothing,
    z.array(
      z.object({
        symbol,
        /** Paid for copies that are kept now, and emission that waits to be collected. */
        paid: amount,
        waiting: amount,
        /** Paid for passing on streams, out of funds that are not closed. */
        relays: amount,
        /** Emission for passing on streams that waits to be collected. */
        relaysWaiting: amount,
      }),
    ),
  ),
  /** Proofs this computer sent, the newest first; each is a transaction that anybody can look up. */
  proofs: query(nothing, z.array(storageProof)),
  /** What a file of this computer comes to: for `open`. */
  measure: query(z.object({ file: localPath }), z.object({ root: hash, bytes: count })),
  open: command(storageOpen, accepted),
  /** Takes a copy of a contract whose bytes are in this file, and proves it by itself from now on. */
  keep: command(z.object({ ...paying, contract: count, file: localPath }), accepted),
  close: command(storageContract, accepted),
  collect: command(storageCollect, accepted),
  vote: command(storageVote, accepted),
  report: command(storageReport, accepted),
  /** Puts coins aside for those who pass on a stream, paid by receipts that viewers sign. */
  relayFund: command(relayFund, accepted),
  relayFunds: query(nothing, z.array(shownRelayFund)),
  /** After its end: what is left goes back. */
  relayClose: command(relayClose, accepted),
  /** Pays this account's part of a token's emission for relays. */
  relayCollect: command(storageCollect, accepted),
};

/** Acts of the wallet that belong to markets, by name; see `wallet.preview`. */
export const marketActs = [
  z.object({ act: z.literal('swap'), input: swap }),
  z.object({ act: z.literal('poolCreate'), input: poolCreate }),
  z.object({ act: z.literal('poolDeposit'), input: poolDeposit }),
  z.object({ act: z.literal('poolWithdraw'), input: poolWithdraw }),
  z.object({ act: z.literal('poolClaim'), input: poolClaim }),
  z.object({ act: z.literal('poolFavour'), input: poolFavour }),
  z.object({ act: z.literal('vaultCreate'), input: vaultCreate }),
  z.object({ act: z.literal('vaultDeposit'), input: vaultDeposit }),
  z.object({ act: z.literal('vaultWithdraw'), input: vaultWithdraw }),
  z.object({ act: z.literal('vaultMove'), input: vaultMove }),
  z.object({ act: z.literal('vaultTargets'), input: vaultTargets }),
  z.object({ act: z.literal('nameRenew'), input: nameRenew }),
  z.object({ act: z.literal('nameTransfer'), input: nameTransfer }),
  z.object({ act: z.literal('namePoint'), input: namePoint }),
  z.object({ act: z.literal('directoryPublish'), input: directoryPublish }),
  z.object({ act: z.literal('directoryRemove'), input: directoryRemove }),
  z.object({ act: z.literal('storageFuel'), input: storageFuel }),
  z.object({ act: z.literal('storageOpen'), input: storageOpen }),
  z.object({ act: z.literal('storageClose'), input: storageContract }),
  z.object({ act: z.literal('storageCollect'), input: storageCollect }),
  z.object({ act: z.literal('storageVote'), input: storageVote }),
  z.object({ act: z.literal('storageReport'), input: storageReport }),
  z.object({ act: z.literal('relayFund'), input: relayFund }),
  z.object({ act: z.literal('relayClose'), input: relayClose }),
  z.object({ act: z.literal('relayCollect'), input: storageCollect }),
] as const;
const marketAct = z.discriminatedUnion('act', marketActs);
export type MarketAct = z.infer<typeof marketAct>;
