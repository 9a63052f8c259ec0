import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../../../src-shared/errors.ts';
import { openDatabase } from '../../store/index.ts';
import type { Database } from '../../store/index.ts';
import { sha256 } from '../codec/index.ts';
import { message } from '../modules/index.ts';
import { createApplication } from '../execute/application.ts';
import type { Ledger } from '../execute/application.ts';
import { createTxChecker } from '../execute/tx-checker.ts';
import { addressOfName, createTestChain, testGenesis } from '../testing.ts';
import type { TestChain } from '../testing.ts';
import type { SignedHeader, SnapshotInfo } from '../types.ts';
import { decodeChunk, decodeManifest, encodeChunk, encodeManifest } from './manifest.ts';

let dir: string;
let open: Database[] = [];
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'snapshots-'));
});
afterEach(async () => {
  for (const db of open) db.close();
  open = [];
  await rm(dir, { recursive: true });
});
const database = (name: string): Database => {
  const db = openDatabase(path.join(dir, name));
  open.push(db);
  return db;
};

const send = (to: string) =>
  message('bank.send', { to: addressOfName(to), symbol: 'EXC', amount: 1n, memo: '' });

/** A chain with more rows than one slice reads and a snapshot at height 10. */
async function grown(): Promise<{ chain: TestChain; info: SnapshotInfo; trusted: SignedHeader }> {
  const chain = createTestChain(testGenesis(), [], {
    db: database('a.db'),
    snapshots: { every: 10, keep: 2 },
  });
  let n = 0;
  for (let height = 1; height <= 12; height++) {
    for (let tx = 0; tx < 8; tx++) {
      chain.add(
        'founder',
        Array.from({ length: 16 }, () => send(`person ${n++}`)),
      );
    }
    chain.block();
  }
  await chain.ledger.settled();
  const [info] = chain.ledger.snapshots();
  if (!info) throw new Error('no snapshot');
  return { chain, info, trusted: chain.ledger.signedHeaderAt(10) as SignedHeader };
}

const fresh = (name: string): Ledger =>
  createApplication(
    { db: database(name), genesis: testGenesis(), checker: createTxChecker() },
    { keepBlocks: null },
  );

const chunksOf = (ledger: Ledger, count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => ledger.snapshotChunk(10, i) as Uint8Array);

describe('a snapshot', () => {
  it('is of its very block, though others came while it was made, and makes another node go on from there', async () => {
    const { chain, info, trusted } = await grown();
    expect(info.height).toBe(10);
    const ledger = fresh('b.db');
    const restore = ledger.restore(info.manifest, trusted);
    for (const [i, chunk] of chunksOf(chain.ledger, restore.chunks.length).entries()) restore.put(i, chunk);
    restore.finish();
    expect(ledger.last()).toMatchObject({ height: 10, stateRoot: trusted.header.stateRoot });
    for (const height of [11, 12]) {
      const stored = chain.ledger.blockAt(height);
      if (!stored) throw new Error('no block');
      ledger.commit(ledger.execute(stored.block), stored.commit);
    }
    expect(ledger.last()).toEqual(chain.ledger.last());
    expect(ledger.snapshots()).toEqual([info]);
    expect(ledger.proveHistory(10, 12)).toEqual(chain.ledger.proveHistory(10, 12));
    expect(() => ledger.proveHistory(3, 12)).toThrow(/began later/);
    expect(ledger.validatorsAt(10)).toEqual(chain.ledger.validatorsAt(10));
  });

  it('is refused when anything in it is not as it should be, and leaves the state as it was', async () => {
    const { chain, info, trusted } = await grown();
    const ledger = fresh('b.db');
    const before = ledger.last();
    const manifest = decodeManifest(info.manifest);
    const chunks = chunksOf(chain.ledger, manifest.chunks.length);

    expect(() => ledger.restore(info.manifest, chain.ledger.signedHeaderAt(11) as SignedHeader)).toThrow(
      /block it is/,
    );
    const otherPeaks = encodeManifest({ ...manifest, peaks: manifest.peaks.map(() => new Uint8Array(32)) });
    expect(() => ledger.restore(otherPeaks, trusted)).toThrow(
      expect.objectContaining({
        code: 'snapshot_invalid',
        message: expect.stringMatching(/history/) as string,
      }) as Error,
    );

    const restore = ledger.restore(info.manifest, trusted);
    const altered = (chunks[0] as Uint8Array).slice();
    altered[100] = (altered[100] as number) ^ 1;
    expect(() => restore.put(0, altered)).toThrow(expect.objectContaining({ code: 'bad_hash' }) as Error);
    expect(() => restore.finish()).toThrow(/missing/);

    // A manifest of other rows: each chunk is right by it, but the state is another.
    const lie = (rows: ReturnType<typeof decodeChunk>, why: RegExp): void => {
      const bytes = encodeChunk(rows);
      const lying = encodeManifest({
        ...manifest,
        rows: rows.length,
        chunks: [{ hash: sha256(bytes), bytes: bytes.length }],
      });
      const one = ledger.restore(lying, trusted);
      one.put(0, bytes);
      expect(() => one.finish()).toThrow(why);
      expect(ledger.last()).toEqual(before);
    };
    const rows = chunks.flatMap((chunk) => [...decodeChunk(chunk)]);
    const [first, second, ...rest] = rows as [(typeof rows)[0], (typeof rows)[0], ...typeof rows];
    lie(rows.slice(1), /another state/);
    lie([second, first, ...rest], /order/);
    lie([[first[0], Uint8Array.of(0)], second, ...rest], /another state/);
    await ledger.stop();
    expect(ledger.snapshots()).toEqual([]);

    const again = ledger.restore(info.manifest, trusted);
    for (const [i, chunk] of chunks.entries()) again.put(i, chunk);
    again.finish();
    expect(ledger.last().height).toBe(10);
    expect(() => ledger.restore(info.manifest, trusted)).toThrow(/no block yet/);
  });

  it('decodes anything, or says that it can not', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const read of [decodeChunk, decodeManifest]) {
          try {
            read(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(AppError);
          }
        }
      }),
      { seed: 20261126, numRuns: 500 },
    );
  });
});
