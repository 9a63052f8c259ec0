import { AppError } from '../../../src-shared/errors.ts';
import { openDatabase } from '../../store/index.ts';
import type { Database } from '../../store/index.ts';
import { compareBytes, historyRoot, sameBytes, sha256 } from '../codec/index.ts';
import type { HistoryPeaks } from '../codec/index.ts';
import type { Hash, SignedHeader, SnapshotInfo, SnapshotRestore } from '../types.ts';
import { chunkBytes, decodeChunk, decodeManifest, encodeChunk, encodeManifest } from './manifest.ts';
import type { Manifest, Row } from './manifest.ts';

export interface SnapshotOptions {
  /** A snapshot of every so many blocks. */
  readonly every: number;
  readonly keep: number;
}

export interface Snapshots {
  /** After the commit of a block: begins a snapshot when it is time for one, or `wanted`. `peaks` are those before the block. */
  committed(height: number, peaks: HistoryPeaks, wanted?: boolean): void;
  /**
   * One of the newest block, whatever its height; resolves when it is kept. `now` is that block with the peaks before it, null when
   * there is none yet: then it is of the first. @throws AppError `cancelled` when the chain ends before
   */
  take(now: { readonly height: number; readonly peaks: HistoryPeaks } | null): Promise<SnapshotInfo>;
  list(): readonly SnapshotInfo[];
  chunk(height: number, index: number): Uint8Array | null;
  restore(manifest: Uint8Array, trusted: SignedHeader, deps: RestoreDeps): SnapshotRestore;
  /** Resolves when no snapshot is being made. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

/** What restoring needs of the application. */
export interface RestoreDeps {
  /** Called inside the transaction, when the rows are in place. @throws AppError to give up */
  readonly adopt: (peaks: HistoryPeaks) => void;
  /** Reads the rows anew: after success, and after giving up. */
  readonly reload: () => void;
}

/** Rows read at a time: some 5 ms, then others have their turn. */
const slice = 1000;

/** Makes, keeps and restores snapshots of a chain's database. */
export function createSnapshots(db: Database, chainId: string, options: SnapshotOptions): Snapshots {
  const insertChunk = db.prepare('INSERT OR REPLACE INTO chunks (height, place, bytes) VALUES (?, ?, ?)');
  const insert = db.prepare('INSERT OR REPLACE INTO snapshots (height, manifest) VALUES (?, ?)');
  const all = db.prepare<[], { height: number; manifest: Buffer }>(
    'SELECT * FROM snapshots ORDER BY height DESC',
  );
  const chunkAt = db.prepare<[number, number], { bytes: Buffer }>(
    'SELECT bytes FROM chunks WHERE height = ? AND place = ?',
  );
  const dropChunks = db.prepare('DELETE FROM chunks WHERE height = ?');
  const drop = db.prepare('DELETE FROM snapshots WHERE height = ?');
  // What a snapshot left that was not finished.
  db.prepare('DELETE FROM chunks WHERE height NOT IN (SELECT height FROM snapshots)').run();

  let running: Promise<void> | null = null;
  let stopped = false;
  const waiting: { resolve(info: SnapshotInfo): void; reject(error: Error): void }[] = [];

  /**
   * Reads from a connection of its own whose read transaction begins at once, on the state of this very block, and goes on in
   * slices while other blocks are committed. (A thread could not begin in time: it would see a later state.)
   */
  function begin(height: number, peaks: HistoryPeaks): void {
    const reader = db.memory ? db : openDatabase(db.name);
    const rows = reader.prepare<[Uint8Array, number], { key: Buffer; value: Buffer }>(
      'SELECT key, value FROM state WHERE key > ? ORDER BY key LIMIT ?',
    );
    const chunks: { hash: Hash; bytes: number }[] = [];
    let after: Uint8Array = new Uint8Array();
    let open: Row[] = [];
    let size = 0;
    let count = 0;
    const close = (): void => {
      const bytes = encodeChunk(open);
      insertChunk.run(height, chunks.length, bytes);
      chunks.push({ hash: sha256(bytes), bytes: bytes.length });
      open = [];
      size = 0;
    };
    /** True while there is more. */
    const step = (): boolean => {
      const found = rows.all(after, slice);
      for (const { key, value } of found) {
        const added = key.length + value.length + 8;
        if (size + added > chunkBytes && open.length > 0) close();
        open.push([new Uint8Array(key), new Uint8Array(value)]);
        size += added;
      }
      count += found.length;
      if (found.length === slice) {
        after = new Uint8Array((found.at(-1) as { key: Buffer }).key);
        return true;
      }
      close();
      return false;
    };
    const finish = db.transaction(() => {
      const manifest: Manifest = { v: 1, chainId, height, rows: count, chunks, peaks: peaks.peaks };
      insert.run(height, encodeManifest(manifest));
      for (const { height: old } of all.all().slice(options.keep)) {
        drop.run(old);
        dropChunks.run(old);
      }
    });
    if (reader === db) {
      while (step());
      finish();
      for (const one of waiting.splice(0)) one.resolve(snapshots.list()[0] as SnapshotInfo);
      return;
    }
    reader.exec('BEGIN');
    let more = step();
    running = (async () => {
      // A small state is done at once: `running` must be set before it is taken back.
      await Promise.resolve();
      try {
        while (more && !stopped) {
          await new Promise((resolve) => setImmediate(resolve));
          if (stopped) return;
          more = step();
        }
        if (!more) finish();
        if (!more) for (const one of waiting.splice(0)) one.resolve(snapshots.list()[0] as SnapshotInfo);
      } finally {
        reader.close();
        running = null;
      }
    })();
  }

  const snapshots: Snapshots = {
    committed(height, peaks, wanted = false) {
      // One at a time: should a snapshot take longer than to the next one, that one is left out.
      const due = height % options.every === 0 || waiting.length > 0 || wanted;
      if (due && running === null && !stopped) begin(height, peaks);
    },

    take(now) {
      const newest = snapshots.list()[0];
      if (now && newest?.height === now.height) return Promise.resolve(newest);
      return new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        // While another is being made, the next block's turn comes.
        if (now && running === null && !stopped) begin(now.height, now.peaks);
      });
    },

    list: () => all.all().map(({ height, manifest }) => ({ height, manifest: new Uint8Array(manifest) })),

    chunk(height, index) {
      const row = chunkAt.get(height, index);
      return row ? new Uint8Array(row.bytes) : null;
    },

    restore(bytes, { header }, { adopt, reload }) {
      const manifest = decodeManifest(bytes);
      const peaks: HistoryPeaks = { size: manifest.height - 1, peaks: manifest.peaks };
      const invalid = (why: string): AppError =>
        new AppError('snapshot_invalid', `The snapshot does not hold: ${why}.`);
      if (manifest.chainId !== chainId || manifest.height !== header.height) {
        throw invalid('it is not of the block it is said to be of');
      }
      if (!sameBytes(historyRoot(peaks), header.historyRoot)) throw invalid('its history is another');
      const { height } = manifest;

      return {
        chunks: manifest.chunks,
        put(index, chunk) {
          const expected = manifest.chunks[index];
          if (!expected) throw new AppError('invalid_argument', `The snapshot has no chunk ${index}.`);
          if (chunk.length !== expected.bytes || !sameBytes(sha256(chunk), expected.hash)) {
            throw new AppError('bad_hash', 'A chunk of the snapshot is not the one its manifest names.');
          }
          insertChunk.run(height, index, chunk);
        },
        finish() {
          const put = db.prepare('INSERT INTO state (key, value) VALUES (?, ?)');
          try {
            db.transaction(() => {
              db.prepare('DELETE FROM state').run();
              let last: Uint8Array = new Uint8Array();
              let count = 0;
              for (let index = 0; index < manifest.chunks.length; index++) {
                const row = chunkAt.get(height, index);
                if (!row) throw invalid('a chunk is missing');
                for (const [key, value] of decodeChunk(new Uint8Array(row.bytes))) {
                  if (compareBytes(last, key) >= 0) throw invalid('its rows are not in order');
                  put.run(key, value);
                  last = key;
                  count += 1;
                }
              }
              if (count !== manifest.rows) throw invalid('it has not as many rows as it says');
              adopt(peaks);
              insert.run(height, bytes);
            }).immediate();
          } catch (error) {
            dropChunks.run(height);
            reload();
            throw error;
          }
          reload();
        },
        abort: () => void dropChunks.run(height),
      };
    },

    settled: async () => {
      await running;
    },
    async stop() {
      stopped = true;
      const ended = new AppError('cancelled', 'The chain ended before a snapshot was made.');
      for (const one of waiting.splice(0)) one.reject(ended);
      await running;
    },
  };
  return snapshots;
}
