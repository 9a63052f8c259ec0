import { AppError } from '../../../src-shared/errors.ts';
import { openDatabase } from '../../store/index.ts';
import type { Database } from '../../store/index.ts';
import type { Genesis } from '../codec/index.ts';
import { hexOf, sameBytes } from '../codec/index.ts';
import { poolOf } from '../modules/staking-pools.ts';
import { validatorOf } from '../modules/validators.ts';
import { tokenOf } from '../modules/value.ts';
import type { Address } from '../types.ts';
import type { LedgerReader } from './application.ts';

/*
 * A chain whose validators are gone for good can't go on by its own rules. People agree who continues, and found a new chain that
 * begins with the whole state of the old one: balances, tokens, stakes, keys, names. Its id is another, so nothing signed for the
 * old chain holds in it, and nobody can be punished in one for what was signed in the other.
 */

/** What people agreed upon. */
export interface Restart {
  readonly name: string;
  /** ms since the epoch. */
  readonly time: number;
  /** Who runs the validators that go on, with the keys and stakes they have; all others have left. */
  readonly operators: readonly Address[];
  /** A consensus key that takes the place of the one an operator had, whose computer is gone; null: all keep theirs. */
  readonly newKey: { readonly operator: Address; readonly key: Uint8Array } | null;
}

/**
 * The genesis of a chain that continues the state after the newest block known here. The same on every computer that stood still
 * at that block.
 * @throws AppError `not_found` before the first block, `validator_unknown`, `validator_tombstoned`, `invalid_argument`
 */
export function genesisFrom(old: LedgerReader, { name, time, operators, newKey }: Restart): Genesis {
  const { height, stateRoot, time: lastTime } = old.last();
  if (height === 0) throw new AppError('not_found', 'The network has no block that could be continued.');
  const base = (old.genesis.tokens[0] as Genesis['tokens'][0]).spec.symbol;
  const { spec, owner } = tokenOf(old.state, base);
  return {
    ...old.genesis,
    name,
    time: Math.max(time, lastTime + 1),
    tokens: [{ spec, owner }],
    balances: [],
    continues: {
      chainId: old.chainId,
      height,
      stateRoot,
      origin: old.genesis.continues?.origin ?? { name: old.genesis.name, time: old.genesis.time },
    },
    validators: [...operators]
      .sort((a, b) => (hexOf(a) < hexOf(b) ? -1 : 1))
      .map((operator) => {
        const row = validatorOf(old.state, operator);
        if (row.tombstoned) {
          throw new AppError(
            'validator_tombstoned',
            'A validator that is out for ever can not continue a network.',
          );
        }
        const bond = poolOf(old.state, base, operator)?.tokens ?? 0n;
        const key = newKey && sameBytes(newKey.operator, operator) ? newKey.key : row.key;
        return { operator, key, name: row.name, commissionBp: row.commissionBp, bond };
      }),
  };
}

/** Rows read at once. */
const page = 1000;

/** The same of the file of a chain that may run meanwhile, as of one moment. Opened when it is read. */
export function* rowsOfFile(file: string): Generator<readonly [key: Uint8Array, value: Uint8Array]> {
  const db = openDatabase(file);
  try {
    db.exec('BEGIN');
    yield* rowsOf(db);
  } finally {
    db.close();
  }
}

/** All rows of a ledger's database, in the order of their keys. */
export function* rowsOf(db: Database): Generator<readonly [key: Uint8Array, value: Uint8Array]> {
  const next = db.prepare<[Uint8Array, number], { key: Buffer; value: Buffer }>(
    'SELECT key, value FROM state WHERE key > ? ORDER BY key LIMIT ?',
  );
  let after: Uint8Array = new Uint8Array();
  for (;;) {
    const rows = next.all(after, page);
    for (const { key, value } of rows) yield [new Uint8Array(key), new Uint8Array(value)];
    if (rows.length < page) return;
    after = new Uint8Array((rows.at(-1) as { key: Buffer }).key);
  }
}
