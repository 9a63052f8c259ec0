import * as dagCbor from '@ipld/dag-cbor';
import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { AppError } from '../../src-shared/errors.ts';
import { signEntry } from './author.ts';
import { decodeEntry, decodeHeader, encodeEntry, encodeHeader, maxBodyBytes } from './codec.ts';
import { verifyHeaderChain } from './header-chain.ts';
import { entryHash, entryId, sha256 } from './ids.ts';
import { identifyDamaged } from './identify.ts';
import { bytesOf, createWorld, opsDraft, seededRandom, signerOf, testClock } from './testing.ts';

const world = createWorld();
afterAll(() => world.end());
const author = { signer: signerOf('ann'), clock: testClock(), random: seededRandom('codec') };
const g = world.genesis.hash;
const entry = signEntry(author, opsDraft([g], 'a body'), {
  drive: g,
  incarnation: 7,
  seq: 0,
  prev: null,
  parents: [g],
  lamport: 1,
});

/** True when it returns or throws an AppError. */
function answers(decode: () => unknown): boolean {
  try {
    decode();
    return true;
  } catch (error) {
    return error instanceof AppError;
  }
}

describe('entries', () => {
  test('come back as they were', () => {
    expect(decodeEntry(entry.bytes)).toEqual(entry);
    expect(decodeHeader(encodeHeader(entry.header))).toEqual(entry.header);
    expect(entryHash(entry.id)).toEqual(entry.hash);
  });

  test('every flipped bit gives another entry or none', () => {
    for (let at = 0; at < entry.bytes.length; at++) {
      const bytes = new Uint8Array(entry.bytes);
      bytes[at] = (bytes[at] as number) ^ (1 << (at % 8));
      try {
        const other = decodeEntry(bytes);
        expect(other.id === entry.id && Buffer.compare(other.sig, entry.sig) === 0).toBe(false);
      } catch (error) {
        expect(error).toBeInstanceOf(AppError);
      }
    }
  });

  test.each<readonly [string, Record<string, unknown>]>([
    [
      'unsorted parents',
      { parents: [sha256(bytesOf('1')), sha256(bytesOf('2'))].sort(Buffer.compare).reverse() },
    ],
    ['a parent twice', { parents: [g, g] }],
    ['no parents', { parents: [] }],
    ['no access', { access: [] }],
    [
      'too many parents',
      { parents: Array.from({ length: 65 }, (_, i) => sha256(bytesOf(`${i}`))).sort(Buffer.compare) },
    ],
    ['a short hash', { opsRoot: new Uint8Array(31) }],
    ['a fraction', { lamport: 1.5 }],
    ['a negative seq', { seq: -1 }],
    ['prev at seq 0', { prev: g }],
    ['no prev at seq 1', { seq: 1 }],
    ['a time beyond the calendar', { time: 9e15 }],
    ['an incarnation of 49 bits', { incarnation: 2 ** 48 }],
    ['a further field', { more: 1 }],
    ['another version', { v: 2 }],
    ['another kind', { kind: 'other' }],
    ['operations in an access entry', { kind: 'access' }],
    ['a founding entry with links', { drive: null }],
  ])('a header with %s is malformed', (_, change) => {
    const bytes = dagCbor.encode({ ...entry.header, ...change });
    expect(() => decodeHeader(bytes)).toThrow(expect.objectContaining({ code: 'malformed' }));
  });

  test('one encoding only', () => {
    const bytes = entry.bytes;
    // A length in two bytes where one would do; a byte too many; unsorted map keys.
    const headerLength = bytes[2] as number;
    expect(bytes[1]).toBe(0x59);
    const long = Buffer.concat([
      bytes.subarray(0, 1),
      Buffer.from([0x5a, 0, 0, headerLength]),
      bytes.subarray(3),
    ]);
    expect(() => decodeEntry(long)).toThrow(expect.objectContaining({ code: 'malformed' }));
    expect(() => decodeEntry(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(AppError);
    expect(() => decodeEntry(new Uint8Array(100_000).fill(0x81))).toThrow(AppError);
    expect(() => decodeEntry(new Uint8Array(maxBodyBytes).fill(0x81))).toThrow(AppError);
    const body = new Uint8Array(maxBodyBytes + 1);
    const header = encodeHeader({ ...entry.header, bodyHash: sha256(body) });
    expect(() => decodeEntry(encodeEntry(header, body, entry.sig))).toThrow(
      expect.objectContaining({ code: 'too_large' }),
    );
  });

  test('decoders answer any bytes with an AppError', () => {
    const mutated = fc
      .tuple(
        fc.constantFrom(entry.bytes, world.genesis.bytes),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
      )
      .map(([base, changes]) => {
        const bytes = new Uint8Array(base);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        return bytes;
      });
    const structured = fc
      .oneof(
        fc.array(fc.uint8Array()),
        fc.dictionary(fc.string(), fc.oneof(fc.uint8Array(), fc.integer(), fc.string())),
      )
      .map((value) => dagCbor.encode(value));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), mutated, structured), (bytes) => {
        return (
          answers(() => decodeEntry(bytes)) &&
          answers(() => decodeHeader(bytes)) &&
          answers(() => verifyHeaderChain([bytes])) &&
          answers(() => identifyDamaged(bytes))
        );
      }),
      { seed: 20261122, numRuns: 1500 },
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `bafyrei${text}`),
        ),
        (text) => answers(() => entryHash(text)),
      ),
      { seed: 20261122, numRuns: 300 },
    );
  });

  test('ids have one form', () => {
    expect(entryId(g)).toBe(world.driveId);
    for (const other of [
      world.driveId.toUpperCase(),
      ` ${world.driveId}`,
      world.driveId.slice(0, -1),
      `z${world.driveId.slice(1)}`,
    ]) {
      expect(() => entryHash(other)).toThrow(expect.objectContaining({ code: 'malformed' }));
    }
  });
});

describe('header chains', () => {
  test('lead from genesis to an entry by the shortest way; any flipped byte fails', async () => {
    const { history } = await world.replica('owner');
    for (let i = 0; i < 30; i++) await history.append([opsDraft([g], `entry ${i}`)]);
    const [access] = await history.append([
      { ...opsDraft([g], 'grant'), kind: 'access', opsRoot: new Uint8Array(32) },
    ]);
    const [last] = await history.append([opsDraft([access?.hash as Uint8Array], 'last')]);
    const chain = history.headerChain(last?.hash as Uint8Array);
    expect(chain).toHaveLength(3);
    const checked = verifyHeaderChain(chain);
    expect(checked.drive).toEqual(g);
    expect(checked.hash).toEqual(last?.hash);
    expect(checked.headers.at(-1)).toEqual(last?.header);
    expect(verifyHeaderChain(history.headerChain(g)).headers).toHaveLength(1);
    chain.forEach((link, n) => {
      for (let at = 0; at < link.length; at++) {
        const bytes = new Uint8Array(link);
        bytes[at] = (bytes[at] as number) ^ (1 << (at % 8));
        expect(() => verifyHeaderChain(chain.with(n, bytes))).toThrow(AppError);
      }
    });
    expect(() => verifyHeaderChain([])).toThrow(AppError);
    expect(() => verifyHeaderChain(chain.slice(1))).toThrow(AppError);
    expect(() => verifyHeaderChain([chain[0], chain[2], chain[1]] as Uint8Array[])).toThrow(AppError);
    expect(() => history.headerChain(sha256(bytesOf('nowhere')))).toThrow(
      expect.objectContaining({ code: 'not_found' }),
    );
  });
});
