import type { Role } from '../../ledger/index.ts';
import { migrate, type Database } from '../../store/index.ts';

export interface Lightened {
  readonly time: number;
  readonly bytes: number;
}

/** A network this computer follows, as remembered from start to start. */
export interface ChainRecord {
  readonly chainId: string;
  readonly name: string;
  /** Encoded; its hash is in the id. */
  readonly genesis: Uint8Array;
  readonly role: Role;
  /** The role follows what the ledger takes of the disk; false: somebody chose it. */
  readonly auto: boolean;
  /** When it became light by itself, ms, and what it took of the disk then; null: it did not. */
  readonly lightened: Lightened | null;
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
  setRole(chainId: string, role: Role, auto: boolean, lightened: Lightened | null): void;
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
  // What was followed before as most are, nobody chose otherwise.
  `ALTER TABLE chains ADD COLUMN auto INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE chains ADD COLUMN light_since INTEGER;
   ALTER TABLE chains ADD COLUMN light_bytes INTEGER;
   UPDATE chains SET auto = (role = 'full')`,
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
    auto: number;
    light_since: number | null;
    light_bytes: number | null;
  };
  const all = db.prepare<[], Row>('SELECT * FROM chains ORDER BY rowid');
  const insert = db.prepare(
    'INSERT INTO chains (chain, name, genesis, role, active, provisional, addresses, auto) VALUES (?, ?, ?, ?, 0, ?, ?, ?)',
  );
  const role = db.prepare(
    'UPDATE chains SET role = ?, auto = ?, light_since = ?, light_bytes = ? WHERE chain = ?',
  );
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
        auto: row.auto === 1,
        lightened:
          row.light_since === null || row.light_bytes === null
            ? null
            : { time: row.light_since, bytes: row.light_bytes },
        active: row.active === 1,
        provisional: row.provisional === 1,
        addresses: JSON.parse(row.addresses) as string[],
      })),
    add: db.transaction((record: ChainRecord) => {
      const { chainId, name, genesis, role: as, provisional, addresses, auto } = record;
      insert.run(chainId, name, genesis, as, provisional ? 1 : 0, JSON.stringify(addresses), auto ? 1 : 0);
      if (record.active) activate.run(record.chainId);
    }),
    setRole: (chainId, value, auto, lightened) =>
      void role.run(value, auto ? 1 : 0, lightened?.time ?? null, lightened?.bytes ?? null, chainId),
    activate: (chainId) => void activate.run(chainId),
    keep: (chainId) => void keep.run(chainId),
    remove: (chainId) => void remove.run(chainId),
  };
}
