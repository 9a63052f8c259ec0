import type { BundleManifest } from '../../../src-shared/apps/index.ts';
import { migrate, type Database } from '../../store/index.ts';

/** Where an installed app came from; `dev`: a folder that is served as it is. */
export type InstallSource = 'ledger' | 'link' | 'file' | 'shipped' | 'dev';

/** One bundle of an app, kept under its root. */
export interface KeptBundle {
  readonly version: string;
  /** Hex; of a `dev` app ''. */
  readonly root: string;
  /** Bytes. */
  readonly size: number;
}

/** An app as it is installed. Times are ms since the epoch. */
export interface InstallRecord extends KeptBundle {
  readonly appId: string;
  readonly publisher: string;
  readonly slug: string;
  readonly channel: string;
  readonly source: InstallSource;
  /** Where its releases are, beside the ledger. */
  readonly link: string | null;
  /** Of a `dev` app. */
  readonly dir: string | null;
  readonly manifest: BundleManifest;
  readonly previous: KeptBundle | null;
  /** What a person went back from: it does not install by itself again. */
  readonly skipped: string | null;
  readonly pinned: boolean;
  readonly autoUpdate: boolean;
  readonly revoked: boolean;
  readonly installedAt: number;
  readonly updatedAt: number;
}

const migrations = [
  `CREATE TABLE app_installs (
    app TEXT PRIMARY KEY,
    record TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE app_block_lists (
    list TEXT PRIMARY KEY,
    record TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE app_declined (app TEXT PRIMARY KEY) STRICT, WITHOUT ROWID`,
];

/** A block list that is subscribed to, as it was last seen. */
export interface BlockListRecord {
  /** Id of its drive. */
  readonly listId: string;
  readonly link: string;
  readonly author: string;
  readonly title: string;
  readonly number: number;
  readonly apps: readonly { readonly appId: string; readonly reason: string }[];
  readonly updatedAt: number | null;
  readonly problem: string | null;
}

export interface InstallRecords {
  all(): readonly InstallRecord[];
  put(record: InstallRecord): void;
  remove(appId: string): void;
  /** A shipped app that the person took off stays off. */
  declined(appId: string): boolean;
  setDeclined(appId: string, declined: boolean): void;
  lists(): readonly BlockListRecord[];
  putList(record: BlockListRecord): void;
  removeList(listId: string): void;
}

/** What is installed and which lists are subscribed to, in node.db. */
export function createInstallRecords(db: Database): InstallRecords {
  migrate(db, 'apps', migrations);
  const rows = (sql: string): { record: string }[] => db.prepare<[], { record: string }>(sql).all();
  const put = db.prepare<[string, string]>('INSERT OR REPLACE INTO app_installs (app, record) VALUES (?, ?)');
  const remove = db.prepare<[string]>('DELETE FROM app_installs WHERE app = ?');
  const declined = db.prepare<[string], { app: string }>('SELECT app FROM app_declined WHERE app = ?');
  const decline = db.prepare<[string]>('INSERT OR IGNORE INTO app_declined (app) VALUES (?)');
  const accept = db.prepare<[string]>('DELETE FROM app_declined WHERE app = ?');
  const putList = db.prepare<[string, string]>(
    'INSERT OR REPLACE INTO app_block_lists (list, record) VALUES (?, ?)',
  );
  const removeList = db.prepare<[string]>('DELETE FROM app_block_lists WHERE list = ?');
  return {
    all: () =>
      rows('SELECT record FROM app_installs ORDER BY app').map(
        ({ record }) => JSON.parse(record) as InstallRecord,
      ),
    put: (record) => void put.run(record.appId, JSON.stringify(record)),
    remove: (appId) => void remove.run(appId),
    declined: (appId) => declined.get(appId) !== undefined,
    setDeclined: (appId, on) => void (on ? decline : accept).run(appId),
    lists: () =>
      rows('SELECT record FROM app_block_lists ORDER BY list').map(
        ({ record }) => JSON.parse(record) as BlockListRecord,
      ),
    putList: (record) => void putList.run(record.listId, JSON.stringify(record)),
    removeList: (listId) => void removeList.run(listId),
  };
}
