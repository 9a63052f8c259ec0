import { describe, expect, test } from 'vitest';
import type { MiningSchedule } from '../../../src-shared/emission.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { maxAmount, maxTime } from '../codec/index.ts';
import type { WireMessage } from '../codec/index.ts';
import { day } from '../codec/token-spec.ts';
import { message } from '../modules/index.ts';
import { emitted } from '../modules/mining.ts';
import { averagePrices, poolAt, poolKeyOf } from '../modules/pool/state.ts';
import { roomOf, supplies, supplyOf, tokenOf } from '../modules/value.ts';
import { createOverlay } from '../state/overlay.ts';
import { addressOfName, createTestChain } from '../testing.ts';
import type { TestChain } from '../testing.ts';
import { factsOf, nextContext } from './block-context.ts';
import { admitTx, isFault, prepareTx, runTx, tolerant } from './transaction.ts';
import type { PreparedTx } from './transaction.ts';

/* Nothing that an account can send keeps the chain from making its next block. */

function run(chain: TestChain, ...msgs: readonly WireMessage[]): string {
  chain.add('founder', msgs);
  const { results } = chain.block();
  return results[0]?.code ?? 'left out';
}

const create = (symbol: string, initial: bigint, schedule: MiningSchedule = { type: 'none' }): WireMessage =>
  message('token.create', {
    initial,
    spec: {
      symbol,
      name: symbol,
      decimals: 0,
      max: maxAmount,
      flags: { mint: true, burn: true, freeze: false },
      mining: {
        schedule,
        periodMs: day,
        split: { stakers: 0, hosts: 0, relays: 0, liquidity: 0, treasury: 10_000 },
        unclaimed: 'unminted',
      },
      staking: { unbondingMs: day, rateBp: 0 },
      treasury: addressOfName('founder'),
    },
  });
const mint = (symbol: string, amount: bigint): WireMessage =>
  message('token.mint', { symbol, to: addressOfName('founder'), amount });
const burn = (symbol: string, amount: bigint): WireMessage => message('token.burn', { symbol, amount });

describe('numbers that no row can hold', () => {
  test('a token whose whole range was minted and burned mints no more, and blocks go on', () => {
    const chain = createTestChain();
    expect(run(chain, create('ALL', maxAmount))).toBe('');
    expect(run(chain, burn('ALL', maxAmount))).toBe('');
    expect(roomOf(chain.ledger.state, tokenOf(chain.ledger.state, 'ALL'))).toBe(0n);
    expect(run(chain, mint('ALL', 1n))).toBe('max_exceeded');
    // All in one transaction, too.
    expect(run(chain, create('ONE', maxAmount), burn('ONE', maxAmount), mint('ONE', 1n))).toBe(
      'max_exceeded',
    );
    expect(chain.block().results).toEqual([]);
    expect(chain.faults()).toEqual([]);
  });

  test('emission stops where its sums end', () => {
    const chain = createTestChain();
    const schedule = { type: 'fixed', perPeriod: maxAmount, periods: null } as const;
    expect(run(chain, create('SUN', 5n, schedule))).toBe('');
    chain.block({ after: 3 * day });
    expect(run(chain, burn('SUN', 1n))).toBe('');
    expect(supplyOf(chain.ledger.state, 'SUN')).toBe(maxAmount - 1n);
    expect(chain.ledger.state.get(emitted, 'SUN')).toBe(maxAmount);
    chain.block({ after: 3 * day });
    expect(run(chain, burn('SUN', 2n))).toBe('');
    expect(run(chain, mint('SUN', 1n))).toBe('max_exceeded');
    expect(chain.faults()).toEqual([]);
  });
});

/** A prepared transaction whose message does something no message should. */
function wild(chain: TestChain, work: PreparedTx['messages'][0]['run']) {
  const ctx = nextContext(factsOf(chain.genesis), chain.ledger.state, chain.ledger.last());
  const tx = prepareTx(chain.tx('founder', [burn('EXC', 1n)]));
  const admitted = admitTx(ctx, tx, true);
  const altered = { ...tx, messages: [{ ...tx.messages[0]!, run: work }] };
  return { ctx, result: () => runTx(ctx, altered, admitted) };
}

describe('what a message leaves or throws', () => {
  const tooMuch = { minted: 2n ** 128n, burned: 0n };

  test('a row that can not be encoded fails the transaction that set it, alone', () => {
    const { ctx, result } = wild(createTestChain(), ({ state }) => state.set(supplies, 'NEW', tooMuch));
    expect(result()).toMatchObject({ ok: false, code: 'too_large' });
    expect(ctx.state.get(supplies, 'NEW')).toBeNull();
    expect(() => ctx.state.changes()).not.toThrow();
  });

  test('an error of the program fails it with fixed words', () => {
    const { ctx, result } = wild(createTestChain(), ({ state }) => {
      state.set(supplies, 'NEW', { minted: 1n, burned: 0n });
      throw new RangeError('Division by zero');
    });
    expect(result()).toMatchObject({
      ok: false,
      code: 'internal',
      message: 'The transaction ran into an error of the program.',
    });
    expect(ctx.state.get(supplies, 'NEW')).toBeNull();
  });

  test('a fault of this node stops it', () => {
    const chain = createTestChain();
    const full = new Error('database or disk is full');
    full.name = 'SqliteError';
    for (const fault of [full, new AppError('corrupt', 'A row is damaged.')]) {
      const { result } = wild(chain, () => {
        throw fault;
      });
      expect(result).toThrow(fault.message);
    }
    const closed = new TypeError('The database connection is not open');
    const refuse = (): never => {
      throw closed;
    };
    const broken = createOverlay({ get: refuse, rows: refuse });
    const { result } = wild(chain, () => void broken.get(supplies, 'EXC'));
    expect(result).toThrow(closed);
    expect(isFault(closed)).toBe(true);
    expect(() => tolerant(broken)(() => void [...broken.rows(supplies)])).toThrow(closed);
  });

  test('work of a block’s end that can not stand is left out', () => {
    const { ctx } = wild(createTestChain(), () => {});
    const end = tolerant(ctx.state);
    end(() => ctx.state.set(supplies, 'ONE', { minted: 7n, burned: 0n }));
    end(() => ctx.state.set(supplies, 'ONE', tooMuch));
    end(() => {
      ctx.state.set(supplies, 'ONE', { minted: 8n, burned: 0n });
      throw new RangeError('Division by zero');
    });
    expect(ctx.state.get(supplies, 'ONE')).toEqual({ minted: 7n, burned: 0n });
    expect(() => ctx.state.changes()).not.toThrow();
  });
});

test('a vault is not moved by a price too small to be told from nothing', () => {
  const chain = createTestChain();
  const made = run(
    chain,
    create('AAA', 10n ** 9n),
    create('BBB', 2n ** 127n),
    message('pool.create', { a: 'AAA', b: 'BBB', feeBp: 30, amountA: 1n, amountB: 2n ** 127n - 1n }),
    message('vault.create', {
      name: 'Movers',
      asset: 'AAA',
      strategies: [{ other: 'BBB', feeBp: 30, targetBp: 4000, minBp: 1000, maxBp: 6000 }],
      bounds: {
        follow: 'target',
        minMove: 1n,
        cooldownMs: 60_000,
        maxMoveBp: 2000,
        periodMs: day,
        maxLossBp: 100,
        tipBp: 10,
        tipCap: 1n,
      },
    }),
  );
  expect(made).toBe('');
  chain.block({ after: 700_000 });
  const key = poolKeyOf('AAA', 'BBB', 30);
  const { state } = chain.ledger;
  expect(averagePrices(state, key, poolAt(state, key), chain.ledger.last().time)?.b).toBe(0n);
  // In one transaction: the price is far from nothing then, and its average has not moved.
  const hops = [{ to: 'BBB', feeBp: 30 }];
  const swap = message('pool.swapIn', {
    from: 'AAA',
    amount: 10n ** 8n,
    hops,
    minOut: 0n,
    deadline: maxTime,
  });
  const move = message('vault.rebalance', { vault: 0, from: 0, to: 1, amount: 5n });
  expect(run(chain, swap, move)).toBe('price_unsettled');
  expect(run(chain, swap)).toBe('');
  expect(chain.block().results).toEqual([]);
});
