import type { DeviceId } from '../../identity/index.ts';
import { decodeStrict, encodeStrict } from '../../identity/index.ts';
import { migrate, type Database } from '../../store/index.ts';
import { keyTerms, maxKeyMessage } from './key-messages.ts';
import type { KeyTerms } from './key-messages.ts';

/**
 * `asked`: waits for a person. `allowed`: the account was told to allow it. `denied`. `revoking`: to be taken back as soon as the
 * network can be reached.
 */
export type KeyState = 'asked' | 'allowed' | 'denied' | 'revoking';

/** A key of another computer of this user, as this computer knows it; on a linked computer, its own request. */
export interface KeyRecord {
  readonly chainId: string;
  readonly device: DeviceId;
  /** Ed25519, 32 bytes. */
  readonly key: Uint8Array;
  readonly terms: KeyTerms;
  readonly state: KeyState;
}

/**
 * By network, computer and key: a computer that asks with another key leaves what was allowed to its earlier ones in place, so
 * that all of them can be taken back.
 */
export interface KeyRecords {
  of(chainId: string): readonly KeyRecord[];
  /** All keys of one computer. */
  ofDevice(chainId: string, device: DeviceId): readonly KeyRecord[];
  get(chainId: string, device: DeviceId, key: Uint8Array): KeyRecord | null;
  /** Writes a record. A new question takes the place of those of that computer to which nobody ever said yes. */
  put(record: KeyRecord): void;
  /** From now on the ledger may have that key: its record stays until the key is known to be gone. */
  keep(record: KeyRecord): void;
  remove(record: KeyRecord): void;
  /** Every key of a computer is to be taken back, on all networks. */
  revoke(device: DeviceId): void;
}

const migrations = [
  `CREATE TABLE account_keys (
    chain TEXT NOT NULL, device TEXT NOT NULL, key BLOB NOT NULL, terms BLOB NOT NULL, state TEXT NOT NULL,
    PRIMARY KEY (chain, device)
  ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE account_keys_by_key (
    chain TEXT NOT NULL, device TEXT NOT NULL, key BLOB NOT NULL, terms BLOB NOT NULL, state TEXT NOT NULL,
    told INTEGER NOT NULL, PRIMARY KEY (chain, device, key)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO account_keys_by_key SELECT chain, device, key, terms, state, state IN ('allowed', 'revoking') FROM account_keys;
  DROP TABLE account_keys;
  ALTER TABLE account_keys_by_key RENAME TO account_keys`,
];

export function createKeyRecords(db: Database): KeyRecords {
  migrate(db, 'account_keys', migrations);
  type Row = { chain: string; device: string; key: Buffer; terms: Buffer; state: KeyState };
  const all = db.prepare<[string], Row>('SELECT * FROM account_keys WHERE chain = ? ORDER BY device, key');
  const some = db.prepare<[string, string], Row>(
    'SELECT * FROM account_keys WHERE chain = ? AND device = ? ORDER BY key',
  );
  const one = db.prepare<[string, string, Uint8Array], Row>(
    'SELECT * FROM account_keys WHERE chain = ? AND device = ? AND key = ?',
  );
  const insert = db.prepare(
    `INSERT INTO account_keys (chain, device, key, terms, state, told) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET terms = excluded.terms, state = excluded.state, told = max(told, excluded.told)`,
  );
  const forget = db.prepare('DELETE FROM account_keys WHERE chain = ? AND device = ? AND told = 0');
  const keep = db.prepare('UPDATE account_keys SET told = 1 WHERE chain = ? AND device = ? AND key = ?');
  const remove = db.prepare('DELETE FROM account_keys WHERE chain = ? AND device = ? AND key = ?');
  const revoke = db.prepare(`UPDATE account_keys SET state = 'revoking' WHERE device = ?`);
  const record = ({ chain, device, key, terms, state }: Row): KeyRecord => ({
    chainId: chain,
    device: device as DeviceId,
    key: new Uint8Array(key),
    terms: keyTerms.parse(decodeStrict(new Uint8Array(terms), maxKeyMessage, 'terms of a key')),
    state,
  });
  const put = db.transaction(({ chainId, device, key, terms, state }: KeyRecord): void => {
    if (state === 'asked') forget.run(chainId, device);
    const told = state === 'allowed' || state === 'revoking' ? 1 : 0;
    insert.run(chainId, device, key, encodeStrict(terms), state, told);
  });
  return {
    of: (chainId) => all.all(chainId).map(record),
    ofDevice: (chainId, device) => some.all(chainId, device).map(record),
    get(chainId, device, key) {
      const row = one.get(chainId, device, key);
      return row ? record(row) : null;
    },
    put: (written) => put(written),
    keep: ({ chainId, device, key }) => void keep.run(chainId, device, key),
    remove: ({ chainId, device, key }) => void remove.run(chainId, device, key),
    revoke: (device) => void revoke.run(device),
  };
}
