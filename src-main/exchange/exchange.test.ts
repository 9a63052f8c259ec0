import { afterEach, describe, expect, test } from 'vitest';
import { createShaper } from '../network/index.ts';
import { createFakeClock } from './testing/fake-clock.ts';
import { createMemoryHub } from './testing/memory-network.ts';
import type { MemoryHub } from './testing/memory-network.ts';
import { sameHistory } from './testing/memory-drive.ts';
import { createReplica, driveId, makeBlocks, put, realClock, requestsFor, until } from './testing/world.ts';
import type { Replica } from './testing/world.ts';
import type { EarlyBlocks } from './types.ts';

const started: Replica[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((replica) => replica.exchange.stop()));
});

async function world(names: readonly string[], hub: MemoryHub = createMemoryHub()) {
  const nodes = names.map((name) => hub.node(name));
  for (const name of names) hub.card(name, `user ${name}`);
  const replicas: Replica[] = [];
  for (const [i, name] of names.entries()) {
    const replica = await createReplica(nodes[i]!, name, names);
    replicas.push(replica);
    started.push(replica);
  }
  const connectAll = (): void => {
    for (const a of names) for (const b of names) if (a < b) hub.connect(a, b);
  };
  return { hub, nodes, replicas, connectAll };
}

const never = new AbortController().signal;

describe('history', () => {
  test('two replicas reach the same entries, and both say so', async () => {
    const { replicas, connectAll } = await world(['a', 'b']);
    const [a, b] = replicas as [Replica, Replica];
    a.drive.append(300);
    b.drive.append(20);
    connectAll();
    await until(() => a.drive.entries().length === 320 && b.drive.entries().length === 320);
    await until(
      () => a.exchange.members(driveId)[0]!.sameHistory && b.exchange.members(driveId)[0]!.sameHistory,
    );
    expect(sameHistory(a.drive, b.drive)).toBe(true);
  });

  test('a new entry arrives within milliseconds and is not echoed', async () => {
    const { nodes, replicas, connectAll } = await world(['a', 'b', 'c']);
    const [a, b, c] = replicas as [Replica, Replica, Replica];
    connectAll();
    await until(() => replicas.every((r) => r.exchange.members(driveId).every((m) => m.sameHistory)));
    const delays: number[] = [];
    for (let i = 0; i < 20; i++) {
      const at = performance.now();
      const arrived = new Promise<number>((resolve) => {
        const off = b.drive.on('entries', () => {
          off();
          resolve(performance.now());
        });
      });
      a.drive.append(1);
      delays.push((await arrived) - at);
      await until(() => c.drive.entries().length === i + 1);
    }
    expect(delays.sort((x, y) => x - y)[10]!).toBeLessThan(25);
    await until(() => replicas.every((r) => r.exchange.members(driveId).every((m) => m.sameHistory)));
    expect(a.drive.ingests.known).toBe(0);
    expect(nodes[0]!.penalties.size).toBe(0);
  });

  test('a backlog larger than one batch is sent in order while new entries come', async () => {
    const { replicas, connectAll } = await world(['a', 'b']);
    const [a, b] = replicas as [Replica, Replica];
    a.drive.append(60, 100_000);
    connectAll();
    a.drive.append(5);
    await until(() => b.drive.entries().length > 20);
    a.drive.append(5);
    await until(() => b.drive.entries().length === 70);
    expect(b.drive.ingests.known).toBe(0);
  });

  test('settled is told at once and at subscribing', async () => {
    const { replicas, connectAll } = await world(['a', 'b']);
    const [a, b] = replicas as [Replica, Replica];
    a.exchange.setSettled(driveId, true, true);
    connectAll();
    await until(() => b.exchange.members(driveId)[0]?.settled === true);
    a.exchange.setSettled(driveId, false, false);
    await until(() => b.exchange.members(driveId)[0]?.settled === false);
  });

  test('waits for the card of a peer, then serves it', async () => {
    const hub = createMemoryHub();
    const nodes = ['a', 'b'].map((name) => hub.node(name));
    hub.card('a', 'user a');
    const a = await createReplica(nodes[0]!, 'a', ['a', 'b']);
    const b = await createReplica(nodes[1]!, 'b', ['a', 'b']);
    started.push(a, b);
    a.drive.append(3);
    hub.connect('a', 'b');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(b.drive.entries().length).toBe(0);
    hub.card('b', 'user b');
    await until(() => b.drive.entries().length === 3);
  });

  test('a removed member gets nothing more, a stranger nothing at all', async () => {
    const { hub, nodes, replicas, connectAll } = await world(['a', 'b']);
    const [a, b] = replicas as [Replica, Replica];
    connectAll();
    a.drive.append(1);
    await until(() => b.drive.entries().length === 1);
    a.drive.setRole('user b', null);
    a.drive.append(1);
    const blocks = makeBlocks(1, 1000);
    put(a.source, blocks);
    await expect(b.exchange.fetch(driveId, requestsFor(blocks), never)).rejects.toMatchObject({
      code: 'gone',
    });
    expect(a.source.reads).toBe(0);
    expect(b.drive.entries().length).toBe(1);
    expect(a.exchange.members(driveId)).toEqual([]);

    hub.card('stranger', 'user stranger');
    const stranger = hub.node('stranger');
    hub.connect('a', 'stranger');
    for (let i = 0; i < 700 && nodes[0]!.peers().some((p) => p.peerId === 'stranger'); i++) {
      const stream = await stranger.open('a', 'history/1', {
        maxFrame: 1 << 20,
        maxStreams: 9,
        idleTimeout: 0,
        maxRate: 0,
      });
      const { encodeHistoryMessage } = await import('./history-messages.ts');
      await stream.send(encodeHistoryMessage({ t: 'hello', drive: driveId, frontier: [] }));
      await stream.read().catch(() => null);
    }
    expect(nodes[0]!.penalties.get('stranger')!.length).toBeGreaterThanOrEqual(5);
    expect(nodes[0]!.peers().some((p) => p.peerId === 'stranger')).toBe(false);
  });

  test('a member refused by an older copy of the rights gets in as soon as they arrive', async () => {
    const { replicas, connectAll } = await world(['a', 'b']);
    const [a, b] = replicas as [Replica, Replica];
    a.drive.setRole('user b', null);
    a.drive.append(2);
    connectAll();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(b.drive.entries().length).toBe(0);
    a.drive.setRole('user b', 'reader');
    await until(() => b.drive.entries().length === 2, 1000);
  });

  test('a restored backup hears that its own feed went further', async () => {
    const { hub, replicas, connectAll } = await world(['a', 'b']);
    const [a, b] = replicas as [Replica, Replica];
    a.drive.append(10);
    connectAll();
    await until(() => b.drive.entries().length === 10);
    hub.disconnect('a', 'b');
    a.drive.restore(4);
    let behind = 0;
    a.exchange.on('ownFeedBehind', () => behind++);
    connectAll();
    await until(() => a.drive.entries().length === 10);
    expect(behind).toBe(1);
  });

  test('both branches of a fork reach everybody', async () => {
    const { hub, replicas, connectAll } = await world(['a', 'b', 'c']);
    const [a, b, c] = replicas as [Replica, Replica, Replica];
    a.drive.append(4);
    connectAll();
    await until(() => replicas.every((r) => r.drive.entries().length === 4));
    hub.disconnect('a', 'b');
    hub.disconnect('a', 'c');
    a.drive.append(3, 50);
    a.drive.restore(4);
    const branch = a.drive.append(2, 60);
    // b alone gets the second branch, c the first, as if they had met the two copies of a.
    await b.drive.ingest(branch.map((e) => e.bytes));
    a.drive.restore(4);
    await c.drive.ingest(a.drive.append(3, 50).map((e) => e.bytes));
    connectAll();
    await until(() => replicas.every((r) => r.drive.entries().length === 9));
  });

  test('a whole history is fetched for joining, and refused to strangers', async () => {
    const { hub, replicas } = await world(['a', 'b']);
    const [a] = replicas as [Replica];
    a.drive.append(2000, 1500);
    const entries = await replicas[1]!.exchange.fetchHistory(driveId, ['nobody', 'a'], never);
    expect(entries.map((e) => Buffer.from(e).toString('hex'))).toEqual(
      a.drive.entries().map((e) => Buffer.from(e.bytes).toString('hex')),
    );
    const stranger = await createReplica(hub.node('s'), 's', ['s']);
    started.push(stranger);
    hub.card('s', 'user s');
    await expect(stranger.exchange.fetchHistory(driveId, ['a'], never)).rejects.toMatchObject({
      code: 'forbidden',
    });
    await expect(stranger.exchange.fetchHistory(driveId, ['x'], never)).rejects.toMatchObject({
      code: 'unreachable',
    });
  });
});

describe('blocks', () => {
  test('10,000 small blocks arrive, each once, without penalties', async () => {
    const { nodes, replicas, connectAll } = await world(['a', 'b']);
    const [a, b] = replicas as [Replica, Replica];
    connectAll();
    const blocks = makeBlocks(10_000, 4096);
    put(a.source, blocks);
    const got = new Map<string, Uint8Array>();
    await b.exchange.fetch(driveId, requestsFor(blocks, got), never);
    expect(got.size).toBe(10_000);
    expect(a.source.reads).toBe(10_000);
    expect(nodes[1]!.penalties.size).toBe(0);
  });

  test('blocks come from every member that has them; only those nobody has are gone', async () => {
    const { replicas, connectAll } = await world(['a', 'b', 'c']);
    const [a, b, c] = replicas as [Replica, Replica, Replica];
    connectAll();
    const blocks = makeBlocks(300, 100_000);
    put(a.source, blocks.slice(0, 200));
    put(c.source, blocks.slice(100, 290));
    const got = new Map<string, Uint8Array>();
    const failure = await b.exchange.fetch(driveId, requestsFor(blocks, got), never).catch((e: unknown) => e);
    expect(failure).toMatchObject({ code: 'gone' });
    const { ids } = (failure as { details: { ids: string[] } }).details;
    expect(ids.sort()).toEqual(
      blocks
        .slice(290)
        .map(({ ref }) => Buffer.from(ref.id).toString('hex'))
        .sort(),
    );
    expect(got.size).toBe(290);
  });

  test('a liar is penalised, its block comes from somebody else', async () => {
    const { nodes, replicas, connectAll } = await world(['a', 'b', 'c']);
    const [a, b, c] = replicas as [Replica, Replica, Replica];
    connectAll();
    const blocks = makeBlocks(40, 50_000);
    put(c.source, blocks);
    for (const { ref, bytes } of blocks) {
      const wrong = new Uint8Array(bytes);
      wrong[40]! ^= 1;
      a.source.blocks.set(Buffer.from(ref.id).toString('hex'), wrong);
    }
    const got = new Map<string, Uint8Array>();
    await b.exchange.fetch(driveId, requestsFor(blocks, got), never);
    expect(got.size).toBe(40);
    expect(nodes[1]!.penalties.get('a')!.length).toBeGreaterThan(0);
    expect(nodes[1]!.penalties.has('c')).toBe(false);
  });

  test('what a silent source owes is asked elsewhere', async () => {
    const { hub, replicas, connectAll } = await world(['a', 'b', 'c']);
    const [a, b, c] = replicas as [Replica, Replica, Replica];
    connectAll();
    const blocks = makeBlocks(20, 50_000);
    put(a.source, blocks);
    put(c.source, blocks);
    hub.line('a', 'b').frozen = true;
    const got = new Map<string, Uint8Array>();
    await b.exchange.fetch(driveId, requestsFor(blocks, got), never);
    expect(got.size).toBe(20);
    hub.line('a', 'b').frozen = false;
  });

  test('a slow source does not hold back a fast one', async () => {
    const { hub, replicas, connectAll } = await world(['a', 'b', 'c']);
    const [a, b, c] = replicas as [Replica, Replica, Replica];
    connectAll();
    const blocks = makeBlocks(100, 100_000);
    put(a.source, blocks);
    put(c.source, blocks);
    hub.line('a', 'b').rate = 200_000;
    await b.exchange.fetch(driveId, requestsFor(blocks), never);
    expect(c.source.reads).toBeGreaterThan(60);
    expect(a.source.reads + c.source.reads).toBeLessThan(160);
  });

  test('load moves off a busy source to another copy', async () => {
    const crowd = ['p', 'q', 'r'];
    const names = ['near', 'far', 'z', ...crowd];
    const { hub, nodes, replicas } = await world(names);
    const [near, far, z] = replicas as [Replica, Replica, Replica];
    const [theirs, ours] = [makeBlocks(30, 200_000, 5), makeBlocks(200, 100_000, 6)];
    put(near.source, [...theirs, ...ours]);
    put(far.source, ours);
    const stop = new AbortController();
    const crowded = replicas.slice(3).map(({ exchange }, i) => {
      hub.line('near', crowd[i]!).rate = 100_000;
      hub.connect('near', crowd[i]!);
      return exchange.fetch(driveId, requestsFor(theirs), stop.signal).catch(() => {});
    });
    await until(() => (nodes[0]!.sentBy.get('blocks/1')?.bytes ?? 0) > 200_000);
    const before = near.source.reads;
    // As fast as the other one, and nearer: only what it says of its load speaks against it.
    for (const name of ['far', 'near']) hub.line(name, 'z').rate = 20_000_000;
    hub.line('far', 'z').delay = 5;
    hub.connect('near', 'z');
    hub.connect('far', 'z');
    const got = new Map<string, Uint8Array>();
    await z.exchange.fetch(driveId, requestsFor(ours, got), never);
    expect(got.size).toBe(200);
    expect(far.source.reads).toBeGreaterThan(3 * (near.source.reads - before));
    stop.abort();
    await Promise.all(crowded);
    expect(nodes[2]!.penalties.size).toBe(0);
  });

  test('who had a block not is asked again while those who have it have no time', async () => {
    const { hub, replicas, connectAll } = await world(['only', 'z', 'other']);
    const [only, z, other] = replicas as [Replica, Replica, Replica];
    connectAll();
    const blocks = makeBlocks(60, 100_000);
    put(only.source, blocks);
    hub.line('only', 'z').rate = 500_000;
    const fetching = z.exchange.fetch(driveId, requestsFor(blocks), never);
    await until(() => other.source.reads >= 5);
    put(other.source, blocks);
    const before = other.source.reads;
    await fetching;
    expect(other.source.reads - before).toBeGreaterThan(10);
  });

  test('a lost connection is no loss: the rest comes after it is back or from others', async () => {
    const { hub, replicas, connectAll } = await world(['a', 'b', 'c']);
    const [a, b, c] = replicas as [Replica, Replica, Replica];
    connectAll();
    const blocks = makeBlocks(200, 100_000);
    put(a.source, blocks);
    put(c.source, blocks);
    hub.line('a', 'b').rate = 2_000_000;
    hub.line('c', 'b').rate = 2_000_000;
    const fetching = b.exchange.fetch(driveId, requestsFor(blocks), never);
    setTimeout(() => hub.disconnect('b', 'c'), 300);
    hub.line('a', 'b').rate = 50_000_000;
    await fetching;
  });

  test('cancelling stops the transfer, asking again is fine', async () => {
    const { hub, replicas, connectAll } = await world(['a', 'b']);
    const [a, b] = replicas as [Replica, Replica];
    connectAll();
    const blocks = makeBlocks(100, 100_000);
    put(a.source, blocks);
    hub.line('a', 'b').rate = 1_000_000;
    const stop = new AbortController();
    const first = b.exchange.fetch(driveId, requestsFor(blocks), stop.signal);
    setTimeout(() => stop.abort(), 200);
    await expect(first).rejects.toMatchObject({ code: 'cancelled' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(a.source.reads).toBeLessThan(60);
    hub.line('a', 'b').rate = null;
    await b.exchange.fetch(driveId, requestsFor(blocks), never);
  });

  test('equal blocks of several calls travel once', async () => {
    const { replicas, connectAll } = await world(['a', 'b']);
    const [a, b] = replicas as [Replica, Replica];
    connectAll();
    const blocks = makeBlocks(50, 10_000);
    put(a.source, blocks);
    const [one, two] = [new Map<string, Uint8Array>(), new Map<string, Uint8Array>()];
    await Promise.all([
      b.exchange.fetch(driveId, requestsFor(blocks, one), never),
      b.exchange.fetch(driveId, requestsFor([...blocks, ...blocks], two), never),
    ]);
    expect([one.size, two.size, a.source.reads]).toEqual([50, 50, 50]);
  });

  test('a failure on our own disk is reported and blamed on nobody', async () => {
    const { nodes, replicas, connectAll } = await world(['a', 'b']);
    const [a, b] = replicas as [Replica, Replica];
    connectAll();
    const blocks = makeBlocks(3, 1000);
    put(a.source, blocks);
    const requests = requestsFor(blocks).map((request, i) =>
      i === 1
        ? { ref: request.ref, accept: () => Promise.reject(new (class extends Error {})('disk full')) }
        : request,
    );
    await expect(b.exchange.fetch(driveId, requests, never)).rejects.toThrow('disk full');
    expect(nodes[1]!.penalties.size).toBe(0);
  });

  test('nobody connected: gone at once; progress is told', async () => {
    const { replicas, connectAll } = await world(['a', 'b']);
    const [a, b] = replicas as [Replica, Replica];
    const blocks = makeBlocks(3, 1000);
    await expect(b.exchange.fetch(driveId, requestsFor(blocks), never)).rejects.toMatchObject({
      code: 'gone',
    });
    put(a.source, blocks);
    connectAll();
    const told: unknown[] = [];
    b.exchange.on('progress', (p) => told.push(p));
    await b.exchange.fetch(driveId, requestsFor(blocks), never);
    await until(() => told.length > 0);
    expect(told).toEqual([{ driveId, received: 3000, sent: 0 }]);
  });
});

describe('early blocks', () => {
  test('are announced, served from memory, and waited for within bounds', async () => {
    const { replicas, connectAll } = await world(['a', 'b']);
    const [a, b] = replicas as [Replica, Replica];
    connectAll();
    await until(() => a.exchange.members(driveId)[0]?.sameHistory === true);
    const blocks = makeBlocks(4, 100_000);
    const seen: EarlyBlocks[] = [];
    b.exchange.on('early', ({ early }) => seen.push(early));
    const sealed = blocks.map(({ ref, bytes }, i) => ({ ref, offset: i * 100_000, ciphertext: bytes }));
    await a.exchange.announceEarly(driveId, 'token-1', '0'.repeat(32), sealed);
    await until(() => seen.length === 1);
    expect(seen[0]!.from).toBe('a');
    expect(seen[0]!.blocks.map((x) => x.offset)).toEqual([0, 100_000, 200_000, 300_000]);
    await b.exchange.fetch(driveId, requestsFor(seen[0]!.blocks), never);
    expect(a.source.reads).toBe(0);
  });

  test('of small files are kept as they were sealed, and served from memory to who asks', async () => {
    const { replicas, connectAll } = await world(['a', 'b']);
    const [a, b] = replicas as [Replica, Replica];
    expect(a.exchange.wantsSealed(driveId)).toBe(false);
    connectAll();
    await until(() => a.exchange.wantsSealed(driveId));
    const blocks = makeBlocks(4, 10_000);
    a.exchange.keepSealed(
      driveId,
      blocks.map(({ ref, bytes }) => ({ ref, offset: 0, ciphertext: bytes })),
    );
    await a.exchange.sealedRoom();
    await b.exchange.fetch(driveId, requestsFor(blocks), never);
    expect(a.source.reads).toBe(0);
  });

  test('without members they cost nothing', async () => {
    // Its clock stands still: had it anybody to wait for, it would wait for ever.
    const alone = await createReplica(createMemoryHub().node('a'), 'a', ['a', 'b'], {}, createFakeClock());
    started.push(alone);
    await alone.exchange.announceEarly(
      driveId,
      't',
      '0'.repeat(32),
      makeBlocks(4, 100_000).map(({ ref, bytes }) => ({ ref, offset: 0, ciphertext: bytes })),
    );
  });
});

describe('readers of open drives', () => {
  test('wait for what is set aside for them; members do not, and what went to readers is counted', async () => {
    const hub = createMemoryHub();
    for (const name of ['a', 'b', 'r']) hub.card(name, `user ${name}`);
    let sent = 0;
    const rate = 400_000;
    const shaper = createShaper(realClock, rate);
    const a = await createReplica(hub.node('a'), 'a', ['a', 'b'], {
      open: {
        mayRead: () => true,
        sources: () => new Set(),
        introduce: () => Promise.resolve(),
        introduced: () => true,
      },
      readers: { pay: (bytes) => shaper.charge(bytes), sent: (bytes) => void (sent += bytes) },
    });
    const member = await createReplica(hub.node('b'), 'b', ['a', 'b']);
    const reader = await createReplica(hub.node('r'), 'r', ['a', 'r']);
    started.push(a, member, reader);
    hub.connect('a', 'b');
    hub.connect('a', 'r');
    const blocks = makeBlocks(4, 50_000);
    put(a.source, blocks);
    await member.exchange.fetch(driveId, requestsFor(blocks), new AbortController().signal);
    expect(sent).toBe(0);
    const since = performance.now();
    await reader.exchange.fetch(driveId, requestsFor(blocks), new AbortController().signal);
    expect(sent).toBe(200_000);
    // A lower bound: a busy machine only makes it longer.
    expect(performance.now() - since).toBeGreaterThan((1000 * sent) / rate / 2);
  });
});
