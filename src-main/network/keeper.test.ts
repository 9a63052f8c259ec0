import { afterEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src-shared/runtime.ts';
import { migrate, openDatabase } from '../store/index.ts';
import type { Sighting } from './find.ts';
import { createKeeper } from './keeper.ts';
import type { Keeper } from './keeper.ts';
import { networkMigrations } from './migrations.ts';
import { createPeerBook } from './peer-book.ts';
import { manualClock } from './test-clock.ts';

let keeper: Keeper | null = null;
afterEach(() => keeper?.stop());

/** A keeper in a world where `reachable` addresses answer and thirds say `sightings`. */
function world() {
  const clock = manualClock();
  const db = openDatabase(':memory:');
  migrate(db, 'network', networkMigrations);
  const book = createPeerBook(db, clock, silentLogger);
  const dials: { at: number; peer: string; addresses: readonly string[] }[] = [];
  const connected = new Map<string, 'direct' | 'relayed'>();
  const reachable = new Set<string>();
  let sightings: readonly Sighting[] = [];
  const asked: string[] = [];
  const kept = createKeeper({
    clock,
    logger: silentLogger,
    random: () => 0.5,
    book,
    finder: {
      serve: async () => {},
      ask: async (third) => {
        asked.push(third);
        return sightings;
      },
    },
    self: 'self',
    refused: (peer) => peer === 'refused',
    state: (peer) => connected.get(peer) ?? 'none',
    connectedPeers: () => [...connected.keys()],
    dial: async (peer, addresses) => {
      dials.push({ at: clock.now(), peer, addresses });
      const address = addresses.find((one) => reachable.has(one));
      if (address === undefined) throw new Error('away');
      connected.set(peer, address.includes('p2p-circuit') ? 'relayed' : 'direct');
    },
    bootstrap: [{ peer: 'boot', address: '/boot' }],
    active: () => true,
  });
  keeper = kept;
  return {
    kept,
    clock,
    book,
    dials,
    connected,
    reachable,
    asked,
    see: (next: readonly Sighting[]) => void (sightings = next),
  };
}

describe('keeper', () => {
  it('dials a wanted peer at once, then ever more rarely, and at once again on a new address', async () => {
    const { kept, clock, dials, connected, reachable } = world();
    kept.want('x', ['/old']);
    await clock.advance(10 * 60_000, 100);
    const times = dials.filter((dial) => dial.peer === 'x').map((dial) => dial.at);
    expect(times.length).toBeGreaterThan(8);
    expect(times.length).toBeLessThan(20);
    reachable.add('/new');
    const before = clock.now();
    kept.hint('x', ['/new']);
    await clock.advance(200, 100);
    expect(connected.get('x')).toBe('direct');
    expect(dials.at(-1)!.at - before).toBeLessThanOrEqual(100);
  });

  it('comes back soon after a disconnect and stops for unwanted and refused peers', async () => {
    const { kept, clock, dials, connected } = world();
    kept.want('refused', ['/a']);
    kept.want('x', ['/a']);
    kept.unwant('x');
    await clock.advance(60_000, 100);
    expect(dials.filter((dial) => dial.peer !== 'boot')).toEqual([]);
    kept.want('y', ['/y']);
    connected.set('y', 'direct');
    kept.connected('y');
    await clock.advance(60_000, 100);
    const before = dials.filter((dial) => dial.peer === 'y').length;
    connected.delete('y');
    kept.disconnected('y');
    await clock.advance(1000, 100);
    expect(dials.filter((dial) => dial.peer === 'y').length).toBeGreaterThan(before);
  });

  it('calls ever more rarely who hangs up at once', async () => {
    const { kept, clock, dials, connected, reachable } = world();
    reachable.add('/y');
    kept.want('y', ['/y']);
    let calls = 0;
    for (let second = 0; second < 600; second++) {
      await clock.advance(1000, 100);
      if (connected.delete('y')) {
        calls += 1;
        kept.connected('y');
        kept.disconnected('y');
      }
    }
    expect(calls).toBe(dials.filter((dial) => dial.peer === 'y').length);
    expect(calls).toBeGreaterThan(8);
    expect(calls).toBeLessThan(20);
  });

  it('asks thirds within seconds, relays through the one that is connected, and then tries the direct way', async () => {
    const { kept, clock, dials, connected, reachable, asked, see } = world();
    connected.set('third', 'direct');
    reachable.add('/p2p/third/p2p-circuit');
    see([{ peer: 'x', third: 'third', connected: true, addresses: ['/fresh'] }]);
    kept.want('x', []);
    await clock.advance(6000, 100);
    expect(asked).toContain('third');
    expect(connected.get('x')).toBe('relayed');
    reachable.add('/fresh');
    await clock.advance(40_000, 100);
    expect(connected.get('x')).toBe('direct');
    expect(dials.some((dial) => dial.peer === 'x' && dial.addresses.includes('/fresh'))).toBe(true);
  });

  it('calls old acquaintances while it is alone, again and again', async () => {
    const { kept, clock, book, dials, reachable, connected } = world();
    book.succeeded('friend', '/friend');
    kept.want('x', []);
    await clock.advance(5 * 60_000, 100);
    const tries = dials.filter((dial) => dial.peer === 'friend');
    expect(tries.length).toBeGreaterThan(15);
    reachable.add('/friend');
    await clock.advance(15_000, 100);
    expect(connected.get('friend')).toBe('direct');
  });
});
