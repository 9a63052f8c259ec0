import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../src-shared/errors.ts';
import { createSigner, signDeviceCertificate } from '../../identity/index.ts';
import { createChainCheck, isEquivocation } from '../chain-check.ts';
import type { Equivocation } from '../chain-check.ts';
import { decodeDirectoryFrame, encodeDirectoryFrame } from '../directory.ts';
import { formatStreamLink, parseStreamLink } from '../link-text.ts';
import { decodeLive, encodeLive } from '../live/frames.ts';
import type { LiveFrame } from '../live/frames.ts';
import { createKeyRecords } from '../live/key-records.ts';
import { createPackager } from '../packager.ts';
import { createStreamKeys } from '../stream-keys.ts';
import { testInit, testPayload } from '../testing/world.ts';
import type { SignedHeader } from '../types.ts';
import { hashChunks, readHeader, signHeader } from './header.ts';
import {
  encodeProgramme,
  makeAnnouncement,
  makeAudience,
  makeDescription,
  makeGenesis,
  makeKeyRecord,
  makeReceipt,
  readAnnouncement,
  readAudience,
  readDescription,
  readGenesis,
  readKeyRecord,
  readProgramme,
  readReceipt,
} from './records.ts';

const seed = (what: string): Uint8Array => createHash('sha256').update(what).digest();
const root = createSigner(seed('root'));
const device = createSigner(seed('device'));
const streamSigner = createSigner(seed('stream'));
const other = createSigner(seed('other'));
const certificate = signDeviceCertificate(root, { deviceKey: device.publicKey, name: 'a', issuedAt: 1 });
const genesis = makeGenesis(device, certificate, {
  audience: 'public',
  streamKey: streamSigner.publicKey,
  startedAt: 1_790_000_000_000,
});
const renditions = [
  {
    id: 'v',
    kind: 'av' as const,
    codecs: 'avc1.42c01f',
    width: 640,
    height: 360,
    frameRate: 29.97,
    bandwidth: 1e6,
  },
  { id: 'a', kind: 'audio' as const, codecs: 'opus', bandwidth: 96_000 },
];
const programme = {
  title: 'Über',
  poster: new Uint8Array([0xff, 0xd8, 0xff, 0xdb]),
  renditions,
  runs: [{ run: 0, first: 0, inits: [testInit(), testInit(1)] }],
};
const description = makeDescription(streamSigner, {
  streamId: genesis.streamId,
  number: 3,
  state: 'live',
  last: 0,
  partMs: 200,
  targetLatency: 'interactive',
  dvrSeconds: 120,
  ladder: renditions.map(({ kind, bandwidth }) => ({ kind, bandwidth })),
  programme: encodeProgramme(programme),
});
const keyRecord = makeKeyRecord(streamSigner, {
  streamId: genesis.streamId,
  epoch: 7,
  sealed: new Uint8Array(60),
});
const audience = makeAudience(streamSigner, {
  streamId: genesis.streamId,
  number: 1,
  boxes: [new Uint8Array(92)],
});
const announcement = makeAnnouncement(streamSigner, {
  genesis,
  time: 1_790_000_000_000,
  state: 'live',
  title: 'Über',
  poster: new Uint8Array(32),
  renditions,
  targetLatency: 'default',
  dvrSeconds: 120,
  viewers: 3,
  addresses: [`/ip4/127.0.0.1/tcp/1/p2p/${genesis.device}`],
});
const receipt = makeReceipt(device, {
  streamId: genesis.streamId,
  from: genesis.device,
  bytes: 5,
  parts: 1,
  time: 9,
});

function parts(count: number, signer = streamSigner, mark = ''): SignedHeader[] {
  const packager = createPackager({
    stream: genesis.streamId,
    signer,
    renditions,
    keys: null,
    epoch: () => 0,
    runBegan: () => {},
  });
  packager.init('v', testInit());
  return Array.from({ length: count }, (_, n) => {
    const meta = {
      pts: n * 18_000,
      duration: 18_000,
      captured: 1000 + n,
      independent: n % 5 === 0,
      segment: Math.floor(n / 5),
    };
    return packager.part('v', n, meta, testPayload(`v${mark}`, n, 40_000)).header;
  });
}

describe('headers of parts', () => {
  it('come back as they were signed, in about 300 bytes for 62 KB', () => {
    const payload = testPayload('v', 1, 62_000);
    const header = { ...parts(1)[0]!, length: payload.length, chunks: hashChunks(payload) };
    const signed = signHeader(streamSigner, header);
    expect(signed.bytes.length).toBe(124 + 4 * 32 + 64);
    expect(readHeader(signed.bytes)).toEqual(signed);
  });

  it('are refused with one bit changed, of another stream, or signed by somebody else', () => {
    const [first] = parts(1);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: first!.bytes.length * 8 - 1 }), (bit) => {
        const bytes = first!.bytes.slice();
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        expect(() => createChainCheck(genesis).check(bytes)).toThrow(AppError);
      }),
      { numRuns: 200 },
    );
    expect(() => createChainCheck(genesis).check(parts(1, other)[0]!.bytes)).toThrowError(
      expect.objectContaining({ code: 'bad_signature' }),
    );
  });

  it('hold in any order, again and again, but not with one of them replaced', () => {
    const all = parts(12);
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: 1 }), (some) => {
        const check = createChainCheck(genesis);
        for (const header of [...some, ...some]) expect(check.check(header.bytes).hash).toBe(header.hash);
      }),
      { numRuns: 50 },
    );
    const liar = parts(12, streamSigner, 'other');
    const check = createChainCheck(genesis);
    check.check(all[4]!.bytes);
    let proof: Equivocation | null = null;
    try {
      check.check(liar[4]!.bytes);
    } catch (error) {
      proof = (error as AppError).details!['proof'] as Equivocation;
      expect(error).toMatchObject({ code: 'fork' });
    }
    expect(isEquivocation(genesis, proof!)).toBe(true);
    expect(isEquivocation(genesis, { one: all[4]!.bytes, other: all[4]!.bytes })).toBe(false);
    expect(isEquivocation(genesis, { one: all[4]!.bytes, other: parts(5, other)[4]!.bytes })).toBe(false);
    // A chain that goes on from another past.
    expect(() => check.check(liar[5]!.bytes)).toThrowError(expect.objectContaining({ code: 'bad_link' }));
    expect(() => check.check(liar[3]!.bytes)).toThrowError(expect.objectContaining({ code: 'bad_link' }));
  });
});

describe('a chain of parts', () => {
  const chain = (segments: readonly number[]): SignedHeader[] => {
    let prevHash: Uint8Array = new Uint8Array(32);
    return segments.map((segment, seq) => {
      const payload = testPayload('v', seq, 100);
      const chunks = hashChunks(payload);
      const head = { ...parts(1)[0]!, seq, first: seq, segment, prevHash, length: 100, chunks };
      const header = signHeader(streamSigner, head);
      prevHash = new Uint8Array(Buffer.from(header.hash, 'hex'));
      return header;
    });
  };

  it('is refused where its segments go back or jump further than an encoder may', () => {
    for (const [segments, good] of [
      [[0, 0, 1], true],
      [[0, 10_000], true],
      [[0, 10_001], false],
      [[0, Number.MAX_SAFE_INTEGER], false],
      [[4, 3], false],
    ] as const) {
      const all = chain(segments);
      for (const headers of [all, [...all].reverse()]) {
        const check = createChainCheck(genesis);
        const go = () => headers.forEach((header) => check.check(header.bytes));
        if (good) expect(go).not.toThrow();
        else expect(go).toThrowError(expect.objectContaining({ code: 'bad_link' }));
      }
    }
  });

  it('gives back the signature that holds, whatever signature comes again over the same header', () => {
    const [header] = parts(1);
    const check = createChainCheck(genesis);
    check.check(header!.bytes);
    const forged = header!.bytes.slice();
    forged[forged.length - 1]! ^= 1;
    expect(check.check(forged).bytes).toEqual(header!.bytes);
  });
});

describe('the packager', () => {
  const make = () => {
    const runs: number[] = [];
    const packager = createPackager({
      stream: genesis.streamId,
      signer: streamSigner,
      renditions,
      keys: null,
      epoch: () => 0,
      runBegan: ({ run }) => runs.push(run),
    });
    const part = (id: string, seq: number, segment = 0, over = {}) =>
      packager.part(
        id,
        seq,
        { pts: seq * 18_000, duration: 18_000, captured: 0, independent: true, segment, ...over },
        new Uint8Array(10),
      ).header;
    return { packager, part, runs };
  };

  it('numbers parts through restarts, the same for all renditions, and never one twice', () => {
    const { packager, part, runs } = make();
    packager.init('v', testInit());
    packager.init('a', testInit());
    expect(part('v', 100, 20).seq).toBe(0);
    expect(part('a', 100, 20).seq).toBe(0);
    expect(part('v', 101, 20).seq).toBe(1);
    expect(part('v', 103, 21)).toMatchObject({ seq: 3, segment: 1, first: 3, run: 0 });
    packager.init('v', testInit());
    expect(() => part('a', 102, 20)).toThrowError(expect.objectContaining({ code: 'part_out_of_order' }));
    packager.init('a', testInit());
    expect(part('v', 0, 0)).toMatchObject({ seq: 4, segment: 2, run: 1 });
    expect(part('a', 0, 0)).toMatchObject({ seq: 4, segment: 2, run: 1 });
    expect(new Set(runs)).toEqual(new Set([0, 1]));
  });

  it('takes an encoder that has counted on for hours, and no jump after that', () => {
    const { packager, part } = make();
    for (const id of ['v', 'a']) packager.init(id, testInit());
    part('v', 0);
    for (const id of ['v', 'a']) packager.init(id, testInit());
    expect(part('v', 100_000, 20_000)).toMatchObject({ seq: 1, segment: 1, run: 1 });
    expect(part('a', 100_005, 20_001)).toMatchObject({ seq: 6, segment: 2, run: 1 });
    expect(() => part('v', 100_005, 40_000)).toThrowError(
      expect.objectContaining({ code: 'part_out_of_order' }),
    );
  });

  it('refuses parts before their init segment, replayed, out of order, too long, too large, of no rendition', () => {
    const { packager, part } = make();
    const refused = (code: string, work: () => unknown) =>
      expect(work).toThrowError(expect.objectContaining({ code }));
    refused('part_out_of_order', () => part('v', 0));
    refused('invalid_argument', () => part('x', 0));
    refused('invalid_argument', () => packager.init('v', new Uint8Array(100)));
    refused('too_large', () => packager.init('v', new Uint8Array(70_000)));
    packager.init('v', testInit());
    part('v', 5, 1);
    refused('part_out_of_order', () => part('v', 5, 1));
    refused('part_out_of_order', () => part('v', 4, 1));
    refused('part_out_of_order', () => part('v', 6, 0));
    refused('part_out_of_order', () => part('v', 600_000, 1));
    refused('invalid_argument', () => part('v', 6, 1, { duration: 200_000 }));
    refused('invalid_argument', () => part('v', 6, 1, { duration: 0 }));
    refused('invalid_argument', () => part('v', 6, 1, { pts: 5 * 18_000 + 1_200_000 }));
    refused('too_large', () =>
      packager.part(
        'v',
        6,
        { pts: 0, duration: 1, captured: 0, independent: true, segment: 2 },
        new Uint8Array(5_000_000),
      ),
    );
    expect(part('v', 6, 1).seq).toBe(1);
  });
});

describe('keys of an encrypted stream', () => {
  it('open for who has the audience key only, and nothing in another place', () => {
    const stream = genesis.streamId;
    const source = createStreamKeys(stream, (n) => randomBytes(n));
    const audienceKey = randomBytes(32);
    source.setAudienceKey(audienceKey);
    const sealed = source.makeEpoch(1);
    const head = { ...parts(1)[0]!, epoch: 1, length: 26 };
    const payload = source.sealPart(head, new Uint8Array(10).fill(7));
    const viewer = createStreamKeys(stream, (n) => randomBytes(n));
    viewer.learn(1, sealed);
    expect(() => viewer.openPart(head, payload)).toThrowError(
      expect.objectContaining({ code: 'not_invited' }),
    );
    viewer.setAudienceKey(audienceKey);
    expect(viewer.openPart(head, payload)).toEqual(new Uint8Array(10).fill(7));
    for (const moved of [{ seq: 1, first: 1 }, { rendition: 1 }, { run: 1 }, { captured: 5 }])
      expect(() => viewer.openPart({ ...head, ...moved }, payload)).toThrowError(
        expect.objectContaining({ code: 'key_missing' }),
      );
    const wrong = createStreamKeys(stream, (n) => randomBytes(n));
    wrong.setAudienceKey(randomBytes(32));
    wrong.learn(1, sealed);
    expect(() => wrong.openPart(head, payload)).toThrowError(
      expect.objectContaining({ code: 'key_missing' }),
    );
  });
});

describe('key records', () => {
  it('that were let go are not news when they come again, and never push out a newer one', () => {
    const kept = createKeyRecords(3);
    const record = (epoch: number) =>
      makeKeyRecord(streamSigner, { streamId: genesis.streamId, epoch, sealed: new Uint8Array(60) });
    for (const epoch of [1, 2, 3, 4, 5]) expect(kept.add(record(epoch))).toBe(true);
    for (const epoch of [1, 2, 3, 4, 5, 1, 2]) expect(kept.add(record(epoch))).toBe(false);
    expect(kept.values().map((one) => one.epoch)).toEqual([3, 4, 5]);
  });
});

describe('records and frames', () => {
  const readers: readonly [string, Uint8Array, (bytes: Uint8Array) => unknown][] = [
    ['header', parts(1)[0]!.bytes, readHeader],
    ['genesis', genesis.bytes, readGenesis],
    ['programme', encodeProgramme(programme), readProgramme],
    ['description', description.bytes, (bytes) => readDescription(bytes, genesis)],
    ['key', keyRecord.bytes, (bytes) => readKeyRecord(bytes, genesis)],
    ['audience', audience.bytes, (bytes) => readAudience(bytes, genesis)],
    ['announcement', announcement.bytes, readAnnouncement],
    ['receipt', receipt.signed, readReceipt],
    [
      'directory frame',
      encodeDirectoryFrame({ t: 'have', announcements: [announcement.bytes] }),
      decodeDirectoryFrame,
    ],
    [
      'help',
      encodeDirectoryFrame({ t: 'help', stream: genesis.streamId, addresses: ['/ip4/1'] }),
      decodeDirectoryFrame,
    ],
  ];

  it('come back as they were', () => {
    expect(readGenesis(genesis.bytes)).toEqual(genesis);
    expect(readProgramme(encodeProgramme(programme))).toMatchObject({ title: 'Über', renditions });
    expect(readDescription(description.bytes, genesis)).toEqual(description);
    expect(readKeyRecord(keyRecord.bytes, genesis)).toEqual(keyRecord);
    expect(readAudience(audience.bytes, genesis)).toEqual(audience);
    expect(readAnnouncement(announcement.bytes)).toEqual(announcement);
    expect(readReceipt(receipt.signed)).toEqual(receipt);
  });

  it('are refused when another key signed them', () => {
    const forged = makeDescription(other, description);
    expect(() => readDescription(forged.bytes, genesis)).toThrowError(
      expect.objectContaining({ code: 'bad_signature' }),
    );
    const said = makeAnnouncement(other, announcement);
    expect(() => readAnnouncement(said.bytes)).toThrowError(
      expect.objectContaining({ code: 'bad_signature' }),
    );
    // A device that its user did not certify.
    const posing = () =>
      makeGenesis(other, certificate, { audience: 'public', streamKey: other.publicKey, startedAt: 1 });
    expect(posing).toThrowError(expect.objectContaining({ code: 'bad_signature' }));
  });

  it('refuse anything else in words, whatever it is', () => {
    for (const [name, good, read] of readers) {
      expect(() => read(good), name).not.toThrow();
      fc.assert(
        fc.property(
          fc.oneof(
            fc.uint8Array({ maxLength: 400 }),
            fc
              .tuple(fc.nat(good.length - 1), fc.uint8Array({ minLength: 1, maxLength: 8 }))
              .map(([at, with_]) => {
                const bytes = good.slice();
                bytes.set(with_.subarray(0, bytes.length - at), at);
                return bytes;
              }),
            fc.nat(good.length).map((n) => good.slice(0, n)),
          ),
          (bytes) => {
            try {
              read(bytes);
            } catch (error) {
              if (!(error instanceof AppError)) throw error;
            }
          },
        ),
        { numRuns: 150 },
      );
    }
  });

  it('of the wire come back; anything else is refused', () => {
    const frames: LiveFrame[] = [
      { t: 'hello', stream: genesis.streamId },
      { t: 'message', bytes: Uint8Array.of(1) },
      { t: 'part', header: parts(1)[0]!.bytes },
      { t: 'chunk', bytes: Uint8Array.of(1, 2) },
      { t: 'cut' },
      { t: 'acknowledge', parts: 0xffffffff },
      { t: 'genesis', bytes: genesis.bytes },
      { t: 'description', bytes: description.bytes },
      { t: 'audience', bytes: audience.bytes },
      { t: 'key', bytes: keyRecord.bytes },
      { t: 'receipt', bytes: receipt.signed },
      { t: 'unknown' },
      { t: 'viewers', count: 7 },
      { t: 'probe', bytes: Uint8Array.of(0) },
      { t: 'probed', bytes: 9 },
    ];
    for (const frame of frames)
      expect(decodeLive(new Uint8Array(Buffer.concat(encodeLive(frame))))).toEqual(frame);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeLive(bytes);
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
        }
      }),
      { numRuns: 500 },
    );
  });

  it('links come back, and tell when they were cut or changed', () => {
    const key = randomBytes(32);
    const whole = {
      streamId: genesis.streamId,
      addresses: [`/ip4/127.0.0.1/tcp/1/p2p/${genesis.device}`],
      key: new Uint8Array(key),
    };
    const text = formatStreamLink(whole);
    expect(parseStreamLink(text)).toEqual(whole);
    expect(parseStreamLink(genesis.streamId)).toEqual({
      streamId: genesis.streamId,
      addresses: [],
      key: null,
    });
    expect(() => parseStreamLink(text.slice(0, -1))).toThrowError(
      expect.objectContaining({ code: 'link_cut_short' }),
    );
    expect(() => parseStreamLink(text.replace('tcp%2F1', 'tcp%2F2'))).toThrowError(
      expect.objectContaining({ code: 'link_altered' }),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((tail) => `extrachain://stream/${tail}`),
        ),
        (value) => {
          try {
            parseStreamLink(value);
          } catch (error) {
            if (!(error instanceof AppError)) throw error;
          }
        },
      ),
    );
  });
});
