import { migrate, type Database } from '../../../store/index.ts';
import { decodeRequest, encodeRequest, requestId } from './request.ts';
import type { SigningRequest } from './request.ts';

/**
 * `open`: signatures are gathered. `refused` here, `withdrawn` by who asked. `sent`: handed in; `done` or `failed` in a block.
 * Of a consent `done`: the account was told.
 */
export type RequestState = 'open' | 'refused' | 'withdrawn' | 'sent' | 'done' | 'failed';

export interface RequestRecord {
  readonly id: Uint8Array;
  readonly request: SigningRequest;
  readonly state: RequestState;
  /** Of the transaction that came of it. */
  readonly tx: Uint8Array | null;
  /** Why it failed. */
  readonly code: string;
  readonly message: string;
  /** User ids of those who said no. */
  readonly refusedBy: readonly string[];
}

/** Requests for signatures by network, kept in node.db: this computer's and those that came from others. */
export interface RequestRecords {
  /** The newest first. */
  of(chainId: string): readonly RequestRecord[];
  get(id: Uint8Array): RequestRecord | null;
  put(record: Omit<RequestRecord, 'id'>): RequestRecord;
  remove(id: Uint8Array): void;
}

/** Whose fees this computer pays without asking, in a network. */
export interface Allowance {
  /** User id of who pays, and of whom. */
  readonly sponsor: string;
  readonly user: string;
  /** What is left, in the base coin's smallest unit. */
  readonly left: bigint;
}
export interface Allowances {
  of(chainId: string, sponsor: string): readonly Allowance[];
  get(chainId: string, sponsor: string, user: string): bigint;
  set(chainId: string, allowance: Allowance): void;
  remove(chainId: string, sponsor: string, user: string): void;
}

const migrations = [
  `CREATE TABLE signing_requests (
    id BLOB PRIMARY KEY, chain TEXT NOT NULL, made INTEGER NOT NULL, request BLOB NOT NULL, state TEXT NOT NULL, tx BLOB,
    code TEXT NOT NULL, message TEXT NOT NULL, refused TEXT NOT NULL
  ) STRICT;
  CREATE INDEX signing_requests_by_chain ON signing_requests (chain, made);
  CREATE TABLE fee_allowances (
    chain TEXT NOT NULL, sponsor TEXT NOT NULL, user TEXT NOT NULL, left_units TEXT NOT NULL,
    PRIMARY KEY (chain, sponsor, user)
  ) STRICT, WITHOUT ROWID`,
];

interface Row {
  readonly id: Buffer;
  readonly request: Buffer;
  readonly state: RequestState;
  readonly tx: Buffer | null;
  readonly code: string;
  readonly message: string;
  readonly refused: string;
}

const recordOf = ({ id, request, state, tx, code, message, refused }: Row): RequestRecord => ({
  id: new Uint8Array(id),
  request: decodeRequest(new Uint8Array(request)),
  state,
  tx: tx && new Uint8Array(tx),
  ...{ code, message },
  refusedBy: refused === '' ? [] : refused.split(' '),
});

export function createRequestRecords(db: Database): RequestRecords & { readonly allowances: Allowances } {
  migrate(db, 'signing', migrations);
  const all = db.prepare<[string], Row>(
    'SELECT * FROM signing_requests WHERE chain = ? ORDER BY made DESC, id',
  );
  const one = db.prepare<[Uint8Array], Row>('SELECT * FROM signing_requests WHERE id = ?');
  const put = db.prepare(
    `INSERT INTO signing_requests (id, chain, made, request, state, tx, code, message, refused) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET request = excluded.request, state = excluded.state, tx = excluded.tx, code = excluded.code,
      message = excluded.message, refused = excluded.refused`,
  );
  const remove = db.prepare('DELETE FROM signing_requests WHERE id = ?');
  type AllowanceRow = { sponsor: string; user: string; left_units: string };
  const allowed = db.prepare<[string, string], AllowanceRow>(
    'SELECT * FROM fee_allowances WHERE chain = ? AND sponsor = ? ORDER BY user',
  );
  const allow = db.prepare('INSERT OR REPLACE INTO fee_allowances VALUES (?, ?, ?, ?)');
  const end = db.prepare('DELETE FROM fee_allowances WHERE chain = ? AND sponsor = ? AND user = ?');
  const allowances: Allowances = {
    of: (chainId, sponsor) =>
      allowed
        .all(chainId, sponsor)
        .map(({ user, left_units }) => ({ sponsor, user, left: BigInt(left_units) })),
    get: (chainId, sponsor, user) =>
      allowances.of(chainId, sponsor).find((row) => row.user === user)?.left ?? 0n,
    set(chainId, { sponsor, user, left }) {
      allow.run(chainId, sponsor, user, left.toString());
    },
    remove: (chainId, sponsor, user) => void end.run(chainId, sponsor, user),
  };
  return {
    of: (chainId) => all.all(chainId).map(recordOf),
    get(id) {
      const row = one.get(id);
      return row ? recordOf(row) : null;
    },
    put(record) {
      const { request, state, tx, code, message, refusedBy } = record;
      const id = requestId(request);
      const bytes = encodeRequest(request);
      put.run(id, request.chainId, request.made, bytes, state, tx, code, message, refusedBy.join(' '));
      return { ...record, id };
    },
    remove: (id) => void remove.run(id),
    allowances,
  };
}
