import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { unzipSync, strFromU8 } from 'fflate';
import { describe, expect, it } from 'vitest';
import type { NodeStatus, Peer } from '../../src-shared/contract/index.ts';
import { foldWatchedList } from '../../src-shared/rpc/index.ts';
import type { WatchedListItem } from '../../src-shared/rpc/index.ts';
import { AppError } from '../../src-shared/errors.ts';
import { wallClock as clock } from '../../src-shared/wall-clock.ts';
import { createDownloads } from './downloads.ts';
import { createHandlers } from './handlers.ts';
import type { NodeServices } from './node-services.ts';
import { createTestBytes, createTestServices } from './testing.ts';

function setUp(overrides: Parameters<typeof createTestServices>[0]) {
  const services = createTestServices(overrides);
  const downloads = createDownloads({ clock, random: randomBytes, origin: () => 'http://127.0.0.1:1' });
  let stopped = 0;
  const handlers = createHandlers(services as NodeServices, {
    clock,
    downloads,
    shutdown: () => void (stopped += 1),
  });
  const fetchUrl = async (url: string) =>
    new Uint8Array(await (await downloads.serve(new Request(url))).arrayBuffer());
  return { services, handlers, fetchUrl, stopped: () => stopped };
}

const status: NodeStatus = {
  peerId: '12D3KooW',
  userId: null,
  addresses: [],
  peers: 0,
  drives: 0,
  chain: { id: null, height: 0 },
  version: '0.1.0',
  uptime: 1,
  keystore: 'unprotected',
  linked: false,
};
const peer = (id: string, sent = 0): Peer => ({
  peerId: id,
  userId: null,
  address: '/ip4/127.0.0.1/tcp/1',
  direction: 'inbound',
  relayed: false,
  rtt: null,
  sent,
  received: 0,
  up: 0,
  down: 0,
  agent: 'x',
});

describe('watching', () => {
  it('begins with a snapshot, then tells what changed, numbered, at most four times a second', async () => {
    let now = status;
    let asked = 0;
    const { services, handlers } = setUp({ node: { status: () => (asked++, now) } });
    const end = new AbortController();
    const items = handlers.node.watch({}, end.signal)[Symbol.asyncIterator]();
    expect((await items.next()).value).toEqual({ kind: 'snapshot', n: 0, value: status });
    const first = items.next();
    for (let peers = 1; peers <= 50; peers += 1) {
      now = { ...now, peers };
      services.events.emit('peers', {});
    }
    expect((await first).value).toEqual({ kind: 'patch', n: 1, value: { peers: expect.any(Number) } });
    const start = performance.now();
    const second = items.next();
    now = { ...now, peers: 99 };
    services.events.emit('status', {});
    expect((await second).value).toEqual({ kind: 'patch', n: 2, value: { peers: 99 } });
    expect(performance.now() - start).toBeGreaterThan(200);
    expect(asked).toBeLessThan(6);
    end.abort();
    expect((await items.next()).done).toBe(true);
  });

  it('tells changes of a list by key, and nothing when nothing changed', async () => {
    let peers = [peer('a'), peer('b')];
    const { services, handlers } = setUp({ net: { peers: () => peers } });
    const end = new AbortController();
    const fold = foldWatchedList<Peer>((one) => one.peerId);
    const seen: (readonly Peer[])[] = [];
    const watching = (async () => {
      for await (const item of handlers.net.watchPeers({}, end.signal))
        seen.push(fold(item as WatchedListItem<Peer>));
    })();
    await sleep(10);
    services.events.emit('peers', {});
    await sleep(50);
    expect(seen).toHaveLength(1);
    peers = [peer('b', 7), peer('c')];
    services.events.emit('peers', {});
    await sleep(400);
    end.abort();
    await watching;
    expect(seen).toEqual([
      [peer('a'), peer('b')],
      [peer('b', 7), peer('c')],
    ]);
  });

  it('loses no event, and refuses a reader that falls too far behind', async () => {
    const event = (id: number) => ({
      id,
      time: '2026-11-22T12:00:00.000Z',
      driveId: null,
      kind: 'added',
      path: 'a',
      userId: null,
      peerId: null,
      message: 'a was added',
      said: null,
    });
    const { services, handlers } = setUp({ node: { activity: () => [event(0)] } });
    const end = new AbortController();
    const items = handlers.node.watchActivity({ last: 100 }, end.signal)[Symbol.asyncIterator]();
    expect((await items.next()).value).toEqual(event(0));
    for (let id = 1; id <= 2000; id += 1) services.events.emit('activity', event(id));
    for (let id = 1; id <= 1000; id += 1) expect((await items.next()).value).toEqual(event(id));
    await expect(items.next()).rejects.toMatchObject({ code: 'rate_limited' });
  });
});

describe('waiting', () => {
  const forever = (_: unknown, signal: AbortSignal) =>
    new Promise<never>((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason as Error)),
    );

  it('answers timeout at its limit', async () => {
    const { handlers } = setUp({ drives: { wait: forever } });
    const waiting = handlers.drives.wait({ drive: 'd', timeout: 0.02 }, new AbortController().signal);
    await expect(waiting).rejects.toMatchObject({ code: 'timeout', details: { seconds: 0.02 } });
  });

  it('ends with its caller', async () => {
    const { handlers } = setUp({ drives: { wait: forever } });
    const caller = new AbortController();
    const waiting = handlers.drives.wait({ drive: 'd', timeout: 60 }, caller.signal);
    caller.abort(new AppError('cancelled', 'x'));
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('bytes', () => {
  it('of a file come by URL, and a failure before it', async () => {
    const all = new TextEncoder().encode('hello');
    const { handlers, fetchUrl } = setUp({
      files: {
        async read({ path, start, end }) {
          if (path !== 'a/b') throw new AppError('not_found', 'There is no such file.');
          return createTestBytes(all).open(start, end);
        },
      },
    });
    const { signal } = new AbortController();
    const { url, size } = await handlers.files.open(
      { drive: 'd', path: 'a/b', version: null, as: 'download' },
      signal,
    );
    expect(size).toBe(5);
    expect(await fetchUrl(url)).toEqual(all);
    await expect(
      (async () => handlers.files.open({ drive: 'd', path: 'x', version: null, as: 'download' }, signal))(),
    ).rejects.toMatchObject({ code: 'not_found' });
  });

  it('of proofs and diagnostics, too', async () => {
    const proof = randomBytes(3000);
    const { handlers, fetchUrl } = setUp({
      files: { proof: async () => proof },
      doctor: { reports: async () => ({ 'status.json': '{}' }) },
    });
    const { signal } = new AbortController();
    const offered = await handlers.files.proof({ drive: 'd', path: 'a', version: null }, signal);
    expect(Buffer.from(await fetchUrl(offered.url))).toEqual(proof);
    const files = unzipSync(await fetchUrl((await handlers.doctor.bundle({}, signal)).url));
    expect(strFromU8(files['status.json']!)).toBe('{}');
  });
});

it('shutdown asks the host', () => {
  const { handlers, stopped } = setUp({});
  expect(handlers.node.shutdown({}, new AbortController().signal)).toEqual({ ok: true });
  expect(stopped()).toBe(1);
});
