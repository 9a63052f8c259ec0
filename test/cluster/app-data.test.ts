import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { tempDir } from '../support/daemon.ts';
import { meet, startNode, type LocalNode } from '../support/nodes.ts';
import { until } from '../support/trees.ts';

/** What apps keep and exchange, between whole nodes. */
const app = 'a'.repeat(52);
const other = 'b'.repeat(52);
const never = new AbortController().signal;
let temp: { dir: string; remove(): Promise<void> };
let a: LocalNode;
let b: LocalNode;
const who = { a: '', b: '' };

async function person(node: LocalNode): Promise<string> {
  await node.node.identity.create({ words: 12 }, never);
  return node.node.userId()!;
}

beforeAll(async () => {
  temp = await tempDir('app-data');
  [a, b] = await Promise.all([
    startNode(path.join(temp.dir, 'a'), '127.0.0.41'),
    startNode(path.join(temp.dir, 'b'), '127.0.0.42'),
  ]);
  who.a = await person(a);
  who.b = await person(b);
  await meet(a, b);
  await until('both know each other', 10_000, async () =>
    [...(await a.node.net.peers({}, never)), ...(await b.node.net.peers({}, never))].every(
      (one) => one.userId !== null,
    ),
  );
});
afterAll(async () => {
  await Promise.all([a?.stop(), b?.stop()]);
  await temp.remove();
});

describe('collections of an app', () => {
  let id = '';
  const where = () => ({ app, collection: id });

  it('are shared with somebody, who sees each change as it comes', async () => {
    const nodeA = a.node.collections;
    const nodeB = b.node.collections;
    ({ collection: id } = await nodeA.create({ app, name: 'Friends' }, never));
    await nodeA.write({ ...where(), writes: [{ key: 'm/1', value: { text: 'hello' } }] }, never);
    await nodeA.share({ ...where(), user: who.b, role: 'editor' }, never);
    await until('B is invited', 10_000, async () => (await nodeB.invitations({ app }, never)).length === 1);
    expect(await nodeB.invitations({ app }, never)).toMatchObject([
      { collection: id, name: 'Friends', role: 'editor', from: who.a, own: false },
    ]);
    expect(await nodeB.invitations({ app: other }, never)).toEqual([]);
    await nodeB.join(where(), never);
    expect(await nodeB.invitations({ app }, never)).toEqual([]);
    const ended = new AbortController();
    const seen: [string, unknown][] = [];
    const watching = (async () => {
      for await (const { changes } of nodeA.watch({ ...where(), prefix: 'm/', since: null }, ended.signal)) {
        for (const { key, entry } of changes) seen.push([key, entry?.value ?? null]);
      }
    })();
    expect((await nodeB.get({ ...where(), key: 'm/1' }, never)).entry).toMatchObject({
      value: { text: 'hello' },
      user: who.a,
    });
    await nodeB.write(
      {
        ...where(),
        writes: [
          { key: 'm/2', value: 'from B' },
          { key: 'n', value: 1 },
        ],
      },
      never,
    );
    await nodeB.write({ ...where(), writes: [{ key: 'm/1' }] }, never);
    await until('A has seen both', 10_000, async () => Promise.resolve(seen.length === 2));
    expect(seen).toEqual([
      ['m/2', 'from B'],
      ['m/1', null],
    ]);
    ended.abort();
    await watching;
    expect((await nodeA.members(where(), never)).map((one) => [one.userId, one.role])).toEqual(
      expect.arrayContaining([
        [who.a, 'owner'],
        [who.b, 'editor'],
      ]),
    );
  });

  it('are no business of another app, and stand among no files', async () => {
    const asked = Promise.resolve().then(() =>
      a.node.collections.get({ app: other, collection: id, key: 'm/2' }, never),
    );
    await expect(asked).rejects.toMatchObject({ code: 'not_found' });
    expect(await a.node.drives.list({}, never)).toEqual([]);
    expect(await b.node.drives.shared({}, never)).toEqual([]);
  });

  it('outlive a restart, bring what was written meanwhile, and end with the right to them', async () => {
    await b.stop();
    await a.node.collections.write({ ...where(), writes: [{ key: 'm/3', value: 'while away' }] }, never);
    b = await startNode(path.join(temp.dir, 'b'), '127.0.0.42');
    await meet(b, a);
    const entry = async (key: string) => (await b.node.collections.get({ ...where(), key }, never)).entry;
    await until('B has it', 15_000, async () => (await entry('m/3')) !== null);
    await a.node.collections.unshare({ ...where(), user: who.b }, never);
    expect((await a.node.collections.members(where(), never)).map((one) => one.userId)).toEqual([who.a]);
    await b.node.collections.leave(where(), never);
    expect(await b.node.collections.list({ app }, never)).toEqual([]);
  });
});

describe('messages', () => {
  it('come to the same app of somebody else, also when they were away, once each', async () => {
    const got: unknown[] = [];
    const ended = new AbortController();
    const watching = (async () => {
      for await (const { n, from, body } of b.node.messages.watch({ app }, ended.signal)) {
        got.push([from, body]);
        await b.node.messages.done({ app, n }, never);
      }
    })();
    await a.node.messages.send({ app, to: who.b, body: { text: 'one' } }, never);
    await until('it came', 10_000, async () => Promise.resolve(got.length === 1));
    ended.abort();
    await watching;
    await b.stop();
    await a.node.messages.send({ app, to: who.b, body: 'two' }, never);
    expect(await a.node.messages.waiting({ app }, never)).toEqual({ count: 1 });
    b = await startNode(path.join(temp.dir, 'b'), '127.0.0.42');
    const later = b.node.messages.watch({ app }, never)[Symbol.asyncIterator]();
    const next = later.next();
    await meet(b, a);
    const second = (await next).value as { from: string; body: unknown };
    await later.return?.();
    got.push([second.from, second.body]);
    expect(got).toEqual([
      [who.a, { text: 'one' }],
      [who.a, 'two'],
    ]);
    await until(
      'nothing waits',
      10_000,
      async () => (await a.node.messages.waiting({ app }, never)).count === 0,
    );
    const large = Promise.resolve(a.node.messages.send({ app, to: who.b, body: 'x'.repeat(70_000) }, never));
    await expect(large).rejects.toMatchObject({ code: 'too_large' });
  });
});

describe('services', () => {
  const manifest = (slug: string) => ({
    slug,
    title: 'Adder',
    text: 'Adds numbers',
    interface: {
      name: 'Adder',
      methods: {
        add: {
          params: {
            type: 'object',
            properties: { a: { type: 'number' }, b: { type: 'number' } },
            required: ['a', 'b'],
            additionalProperties: false,
          },
          result: { type: 'number' },
        },
        count: { params: { type: 'integer' }, item: { type: 'integer' }, result: { type: 'string' } },
        wait: { params: true, result: true },
        lie: { params: true, result: { type: 'string' } },
      },
    },
  });
  const ends: AbortController[] = [];
  afterAll(() => ends.forEach((end) => end.abort()));

  /** Answers calls on a node, as a program at the command line would. */
  async function provide(at: LocalNode, slug: string, name: string) {
    const end = new AbortController();
    ends.push(end);
    const asked = at.node.services.provide({ manifest: manifest(slug) }, end.signal)[Symbol.asyncIterator]();
    const ready = await asked.next();
    if (ready.done || ready.value.kind !== 'ready') throw new Error('not ready');
    const seen: string[] = [];
    const reply = (call: string, step: object) => at.node.services.reply({ call, step } as never, never);
    void (async () => {
      for (;;) {
        const next = await asked.next();
        if (next.done) return;
        const one = next.value;
        seen.push(one.kind === 'call' ? one.method : one.kind);
        if (one.kind !== 'call') continue;
        const { call, method, params } = one;
        if (method === 'add') {
          const { a: x, b: y } = params as { a: number; b: number };
          if (x === 13) await reply(call, { kind: 'error', message: 'It brings bad luck.' });
          else await reply(call, { kind: 'result', value: x + y });
        } else if (method === 'count') {
          for (let n = 1; n <= (params as number); n++) await reply(call, { kind: 'item', value: n });
          await reply(call, { kind: 'result', value: name });
        } else if (method === 'lie') await reply(call, { kind: 'result', value: 1 });
      }
    })();
    return { ...ready.value, end, seen };
  }
  const call = (at: LocalNode, service: string, method: string, params: unknown, timeout = 20) =>
    Promise.resolve(at.node.services.call({ service, method, params, maxFee: null, timeout }, never));

  it('are found by name and by interface, called from here and from elsewhere, and checked at both ends', async () => {
    const one = await provide(a, 'adder', 'A');
    expect(await b.node.services.list({ search: 'add', interface: null }, never)).toMatchObject([
      { service: `${who.a}/adder`, interface: one.interface, price: null, registered: false },
    ]);
    for (const service of ['adder', `${who.a}/adder`, one.interface]) {
      expect(await call(b, service, 'add', { a: 2, b: 3 })).toMatchObject({
        value: 5,
        peerId: a.peerId,
        fee: null,
      });
    }
    expect(await call(a, 'adder', 'add', { a: 2, b: 3 })).toMatchObject({ value: 5, peerId: null });
    expect(await call(b, 'adder', 'count', 3)).toMatchObject({ items: [1, 2, 3], value: 'A' });
    const code = (work: Promise<unknown>) =>
      work.then(() => 'done').catch((error: { code: string }) => error.code);
    expect(await code(call(b, 'adder', 'add', { a: 'x', b: 3 }))).toBe('invalid_argument');
    expect(await code(call(b, 'adder', 'nothing', {}))).toBe('method_unknown');
    expect(await code(call(b, 'adder', 'add', { a: 13, b: 3 }))).toBe('service_failed');
    expect(await code(call(b, 'adder', 'lie', {}))).toBe('malformed');
    expect(await code(call(b, 'nobody', 'add', {}))).toBe('not_found');
    expect(await code(call(b, 'adder', 'wait', {}, 0.5))).toBe('timeout');
    await until('the program is told', 5000, async () => Promise.resolve(one.seen.at(-1) === 'cancelled'));
    const receipts = await b.node.services.receipts({ limit: 10 }, never);
    expect(receipts[0]).toMatchObject({ service: `${who.a}/adder`, method: 'count', peerId: a.peerId });
    expect(await b.node.services.describe({ service: 'adder' }, never)).toMatchObject({
      interface: one.interface,
    });
  });

  it('are taken over by another provider when one is gone', async () => {
    const c = await startNode(path.join(temp.dir, 'c'), '127.0.0.43');
    try {
      await person(c);
      await meet(b, c);
      await until('B knows C', 10_000, async () =>
        (await b.node.net.peers({}, never)).every((one) => one.userId !== null),
      );
      // C never called A's adder; B did, tells how it went, and shows A's word that it has called.
      await meet(c, a);
      await until('C hears what B says of A', 20_000, async () => {
        const [adder] = await c.node.services.list({ search: 'add', interface: null }, never);
        return adder?.providers[0]?.rating !== undefined && adder.providers[0].rating !== null;
      });
      const seen = async (at: LocalNode) =>
        (await at.node.services.list({ search: who.a, interface: null }, never))[0]!.providers[0]!;
      const { success, calls } = await seen(b);
      expect(calls).toBeGreaterThan(0);
      expect((await seen(c)).calls).toBe(0);
      expect((await seen(c)).rating).toEqual({ success: Math.round(success * 1000) / 1000, raters: 1 });
      const one = await provide(c, 'adder-too', 'C');
      await until(
        'both are known',
        10_000,
        async () =>
          (await b.node.services.list({ search: '', interface: one.interface }, never)).length === 2,
      );
      const first = await call(b, one.interface, 'count', 1);
      const [used, left] = first.peerId === c.peerId ? [c, a] : [a, c];
      if (used === c) {
        await c.stop();
        expect(await call(b, one.interface, 'count', 1)).toMatchObject({ value: 'A', peerId: left.peerId });
      } else {
        ends[0]?.abort();
        expect(await call(b, one.interface, 'count', 1)).toMatchObject({ value: 'C', peerId: left.peerId });
      }
    } finally {
      await c.stop();
    }
  });
});

describe('a service that a manifest answers', () => {
  let installed = '';
  let service = '';
  const call = (method: string, params: unknown) =>
    Promise.resolve(b.node.services.call({ service, method, params, maxFee: null, timeout: 20 }, never));
  const code = (work: Promise<unknown>) =>
    work.then(() => 'done').catch((error: { code: string }) => error.code);
  const offers = async () =>
    (await b.node.services.list({ search: 'rooms', interface: null }, never)).map((one) => one.service);

  beforeAll(async () => {
    const dir = path.join(temp.dir, 'rooms-app');
    await mkdir(dir);
    const list = 'room/{room}/';
    const methods = {
      post: { do: 'append', list, keep: 900 },
      read: { do: 'last', list },
      watch: { do: 'follow', list },
    };
    const manifest = {
      ...{
        manifestVersion: 1,
        slug: 'rooms',
        name: 'Rooms',
        version: '1.0.0',
        description: 'Rooms',
        icon: 'icon.svg',
      },
      permissions: { required: ['collections'], optional: ['services.provide'] },
      quota: { bytes: 3_000_000 },
      services: {
        provides: [{ slug: 'rooms', interface: 'rooms.json', answers: { collection: 'Rooms', methods } }],
      },
      license: 'MIT',
    };
    await writeFile(path.join(dir, 'extrachain.json'), JSON.stringify(manifest));
    await writeFile(path.join(dir, 'icon.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
    await writeFile(path.join(dir, 'index.html'), '<!doctype html><title>Rooms</title>');
    await copyFile('assets/apps/chat/rooms.json', path.join(dir, 'rooms.json'));
    const out = path.join(temp.dir, 'rooms.exapp');
    await a.node.apps.pack({ dir, out }, never);
    ({ appId: installed } = await a.node.apps.install({ file: out, channel: 'stable', grants: [] }, never));
  });

  it('is offered once the person allows it, and answers though no page of the app was ever open', async () => {
    expect(await offers()).toEqual([]);
    await a.node.apps.grant({ app: installed, grant: { name: 'services.provide', caveats: {} } }, never);
    await until('B sees it', 15_000, async () => (await offers()).length === 1);
    service = (await offers())[0]!;
    expect(service).toBe(`${who.a}/rooms`);
    expect((await call('read', { room: 'pier' })).value).toEqual([]);
    const heard: unknown[] = [];
    const ended = new AbortController();
    const following = (async () => {
      const input = {
        service,
        method: 'watch',
        params: { room: 'pier', seconds: 60 },
        maxFee: null,
        timeout: 90,
      };
      for await (const one of b.node.services.callStream(input, ended.signal))
        if (one.kind === 'item') heard.push(one.value);
    })().catch(() => {});
    await until('it was heard', 20_000, async () => {
      // The first words may be said before the other end listens.
      if (heard.length === 0) await call('post', { room: 'pier', name: 'B', text: 'Is anybody there?' });
      return heard.length > 0;
    });
    expect(heard[0]).toMatchObject({ user: who.b, name: 'B', text: 'Is anybody there?' });
    ended.abort();
    await following;
    const { value } = await call('read', { room: 'pier', limit: 1 });
    expect(value).toMatchObject([{ user: who.b, text: 'Is anybody there?' }]);
    // The page of permissions says what was done in the app's name.
    expect((await a.node.apps.deeds({ app: installed, limit: 10 }, never)).map((one) => one.about)).toContain(
      'rooms post',
    );
  });

  it('keeps to its rooms, and to what one person may say at a time', async () => {
    for (const room of ['../pier', 'pier/', 'room/pier', '%2e', 'x'.repeat(100), '\u{1f600}'.repeat(40)]) {
      expect((await call('read', { room })).value).toEqual([]);
    }
    expect(await code(call('read', { room: '' }))).toBe('invalid_argument');
    expect(await code(call('post', { room: 'pier', text: 'x', user: who.a }))).toBe('invalid_argument');
    const said = await Promise.all(
      Array.from({ length: 30 }, (_, n) => code(call('post', { room: 'flood', text: `${n}` }))),
    );
    expect(new Set(said)).toEqual(new Set(['done', 'rate_limited']));
    expect(said.filter((one) => one === 'done').length).toBeLessThan(20);
    expect((await call('read', { room: 'pier' })).value).toHaveLength(1);
  });

  it('belongs to an app that keeps no more here than its manifest says, and can tidy up', async () => {
    const { collection } = await a.node.collections.create({ app: installed, name: 'Much' }, never);
    const put = async (key: string, value?: string) => {
      const writes = [value === undefined ? { key } : { key, value }];
      return code(Promise.resolve(a.node.collections.write({ app: installed, collection, writes }, never)));
    };
    const said: string[] = [];
    await until('it is full', 20_000, async () => {
      said.push(await put(`k${said.length}`, 'x'.repeat(250_000)));
      return said.at(-1) !== 'done';
    });
    expect(said.at(-1)).toBe('quota_exceeded');
    expect(said.length).toBeGreaterThan(3);
    expect(await put('k0')).toBe('done');
    await a.node.collections.leave({ app: installed, collection }, never);
  });

  it('goes on after a restart, and ends when the person takes it back', async () => {
    await a.stop();
    a = await startNode(path.join(temp.dir, 'a'), '127.0.0.41');
    await meet(a, b);
    await until(
      'it answers again',
      20_000,
      async () => (await code(call('read', { room: 'pier' }))) === 'done',
    );
    expect((await call('read', { room: 'pier' })).value).toHaveLength(1);
    await a.node.apps.revoke({ app: installed, name: 'services.provide' }, never);
    await until('it is gone', 15_000, async () => (await offers()).length === 0);
    expect(await code(call('read', { room: 'pier' }))).toBe('not_found');
  });
});

describe('recordings of a drive that its link opens', () => {
  const film = Buffer.from('not really a film, but a file with an end');
  let folder = '';
  let drive = '';
  let inner = '';
  let link = '';
  const readOf = (one: LocalNode, by: string, at: string): Promise<string> =>
    one.node.files.readOpened({ link: by, path: at, start: 0, end: null }, never).then(async ({ bytes }) => {
      const parts: Uint8Array[] = [];
      for await (const part of bytes) parts.push(part);
      return Buffer.concat(parts).toString();
    });
  const codeOf = (one: LocalNode, by: string, at: string): Promise<string> =>
    readOf(one, by, at).then(
      () => 'read',
      (error: { code?: string; message: string }) => error.code ?? error.message,
    );
  const linkOf = async (driveId: string): Promise<string> =>
    (await a.node.drives.link({ drive: driveId, role: null, expires: null, uses: null }, never)).link;

  beforeAll(async () => {
    folder = path.join(temp.dir, 'Films');
    await mkdir(path.join(folder, 'Private'), { recursive: true });
    await writeFile(path.join(folder, 'film.mp4'), film);
    await writeFile(path.join(folder, 'Private', 'diary.mp4'), 'nobody else');
    ({ driveId: drive } = await a.node.drives.create(
      { name: 'Films', folder, visibility: 'private' },
      never,
    ));
    await a.node.drives.wait({ drive }, never);
    ({ driveId: inner } = await a.node.drives.shareFolder(
      { drive, path: 'Private', user: null, role: 'reader' },
      never,
    ));
    ({ link } = await a.node.drives.setVisibility({ drive, visibility: 'unlisted' }, never));
  });

  it('are read by it, here and elsewhere, without joining', async () => {
    for (const one of [a, b]) expect(await readOf(one, link, 'film.mp4')).toBe(film.toString());
    expect(await b.node.drives.list({}, never)).toEqual([]);
  });

  it('are refused without its secret, though the drive is kept or looked at here', async () => {
    const bare = link.replace('extrachain://open/', 'extrachain://drive/').replace(/#.*$/, '');
    for (const one of [a, b]) expect(await codeOf(one, bare, 'film.mp4')).toBe('not_granted');
    expect(await codeOf(a, drive, 'film.mp4')).toBe('not_granted');
    expect(await codeOf(a, 'Films', 'film.mp4')).not.toBe('read');
    const { link: invitation } = await a.node.drives.link(
      { drive, role: 'reader', expires: null, uses: null },
      never,
    );
    expect(await codeOf(a, invitation, 'film.mp4')).toBe('not_granted');
  });

  it('lead on into no other drive of the person, open as the one around it may be', async () => {
    const all = await a.node.files.list({ drive: link, path: 'Private', after: null, limit: 10 }, never);
    // The person's own way there is open, which is what makes it worth a test.
    expect(all.items.map(({ name }) => name)).toEqual(['diary.mp4']);
    expect(await codeOf(a, link, 'Private/diary.mp4')).toBe('not_found');
    expect(await codeOf(a, await linkOf(inner), 'diary.mp4')).toBe('not_granted');
  });

  it('end with the link when the drive is private again', async () => {
    await a.node.drives.setVisibility({ drive, visibility: 'private' }, never);
    expect(await codeOf(a, link, 'film.mp4')).toBe('not_granted');
  });
});
