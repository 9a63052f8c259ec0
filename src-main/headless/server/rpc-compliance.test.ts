import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { z } from '../../../src-shared/contract/zod.ts';
import { AppError } from '../../../src-shared/errors.ts';
import {
  command,
  connect,
  createLink,
  creditWindow,
  foldWatched,
  implement,
  maxMessage,
  maxOpenCalls,
  messagePortCarrier,
  query,
  serve,
  subscription,
} from '../../../src-shared/rpc/index.ts';
import type { Handlers, Port, Signal } from '../../../src-shared/rpc/index.ts';
import { systemClock } from '../../platform/index.ts';
import { webSocketPort } from './web-socket-port.ts';

const contract = {
  math: {
    add: query(z.object({ a: z.number(), b: z.number().default(1) }), z.number()),
    echo: query(z.object({ text: z.string() }), z.string()),
    fail: command(z.object({ how: z.enum(['declared', 'undeclared', 'bigint']) }), z.unknown()),
    hang: command(z.object({}), z.unknown()),
    count: subscription(z.object({ to: z.number() }), z.number()),
    forever: subscription(z.object({}), z.number()),
  },
};

/** What the serving side saw. */
function createWorld() {
  const world = { produced: 0, returned: 0, aborted: 0, internal: [] as unknown[] };
  const hangUntilAborted = (signal: Signal) =>
    new Promise((_, reject) =>
      signal.addEventListener('abort', () => {
        world.aborted += 1;
        reject(signal.reason as Error);
      }),
    );
  const handlers: Handlers<typeof contract> = {
    math: {
      add: ({ a, b }) => a + b,
      echo: ({ text }) => text,
      fail({ how }) {
        if (how === 'declared')
          throw new AppError('disk_full', 'The disk is full.', { details: { free: 0 } });
        if (how === 'undeclared') throw new TypeError('secret');
        return 5n;
      },
      hang: (_, signal) => hangUntilAborted(signal),
      async *count({ to }) {
        for (let n = 0; n < to; n += 1) yield n;
      },
      async *forever() {
        try {
          for (;;) yield world.produced++;
        } finally {
          world.returned += 1;
        }
      },
    },
  };
  return { world, implementation: implement(contract, handlers) };
}

type Carrier = () => Promise<{ near: Port; far: Port; end: () => Promise<void> }>;

const carriers: Record<string, Carrier> = {
  async MessagePort() {
    const { port1, port2 } = new MessageChannel();
    return {
      near: messagePortCarrier(port1),
      far: messagePortCarrier(port2),
      end: async () => port1.close(),
    };
  },
  async WebSocket() {
    const http = createServer();
    const sockets = new WebSocketServer({ server: http });
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    const near = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`);
    const [[far]] = (await Promise.all([once(sockets, 'connection'), once(near, 'open')])) as [
      [WebSocket],
      unknown,
    ];
    return {
      near: webSocketPort(near),
      far: webSocketPort(far),
      async end() {
        near.terminate();
        far.terminate();
        sockets.close();
        http.close();
        await once(http, 'close');
      },
    };
  },
};

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function until(condition: () => boolean) {
  for (let tries = 0; !condition(); tries += 1) {
    if (tries > 6000) throw new Error('it did not come true');
    await sleep(5);
  }
}

describe.each(Object.entries(carriers))('the kernel over %s', (_, open) => {
  async function setUp(options: { checkOutputs?: boolean; silence?: number } = {}) {
    const { near, far, end } = await open();
    const { world, implementation } = createWorld();
    const served = serve(implementation, far, {
      clock: systemClock,
      onInternalError: (error) => world.internal.push(error),
      ...options,
    });
    cleanups.push(end);
    return { near, far, world, served };
  }
  async function setUpClient(options: { checkOutputs?: boolean } = {}) {
    const ends = await setUp(options);
    const connection = connect(contract, ends.near, { clock: systemClock });
    cleanups.push(() => connection.close());
    return { ...ends, connection, math: connection.client.math };
  }

  it('calls, with defaults filled in and many at once', async () => {
    const { math } = await setUpClient();
    expect(await math.add({ a: 1 })).toBe(2);
    const sums = await Promise.all(Array.from({ length: 200 }, (_unused, n) => math.add({ a: n, b: n })));
    expect(sums).toEqual(sums.map((_unused, n) => 2 * n));
  });

  it('passes declared errors, hides others and goes on', async () => {
    const { math, world } = await setUpClient();
    await expect(math.fail({ how: 'declared' })).rejects.toMatchObject({
      code: 'disk_full',
      details: { free: 0 },
    });
    await expect(math.fail({ how: 'undeclared' })).rejects.toMatchObject({ code: 'internal' });
    await expect(math.fail({ how: 'undeclared' })).rejects.not.toThrow(/secret/);
    await expect(math.fail({ how: 'bigint' })).rejects.toMatchObject({ code: 'internal' });
    expect(world.internal).toHaveLength(3);
    expect(await math.add({ a: 2, b: 2 })).toBe(4);
  });

  it('checks inputs, and says where they are wrong', async () => {
    const { math } = await setUpClient();
    await expect(math.add({ a: 'x' as never })).rejects.toMatchObject({
      code: 'invalid_argument',
      details: { issues: [{ path: 'a' }] },
    });
  });

  it('checks outputs when told to', async () => {
    const { near, far, end } = await open();
    cleanups.push(end);
    const bad = { find: () => ({ entry: contract.math.add, handler: () => 'not a number' }) };
    void serve(bad, far, { clock: systemClock, checkOutputs: true });
    const connection = connect(contract, near, { clock: systemClock });
    cleanups.push(() => connection.close());
    await expect(connection.client.math.add({ a: 1 })).rejects.toMatchObject({ code: 'internal' });
  });

  it('knows no calls but those of the contract', async () => {
    const { near, far, end } = await open();
    cleanups.push(end);
    void serve(createWorld().implementation, far, { clock: systemClock });
    const other = {
      math: { toString: query(z.object({}), z.unknown()), constructor: query(z.object({}), z.unknown()) },
    };
    const { client, close } = connect(other, near, { clock: systemClock });
    cleanups.push(close);
    await expect(client.math.toString()).rejects.toMatchObject({ code: 'unsupported' });
    await expect(client.math.constructor()).rejects.toMatchObject({ code: 'unsupported' });
  });

  it('streams every item, in order, beyond the window', async () => {
    const { math } = await setUpClient({ checkOutputs: true });
    const seen: number[] = [];
    for await (const n of math.count({ to: 3 * creditWindow })) seen.push(n);
    expect(seen).toEqual(Array.from({ length: 3 * creditWindow }, (_unused, n) => n));
  });

  it('holds a stream back while nobody takes its items', async () => {
    const { math, world } = await setUpClient();
    const items = math.forever();
    expect((await items.next()).value).toBe(0);
    await until(() => world.produced >= creditWindow);
    await sleep(30);
    expect(world.produced).toBeLessThanOrEqual(creditWindow + 1);
    for (let n = 1; n < 2 * creditWindow; n += 1) expect((await items.next()).value).toBe(n);
    await items.return?.();
    await until(() => world.returned === 1);
  });

  it('cancels by signal, on both sides', async () => {
    const { math, world } = await setUpClient();
    const abort = new AbortController();
    const call = math.hang({}, { signal: abort.signal });
    await sleep(10);
    abort.abort();
    await expect(call).rejects.toMatchObject({ code: 'cancelled' });
    await until(() => world.aborted === 1);
    await expect(math.hang({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
    expect(await math.add({ a: 1, b: 1 })).toBe(2);
  });

  it('cancels a stream whose reader leaves', async () => {
    const { math, world } = await setUpClient();
    for await (const n of math.forever()) if (n === 5) break;
    await until(() => world.returned === 1);
  });

  it('fails what is open when the connection ends, and stops the handlers', async () => {
    const { math, world, far, served } = await setUpClient();
    const call = math.hang();
    const items = math.forever();
    await items.next();
    far.close();
    await expect(call).rejects.toMatchObject({ code: 'unreachable' });
    await expect(
      (async () => {
        for await (const item of items) void item;
      })(),
    ).rejects.toMatchObject({ code: 'unreachable' });
    await served;
    expect(world).toMatchObject({ aborted: 1, returned: 1 });
    await expect(math.add({ a: 1 })).rejects.toMatchObject({ code: 'unreachable' });
  });

  it('limits open calls, cancelled ones that still run included', async () => {
    const { math } = await setUpClient();
    const calls = Array.from({ length: maxOpenCalls + 1 }, () => math.hang());
    await expect(calls.at(-1)).rejects.toMatchObject({ code: 'rate_limited' });
    for (const call of calls) call.catch(() => {});
  });

  it('refuses what is too long, in either direction, and goes on', async () => {
    const { math } = await setUpClient();
    await expect(math.echo({ text: 'x'.repeat(maxMessage) })).rejects.toMatchObject({ code: 'too_large' });
    // Quotes double when they are written again, so this fits on its way in only.
    const quotes = '\u0001'.repeat(maxMessage / 6 - 50);
    expect(await math.echo({ text: quotes })).toBe(quotes);
    expect(await math.add({ a: 1 })).toBe(2);
  });

  it.each([
    ['no JSON', '{'],
    ['another kind', '{"t":"drop","id":0}'],
    ['a call number that is none', '{"t":"open","id":-1,"call":"math.add"}'],
    ['too much credit', '{"t":"credit","id":0,"n":100000}'],
    ['a message beyond the limit', `"${'x'.repeat(maxMessage)}"`],
  ])('drops a caller that sends %s', async (_what, message) => {
    const { near, served, world } = await setUp();
    near.onMessage(() => {});
    near.send('{"t":"open","id":0,"call":"math.hang","input":{}}');
    near.send(message);
    await served;
    expect(world.aborted).toBe(1);
  });

  it('drops a server that sends more than it may', async () => {
    const { near, far, end } = await open();
    cleanups.push(end);
    far.onMessage(() => {
      for (let n = 0; n <= creditWindow + 1; n += 1) far.send(`{"t":"item","id":0,"value":${n}}`);
    });
    const { client, closed } = connect(contract, near, { clock: systemClock });
    const items = client.math.forever();
    const first = items.next();
    await closed;
    await first;
  });

  it('drops a caller that has fallen silent, and keeps one that pings', async () => {
    const { near, served } = await setUp({ silence: 60 });
    const { client } = connect(contract, near, { clock: systemClock, silence: 60 });
    await sleep(200);
    expect(await client.math.add({ a: 1 })).toBe(2);
    const dumb = await setUp({ silence: 60 });
    dumb.near.onMessage(() => {});
    await dumb.served;
    near.close();
    await served;
  });

  it('drops a server that has fallen silent', async () => {
    const { near, far, end } = await open();
    cleanups.push(end);
    far.onMessage(() => {});
    const { client, closed } = connect(contract, near, { clock: systemClock, silence: 60 });
    const call = client.math.add({ a: 1 });
    await expect(call).rejects.toMatchObject({ code: 'unreachable' });
    await closed;
  });

  it('dials again and begins with a fresh snapshot', async () => {
    const state = z.object({ n: z.number() });
    const watching = { s: { watch: subscription(z.object({}), z.unknown() as z.ZodType<Item>) } };
    type Item =
      | { kind: 'snapshot'; n: number; value: z.infer<typeof state> }
      | { kind: 'patch'; n: number; value: object };
    let generation = 0;
    const ports: Port[] = [];
    const link = createLink({
      contract: watching,
      clock: systemClock,
      async dial() {
        const { near, far, end } = await open();
        cleanups.push(end);
        ports.push(far);
        generation += 1;
        const value = generation;
        void serve(
          implement(watching, {
            s: {
              async *watch(_input, signal) {
                yield { kind: 'snapshot' as const, n: 0, value: { n: value } };
                // The second connection leaves out a number.
                yield { kind: 'patch' as const, n: value === 2 ? 2 : 1, value: { n: value + 100 } };
                await new Promise((resolve) => signal.addEventListener('abort', resolve));
              },
            },
          }),
          far,
          { clock: systemClock },
        );
        return near;
      },
    });
    await link.start();
    cleanups.push(() => link.stop());
    const seen: number[] = [];
    const fold = foldWatched<{ n: number }>();
    link.watch(
      (client) => client.s.watch(),
      (item) => void seen.push(fold(item as never).n),
    );
    await until(() => seen.length >= 2);
    expect(seen).toEqual([1, 101]);
    ports[0]!.close();
    // The gap is noticed and answered with a new snapshot each time.
    await until(() => seen.length >= 4);
    expect(seen.slice(0, 4)).toEqual([1, 101, 2, 2]);
  });
});

describe('the types', () => {
  it('do not let a handler be missing or of another shape', () => {
    // @ts-expect-error: five handlers are missing
    const missing: Handlers<typeof contract> = { math: { add: () => 1 } };
    // @ts-expect-error: it answers a string
    const wrong: Handlers<typeof contract>['math']['add'] = () => 'one';
    expect([typeof missing, typeof wrong]).toEqual(['object', 'function']);
  });
});
