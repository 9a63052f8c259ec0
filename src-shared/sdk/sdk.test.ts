import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { AppRequestError, connect, fromBase64url, toBase64url, type Provider } from './index.ts';

/** A provider whose answers a test gives; `tell` plays the host. */
function provider(answer: (method: string, params: unknown, nth: number) => unknown) {
  const listeners = new Map<string, Set<(value: never) => void>>();
  const calls: { method: string; params: unknown }[] = [];
  const tell = (event: string, value: unknown): void => {
    for (const listener of listeners.get(event) ?? []) listener(value as never);
  };
  const made: Provider = {
    request: async ({ method, params }) => {
      calls.push({ method, params });
      return answer(method, params, calls.length);
    },
    on: (event, listener) => listeners.set(event, (listeners.get(event) ?? new Set()).add(listener)),
    removeListener: (event, listener) => listeners.get(event)?.delete(listener),
  };
  return { provider: made, calls, tell };
}
const item = (subscription: string, data: object) => ({
  type: 'exc_subscription',
  data: { subscription, ...data },
});
const folder = { folder: 'f'.repeat(22), name: 'Photos', access: 'write', missing: false };

describe('the SDK', () => {
  it('turns what a provider throws into one kind of error', async () => {
    const { provider: made } = provider(() => {
      throw Object.assign(new Error('The person said no.'), { code: 4001, data: { code: 'rejected' } });
    });
    const app = await connect({ provider: made });
    const error = await app.wallet
      .pay({ to: 'exc1x', amount: '1', symbol: 'EXC' })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AppRequestError);
    expect(error).toMatchObject({
      code: 4001,
      word: 'rejected',
      rejected: true,
      message: 'The person said no.',
    });
  });

  it('waits and asks again where it came too fast, and asks for a bounded number at a time', async () => {
    let open = 0;
    let most = 0;
    let refusals = 2;
    const { provider: made } = provider(async () => {
      most = Math.max(most, (open += 1));
      await Promise.resolve();
      open -= 1;
      if (refusals-- > 0)
        throw Object.assign(new Error('slowly'), { code: -32005, data: { code: 'rate_limited' } });
      return { balances: [] };
    });
    const app = await connect({ provider: made });
    const answers = await Promise.all(Array.from({ length: 200 }, () => app.wallet.balances()));
    expect(answers).toHaveLength(200);
    expect(most).toBeLessThan(64);
  });

  it('hands over items in order, also those that overtake the answer, and ends where the host ends it', async () => {
    const world = provider((method) => {
      if (method === 'exc_driveList') return { folders: [folder] };
      if (method === 'exc_driveWatch') {
        world.tell('message', item('s1', { result: { changed: true } }));
        return { subscription: 's1' };
      }
      return { ok: true };
    });
    const app = await connect({ provider: world.provider });
    const [photos] = await app.drives.folders();
    let changes = 0;
    const stop = await photos!.watch(() => (changes += 1));
    expect(changes).toBe(1);
    world.tell('message', item('s1', { result: { changed: true } }));
    world.tell('message', item('other', { result: { changed: true } }));
    expect(changes).toBe(2);
    stop();
    stop();
    expect(world.calls.filter(({ method }) => method === 'exc_unsubscribe')).toHaveLength(1);
    world.tell('message', item('s1', { result: { changed: true } }));
    expect(changes).toBe(2);
  });

  it('opens subscriptions anew after a lost connection', async () => {
    let opened = 0;
    const world = provider((method) =>
      method === 'exc_driveList' ? { folders: [folder] } : { subscription: `s${(opened += 1)}` },
    );
    const app = await connect({ provider: world.provider });
    const [photos] = await app.drives.folders();
    let changes = 0;
    await photos!.watch(() => (changes += 1));
    world.tell('disconnect', {});
    world.tell('connect', {});
    await expect.poll(() => opened).toBe(2);
    await Promise.resolve();
    world.tell('message', item('s2', { result: { changed: true } }));
    await expect.poll(() => changes).toBe(1);
  });

  it('walks through folders and pages', async () => {
    const file = (path: string, kind: 'file' | 'dir') => ({ path, name: path, kind, size: 1 });
    const pages: Record<string, { items: unknown[]; next: string | null }> = {
      ':': { items: [file('a', 'file'), file('d', 'dir')], next: 'd' },
      ':d': { items: [file('z', 'file')], next: null },
      'd:': { items: [file('d/x', 'file')], next: null },
    };
    const world = provider((method, params) => {
      if (method === 'exc_driveList') return { folders: [folder] };
      const { path, after } = params as { path: string; after: string | null };
      return pages[`${path}:${after ?? ''}`];
    });
    const app = await connect({ provider: world.provider });
    const found: string[] = [];
    for await (const { path } of (await app.drives.folders())[0]!.walk()) found.push(path);
    expect(found).toEqual(['a', 'z', 'd/x']);
  });

  it('carries bytes as base64url', () => {
    const bytes = Uint8Array.from({ length: 20_000 }, (_, n) => n % 256);
    expect(fromBase64url(toBase64url(bytes))).toEqual(bytes);
    expect(toBase64url('héllo?>')).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(toBase64url('')).toBe('');
  });

  it('names an interface by the same hash as the node, however it is written down', async () => {
    const { provider: made } = provider(() => ({}));
    const { services } = await connect({ provider: made });
    const definition = { name: 'Adder', methods: { add: { params: true, result: { type: 'number' } } } };
    const other = { methods: { add: { result: { type: 'number' }, params: true } }, name: 'Adder' };
    expect(await services.hashOf(other)).toBe(await services.hashOf(definition));
    const text = '{"methods":{"add":{"params":true,"result":{"type":"number"}}},"name":"Adder"}';
    expect(await services.hashOf(definition)).toBe(createHash('sha256').update(text).digest('hex'));
  });
});
