import type { Address, Hash, ValidatorSet } from '../types.ts';
import { byPower, chainIdShape, validatorIdOf } from './blocks.ts';
import { hashIn, hexOf } from './hash.ts';
import { maxBlockTxBytes, maxGenesisBytes, maxTime, maxValidators } from './limits.ts';
import {
  bytesOf,
  codecOf,
  listOf,
  nullable,
  oneOf,
  pattern,
  positiveAmount,
  record,
  refined,
  text,
  whole,
} from './shape.ts';
import type { ValueOf } from './shape.ts';
import { day, maxSpan, tokenSpecShape } from './token-spec.ts';
import { addressShape, symbolShape } from './tx.ts';

/** What all nodes of a chain must agree on, fixed at its start. Each is explained in docs/ledger.md. */
const paramsShape = record({
  /** ms between blocks; for consensus. */
  blockMs: whole(600_000, 50),
  /** ms between empty blocks at the most. */
  emptyBlockMs: whole(86_400_000, 50),
  /** So many empty blocks in a row come at the pace of others; then they get rarer. 0: at once. */
  eagerBlocks: whole(1_000_000),
  /** How far a block's time may lie ahead of a validator's clock, ms. */
  clockDriftMs: whole(600_000, 100),
  maxBlockBytes: whole(maxBlockTxBytes, 64 * 1024),
  maxBlockWeight: whole(1_000_000_000, 1_000_000),
  /** Smallest units of the base coin for 65,536 of weight, at the least. */
  minFeePrice: whole(2 ** 40, 1),
  maxValidators: whole(maxValidators, 1),
  /** Smallest stake of its own that a new validator brings, in the base coin's smallest unit. */
  minSelfBond: positiveAmount,
  /** Until when an offence can be punished; not longer than the base coin's unbonding time. */
  evidenceMs: whole(maxSpan, 60_000),
  /** Ten-thousandths of the stake lost. */
  doubleSignBp: whole(10_000),
  downtimeBp: whole(10_000),
  /** A validator that misses so many more blocks than it signs is jailed. */
  downtimeBlocks: whole(1_000_000, 10),
  jailMs: whole(maxSpan, 1000),
  /** Stakes that end in one block at the most. */
  maxUnbondingsPerBlock: whole(10_000, 1),
  /** Of an entry in the directory, in the base coin's smallest units a day. */
  rentPerDay: positiveAmount,
});
export type Params = ValueOf<typeof paramsShape>;

const chainName = /^[a-z0-9][a-z0-9-]{0,31}$/;

const genesisShape = refined(
  record({
    v: oneOf(1),
    name: pattern(chainName, 'a name of 1 to 32 small letters, digits and hyphens'),
    time: whole(maxTime),
    params: paramsShape,
    /** The first is the base coin. */
    tokens: listOf(record({ spec: tokenSpecShape, owner: addressShape }), 1000, 1),
    /** None where another chain is continued. */
    balances: listOf(record({ address: addressShape, symbol: symbolShape, amount: positiveAmount }), 100_000),
    /** A chain that stands still, whose state this one begins with; its first token is `tokens[0]`. */
    continues: nullable(
      record({
        chainId: chainIdShape,
        height: whole(undefined, 1),
        stateRoot: bytesOf(32),
        /** Name and time of the first of these chains: who derives keys for a chain derives them from those. */
        origin: record({ name: pattern(chainName, 'the name of a chain'), time: whole(maxTime) }),
      }),
    ),
    /** Their bonds come out of the operators' balances; in a continued state they are there already. */
    validators: listOf(
      record({
        operator: addressShape,
        key: bytesOf(32),
        name: text(64, 1),
        commissionBp: whole(10_000),
        bond: positiveAmount,
      }),
      maxValidators,
      1,
    ),
  }),
  (genesis) => {
    const base = genesis.tokens[0];
    if ((genesis.continues === null) !== genesis.balances.length > 0)
      return 'it has either balances or a chain that it continues';
    const symbols = new Set(genesis.tokens.map(({ spec }) => spec.symbol));
    if (symbols.size !== genesis.tokens.length) return 'two tokens have one symbol';
    if (!base?.spec.staking) return 'its base coin can not be staked';
    if (base.spec.staking.unbondingMs < genesis.params.evidenceMs) {
      return 'offences could be punished longer than stake is bound';
    }
    if (!genesis.balances.every(({ symbol }) => symbols.has(symbol))) return 'a balance is of no known token';
    const holders = genesis.balances.map(({ address, symbol }) => `${hexOf(address)} ${symbol}`);
    if (new Set(holders).size !== holders.length) return 'two balances are of one account';
    if (!allDiffer(genesis.validators.map(({ key }) => validatorIdOf(key))))
      return 'two validators have one key';
    if (!allDiffer(genesis.validators.map(({ operator }) => operator)))
      return 'an account runs two validators';
    return null;
  },
);

const allDiffer = (values: readonly Uint8Array[]): boolean =>
  new Set(values.map(hexOf)).size === values.length;

export type Genesis = ValueOf<typeof genesisShape>;

const codec = codecOf(genesisShape, 'genesis', maxGenesisBytes);
export const encodeGenesis = codec.encode;
export const decodeGenesis = codec.decode;

export const genesisHash = (genesis: Genesis): Hash => hashIn('genesis', encodeGenesis(genesis));

/**
 * A chain is named after its founder's words and its genesis: so nothing signed for one chain holds on another, even
 * when both are called the same.
 */
export const chainIdOf = (genesis: Genesis): string =>
  `${genesis.name}-${hexOf(genesisHash(genesis).subarray(0, 8))}`;

/** The validator set of heights 1 and 2. Power is whole base coins; whoever bonds less than one has none. */
export function genesisValidators(genesis: Genesis): ValidatorSet {
  const unit = 10n ** BigInt(genesis.tokens[0]?.spec.decimals ?? 0);
  return genesis.validators
    .map(({ key, bond }) => ({ id: validatorIdOf(key), key, power: bond / unit }))
    .filter(({ power }) => power > 0n)
    .sort(byPower);
}

/** What `chain create` founds when no file says otherwise. */
export interface Founding {
  readonly name: string;
  /** ms since the epoch. */
  readonly time: number;
  readonly founder: Address;
  /** The consensus key of the founder's validator. */
  readonly validatorKey: Uint8Array;
}

const coin = 1_000_000n;

export const defaultParams: Params = {
  blockMs: 1000,
  emptyBlockMs: 3_600_000,
  eagerBlocks: 120,
  clockDriftMs: 10_000,
  maxBlockBytes: 2 * 1024 * 1024,
  maxBlockWeight: 8_000_000,
  minFeePrice: 65_536,
  maxValidators: 100,
  minSelfBond: 1000n * coin,
  evidenceMs: 14 * day,
  doubleSignBp: 500,
  downtimeBp: 100,
  downtimeBlocks: 300,
  jailMs: 600_000,
  maxUnbondingsPerBlock: 100,
  rentPerDay: coin / 100n,
};

/** Base coin EXC with 6 decimals: 1,000,000,000 to the founder, 10,000 of them bonded to the founder's validator. */
export function defaultGenesis({ name, time, founder, validatorKey }: Founding): Genesis {
  return {
    v: 1,
    name,
    time,
    params: defaultParams,
    tokens: [
      {
        owner: founder,
        spec: {
          symbol: 'EXC',
          name: 'ExtraChain',
          decimals: 6,
          max: 1_000_000_000n * coin,
          flags: { mint: false, burn: true, freeze: false },
          mining: {
            schedule: { type: 'none' },
            periodMs: day,
            split: { stakers: 10_000, hosts: 0, relays: 0, liquidity: 0, treasury: 0 },
            unclaimed: 'unminted',
          },
          staking: { unbondingMs: 14 * day, rateBp: 0 },
          treasury: founder,
        },
      },
    ],
    balances: [{ address: founder, symbol: 'EXC', amount: 1_000_000_000n * coin }],
    continues: null,
    validators: [
      { operator: founder, key: validatorKey, name: 'Founder', commissionBp: 500, bond: 10_000n * coin },
    ],
  };
}
