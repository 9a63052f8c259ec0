import type { Role } from '../../ledger/index.ts';
import { migrate, type Database } from '../../store/index.ts';

/** A network this computer follows, as remembered from start to start. */
export interface ChainRecord {
  readonly chainId: string;
  readonly name: string;
  /** Encoded; its hash is in the id. */
  readonly genesis: Uint8Array;
  readonly role: Role;
  /** One at a time: its names and its wallet are those shown. */
  readonly active: boolean;
  /** Founded by this computer by itself at the first run: gives way when somebody invites to another. */
  readonly provisional: boolean;
  /** Multiaddrs of computers that follow it, from the link it was joined by. */
  readonly addresses: readonly string[];
}

export interface ChainRecords {
  all(): readonly ChainRecord[];
  add(record: ChainRecord): void;
  setRole(chainId: string, role: Role): void;
  /** Makes it the active one, and no other. */
  activate(chainId: string): void;
  /** It was used: it stays. */
  keep(chainId: string): void;
  remove(chainId: string): void;
}

const migrations = [
  `CREATE TABLE chains (
    chain TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    genesis BLOB NOT NULL,
    role TEXT NOT NULL,
    active INTEGER NOT NULL,
    provisional INTEGER NOT NULL,
    addresses TEXT NOT NULL
  ) STRICT`,
];

export function createChainRecords(db: Database): ChainRecords {
  migrate(db, 'chains', migrations);
  type Row = {
    chain: string;
    name: string;
    genesis: Buffer;
    role: Role;
    active: number;
    provisional: number;
    addresses: string;
  };
  const all = db.prepare<[], Row>('SELECT * FROM chains ORDER BY rowid');
  const insert = db.prepare(
    'INSERT INTO chains (chain, name, genesis, role, active, provisional, addresses) VALUES (?, ?, ?, ?, 0, ?, ?)',
  );
  const role = db.prepare('UPDATE chains SET role = ? WHERE chain = ?');
  const activate = db.prepare('UPDATE chains SET active = (chain = ?)');
  const keep = db.prepare('UPDATE chains SET provisional = 0 WHERE chain = ?');
  const remove = db.prepare('DELETE FROM chains WHERE chain = ?');
  return {
    all: () =>
      all.all().map((row) => ({
        chainId: row.chain,
        name: row.name,
        genesis: new Uint8Array(row.genesis),
        role: row.role,
        active: row.active === 1,
        provisional: row.provisional === 1,
        addresses: JSON.parse(row.addresses) as string[],
      })),
    add: db.transaction((record: ChainRecord) => {
      const { chainId, name, genesis, role: as, provisional, addresses } = record;
      insert.run(chainId, name, genesis, as, provisional ? 1 : 0, JSON.stringify(addresses));
      if (record.active) activate.run(record.chainId);
    }),
    setRole: (chainId, value) => void role.run(value, chainId),
    activate: (chainId) => void activate.run(chainId),
    keep: (chainId) => void keep.run(chainId),
    remove: (chainId) => void remove.run(chainId),
  };
}
