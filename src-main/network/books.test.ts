import { afterEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src-shared/runtime.ts';
import { migrate, openDatabase } from '../store/index.ts';
import { networkMigrations } from './migrations.ts';
import { createPeerBook } from './peer-book.ts';
import { createReputation } from './reputation.ts';
import { manualClock } from './test-clock.ts';

function database() {
  const db = openDatabase(':memory:');
  migrate(db, 'network', networkMigrations);
  opened.push(db);
  return db;
}
const opened: ReturnType<typeof openDatabase>[] = [];
afterEach(() => {
  for (const db of opened.splice(0)) if (db.open) db.close();
});

describe('peer book', () => {
  it('gives the address that worked last first, without the peer id', async () => {
    const clock = manualClock();
    const book = createPeerBook(database(), clock, silentLogger);
    book.add('x', ['/ip4/10.0.0.1/tcp/1/p2p/x', '/ip4/10.0.0.2/tcp/1']);
    await clock.advance(10);
    book.succeeded('x', '/ip4/10.0.0.2/tcp/1/p2p/x');
    await clock.advance(10);
    book.add('x', ['/ip4/10.0.0.3/tcp/1']);
    expect(book.addresses('x')).toEqual([
      '/ip4/10.0.0.2/tcp/1',
      '/ip4/10.0.0.3/tcp/1',
      '/ip4/10.0.0.1/tcp/1',
    ]);
    expect(book.recent(10)).toEqual(['x']);
  });

  it('stays small: the newest addresses of a peer are kept, and what worked among them', async () => {
    const clock = manualClock();
    const book = createPeerBook(database(), clock, silentLogger);
    for (let n = 0; n < 100; n++) {
      await clock.advance(1);
      book.add('x', [`/ip4/10.0.0.${n}/tcp/1`]);
    }
    const kept = book.addresses('x');
    expect(kept.length).toBeLessThanOrEqual(12);
    expect(kept[0]).toBe('/ip4/10.0.0.99/tcp/1');
    book.add('x', [`/dns4/${'a'.repeat(400)}/tcp/1`]);
    expect(book.addresses('x')).toEqual(kept);
  });

  it('does not throw when nothing can be written', () => {
    const db = database();
    const book = createPeerBook(db, manualClock(), silentLogger);
    db.close();
    expect(() => book.add('x', ['/ip4/10.0.0.1/tcp/1'])).not.toThrow();
  });
});

describe('reputation', () => {
  it('refuses after five breaches in a row, remembers it, and forgives', async () => {
    const clock = manualClock();
    const db = database();
    const reputation = createReputation(db, clock, silentLogger);
    for (let n = 0; n < 4; n++) expect(reputation.penalise('x')).toBe(false);
    expect(reputation.refused('x')).toBe(false);
    expect(reputation.penalise('x')).toBe(true);
    expect(reputation.refused('x')).toBe(true);
    expect(reputation.refused('y')).toBe(false);
    expect(createReputation(db, clock, silentLogger).refused('x')).toBe(true);
    await clock.advance(24 * 60 * 60_000);
    expect(reputation.refused('x')).toBe(false);
    expect(reputation.penalise('x')).toBe(false);
  });

  it('does not add up breaches that are long apart', async () => {
    const clock = manualClock();
    const reputation = createReputation(database(), clock, silentLogger);
    for (let n = 0; n < 20; n++) {
      expect(reputation.penalise('x')).toBe(false);
      await clock.advance(20 * 60_000);
    }
  });
});
