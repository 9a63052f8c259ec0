import { readFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contract } from '../../src-shared/contract/index.ts';
import { AppError } from '../../src-shared/errors.ts';
import { parseDriveLink } from '../../src-main/node/drive-link.ts';
import { createNodeSettings } from '../../src-main/node/settings.ts';
import { openPeerRecord } from '../../src-main/network/peer-record.ts';
import { createSettings, openDatabase } from '../../src-main/store/index.ts';
import { parseIgnoreRules } from '../../src-main/sync/scan/ignore-rules.ts';
import { checkRoot } from '../../src-main/sync/scan/root.ts';
import { createVirtualDisk } from '../sim/virtual-fs.ts';
import { decoders } from './decoders.ts';

const seed = 20261122;

/** Anything, and things that look nearly right. */
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string().map((tail) => `extrachain://drive/${tail}`),
  fc
    .string()
    .map(
      (tail) => `extrachain://drive/bafyreihphg2j6pbjnxepmmkbzjgkumewvef3vsbgl42obst6noauyq3ouy?at=${tail}`,
    ),
);
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.json().map((value) => new Uint8Array(Buffer.from(value))),
);

/** Passes when it returns or throws a typed error; what else comes out is a bug. */
function typed(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
  }
}

describe('decoders without a test file of their own', () => {
  it('drive links', () => {
    fc.assert(
      fc.property(text, (value) => typed(() => parseDriveLink(value))),
      { seed, numRuns: 1000 },
    );
  });

  it('peer records', async () => {
    const expected = '12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5';
    await fc.assert(
      fc.asyncProperty(bytes, async (value) => {
        await expect(openPeerRecord(value, expected)).rejects.toBeInstanceOf(AppError);
      }),
      { seed, numRuns: 300 },
    );
  });

  it('.exignore: any rules, any path', () => {
    const name = fc
      .string({ minLength: 1, maxLength: 20, unit: 'grapheme' })
      .filter((one) => !one.includes('/') && one !== '.' && one !== '..');
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.array(name, { minLength: 1, maxLength: 4 }),
        (rules, names) => {
          expect(typeof parseIgnoreRules(rules).ignored(names.join('/'), false)).toBe('boolean');
        },
      ),
      { seed, numRuns: 1000 },
    );
  });

  it('the marker of a folder: only the right one lets anything happen there', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, async (value) => {
        const disk = createVirtualDisk(() => 0);
        disk.user.mkdir('/folder');
        disk.user.mkdir('/folder/.extrachain');
        disk.user.write('/folder/.extrachain/marker.json', value);
        await expect(
          checkRoot(
            disk.view(() => {}),
            '/folder',
            'the drive',
          ),
        ).rejects.toMatchObject({
          code: 'root_unmarked',
        });
      }),
      { seed, numRuns: 300 },
    );
  });

  it('rows of settings: what does not fit is as if it were not there', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string({ unit: 'binary' })), (value) => {
        const db = openDatabase(':memory:');
        try {
          const store = createSettings(db);
          const usual = createNodeSettings(store).get('trash.days');
          const table = db.prepare<[], { name: string }>(
            "SELECT name FROM sqlite_master WHERE name LIKE '%setting%'",
          );
          const name = table.get()?.name ?? '';
          db.prepare(`INSERT OR REPLACE INTO "${name}" VALUES ('trash.days', ?)`).run(value);
          const got = createNodeSettings(createSettings(db)).get('trash.days');
          expect(typeof got).toBe(typeof usual);
        } finally {
          db.close();
        }
      }),
      { seed, numRuns: 100 },
    );
  });

  it('inputs of the contract', () => {
    const entries = Object.values(contract).flatMap((group) => Object.values(group));
    fc.assert(
      fc.property(fc.constantFrom(...entries), fc.oneof(fc.anything(), fc.jsonValue()), (entry, value) => {
        expect(typeof entry.input.safeParse(value).success).toBe('boolean');
      }),
      { seed, numRuns: 2000 },
    );
  });
});

it('every decoder on the list is fuzzed by its file', async () => {
  for (const { decoder, file } of decoders) {
    const source = await readFile(path.join(import.meta.dirname, '../..', file), 'utf8');
    expect(source, decoder).toMatch(/fc\.assert\(/);
  }
});
