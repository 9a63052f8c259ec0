import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contract } from '../../../src-shared/contract/index.ts';
import type { FileEntry } from '../../../src-shared/contract/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { implement } from '../../../src-shared/rpc/index.ts';
import { silentLogger } from '../../../src-shared/runtime.ts';
import { createDownloads, createHandlers } from '../../api/index.ts';
import { createTestBytes, createTestServices } from '../../api/testing.ts';
import { lockFolder, systemClock } from '../../platform/index.ts';
import { createLoopbackServer } from '../server/index.ts';
import type { LoopbackServer } from '../server/index.ts';

// The command line as a process of its own against a server in this one: arguments, output, exit codes, files. What
// commands do on real nodes is tested with real daemons elsewhere.

const bin = path.join(import.meta.dirname, '../../../bin/extrachain');
const phrase = 'legal winner thank year wave sausage worth useful legal winner thank yellow';
const content = randomBytes(1_500_000);
const names = Array.from({ length: 2500 }, (_, n) => `file-${String(n).padStart(4, '0')}`);
const entry = (name: string): FileEntry => ({
  path: name,
  name,
  kind: 'file',
  size: 1,
  files: null,
  mtime: '2026-11-22T12:00:00.000Z',
  hash: '0'.repeat(64),
  version: 'e/0',
  state: 'here',
  conflictOf: null,
  mount: null,
});
const identity = { userId: 'exc1test', signKey: 'a'.repeat(64), encKey: 'b'.repeat(64), card: 'AA' };

let dir: string;
let server: LoopbackServer;
const inputs: Record<string, unknown> = {};
const keep = (name: string, input: unknown) => (inputs[name] = input);

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'extrachain-cli-'));
  const services = createTestServices({
    identity: {
      phrase: () => ({ phrase }),
      restore: (input) => (keep('restore', input), identity),
      show: () => identity,
    },
    drives: {
      create: (input) => (keep('create', input), { driveId: 'bafy', link: 'extrachain:bafy' }),
      pause: ({ drive }) => {
        throw new AppError('drive_unknown', `There is no drive ${drive}.`);
      },
      link: (input) => (keep('link', input), { link: 'extrachain:bafy', invite: null }),
    },
    files: {
      list({ after, limit }) {
        const start = after === null ? 0 : names.indexOf(after) + 1;
        const page = names.slice(start, start + limit);
        return { items: page.map(entry), next: start + limit < names.length ? page.at(-1)! : null };
      },
      read: async ({ start, end }) => createTestBytes(content, 64 * 1024).open(start, end),
      proof: async () => content,
    },
    net: {
      limit(input) {
        keep('limit', input);
        const readers = { up: null, sent: 0 };
        return { up: input.up ?? null, down: null, upNow: 0, downNow: 0, sent: 0, received: 0, readers };
      },
    },
  });
  const downloads = createDownloads({
    clock: systemClock,
    random: randomBytes,
    origin: () => server.bytesOrigin(),
  });
  const handlers = createHandlers(services, { clock: systemClock, downloads, shutdown: () => {} });
  server = createLoopbackServer({
    host: '127.0.0.1',
    port: 0,
    dataDir: dir,
    implementation: implement(contract, handlers),
    bytes: (request) => downloads.serve(request),
    clock: systemClock,
    log: silentLogger,
  });
  await server.start();
});
afterAll(async () => {
  await server.stop();
  await rm(dir, { recursive: true });
});

async function run(args: readonly string[], { input = '', data = dir, command = bin } = {}) {
  const env = { ...process.env, EXTRACHAIN_DATA: data };
  const child = spawn(command, args, { env, cwd: dir, stdio: 'pipe' });
  child.stdin.end(input);
  const [out, err, code] = await Promise.all([
    buffer(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.on('close', resolve)),
  ]);
  return { out, err, code, json: () => JSON.parse(out.toString()) as unknown };
}

describe('options', () => {
  it('may stand before and after the command, and win over the environment', async () => {
    for (const args of [
      ['--data', dir, '--json', 'id', 'show'],
      ['id', 'show', '--json', '--data', dir],
      ['id', '--json', 'show', '--data', dir],
    ]) {
      const { code, json, err } = await run(args, { data: '/nonexistent' });
      expect([code, json(), err]).toEqual([0, identity, '']);
    }
  });

  it('work through a symbolic link, from any folder', async () => {
    const link = path.join(dir, 'a link');
    await symlink(bin, link);
    const { code, out } = await run(['--version'], { command: link });
    expect([code, out.toString()]).toEqual([0, '0.1.0\n']);
  });

  it.each([
    [['frobnicate']],
    [['id', 'show', '--frob']],
    [['id', 'show', 'extra']],
    [['id', 'create', '--words', '13']],
    [['drive']],
    [['drive', 'create', 'n']],
    [['drive', 'share', 'd', 'u', '--role', 'king']],
    [['drive', 'wait', 'd', '--timeout', '-3']],
    [['net', 'bandwidth', '--up', 'fast']],
    [['net', 'traffic', '--by', 'week']],
    [['daemon', '--ui', '0.0.0.0:80']],
  ])('wrong usage is exit 2: %j', async (args) => {
    const { code, out, err } = await run(args);
    expect(code).toBe(2);
    expect(out.toString()).toBe('');
    expect(err).not.toBe('');
  });

  it('wrong usage is one JSON value too, when asked', async () => {
    const { code, json } = await run(['status', '--frob', '--json']);
    expect([code, json()]).toEqual([
      2,
      { error: { code: 'invalid_argument', message: "unknown option '--frob'" } },
    ]);
  });

  it('help is no failure', async () => {
    const { code, out } = await run(['drive', '--help']);
    expect(code).toBe(0);
    expect(out.toString()).toContain('unshare');
  });
});

describe('failures', () => {
  it('are one line, exit 1, and one JSON value', async () => {
    const { code, json, err } = await run(['drive', 'pause', 'nope', '--json']);
    expect(code).toBe(1);
    expect(json()).toEqual({ error: { code: 'drive_unknown', message: 'There is no drive nope.' } });
    expect(err).toBe('extrachain: There is no drive nope. [drive_unknown]\n');
  });

  it('say that no daemon runs', async () => {
    const { code, json } = await run(['status', '--json'], { data: path.join(dir, 'none') });
    expect([code, json()]).toEqual([1, { error: expect.objectContaining({ code: 'not_running' }) }]);
  });

  it('end a second daemon on one folder at once', async () => {
    const data = path.join(dir, 'taken');
    await mkdir(data);
    const lock = lockFolder(data);
    const { code, json } = await run(['daemon', '--json', '--no-mdns'], { data });
    lock.release();
    expect([code, json()]).toEqual([1, { error: expect.objectContaining({ code: 'locked' }) }]);
  });
});

describe('secrets', () => {
  it('go into a new file that only its owner reads, and nowhere else', async () => {
    const file = path.join(dir, 'phrase');
    const { code, out, err } = await run(['id', 'backup', '--out', file, '--json']);
    expect([code, JSON.parse(out.toString())]).toEqual([0, { file }]);
    expect((out.toString() + err).includes('winner')).toBe(false);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readFile(file, 'utf8')).toBe(`${phrase}\n`);
    await writeFile(file, 'mine');
    const again = await run(['id', 'backup', '--out', file, '--json']);
    expect([again.code, again.json()]).toEqual([
      1,
      { error: expect.objectContaining({ code: 'already_exists' }) },
    ]);
    expect(await readFile(file, 'utf8')).toBe('mine');
  });

  it('come from a file or from standard input', async () => {
    expect((await run(['id', 'restore', '--phrase-file', '-'], { input: `${phrase}\n` })).code).toBe(0);
    expect(inputs['restore']).toEqual({ phrase });
    const missing = await run(['id', 'restore', '--phrase-file', path.join(dir, 'missing'), '--json']);
    expect([missing.code, missing.json()]).toEqual([
      1,
      { error: expect.objectContaining({ code: 'invalid_argument' }) },
    ]);
  });
});

describe('values', () => {
  it('reach the node as it wants them', async () => {
    await run(['drive', 'create', 'Photos', '--folder', 'pictures']);
    expect(inputs['create']).toEqual({
      name: 'Photos',
      folder: path.join(dir, 'pictures'),
      visibility: 'private',
    });
    const { json } = await run(['net', 'bandwidth', '--up', '50Mbit', '--json']);
    expect(json()).toMatchObject({ up: 6_250_000 });
    expect(inputs['limit']).toEqual({ up: 6_250_000 });
    // A limit is taken away again.
    await run(['net', 'bandwidth', '--up', 'off', '--down', '5MB']);
    expect(inputs['limit']).toEqual({ up: null, down: 5_000_000 });
    await run(['drive', 'link', 'd', '--role', 'editor', '--expires', '2027-01-01', '--uses', '3']);
    const expires = '2027-01-01T00:00:00.000Z';
    expect(inputs['link']).toEqual({ drive: 'd', role: 'editor', expires, uses: 3 });
    await run(['drive', 'link', 'd']);
    expect(inputs['link']).toEqual({ drive: 'd', role: null, expires: null, uses: null });
  });

  it('of long lists come whole, page by page', async () => {
    const { code, json } = await run(['file', 'list', 'd', '--json']);
    expect(code).toBe(0);
    expect((json() as FileEntry[]).map((one) => one.name)).toEqual(names);
    const table = (await run(['file', 'list', 'd'])).out.toString().trimEnd().split('\n');
    expect(table).toHaveLength(names.length + 1);
    expect(table[1]).toMatch(/^file-0000 +1 B +2026-11-22 .* here$/);
  });
});

describe('bytes', () => {
  it('of a file come out as they are', async () => {
    const { code, out } = await run(['file', 'cat', 'd', '/a/b']);
    expect(code).toBe(0);
    expect(out.equals(content)).toBe(true);
  });

  it('of a proof land whole in their file, with nothing beside it', async () => {
    const folder = path.join(dir, 'proofs');
    await mkdir(folder);
    const file = path.join(folder, 'p');
    expect((await run(['file', 'proof', 'd', 'a', '--out', file])).code).toBe(0);
    expect((await readFile(file)).equals(content)).toBe(true);
    expect(await readdir(folder)).toEqual(['p']);
  });
});
