/** Fixtures of this layer's tests. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock, RandomBytes } from '../../src-shared/runtime.ts';
import type { Signer } from '../identity/index.ts';
import { createSigner } from '../identity/index.ts';
import type { Database } from '../store/index.ts';
import { openDatabase } from '../store/index.ts';
import { createGenesis } from './author.ts';
import { createHistory } from './history.ts';
import type { HistoryDeps } from './history.ts';
import { sha256 } from './ids.ts';
import type { Entry, EntryDraft, EntryHash, EntryId, History } from './types.ts';

export const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

export function seededRandom(seed: string): RandomBytes {
  let n = 0;
  return (length) => {
    const parts: Buffer[] = [];
    for (let have = 0; have < length; have += 32) {
      parts.push(createHash('sha256').update(`${seed} ${n++}`).digest());
    }
    return new Uint8Array(Buffer.concat(parts).subarray(0, length));
  };
}

export const signerOf = (name: string): Signer => createSigner(sha256(bytesOf(name)));

export function testClock(): Clock {
  let now = 1_700_000_000_000;
  return { now: () => (now += 1000), after: () => () => undefined };
}

export function opsDraft(access: readonly EntryHash[], body: string | Uint8Array): EntryDraft {
  const bytes = typeof body === 'string' ? bytesOf(body) : body;
  return { kind: 'ops', access, keyEpoch: sha256(bytesOf('epoch')), opsRoot: sha256(bytes), body: bytes };
}

export function accessDraft(access: readonly EntryHash[], body: string): EntryDraft {
  const keyEpoch = new Uint8Array(32);
  return { kind: 'access', access, keyEpoch, opsRoot: new Uint8Array(32), body: bytesOf(body) };
}

export interface Replica {
  readonly name: string;
  readonly dir: string;
  readonly logPath: string;
  history: History;
  /** Closes and opens again; with a fresh database when the index is to be lost. */
  reopen(options?: { readonly loseIndex?: boolean }): Promise<History>;
  close(): void;
}

export interface World {
  readonly genesis: Entry;
  readonly driveId: EntryId;
  replica(name: string, extra?: Partial<HistoryDeps>): Promise<Replica>;
  end(): void;
}

/** A drive founded by `owner`, and folders for any number of replicas of it. */
export function createWorld(seed = 'world'): World {
  const root = mkdtempSync(join(tmpdir(), 'extrachain-history-'));
  const replicas: Replica[] = [];
  let serial = 0;
  const owner = { signer: signerOf('owner'), clock: testClock(), random: seededRandom(seed) };
  const genesis = createGenesis(owner, accessDraft([], 'founding'));
  return {
    genesis,
    driveId: genesis.id,
    async replica(name, extra = {}) {
      const dir = join(root, `${serial++}-${name}`);
      let db: Database | null = null;
      const origin = name === 'owner' ? { created: genesis } : { genesis: genesis.bytes };
      let opened = 0;
      const open = (): Promise<History> => {
        db ??= openDatabase(join(dir, `drive-${opened}.db`));
        const random = seededRandom(`${seed} ${name} ${serial} ${opened++}`);
        const base = { dir, db, driveId: genesis.id, signer: signerOf(name), clock: testClock(), random };
        return createHistory({ ...base, ...origin, ...extra });
      };
      const replica: Replica = {
        name,
        dir,
        logPath: join(dir, 'chain.log'),
        history: await open(),
        async reopen(options = {}) {
          replica.history.close();
          if (options.loseIndex === true) {
            db?.close();
            db = null;
          }
          replica.history = await open();
          return replica.history;
        },
        close() {
          replica.history.close();
          db?.close();
        },
      };
      replicas.push(replica);
      return replica;
    },
    end() {
      for (const replica of replicas) replica.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** Every entry's bytes, in order. */
export const allBytes = (history: History): Uint8Array[] =>
  [...history.inOrder()].map((entry) => entry.bytes);

/** Sends what the other lacks, both ways, until nothing more moves. */
export async function exchange(a: History, b: History): Promise<void> {
  for (let round = 0; round < 10; round++) {
    const before = a.count() + b.count();
    await b.ingest([...a.missingFor(b.frontier())].map((entry) => entry.bytes));
    await a.ingest([...b.missingFor(a.frontier())].map((entry) => entry.bytes));
    if (a.count() + b.count() === before) return;
  }
  throw new Error('the exchange does not end');
}
