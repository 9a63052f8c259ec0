import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli, startDaemon, tempDir, type Daemon } from '../support/daemon.ts';
import { differences, readTree, seeded, seededBytes, sha256File, until } from '../support/trees.ts';

let temp: { dir: string; remove(): Promise<void> };
let a: Daemon;
let b: Daemon;
let driveId: string;
let users: { a: string; b: string };
const folder = (side: string): string => path.join(temp.dir, `folder-${side}`);

beforeAll(async () => {
  temp = await tempDir('two');
  await mkdir(folder('a'));
  await mkdir(folder('b'));
  a = await startDaemon({ data: path.join(temp.dir, 'a'), host: '127.0.0.2' });
  b = await startDaemon({ data: path.join(temp.dir, 'b'), host: '127.0.0.3' });
  const idA = await a.cli<{ userId: string }>('id', 'create');
  const idB = await b.cli<{ userId: string }>('id', 'create');
  users = { a: idA.userId, b: idB.userId };
});
afterAll(async () => {
  await a?.stop();
  await b?.stop();
  await temp.remove();
});

async function inStep(): Promise<void> {
  await a.cli('drive', 'wait', driveId, '--timeout', '60');
  await b.cli('drive', 'wait', driveId, '--timeout', '60');
  expect(differences([await readTree(folder('a')), await readTree(folder('b'))])).toEqual([]);
}

describe('two daemons and one folder', () => {
  it('shares a drive by a link and brings its files over', async () => {
    await writeFile(path.join(folder('a'), 'hello.txt'), 'hello');
    await mkdir(path.join(folder('a'), 'photos'));
    await writeFile(path.join(folder('a'), 'photos', 'one.bin'), seededBytes(seeded(1), 700_000));
    const created = await a.cli<{ driveId: string; link: string }>(
      'drive',
      'create',
      'Photos',
      '--folder',
      folder('a'),
    );
    driveId = created.driveId;
    // Connecting first lets A find B's actor card.
    await b.cli('net', 'ping', a.ready.addresses[0]!);
    await until('A knows B', 10_000, async () =>
      (await a.cli<{ userId: string | null }[]>('net', 'peers')).some((p) => p.userId === users.b),
    );
    const shared = await a.cli<{ link: string }>('drive', 'share', driveId, users.b, '--role', 'editor');
    await b.cli('drive', 'join', shared.link, '--folder', folder('b'));
    await inStep();
    expect(await readFile(path.join(folder('b'), 'hello.txt'), 'utf8')).toBe('hello');
    expect(
      (await b.cli<{ userId: string; role: string }[]>('drive', 'members', driveId))
        .map((m) => m.role)
        .sort(),
    ).toEqual(['editor', 'owner']);
  });

  it('carries edits, renames and deletes both ways', async () => {
    await writeFile(path.join(folder('b'), 'from-b.txt'), 'b was here');
    await rename(path.join(folder('a'), 'photos'), path.join(folder('a'), 'pictures'));
    await inStep();
    expect(await readFile(path.join(folder('a'), 'from-b.txt'), 'utf8')).toBe('b was here');
    await rm(path.join(folder('a'), 'from-b.txt'));
    await inStep();
    expect((await b.cli<{ path: string }[]>('trash', 'list', driveId)).map((t) => t.path)).toContain(
      'from-b.txt',
    );
    await b.cli('trash', 'restore', driveId, 'from-b.txt');
    await inStep();
    expect(await readFile(path.join(folder('a'), 'from-b.txt'), 'utf8')).toBe('b was here');
  });

  it('keeps versions and restores one', async () => {
    const file = path.join(folder('a'), 'draft.txt');
    for (const text of ['one', 'two', 'three']) {
      await writeFile(file, text);
      await inStep();
    }
    const history = await a.cli<
      { version: string; hash: string; user: string; op: string; content: string }[]
    >('file', 'history', driveId, 'draft.txt');
    expect(history.map((v) => v.op)).toEqual(['change', 'change', 'create']);
    expect(history.every((v) => v.user === users.a)).toBe(true);
    await b.cli('file', 'restore', driveId, 'draft.txt', '--version', history[2]!.version);
    await inStep();
    expect(await readFile(file, 'utf8')).toBe('one');
    const cat = await runCli([
      '--data',
      b.data,
      'file',
      'cat',
      driveId,
      'draft.txt',
      '--version',
      history[1]!.version,
    ]);
    expect(cat.stdout).toBe('two');
  });

  it('keeps both sides of a conflict', async () => {
    await writeFile(path.join(folder('a'), 'both.txt'), 'base');
    await inStep();
    await b.stop();
    await writeFile(path.join(folder('b'), 'both.txt'), 'from b, offline');
    await writeFile(path.join(folder('a'), 'both.txt'), 'from a');
    await a.cli('drive', 'wait', driveId, '--timeout', '60');
    b = await startDaemon({ data: b.data, host: '127.0.0.3', args: ['--bootstrap', a.ready.addresses[0]!] });
    await until('both contents on both sides', 30_000, async () => {
      const values = async (side: string): Promise<string[]> => {
        const tree = await readTree(folder(side));
        const names = [...tree.keys()].filter((name) => name.startsWith('both'));
        // One that is given its conflict name meanwhile is read in the next look.
        const read = (name: string) => readFile(path.join(folder(side), name), 'utf8').catch(() => '');
        return Promise.all(names.map(read));
      };
      return [await values('a'), await values('b')].every(
        (v) => v.includes('from a') && v.includes('from b, offline'),
      );
    });
    await inStep();
    expect((await a.cli<{ conflicts: number }>('drive', 'status', driveId)).conflicts).toBe(1);
  });

  it('verifies the history and proves a file with no daemon', async () => {
    const check = await b.cli<{ ok: boolean; writers: number; forks: number }>('drive', 'verify', driveId);
    expect(check).toMatchObject({ ok: true, writers: 2, forks: 0 });
    const proof = path.join(temp.dir, 'hello.proof');
    await a.cli('file', 'proof', driveId, 'hello.txt', '--out', proof);
    const good = await runCli([
      '--json',
      'verify',
      proof,
      '--file',
      path.join(folder('b'), 'hello.txt'),
      '--drive',
      driveId,
      '--user',
      users.a,
    ]);
    expect(good.code).toBe(0);
    expect(JSON.parse(good.stdout)).toMatchObject({
      ok: true,
      drive: driveId,
      path: 'hello.txt',
      user: users.a,
      hash: await sha256File(path.join(folder('a'), 'hello.txt')),
    });
    const other = await runCli(['--json', 'verify', proof, '--file', path.join(folder('b'), 'draft.txt')]);
    expect(other.code).toBe(1);
  });

  it('cuts off a removed member', async () => {
    await a.cli('drive', 'unshare', driveId, users.b);
    await writeFile(path.join(folder('a'), 'secret.txt'), 'after the removal');
    await writeFile(path.join(folder('b'), 'too-late.txt'), 'nobody takes this');
    await a.cli('drive', 'wait', driveId, '--timeout', '60');
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect((await readTree(folder('b'))).has('secret.txt')).toBe(false);
    expect((await readTree(folder('a'))).has('too-late.txt')).toBe(false);
    expect((await a.cli<unknown[]>('drive', 'members', driveId)).length).toBe(1);
  });
});
