import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { PermissionName } from '../../../src-shared/apps/index.ts';
import { permissionNames } from '../../../src-shared/apps/index.ts';
import { appMethods } from '../../../src-shared/apps/methods/index.ts';
import { createDownloads } from '../../api/index.ts';
import { connectionLimits, signedBytes, parseSignIn } from '../../apps/index.ts';
import { createTestHost, echoInterface, testInterface, testPage } from '../../apps/testing.ts';
import { verifySignature } from '../../identity/index.ts';
import { systemClock } from '../../platform/index.ts';
import type { Clock } from '../../../src-shared/runtime.ts';

const app = 'a'.repeat(52);
const other = 'b'.repeat(52);
const drive = 'drive-one';
const makeBytes = (origin: string) =>
  createDownloads({ clock: systemClock, random: (n) => randomBytes(n), origin: () => origin });

function open(permissions: readonly PermissionName[] = permissionNames, clock?: Clock) {
  const world = createTestHost(
    { [app]: null, [other]: null },
    { permissions, makeBytes, ...(clock && { clock }) },
  );
  void world.host.start();
  return { ...world, page: testPage(world.host, app) };
}
type World = ReturnType<typeof open>;
const codeOf = (answer: { error?: { code: number } }) => answer.error?.code;
const wordOf = (answer: { error?: { data: { code: string } } }) => answer.error?.data.code;

/** Answers the next question of the app as the person would. */
async function answerNext({ host }: World, allow: boolean, folder?: string): Promise<string> {
  const [one] = await expect
    .poll(() => host.approvals.list())
    .toHaveLength(1)
    .then(() => host.approvals.list());
  const grant =
    folder === undefined ? undefined : { name: one!.grants[0]!.name, caveats: { drive, path: folder } };
  await host.approvals.decide(one!.approvalId, allow, { grant, password: undefined });
  return one!.kind;
}

/** Gives the app a folder the way the person does. */
async function pick(world: World, folder: string, access: 'read' | 'write' = 'write'): Promise<string> {
  const picking = world.page.call('exc_pickFolder', { access });
  await answerNext(world, true, folder);
  return ((await picking).result as { folder: string }).folder;
}

describe('what an app may do', () => {
  it('is nothing that was not granted, method by method', async () => {
    const { page, reached, host } = open();
    for (const [name, { permissions }] of Object.entries(appMethods)) {
      if (permissions.length === 0) continue;
      expect([name, codeOf(await page.call(name, {}))]).toEqual([name, 4100]);
    }
    expect(reached).toEqual([]);
    await host.stop();
  });

  it('begins with a folder that the person picks, and ends there', async () => {
    const world = open();
    const { page, reached, host } = world;
    const folder = await pick(world, 'Photos/2026');
    expect(await page.call('exc_driveWrite', { folder, path: 'a.txt', bytes: 'AAAA' })).toMatchObject({
      result: {},
    });
    expect(reached.at(-1)).toEqual({ call: 'files.write', drive, path: 'Photos/2026/a.txt' });
    const before = reached.length;
    for (const path of [
      '../x',
      'a/../../x',
      '/etc/passwd',
      'a//b',
      '.',
      '..',
      'a\\..\\x',
      'a\0b',
      'x/.',
      '\ud800',
    ]) {
      expect([path, codeOf(await page.call('exc_driveRead', { folder, path }))]).toEqual([path, -32602]);
      expect(codeOf(await page.call('exc_driveWrite', { folder, path, bytes: '' }))).toBe(-32602);
      expect(codeOf(await page.call('exc_driveRemove', { folder, paths: ['fine', path] }))).toBe(-32602);
    }
    // Another app is given a handle of its own, and this one's means nothing to it.
    world.grant(other, { name: 'drive.read', caveats: { drive, path: 'Elsewhere' } });
    const stranger = testPage(host, other);
    expect(codeOf(await stranger.call('exc_driveRead', { folder, path: 'a.txt' }))).toBe(4100);
    expect(reached.length).toBe(before);
    await host.stop();
  });

  it('may read where it may not write', async () => {
    const world = open();
    const folder = await pick(world, 'Notes', 'read');
    expect(await world.page.call('exc_driveRead', { folder, path: 'a.txt' })).toMatchObject({
      result: { size: 3 },
    });
    expect(codeOf(await world.page.call('exc_driveWrite', { folder, path: 'a.txt', bytes: '' }))).toBe(4100);
    const sharing = world.page.call('exc_driveShare', { folder, path: 'Album' });
    expect(await answerNext(world, false)).toBe('share');
    expect(codeOf(await sharing)).toBe(4001);
    expect(world.reached.map(({ call }) => call)).not.toContain('drives.link');
    await world.host.stop();
  });

  it('is nothing more from the moment it is taken back: calls, subscriptions and addresses', async () => {
    const world = open();
    const { page, host, records } = world;
    const folder = await pick(world, 'Notes');
    const { result } = await page.call('exc_driveRead', { folder, path: 'a.txt', as: 'url' });
    const { url } = result as { url: string };
    const fetchIt = () => host.serve(app, new Request(`http://${app}.localhost:1${url}`), null);
    expect((await fetchIt()).status).toBe(200);
    const opened = await page.call('exc_driveWatch', { folder });
    records.revoke(app, 'drive.read');
    expect((await fetchIt()).status).toBe(404);
    expect(codeOf(await page.call('exc_driveRead', { folder, path: 'a.txt' }))).toBe(4100);
    expect(page.told).toContainEqual({
      method: 'message',
      params: {
        type: 'exc_subscription',
        data: { ...(opened.result as object), error: expect.objectContaining({ code: 4100 }) as unknown },
      },
    });
    await host.stop();
  });

  it('is so many messages a day, also when they are sent all at once', async () => {
    const world = open();
    world.grant(app, { name: 'messages', caveats: { perDay: 3 } });
    const sent = await Promise.all(
      Array.from({ length: 20 }, () => world.page.call('exc_messageSend', { to: 'exc1x', body: 1 })),
    );
    expect(sent.filter(({ error }) => error === undefined)).toHaveLength(3);
    expect(world.reached.filter(({ call }) => call === 'messages.send')).toHaveLength(3);
    expect(wordOf(sent.at(-1)!)).toBe('rate_limited');
    await world.host.stop();
  });

  it('asks in words that read as what they are', async () => {
    const world = open();
    world.grant(app, { name: 'notifications', caveats: {} });
    world.grant(app, { name: 'collections', caveats: {} });
    for (const [method, params] of [
      ['exc_pickFolder', { access: 'read', reason: 'To read \u202egnihtyreve' }],
      ['exc_notify', { title: 'Two\nlines' }],
      ['exc_notify', { title: 'News', body: 'a\u200bb' }],
      ['exc_collectionCreate', { name: '\u2066Friends' }],
    ] as const)
      expect([method, codeOf(await world.page.call(method, params))]).toEqual([method, -32602]);
    expect(world.reached).toEqual([]);
    const opening = world.page.call('exc_openLink', { link: 'https://extr\u0430chain.example/\u202ex' });
    await expect.poll(() => world.host.approvals.list()).toHaveLength(1);
    expect(world.host.approvals.list()[0]!.text).toBe('https://xn--extrchain-3yh.example/%E2%80%AEx');
    await answerNext(world, false);
    await opening;
    await world.host.stop();
  });

  it('ends while a question waits, when it is taken back meanwhile', async () => {
    const world = open();
    world.grant(app, { name: 'collections', caveats: {} });
    const sharing = world.page.call('exc_collectionShare', { collection: 'c', user: 'exc1x' });
    await expect.poll(() => world.host.approvals.list()).toHaveLength(1);
    world.records.revoke(app, 'collections');
    await answerNext(world, true);
    expect(codeOf(await sharing)).toBe(4100);
    expect(world.reached.map(({ call }) => call)).not.toContain('collections.share');
    await world.host.stop();
  });

  it('is looked at anew after a yes: another folder that is left does not stand for one that was taken back', async () => {
    const world = open();
    const folder = await pick(world, 'Mine', 'read');
    await pick(world, 'Other', 'read');
    for (const method of ['exc_driveShare', 'exc_drivePublish']) {
      world.grant(app, { name: 'drive.read', caveats: { drive, path: 'Mine' } });
      const sharing = world.page.call(method, { folder, path: 'Album' });
      await expect.poll(() => world.host.approvals.list()).toHaveLength(1);
      world.records.revoke(app, 'drive.read', { drive, path: 'Mine' });
      await answerNext(world, true);
      expect([method, codeOf(await sharing)]).toEqual([method, 4100]);
    }
    const reached = world.reached.map(({ call }) => call);
    expect(reached.filter((call) => call.startsWith('drives.'))).toEqual([]);
    await world.host.stop();
  });

  it('calls the very interface that it may call, whoever answers to a name by then', async () => {
    const world = open();
    world.grant(app, { name: 'services.call', caveats: { interface: testInterface } });
    await world.page.call('exc_serviceCall', { service: 'adder', method: 'add', params: {} });
    expect(world.reached).toEqual([{ call: 'services.call', path: testInterface }]);
    world.records.revoke(app, 'services.call');
    world.grant(app, { name: 'services.call', caveats: { interface: 'cd'.repeat(32) } });
    const refused = await world.page.call('exc_serviceCall', { service: 'adder', method: 'add', params: {} });
    expect(codeOf(refused)).toBe(4100);
    expect(world.reached).toHaveLength(1);
    await world.host.stop();
  });

  it('says what a manager of a collection can do', async () => {
    const world = open();
    world.grant(app, { name: 'collections', caveats: {} });
    for (const role of ['editor', 'manager']) {
      const sharing = world.page.call('exc_collectionShare', { collection: 'c', user: 'exc1x', role });
      await expect.poll(() => world.host.approvals.list()).toHaveLength(1);
      const { discloses } = world.host.approvals.list()[0]!;
      expect([role, discloses.includes('memberManages')]).toEqual([role, role === 'manager']);
      await answerNext(world, false);
      await sharing;
    }
    await world.host.stop();
  });

  it('answers only the services that its manifest names', async () => {
    const world = open();
    world.grant(app, { name: 'services.provide', caveats: {} });
    const manifest = { slug: 'echo', title: 'Echo', interface: echoInterface };
    const other = { name: 'Echo', methods: { say: { params: true, result: { type: 'string' } } } };
    for (const wrong of [
      { ...manifest, slug: 'wallet' },
      { ...manifest, interface: other },
    ])
      expect(codeOf(await world.page.call('exc_serviceProvide', { manifest: wrong }))).toBe(4100);
    expect(world.reached).toEqual([]);
    await world.page.call('exc_serviceProvide', { manifest });
    expect(world.reached).toEqual([{ call: 'services.provide', path: app }]);
    await world.host.stop();
  });

  it('needs the manifest to name it', async () => {
    const { page, host } = open(['drive.read']);
    expect(codeOf(await page.call('exc_requestPermissions', { permissions: ['tokens.read'] }))).toBe(4100);
    expect(codeOf(await page.call('exc_pickFolder', { access: 'write' }))).toBe(4100);
    expect(host.approvals.list()).toEqual([]);
    await host.stop();
  });

  it('never asks for a person who said no three times', async () => {
    const world = open();
    for (let n = 0; n < 3; n += 1) {
      const asking = world.page.call('exc_requestPermissions', { permissions: ['tokens.read'] });
      await answerNext(world, false);
      expect(codeOf(await asking)).toBe(4001);
    }
    expect(codeOf(await world.page.call('exc_requestPermissions', { permissions: ['tokens.read'] }))).toBe(
      4001,
    );
    expect(world.host.approvals.list()).toEqual([]);
    await world.host.stop();
  });
});

describe('questions', () => {
  it('that a page withdraws over and over are not asked any more', async () => {
    const world = open();
    const ask = async (): Promise<string | undefined> => {
      const page = testPage(world.host, app);
      const asking = page.call('exc_requestPermissions', { permissions: ['tokens.read'] });
      const [shown] = await Promise.race([
        expect
          .poll(() => world.host.approvals.list())
          .toHaveLength(1)
          .then(() => ['shown']),
        asking.then((answer) => [wordOf(answer)]),
      ]);
      page.close();
      await expect.poll(() => world.host.approvals.list()).toEqual([]);
      return shown;
    };
    const shown: (string | undefined)[] = [];
    for (let n = 0; n < 14; n += 1) shown.push(await ask());
    expect(shown.slice(0, 12)).toEqual(Array.from({ length: 12 }, () => 'shown'));
    expect(shown.slice(12)).toEqual(['rate_limited', 'rate_limited']);
    await world.host.stop();
  });
});

describe('payments', () => {
  const payment = { to: 'exc1somebody', amount: '3', symbol: 'EXC' };

  it('go out unasked within the bound of a day, fees counted, and ask above it', async () => {
    const world = open();
    const { page, reached, host, records } = world;
    world.grant(app, { name: 'tokens.spend', caveats: { symbol: 'EXC', perDay: '10' } });
    // Three at once: what one takes, another does not find.
    const answers = await Promise.all([1, 2, 3].map(() => page.call('exc_sendTransaction', payment)));
    expect(answers.filter(({ result }) => result !== undefined)).toHaveLength(3);
    expect(records.used(app, 'tokens.spend', 'EXC').amount).toBe('9.03');
    const fourth = page.call('exc_sendTransaction', payment);
    expect(await answerNext(world, false)).toBe('payment');
    expect(codeOf(await fourth)).toBe(4001);
    expect(reached.filter(({ call }) => call === 'wallet.send')).toHaveLength(3);
    const another = page.call('exc_sendTransaction', { ...payment, symbol: 'TIP' });
    expect(await answerNext(world, true)).toBe('payment');
    expect((await another).result).toEqual({ hash: '0'.repeat(64) });
    expect(records.used(app, 'tokens.spend', 'EXC').amount).toBe('9.03');
    await host.stop();
  });

  it('count over 24 hours, not by the calendar: midnight gives nothing back', async () => {
    let now = Date.UTC(2026, 10, 27, 23, 59);
    const world = open(permissionNames, { now: () => now, after: () => () => {} });
    world.grant(app, { name: 'tokens.spend', caveats: { symbol: 'EXC', perDay: '10' } });
    const pay = () => world.page.call('exc_sendTransaction', { ...payment, amount: '9' });
    expect((await pay()).error).toBeUndefined();
    for (const later of [2 * 60_000, 12 * 3_600_000, 23 * 3_600_000]) {
      now = Date.UTC(2026, 10, 27, 23, 59) + later;
      const again = world.page.call('exc_sendTransaction', { ...payment, amount: '9' });
      expect([later, await answerNext(world, false)]).toEqual([later, 'payment']);
      await again;
      if (later === 12 * 3_600_000) now += 600_001;
    }
    // A clock that was set back gives nothing back either.
    now = Date.UTC(2026, 10, 20);
    const before = world.page.call('exc_sendTransaction', { ...payment, amount: '9' });
    expect(await answerNext(world, false)).toBe('payment');
    await before;
    await world.host.stop();
  });

  it('are refused for amounts that are none', async () => {
    const { page, host, reached, grant } = open();
    grant(app, { name: 'tokens.spend', caveats: { symbol: 'EXC', perDay: '10' } });
    for (const amount of ['-3', '1e3', '', 'NaN', '0x10', '3,5', `1.${'0'.repeat(40)}1`]) {
      expect(codeOf(await page.call('exc_sendTransaction', { ...payment, amount }))).toBe(-32602);
    }
    expect(reached).toEqual([]);
    await host.stop();
  });
});

describe('who the person is', () => {
  it('is another for every app, and the same each time', async () => {
    const { host, page } = open();
    const mine = await page.call('exc_accounts');
    const accounts = (mine.result as { accounts: { address: string }[] }).accounts;
    expect(accounts).toHaveLength(1);
    expect(await testPage(host, app).call('exc_accounts')).toMatchObject({ result: mine.result });
    const theirs = await testPage(host, other).call('exc_accounts');
    expect(JSON.stringify(theirs.result)).not.toContain(accounts[0]!.address);
    await host.stop();
  });

  it('is signed for with words that the host chose, after the person said yes', async () => {
    const world = open();
    const signing = world.page.call('exc_signIn', { nonce: 'abcdefgh', statement: 'Hello' });
    await expect.poll(() => world.host.approvals.list()).toHaveLength(1);
    const { text } = world.host.approvals.list()[0]!;
    expect(await answerNext(world, true)).toBe('signIn');
    const { message, signature, signKey, address } = (await signing).result as Record<string, string>;
    expect(message).toBe(text);
    expect(parseSignIn(message!)).toMatchObject({ domain: app, uri: `exc-app://${app}/`, address });
    const bytes = signedBytes(app, new TextEncoder().encode(message));
    expect(verifySignature(Buffer.from(signKey!, 'hex'), bytes, Buffer.from(signature!, 'base64url'))).toBe(
      true,
    );
    const injected = { nonce: 'abcdefgh', statement: 'a\nURI: exc-app://x/' };
    expect(codeOf(await world.page.call('exc_signIn', injected))).toBe(-32602);
    expect(codeOf(await world.page.call('exc_signIn', { nonce: 'abcdefgh', account: 'user' }))).toBe(4100);
    await world.host.stop();
  });

  it('keeps boxes to the app that sealed them', async () => {
    const { host, page } = open();
    const { result } = await page.call('exc_accounts');
    const { encKey } = (result as { accounts: { encKey: string }[] }).accounts[0]!;
    const sealed = (await page.call('exc_encrypt', { to: encKey, bytes: 'aGVsbG8' })).result as {
      box: string;
    };
    expect((await page.call('exc_decrypt', sealed)).result).toEqual({ bytes: 'aGVsbG8' });
    expect(wordOf(await testPage(host, other).call('exc_decrypt', sealed))).toBe('key_missing');
    await host.stop();
  });
});

describe('limits of a page', () => {
  it('bound messages, calls at a time and calls a second, and cut off who goes on', async () => {
    const { page, host } = open();
    page.raw('x'.repeat(connectionLimits.message + 1));
    expect(page.told.at(-1)).toMatchObject({ params: { error: { code: -32005 } } });
    for (const broken of [
      '{',
      '[]',
      '[{"jsonrpc":"2.0","id":1,"method":"exc_accounts"}]',
      '{"jsonrpc":"2.0"}',
      'null',
      '7',
    ]) {
      page.raw(broken);
      expect(page.told.at(-1)).toMatchObject({ params: { error: { code: -32600 } } });
    }
    expect(codeOf(await page.call('exc_nothing'))).toBe(4200);
    expect(codeOf(await page.call('toString'))).toBe(4200);
    expect(codeOf(await page.call('__proto__'))).toBe(4200);
    const flood = await Promise.all(
      Array.from({ length: connectionLimits.burst * 2 }, () => page.call('wallet_getSession')),
    );
    expect(flood.filter((one) => wordOf(one) === 'rate_limited').length).toBeGreaterThan(0);
    for (let n = 0; n < connectionLimits.excess + connectionLimits.burst; n += 1) page.raw('{}');
    expect(page.isClosed()).toBe(true);
    await host.stop();
  });

  it('end with the time of the session: what waits for a yes, and subscriptions', async () => {
    let now = Date.now();
    const timers: { at: number; fn: () => void }[] = [];
    const world = open(permissionNames, {
      now: () => now,
      after(ms, fn) {
        const timer = { at: now + ms, fn };
        timers.push(timer);
        return () => void timers.splice(timers.indexOf(timer), timers.includes(timer) ? 1 : 0);
      },
    });
    const pass = (ms: number): void => {
      now += ms;
      for (const timer of timers.filter(({ at }) => at <= now)) {
        timers.splice(timers.indexOf(timer), 1);
        timer.fn();
      }
    };
    world.grant(app, { name: 'tokens.spend', caveats: { symbol: 'EXC', perDay: '1' } });
    const { page, host } = world;
    pass(24 * 3_600_000 - 60_000);
    expect(page.isClosed()).toBe(false);
    void page.call('exc_sendTransaction', { to: 'exc1somebody', amount: '3', symbol: 'EXC' });
    await expect.poll(() => host.approvals.list()).toHaveLength(1);
    const { approvalId } = host.approvals.list()[0]!;
    pass(60_000);
    expect(page.isClosed()).toBe(true);
    await expect.poll(() => host.approvals.list()).toEqual([]);
    await expect(
      host.approvals.decide(approvalId, true, { grant: undefined, password: undefined }),
    ).rejects.toMatchObject({ code: 'not_found' });
    expect(world.reached.map(({ call }) => call)).not.toContain('wallet.send');
    await host.stop();
  });

  it('end with the session', async () => {
    const { page, host } = open();
    await page.call('wallet_revokeSession');
    await expect.poll(() => page.isClosed()).toBe(true);
    expect(host.sessions.list(app)).toEqual([]);
    await host.stop();
  });
});
