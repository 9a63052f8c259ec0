import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { createSigner, deviceKeyOf, openCard } from '../../src-main/identity/index.ts';
import type { FrameStream, ProtocolOptions } from '../../src-main/network/index.ts';
import { AppError } from '../../src-shared/errors.ts';
import { cardOf, startNode, stopAll, stopNode, testUser, until } from './harness.ts';
import type { TestNode } from './harness.ts';
import { startRawPeer, stopRawPeers } from './raw-peer.ts';

afterEach(async () => {
  await stopRawPeers();
  await stopAll();
});

const options: ProtocolOptions = { maxFrame: 2 * 1024 * 1024, maxStreams: 4, idleTimeout: 0, maxRate: 0 };

async function echo(stream: FrameStream): Promise<void> {
  for (let frame = await stream.read(); frame; frame = await stream.read()) await stream.send(frame);
}

/** Two connected nodes, b serving `echo/1`. */
async function pair(served = options): Promise<{ a: TestNode; b: TestNode }> {
  const [a, b] = await Promise.all([startNode(), startNode({ address: '127.0.0.2' })]);
  b.network.handle('echo/1', served, echo);
  await a.network.connect(b.network.addresses()[0]!);
  return { a, b };
}

describe('streams', () => {
  it('carry frames of many sizes both ways, in order', async () => {
    const { a, b } = await pair();
    const stream = await a.network.open(b.network.peerId, 'echo/1', options);
    const frames = [0, 1, 127, 128, 16_384, 70_000, 1_048_576, 3].map((n) => randomBytes(n));
    const sent = Promise.all(frames.map((frame) => stream.send([frame.subarray(0, 1), frame.subarray(1)])));
    for (const frame of frames) expect(Buffer.compare((await stream.read())!, frame)).toBe(0);
    await sent;
    await stream.close();
    expect(await stream.read()).toBeNull();
    await stream.closed;
  });

  it('hold a sender back while nobody reads, and go on when somebody does', async () => {
    const { a, b } = await pair();
    const reader = Promise.withResolvers<FrameStream>();
    const done = Promise.withResolvers<void>();
    b.network.handle('slow/1', options, async (stream) => {
      reader.resolve(stream);
      await done.promise;
    });
    const stream = await a.network.open(b.network.peerId, 'slow/1', options);
    const frame = Buffer.alloc(1024 * 1024, 1);
    let handedOver = 0;
    const sending = (async () => {
      for (let n = 0; n < 64; n++) {
        await stream.send(frame);
        handedOver += 1;
      }
    })();
    const slow = await reader.promise;
    await new Promise((resolve) => setTimeout(resolve, 700));
    const held = handedOver;
    expect(held).toBeLessThan(32);
    for (let n = 0; n < 64; n++) expect((await slow.read())!.length).toBe(frame.length);
    await sending;
    done.resolve();
  });

  it('answer a failing handler, a silent peer and an unknown protocol with typed errors', async () => {
    const { a, b } = await pair();
    b.network.handle('fails/1', options, () => Promise.reject(new AppError('forbidden', 'no')));
    b.network.handle('silent/1', options, async (stream) => void (await stream.closed));
    const failing = await a.network.open(b.network.peerId, 'fails/1', options);
    await failing.send(Buffer.from('x')).catch(() => {});
    await expect(failing.read()).rejects.toMatchObject({ code: 'unreachable' });
    const silent = await a.network.open(b.network.peerId, 'silent/1', { ...options, idleTimeout: 100 });
    await silent.send(Buffer.from('x'));
    await expect(silent.read()).rejects.toMatchObject({ code: 'timeout' });
    const unknown = (async () => (await a.network.open(b.network.peerId, 'nobody/1', options)).read())();
    await expect(unknown).rejects.toMatchObject({ code: 'unsupported' });
  });

  it('limit how many are open and how fast frames come', async () => {
    const { a, b } = await pair({ ...options, maxStreams: 2, maxRate: 10 });
    const streams = [];
    for (let n = 0; n < 2; n++) streams.push(await a.network.open(b.network.peerId, 'echo/1', options));
    await expect(
      a.network.open(b.network.peerId, 'echo/1', { ...options, maxStreams: 2 }),
    ).rejects.toMatchObject({ code: 'rate_limited' });
    const flood = (async () => {
      for (let n = 0; n < 100; n++) {
        await streams[0]!.send(Buffer.of(1));
        await streams[0]!.read();
      }
    })();
    await expect(flood).rejects.toMatchObject({ code: 'unreachable' });
  });

  it('can be cancelled while waiting, without losing what comes after', async () => {
    const { a, b } = await pair();
    const stream = await a.network.open(b.network.peerId, 'echo/1', options);
    await expect(stream.read(AbortSignal.timeout(50))).rejects.toMatchObject({ code: 'cancelled' });
    await stream.send(Buffer.from('later'));
    expect(Buffer.from((await stream.read())!).toString()).toBe('later');
  });
});

describe('a hostile peer', () => {
  it('is cut off at once when a frame is too large, and refused after five breaches', async () => {
    const { b } = await pair();
    const raw = await startRawPeer();
    for (let n = 0; n < 5; n++) {
      const connection = await raw.dial(b.network.addresses()[0]!);
      const stream = await connection.newStream('/extrachain/echo/1');
      // 256 MiB announced; nothing of it may be waited for.
      stream.send(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x01));
      await until(() => stream.status !== 'open', 5000, 'the stream is reset');
    }
    await until(
      () => b.network.peers().every((peer) => peer.peerId !== raw.peerId),
      5000,
      'the peer is disconnected',
    );
    await raw.dial(b.network.addresses()[0]!).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(b.network.peers().map((peer) => peer.peerId)).not.toContain(raw.peerId);
    await expect(b.network.connect(raw.address)).rejects.toMatchObject({ code: 'unreachable' });
  });

  it('cannot fill the memory with a stream that never ends', async () => {
    const { b } = await pair();
    b.network.handle('ignores/1', options, async (stream) => void (await stream.closed));
    const raw = await startRawPeer();
    const connection = await raw.dial(b.network.addresses()[0]!);
    const stream = await connection.newStream('/extrachain/ignores/1');
    const chunk = new Uint8Array(256 * 1024).fill(1);
    let accepted = 0;
    const end = Date.now() + 1500;
    while (Date.now() < end && stream.status === 'open') {
      if (stream.writeBufferLength < 1024 * 1024) {
        stream.send(chunk);
        accepted += chunk.length;
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    // At most a receive window and what the sender itself and the sockets hold.
    expect(accepted).toBeLessThan(24 * 1024 * 1024);
  });

  it('is cut off when it speaks nonsense to our own protocols', async () => {
    const { b } = await pair();
    const raw = await startRawPeer();
    for (const protocol of ['card/1', 'find/1', 'card/1', 'find/1', 'card/1']) {
      const connection = await raw.dial(b.network.addresses()[0]!);
      const stream = await connection.newStream(`/extrachain/${protocol}`);
      stream.send(Uint8Array.of(3, 0xff, 0xff, 0xff));
      await until(() => stream.status !== 'open', 5000, 'the stream is reset');
    }
    await until(
      () => b.network.peers().every((peer) => peer.peerId !== raw.peerId),
      5000,
      'the peer is disconnected',
    );
  });
});

describe('actor cards', () => {
  it('are exchanged on connecting, bind devices to users, and are found through others', async () => {
    const [a, b, c] = await Promise.all([startNode(), startNode(), startNode()]);
    const user = testUser();
    const card = cardOf(user, 1, [deviceKeyOf(a.network.peerId)]);
    a.setCard(card);
    const seen: string[] = [];
    b.network.on('card', (event) => void seen.push(event.card.user));
    const connected = new Promise((resolve) => b.network.on('peerConnected', resolve));
    await a.network.connect(b.network.addresses()[0]!);
    await connected;
    const userId = openCard(card).user;
    expect(b.network.cards.userOf(a.network.peerId)).toBe(userId);
    expect(seen).toEqual([userId]);
    expect(b.network.peers()[0]).toMatchObject({ peerId: a.network.peerId, userId });

    await c.network.connect(b.network.addresses()[0]!);
    expect((await c.network.cards.find(userId)).number).toBe(1);

    const newer = cardOf(user, 2, []);
    a.setCard(newer);
    a.network.announceCard();
    await until(() => b.network.cards.get(userId)?.number === 2, 5000, 'the newer card arrives');
    expect(b.network.cards.userOf(a.network.peerId)).toBeNull();
    expect(b.network.cards.add(card)).toBe(false);
  });

  it('do not let anybody claim a device that speaks for someone else', async () => {
    const [a, b] = await Promise.all([startNode(), startNode()]);
    const [victim, thief] = [testUser(), testUser()];
    const key = deviceKeyOf(a.network.peerId);
    const card = cardOf(victim, 1, [key]);
    a.setCard(card);
    b.network.cards.add(cardOf(thief, 9, [key]));
    const connected = new Promise((resolve) => b.network.on('peerConnected', resolve));
    await a.network.connect(b.network.addresses()[0]!);
    await connected;
    expect(b.network.cards.userOf(a.network.peerId)).toBe(openCard(card).user);
  });

  it('are refused when forged, and looking for an unknown user ends', async () => {
    const { a } = await pair();
    const card = Uint8Array.from(cardOf(testUser(), 1, []));
    card[card.length - 1]! ^= 1;
    expect(() => a.network.cards.add(card)).toThrow(expect.objectContaining({ code: 'bad_signature' }));
    const stranger = openCard(cardOf(testUser(), 1, [])).user;
    await expect(a.network.cards.find(stranger)).rejects.toMatchObject({ code: 'user_unknown' });
  });
});

describe('wanted peers', () => {
  it('are found again after a restart on another port', async () => {
    const [a, b] = await Promise.all([startNode(), startNode({ address: '127.0.0.2' })]);
    a.network.want(b.network.peerId, b.network.addresses());
    b.network.want(a.network.peerId);
    await until(() => a.network.peers().length === 1 && b.network.peers().length === 1, 5000, 'they meet');
    const known = b.db.prepare<[string], { n: number }>(
      'SELECT count(*) AS n FROM peer_addresses WHERE peer = ?',
    );
    await until(() => known.get(a.network.peerId)!.n > 0, 5000, 'b learns the address of a');
    const before = b.network.addresses()[0];
    await stopNode(b);
    await until(() => a.network.peers().length === 0, 5000, 'a notices');
    const again = await startNode({ address: '127.0.0.3', deviceSeed: b.seed, db: b.db });
    expect(again.network.addresses()[0]).not.toBe(before);
    // b does not know a's address by its own dialling, only from what a said of itself while connected.
    again.network.want(a.network.peerId);
    await until(() => a.network.peers().length === 1, 8000, 'they meet again');
  });

  it('meet through a third when they can not reach each other', async () => {
    const third = await startNode({ address: '127.0.0.4', relay: 'on' });
    // Nodes that listen nowhere: nobody can dial them.
    const [a, b] = await Promise.all([startNode({ listen: [] }), startNode({ listen: [] })]);
    b.network.handle('echo/1', options, echo);
    await a.network.connect(third.network.addresses()[0]!);
    await b.network.connect(third.network.addresses()[0]!);
    a.network.want(b.network.peerId);
    b.network.want(a.network.peerId);
    await until(() => a.network.peers().length === 2 && b.network.peers().length === 2, 15_000, 'they meet');
    expect(a.network.peers().find((peer) => peer.peerId === b.network.peerId)!.relayed).toBe(true);
    const stream = await a.network.open(b.network.peerId, 'echo/1', options);
    const frame = randomBytes(1_500_000);
    const [answer] = await Promise.all([stream.read(), stream.send(frame)]);
    expect(Buffer.compare(answer!, frame)).toBe(0);
    await stream.close();
  });
});

describe('limits and measurements', () => {
  it('hold bandwidth roughly, shared between streams', async () => {
    const { a, b } = await pair();
    let received = 0;
    b.network.handle('sink/1', options, async (stream) => {
      for (let frame = await stream.read(); frame; frame = await stream.read()) received += frame.length;
    });
    a.network.setLimits({ up: 1_000_000, down: null });
    const stop = new AbortController();
    const sent = [0, 0];
    const senders = sent.map(async (_, who) => {
      const stream = await a.network.open(b.network.peerId, 'sink/1', options);
      while (!stop.signal.aborted) {
        await stream.send(Buffer.alloc(50_000));
        sent[who]! += 50_000;
      }
      await stream.close();
    });
    const began = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const inTime = received;
    // A busy machine comes back later.
    const seconds = (performance.now() - began) / 1000;
    stop.abort();
    await Promise.all(senders);
    expect(inTime).toBeGreaterThan(700_000 * seconds);
    expect(inTime).toBeLessThan(1_000_000 * seconds + 600_000);
    expect(Math.abs(sent[0]! - sent[1]!)).toBeLessThan(600_000);
  });

  it('hold what comes in as well', async () => {
    const { a, b } = await pair();
    let received = 0;
    b.network.handle('sink/1', options, async (stream) => {
      for (let frame = await stream.read(); frame; frame = await stream.read()) received += frame.length;
    });
    b.network.setLimits({ up: null, down: 4_000_000 });
    const stream = await a.network.open(b.network.peerId, 'sink/1', options);
    const sending = (async () => {
      for (let n = 0; n < 400; n++) await stream.send(Buffer.alloc(100_000));
    })().catch(() => {});
    const began = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 2500));
    const seconds = (performance.now() - began) / 1000;
    // 4 MB a second and what one receive window lets in at first, which counts against what follows.
    expect(received).toBeLessThan(4_000_000 * seconds + 9_000_000);
    expect(received).toBeGreaterThan(2_400_000 * seconds);
    b.network.setLimits({ up: null, down: null });
    await sending;
    await until(() => received === 40_000_000, 5000, 'everything arrives once the limit is lifted');
  });

  it('count bytes as they are on the wire and measure round trips', async () => {
    const { a, b } = await pair();
    const stream = await a.network.open(b.network.peerId, 'echo/1', options);
    const frame = randomBytes(1_000_000);
    await Promise.all([stream.send(frame), stream.read()]);
    const peer = a.network.peers()[0]!;
    expect(peer.sent).toBeGreaterThan(1_000_000);
    expect(peer.sent).toBeLessThan(1_060_000);
    expect(peer.received).toBeGreaterThan(1_000_000);
    expect(a.network.traffic().sent).toBeGreaterThanOrEqual(peer.sent);
    await until(() => a.network.peers()[0]!.rtt !== null, 5000, 'the round trip is measured');
    expect(await a.network.ping(b.network.peerId)).toBeGreaterThan(0);
  });
});

it('keeps its identity and refuses nonsense', async () => {
  const seed = randomBytes(32);
  const node = await startNode({ deviceSeed: seed });
  expect(Buffer.from(deviceKeyOf(node.network.peerId))).toEqual(Buffer.from(createSigner(seed).publicKey));
  await expect(node.network.connect('not an address')).rejects.toMatchObject({ code: 'invalid_argument' });
  await expect(node.network.connect('/ip4/127.0.0.1')).rejects.toMatchObject({ code: 'unreachable' });
  expect(() => node.network.want('nobody')).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  expect(() => node.network.setLimits({ up: 0, down: null })).toThrow(
    expect.objectContaining({ code: 'invalid_argument' }),
  );
});
