import { z } from './zod.ts';
import { count, done, hash, nothing, time, userId, watched } from './common.ts';
import { command, query, subscription } from '../rpc/contract.ts';
import { accepted, amount, paying, symbol, wanted } from './amounts.ts';
import { marketActs } from './markets.ts';

/** Name of a chain: its given name and the beginning of its genesis hash. */
export const chainId = z.string().min(1).max(80);
/** A validator goes by the account that runs it; its id in hex is understood, too. */
const validatorName = z.string().min(1).max(128);
/** Of a person: the user id, or nothing for oneself. */
const who = userId.nullable().default(null);
const basisPoints = z.int().min(0).max(10_000);

export const chainRole = z.enum(['validator', 'full', 'light']);

export const chainStatus = z.object({
  chainId,
  name: z.string(),
  height: count,
  hash,
  /** Computed from the state this computer has; a light node shows the header's. */
  stateRoot: hash,
  /** Of the last block; of genesis before the first. */
  time,
  validators: count,
  /** Voting power of the active set, in whole base coins. */
  power: z.string(),
  /** Connected computers that follow this chain. */
  peers: count,
  /** Of a light node: how many others showed the same newest header; null: this computer checks every block itself. */
  witnesses: count.nullable(),
  role: chainRole,
  /** Its role follows what it takes of the disk; false: somebody chose it. */
  auto: z.boolean(),
  /** What it takes of this disk; null on a light node. */
  bytes: count.nullable(),
  /** Above so many bytes this computer becomes light by itself; null: it does not. */
  lightAbove: count.nullable(),
  /** It became light by itself, when it took so many bytes; null: it did not. */
  lightened: z.object({ time, bytes: count }).nullable(),
  /** Names and wallet are those of the active chain. */
  active: z.boolean(),
  /** Blocks are being fetched; nothing is signed meanwhile. */
  syncing: z.boolean(),
  /** Consensus for the next height: the round it is in and the step. */
  round: count,
  step: z.string(),
  /** Votes seen here for the next height, as power in whole base coins; null on a light node and while blocks are fetched. */
  consensus: z
    .object({
      height: count,
      /** Id of the validator whose turn it is. */
      proposer: hash,
      /** Its block is here. */
      proposal: z.boolean(),
      prevotes: z.string(),
      precommits: z.string(),
      total: z.string(),
      /** -1: not bound to a block. */
      lockedRound: z.int().min(-1),
    })
    .nullable(),
  /** Transactions that wait for a block. */
  mempool: count,
  /** An error code when the chain stands still or can't be trusted; null when all is well. */
  problem: z.string().nullable(),
  link: z.string(),
});
export type ChainStatus = z.infer<typeof chainStatus>;

export const validator = z.object({
  /** The account that runs it; what stakes name. */
  userId,
  /** Hex of the hash of its consensus key; what blocks name. */
  validator: hash,
  name: z.string(),
  power: z.string(),
  jailed: z.boolean(),
  tombstoned: z.boolean(),
  commission: basisPoints,
  active: z.boolean(),
  /** Bonded to it, base coins. */
  bonded: amount,
  /** Run by this computer. */
  own: z.boolean(),
});
export type ChainValidator = z.infer<typeof validator>;

/** One message of a transaction, in the chain's words. */
export const txMessage = z.object({
  /** `bank.send`, `token.create`, ... */
  type: z.string(),
  from: userId.nullable(),
  to: userId.nullable(),
  amount: amount.nullable(),
  symbol: symbol.nullable(),
  memo: z.string(),
});
export type TxMessage = z.infer<typeof txMessage>;

export const tx = z.object({
  hash,
  sender: userId,
  nonce: count,
  /** null: not in a block yet. */
  height: count.nullable(),
  time: time.nullable(),
  ok: z.boolean().nullable(),
  /** Why it failed: an error code; '' when it did not. */
  code: z.string(),
  message: z.string(),
  fee: amount,
  feeAsset: symbol,
  messages: z.array(txMessage),
});
export type Tx = z.infer<typeof tx>;

export const block = z.object({
  height: count,
  hash,
  stateRoot: hash,
  time,
  proposer: hash,
  round: count,
  /** Validators that signed it. */
  signatures: count,
  txs: z.array(z.object({ hash, ok: z.boolean(), code: z.string() })),
});
export type ChainBlock = z.infer<typeof block>;

/** Shares of what is mined, in hundredths of a percent; they add up to 10,000. */
const miningSplit = z.object({
  stakers: basisPoints.default(0),
  hosts: basisPoints.default(0),
  relays: basisPoints.default(0),
  liquidity: basisPoints.default(0),
  treasury: basisPoints.default(0),
});
const miningTerms = {
  /** Length of a period, seconds. */
  periodSeconds: z.int().min(1).max(3_155_760_000).default(86_400),
  split: miningSplit.default({ stakers: 10_000, hosts: 0, relays: 0, liquidity: 0, treasury: 0 }),
  /** What becomes of the stakers' share while nobody stakes. */
  unclaimed: z.enum(['treasury', 'unminted']).default('unminted'),
};
const periods = z.int().min(1).max(1_000_000_000);
/** How a token comes into being over time, never above its maximum. */
export const mining = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('none') }),
  /** The same in every period; `periods` null: for ever. */
  z.object({
    kind: z.literal('fixed'),
    perPeriod: wanted,
    periods: periods.nullable().default(null),
    ...miningTerms,
  }),
  /** Half as much after each `halveEvery` periods. */
  z.object({ kind: z.literal('halving'), perPeriod: wanted, halveEvery: periods, ...miningTerms }),
  /** One stage after another, then nothing. */
  z.object({
    kind: z.literal('list'),
    stages: z
      .array(z.object({ periods, perPeriod: wanted }))
      .min(1)
      .max(64),
    ...miningTerms,
  }),
]);
export type Mining = z.infer<typeof mining>;
export const staking = z.object({
  enabled: z.boolean().default(true),
  /** What stakers get a year on top of their share of what is mined, hundredths of a percent; minted as long as the maximum allows. */
  rewardRate: z.int().min(0).max(100_000).default(0),
  /** How long unbonded tokens wait, seconds. */
  unbondingSeconds: z.int().min(0).max(31_536_000).default(1_209_600),
});
export type TokenStaking = z.infer<typeof staking>;

export const token = z.object({
  symbol,
  name: z.string(),
  supply: amount,
  max: amount,
  decimals: z.int().min(0).max(18),
  creator: userId.nullable(),
  /** What its creator may still do. */
  mint: z.boolean(),
  burn: z.boolean(),
  freeze: z.boolean(),
  mining,
  staking,
  /** Mined so far, and staked now. */
  mined: amount,
  staked: amount,
  /** Tokens for one base coin when a fee is paid in it, rounded up; null: it can't be. */
  feeRate: amount.nullable(),
  /** Base coin that pays the validators for fees in it. */
  feeFund: amount,
});
export type Token = z.infer<typeof token>;

export const balance = z.object({
  symbol,
  /** Free to send. */
  amount,
  staked: amount,
  unbonding: amount,
  /** Earned by staking, to be claimed. */
  rewards: amount,
  decimals: z.int().min(0).max(18),
});
export type Balance = z.infer<typeof balance>;

export const unbonding = z.object({ symbol, amount, validator: userId.nullable(), until: time });
export const stake = z.object({
  symbol,
  /** null: a token's own staking, which has no validators. */
  validator: userId.nullable(),
  amount,
  rewards: amount,
  unbonding: z.array(unbonding),
});
export type Stake = z.infer<typeof stake>;

/** What a transaction would do, before it is signed. */
export const preview = z.object({
  fee: amount,
  feeAsset: symbol,
  /** Own balances now and after it, of each token that changes. */
  changes: z.array(z.object({ symbol, before: amount, after: amount })),
  /** An error code when it would be refused; '' when not. */
  code: z.string(),
  message: z.string(),
  /** The password is asked for again. */
  password: z.boolean(),
});
export type TxPreview = z.infer<typeof preview>;

const inChain = { chain: chainId.nullable().default(null) };

const send = z.object({
  ...paying,
  to: userId,
  amount: wanted,
  symbol,
  memo: z.string().max(256).default(''),
});
const create = z.object({
  ...paying,
  symbol,
  name: z.string().trim().min(1).max(64),
  supply: wanted,
  max: wanted,
  decimals: z.int().min(0).max(18).default(6),
  mint: z.boolean().default(false),
  burn: z.boolean().default(true),
  freeze: z.boolean().default(false),
  mining: mining.nullable().default(null),
  staking: staking.nullable().default(null),
});
const staked = z.object({
  ...paying,
  symbol,
  amount: wanted,
  validator: validatorName.nullable().default(null),
});
/** Without a token: of all that are staked. */
const stakeClaim = z.object({ ...paying, symbol: symbol.nullable().default(null) });
const minted = z.object({ ...paying, symbol, amount: wanted, to: who });
const burned = z.object({ ...paying, symbol, amount: wanted });
const frozen = z.object({ ...paying, symbol, user: userId, frozen: z.boolean() });
const renounced = z.object({ ...paying, symbol, right: z.enum(['mint', 'burn', 'freeze']) });
const handed = z.object({ ...paying, symbol, to: userId });
/** `rate`: tokens for one base coin; null: fees can't be paid in it (any more). */
const feeRated = z.object({ ...paying, symbol, rate: wanted.nullable() });
const feeFunded = z.object({ ...paying, symbol, amount: wanted });
const redelegated = z.object({
  ...paying,
  symbol,
  amount: wanted,
  from: validatorName,
  to: validatorName,
});
const newValidator = z.object({
  ...paying,
  selfBond: wanted.default('10000'),
  name: z.string().max(64).default(''),
  commission: basisPoints.default(500),
});
/** What a key of a linked computer may do. `bank` stands for all messages of that kind, `bank.send` for one. */
const scopes = z
  .array(z.string().regex(/^[a-z]{2,16}(\.[a-zA-Z]{2,24})?$/))
  .min(1)
  .max(16);
/** What may still leave the account by that key, fees included; nothing of tokens that are not named. */
const caps = z.array(z.object({ symbol, amount: wanted })).max(16);
const keyTerms = {
  scopes: scopes.default(['bank.send', 'stake', 'anchor']),
  caps: caps.default([]),
  /** How long the key is good, days. */
  days: z.int().min(1).max(3650).default(365),
};
const allowed = z.object({
  ...paying,
  /** Peer id or name of the computer that asked. */
  device: z.string().min(1).max(128),
  /** The key it was seen to ask with and the terms, as `keys` shows them: with others by now nothing is signed. */
  key: hash,
  shown: z.object({ scopes, caps: z.array(z.object({ symbol, amount })).max(16), expires: time }),
  /** Other terms than those asked for. */
  terms: z.object(keyTerms).nullable().default(null),
});
const keyRevoked = z.object({
  ...paying,
  /** Peer id or name of a computer, or the key in hex. */
  key: z.string().min(1).max(128),
});
export const accountKey = z.object({
  /** Peer id of the computer that has it; null: this computer does not know which. */
  device: z.string().nullable(),
  /** Its name; '' when nothing is known. */
  name: z.string(),
  key: hash,
  scopes: z.array(z.string()),
  /** What is left to spend, or what was asked for. */
  caps: z.array(z.object({ symbol, amount })),
  expires: time,
  /** `sent`: the ledger was told, the transaction is on its way. `revoking`: taken back as soon as the network can be reached. */
  state: z.enum(['asked', 'sent', 'active', 'expired', 'denied', 'revoking']),
  own: z.boolean(),
});
export type AccountKey = z.infer<typeof accountKey>;
/** The acts of the wallet by name, for looking at before they are done. */
export const walletAct = z.discriminatedUnion('act', [
  ...marketActs,
  z.object({ act: z.literal('send'), input: send }),
  z.object({ act: z.literal('createToken'), input: create }),
  z.object({ act: z.literal('bond'), input: staked }),
  z.object({ act: z.literal('unbond'), input: staked }),
  z.object({ act: z.literal('claim'), input: stakeClaim }),
  z.object({ act: z.literal('redelegate'), input: redelegated }),
  z.object({ act: z.literal('mint'), input: minted }),
  z.object({ act: z.literal('burn'), input: burned }),
  z.object({ act: z.literal('freeze'), input: frozen }),
  z.object({ act: z.literal('renounce'), input: renounced }),
  z.object({ act: z.literal('handOver'), input: handed }),
  z.object({ act: z.literal('setFeeRate'), input: feeRated }),
  z.object({ act: z.literal('fundFees'), input: feeFunded }),
  z.object({ act: z.literal('withdrawFees'), input: feeFunded }),
  z.object({ act: z.literal('createValidator'), input: newValidator }),
  z.object({ act: z.literal('leaveValidator'), input: z.object(paying) }),
  z.object({ act: z.literal('unjail'), input: z.object(paying) }),
  z.object({ act: z.literal('allowKey'), input: allowed }),
  z.object({ act: z.literal('revokeKey'), input: keyRevoked }),
]);
export type WalletAct = z.infer<typeof walletAct>;

/** Chains that this computer follows; one of them is active. `chain: null` means that one. */
export const chain = {
  /**
   * Founds a network of one validator: this computer. `genesis`: the text of a genesis file. `continues`: the network begins with the
   * whole state of one that stands still, and those of its validators go on that these users run. `newKey`: this computer takes the place
   * of the one that validated for its user and is gone.
   */
  create: command(
    z.object({
      name: z
        .string()
        .regex(
          /^[a-z0-9][a-z0-9-]{0,31}$/,
          'A network has a name of 1 to 32 small letters, digits and hyphens.',
        ),
      genesis: z.string().max(4_194_304).nullable().default(null),
      continues: z
        .object({
          chain: chainId,
          validators: z.array(userId).min(1).max(100),
          newKey: z.boolean().default(false),
        })
        .optional(),
    }),
    z.object({ chainId, link: z.string() }),
  ),
  /** Follows a network. `light`: headers and proofs only, nothing of its state is kept here. */
  join: command(
    z.object({ link: z.string().max(8192), light: z.boolean().default(false) }),
    z.object({ chainId }),
  ),
  /**
   * The network that a link names, also one to a drive; null: none. `replaces`: the unused network of one's own that gives way when
   * it is joined.
   */
  inLink: query(
    z.object({ link: z.string().max(8192) }),
    z
      .object({ chainId, name: z.string(), followed: z.boolean(), replaces: z.string().nullable() })
      .nullable(),
  ),
  list: query(nothing, z.array(chainStatus)),
  use: command(z.object({ chainId }), chainStatus),
  /** Follows it no longer and deletes what is kept of it; refused while this computer validates it. */
  leave: command(z.object({ chainId }), done),
  status: query(z.object(inChain), chainStatus),
  watch: subscription(z.object(inChain), watched(chainStatus)),
  /** Answers when that height is reached; `timeout` after so many seconds. */
  wait: query(
    z.object({ ...inChain, height: count, timeout: z.number().positive().nullable().default(null) }),
    chainStatus,
  ),
  /** Runs everything kept from genesis, or from the snapshot it began with, once more and compares. */
  verify: query(
    z.object(inChain),
    z.object({ ok: z.boolean(), height: count, from: count, message: z.string() }),
  ),
  snapshot: command(z.object(inChain), z.object({ height: count, root: hash, chunks: count, bytes: count })),
  /** `auto`: full, and light once the ledger takes more of the disk than the setting `ledger.fullBytes`. */
  role: command(z.object({ ...inChain, role: z.enum(['auto', ...chainRole.options]) }), chainStatus),
  validators: query(z.object(inChain), z.array(validator)),
  block: query(z.object({ ...inChain, height: count }), block),
  /** Newest first, from before `before` (null: the newest). */
  blocks: query(
    z.object({
      ...inChain,
      before: count.nullable().default(null),
      limit: z.int().min(1).max(100).default(30),
    }),
    z.array(block),
  ),
};

export const earnedSeries = z.object({
  /** Fees of a pool, counted in one of its tokens; emission for its liquidity; pay for passing on streams. */
  of: z.enum(['fees', 'liquidity', 'relays']),
  pool: z.object({ a: symbol, b: symbol, fee: count }).nullable(),
  symbol,
  /** Hours in which there was something, the oldest first. */
  hours: z.array(z.object({ time, pay: amount })),
});
export type EarnedSeries = z.infer<typeof earnedSeries>;

export const wallet = {
  address: query(nothing, z.object({ userId })),
  balance: query(z.object({ user: who }), z.array(balance)),
  send: command(send, accepted),
  /** Newest first. */
  history: query(
    z.object({
      user: who,
      before: count.nullable().default(null),
      limit: z.int().min(1).max(200).default(50),
    }),
    z.array(tx),
  ),
  /** Own balances of a token over time, oldest first: at most one point a block. */
  chart: query(
    z.object({ symbol, points: z.int().min(2).max(500).default(100) }),
    z.array(z.object({ time, amount })),
  ),
  /** What pools and relaying brought, hour by hour, the last 31 days: as this computer saw it. */
  earned: query(nothing, z.array(earnedSeries)),
  preview: query(walletAct, preview),
  /** Proof of a balance after the newest block (base64url), checked offline with `verify`. */
  proof: query(z.object({ user: who, symbol }), z.object({ proof: z.string() })),
  /** Keys of linked computers that sign for the account, those asked for first. `root`: this computer has the phrase and decides. */
  keys: query(nothing, z.object({ root: z.boolean(), keys: z.array(accountKey) })),
  /** From a linked computer: asks the others of this user for a key. @throws `not_allowed` where the phrase is */
  askKey: command(z.object(keyTerms), done),
  /** @throws `not_found`; `request_changed` when the computer asks for something else than what was shown */
  allowKey: command(allowed, accepted),
  denyKey: command(z.object({ device: z.string().min(1).max(128) }), done),
  revokeKey: command(keyRevoked, accepted),
};

export const tokens = {
  create: command(create, accepted),
  /** The base coin first. */
  list: query(nothing, z.array(token)),
  show: query(z.object({ symbol }), token),
  mint: command(minted, accepted),
  burn: command(burned, accepted),
  freeze: command(frozen, accepted),
  /** Gives up for good what its creator may do. */
  renounce: command(renounced, accepted),
  /** Somebody else becomes its creator, with all rights that are left. */
  handOver: command(handed, accepted),
  /** Lets fees be paid in it: what comes in goes to its treasury, and its fee fund pays the validators in base coin. */
  setFeeRate: command(feeRated, accepted),
  /** Anybody may fill the fund, with base coin; its creator may take from it. */
  fundFees: command(feeFunded, accepted),
  withdrawFees: command(feeFunded, accepted),
};

export const stakes = {
  bond: command(staked, accepted),
  unbond: command(staked, accepted),
  redelegate: command(redelegated, accepted),
  /** Pays out what was earned by staking. */
  claim: command(stakeClaim, accepted),
  status: query(z.object({ user: who }), z.array(stake)),
  createValidator: command(newValidator, accepted),
  leaveValidator: command(z.object(paying), accepted),
  unjail: command(z.object(paying), accepted),
};

export const transactions = {
  /** `proof`: that it stands in a final block, checked offline with `verify`. */
  show: query(
    z.object({ hash, proof: z.boolean().default(false) }),
    tx.extend({ proof: z.string().nullable() }),
  ),
  /** Answers when it is final, however it ended. */
  wait: query(
    z.object({ hash, timeout: z.number().positive().nullable().default(null) }),
    z.object({ hash, height: count, ok: z.boolean(), code: z.string(), message: z.string() }),
  ),
};
