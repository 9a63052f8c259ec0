import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAppError } from '../../src-shared/errors.ts';
import { createKeystore } from './keystore.ts';
import type { Keystore } from './keystore.ts';
import { createKeystoreFiles } from './keystore-files.ts';
import { keyFileProtector, passwordProtector } from './keystore-protection.ts';
import type { KeyProtector } from './keystore-protection.ts';
import { cheapScrypt, memoryFiles, seededRandom, testClock, testComputer } from './test-world.ts';

const failing = (code: string): object => expect.objectContaining({ name: 'AppError', code });
const random = seededRandom('keystore');
const password = (text: string): KeyProtector => passwordProtector(text, { random, cost: cheapScrypt });
const content = { public: Buffer.from('public part'), secret: Buffer.from('secret part') };

describe('on disk', () => {
  let dir: string;
  beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), 'exc-keystore-'))));
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('writes files only their owner can read, and leaves nothing else behind', async () => {
    const folder = join(dir, 'data');
    const computer = testComputer('Laptop', testClock(), createKeystoreFiles(folder));
    await computer.start();
    await computer.create();
    expect(readdirSync(folder).sort()).toEqual(['keystore.json', 'keystore.key']);
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    const phrase = computer.backupPhrase();
    const stored = readFileSync(join(folder, 'keystore.json'), 'utf8');
    for (const word of phrase.split(' ')) expect(stored).not.toContain(word + ' ');
    await computer.changePassword('pw');
    expect(readdirSync(folder)).toEqual(['keystore.json']);
    expect(statSync(join(folder, 'keystore.json')).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['empty', () => Buffer.alloc(0)],
    ['truncated', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ['zeroed', (bytes: Buffer) => Buffer.alloc(bytes.length)],
    ['something else', () => Buffer.from('{"hello": "world"}')],
    ['huge', () => Buffer.alloc(9 * 1024 * 1024, 0x20)],
  ])('never overwrites a keystore that is %s', async (_name, damage) => {
    const files = createKeystoreFiles(dir);
    const first = testComputer('Laptop', testClock(), files);
    await first.start();
    const path = join(dir, 'keystore.json');
    const damaged = damage(readFileSync(path));
    writeFileSync(path, damaged);
    for (const options of [{}, { password: 'pw' }]) {
      await expect(testComputer('Laptop', testClock(), files).start(options)).rejects.toThrow(
        failing('corrupt'),
      );
    }
    await expect(createKeystore({ files, random }).create(password('pw'), content)).rejects.toThrow(
      failing('already_exists'),
    );
    await expect(first.create()).rejects.toThrow(failing('corrupt'));
    expect(readFileSync(path).equals(damaged)).toBe(true);
  });

  it('wraps its key anew when the system changed its own, and opens all the same when that fails', async () => {
    const files = createKeystoreFiles(dir);
    let wraps = 0;
    let refuses = false;
    const keychain = {
      kind: 'keychain' as const,
      wrap(key: Uint8Array) {
        wraps += 1;
        return refuses
          ? Promise.reject(new Error('no'))
          : Promise.resolve({ sealed: Buffer.from(key).toString('hex'), wraps });
      },
      unwrap: (record: Readonly<Record<string, string | number>>) =>
        Promise.resolve(new Uint8Array(Buffer.from(String(record['sealed']), 'hex'))),
      outdated: () => wraps < 2,
    };
    await createKeystore({ files, random }).create(keychain, content);
    const read = () => readFileSync(join(dir, 'keystore.json'), 'utf8');
    const opened = async () =>
      Buffer.from((await createKeystore({ files, random }).open(keychain)).secret).toString();
    const before = read();
    refuses = true;
    wraps = 0;
    expect(await opened()).toBe('secret part');
    expect(read()).toBe(before);
    refuses = false;
    wraps = 1;
    expect(await opened()).toBe('secret part');
    const after = read();
    expect(after).not.toBe(before);
    expect(await opened()).toBe('secret part');
    expect(read()).toBe(after);
  });

  it('goes on after a first start that was cut short between its two files', async () => {
    const files = createKeystoreFiles(dir);
    const { write } = files;
    const dying = {
      ...files,
      write: (name: string, bytes: Uint8Array) => {
        if (name === 'keystore.json') throw new Error('killed');
        write(name, bytes);
      },
    };
    await expect(testComputer('Laptop', testClock(), dying).start()).rejects.toThrow('killed');
    expect(readdirSync(dir)).toEqual(['keystore.key']);
    const key = readFileSync(join(dir, 'keystore.key'));
    const computer = testComputer('Laptop', testClock(), files);
    await computer.start();
    expect(computer.status().state).toBe('none');
    expect(readFileSync(join(dir, 'keystore.key')).equals(key)).toBe(true);
  });

  it('says which file is missing', async () => {
    const files = createKeystoreFiles(dir);
    await testComputer('Laptop', testClock(), files).start();
    rmSync(join(dir, 'keystore.key'));
    await expect(testComputer('Laptop', testClock(), files).start()).rejects.toThrow(
      /keystore\.key is missing/,
    );
    writeFileSync(join(dir, 'keystore.key'), Buffer.alloc(32));
    await expect(testComputer('Laptop', testClock(), files).start()).rejects.toThrow(failing('corrupt'));
  });
});

describe('keystore', () => {
  let files: ReturnType<typeof memoryFiles>;
  let keystore: Keystore;
  beforeEach(() => {
    files = memoryFiles();
    keystore = createKeystore({ files, random });
  });

  it('opens with its password only', async () => {
    await keystore.create(password('pw'), content);
    const other = createKeystore({ files, random });
    expect(other.peek()).toEqual({ protection: 'password', public: new Uint8Array(content.public) });
    await expect(other.open(password('pW'))).rejects.toThrow(failing('wrong_password'));
    await expect(other.open(keyFileProtector({ files, random }))).rejects.toThrow(failing('keystore_locked'));
    const opened = await other.open(password('pw'));
    expect(Buffer.from(opened.secret).toString()).toBe('secret part');
    expect(() => createKeystore({ files, random }).save(content)).toThrow(failing('keystore_locked'));
  });

  it('uses a new master key and nonce when the password changes, a new nonce for each save', async () => {
    await keystore.create(password('pw'), content);
    const sealed = (): string =>
      JSON.parse(Buffer.from(files.map.get('keystore.json')!).toString()).sealed as string;
    const seen = new Set([sealed()]);
    keystore.save(content);
    seen.add(sealed());
    await keystore.protect(password('pw'), () => content);
    seen.add(sealed());
    expect(seen.size).toBe(3);
  });

  it('does not overwrite a file that someone else replaced', async () => {
    await keystore.create(password('pw'), content);
    const other = createKeystore({ files, random });
    await other.open(password('pw'));
    other.save({ ...content, public: Buffer.from('newer') });
    expect(() => keystore.save(content)).toThrow(failing('corrupt'));
    expect(Buffer.from(other.peek()!.public).toString()).toBe('newer');
  });

  it('survives a write that fails', async () => {
    await keystore.create(password('pw'), content);
    const { write } = files;
    files.write = () => {
      throw new Error('no space');
    };
    expect(() => keystore.save({ ...content, secret: Buffer.from('lost') })).toThrow('no space');
    await expect(keystore.protect(password('new'), () => content)).rejects.toThrow('no space');
    files.write = write;
    keystore.save(content);
    await createKeystore({ files, random }).open(password('pw'));
  });

  it('refuses a file that asks for absurd work', async () => {
    await keystore.create(password('pw'), content);
    for (const [field, value] of [
      ['n', 2 ** 30],
      ['r', 1000],
      ['p', 1e9],
      ['n', 3],
      ['n', 0],
    ] as const) {
      // Written by someone who can compute the checksum, so only the bounds protect us.
      const wrap = {
        ...JSON.parse(Buffer.from(files.map.get('keystore.json')!).toString()).wrap,
        [field]: value,
      };
      await expect(password('pw').unwrap(wrap)).rejects.toThrow(failing('corrupt'));
    }
  });

  it('finds every flipped byte', async () => {
    await keystore.create(password('pw'), content);
    const good = files.map.get('keystore.json')!;
    for (let i = 0; i < good.length; i++) {
      const bad = good.slice();
      bad[i]! ^= 0x01;
      files.map.set('keystore.json', bad);
      const opened = await createKeystore({ files, random })
        .open(password('pw'))
        .then(
          () => 'opened',
          (error: unknown) => (isAppError(error) ? error.code : 'crash'),
        );
      // JSON has some freedom: a blank that became another blank changes nothing.
      const blank = good[i] === 0x20 || good[i] === 0x0a;
      if (opened === 'opened') expect([i, blank]).toEqual([i, true]);
      else expect([i, opened]).toEqual([i, 'corrupt']);
    }
  });

  it('answers any bytes with corrupt or unsupported', async () => {
    await keystore.create(password('pw'), content);
    const shape = JSON.parse(Buffer.from(files.map.get('keystore.json')!).toString()) as Record<
      string,
      unknown
    >;
    const mutated = fc
      .tuple(fc.constantFrom(...Object.keys(shape)), fc.jsonValue())
      .map(([key, value]) => Buffer.from(JSON.stringify({ ...shape, [key]: value })));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated), async (bytes) => {
        files.map.set('keystore.json', bytes);
        const code = await createKeystore({ files, random })
          .open(password('pw'))
          .then(
            () => 'opened',
            (error: unknown) => (isAppError(error) ? error.code : 'crash'),
          );
        expect(['corrupt', 'unsupported']).toContain(code);
      }),
      { seed: 2, numRuns: 500 },
    );
  });
});
