import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { isAppError } from '../../../src-shared/errors.ts';
import type { Drive } from '../../drive/index.ts';
import { rootNode, verifyProof } from '../../drive/index.ts';
import { createTestBench, nodeId, person, text } from '../../drive/testing.ts';
import { entryHash } from '../../history/index.ts';
import { createHeadBatch, encodeLedgerProof, proveFeed, proveHead } from '../execute/proofs.ts';
import { message } from '../modules/index.ts';
import { headSignBytes } from '../modules/anchor.ts';
import { addressOfName, createTestChain } from '../testing.ts';
import type { TestChain } from '../testing.ts';
import {
  decodeAnchoredProof,
  differingEntry,
  encodeAnchoredProof,
  feedOf,
  verifyAnchoredProof,
} from './anchored-proof.ts';

const bench = createTestBench('anchored');
afterAll(() => bench.clean());

const founder = addressOfName('founder');
const write = async (drive: Drive, name: string): Promise<string> => {
  const [made] = await drive.commit([
    { t: 'make', node: nodeId(name), kind: 'file', parent: rootNode, name, content: text(name) },
  ]);
  return made as string;
};

/** Puts the tip of a drive's own feed into a block; answers the batch. */
function anchor(chain: TestChain, drive: Drive) {
  const { tip, sig } = drive.signTip((one) =>
    headSignBytes({ writer: one.writer, incarnation: one.incarnation, seq: one.seq, head: one.hash }),
  )!;
  const { writer, incarnation, seq, hash } = tip;
  const random = (bytes: number) => new Uint8Array(bytes).fill(9);
  const batch = createHeadBatch(
    [{ drive: entryHash(drive.id), writer, incarnation, seq, entry: hash }],
    random,
  );
  const heads = [{ writer, incarnation, seq, head: hash, sig }];
  chain.add('founder', [message('anchor.commit', { root: batch.root, count: 1, heads })]);
  chain.block();
  return { batch, tip };
}

async function anchored() {
  const laptop = bench.node(person('ada'));
  const drive = await laptop.create('Papers');
  const version = await write(drive, 'a');
  const stolen = await laptop.copy(drive);
  await write(drive, 'b');
  const chain = createTestChain();
  const { batch, tip } = anchor(chain, drive);
  const parts = {
    version: await drive.proof('a', version),
    links: drive.headersUpTo(version, tip.hash),
  };
  const byBatch = encodeLedgerProof(await proveHead(chain.ledger, founder, batch, 0));
  const byFeed = encodeLedgerProof(await proveFeed(chain.ledger, tip.writer, tip.incarnation));
  return { laptop, drive, stolen, chain, tip, version, parts, byBatch, byFeed };
}

const refuse = (work: () => unknown, code = 'proof_invalid'): void =>
  expect(work).toThrow(expect.objectContaining({ code }));

describe('a proof with its anchor', () => {
  test('says offline by which block a version existed, by its batch or by the newest head of its feed', async () => {
    const { drive, version, parts, byBatch, byFeed, chain } = await anchored();
    for (const proof of [byBatch, byFeed]) {
      const bytes = encodeAnchoredProof({ ...parts, anchor: proof });
      const found = verifyAnchoredProof(decodeAnchoredProof(bytes)!, { drive: drive.id });
      expect(found.version).toMatchObject({ version, path: 'a' });
      expect(found.head).toMatchObject({ anchoredIn: 1, chainId: chain.ledger.chainId });
      expect(found.head.anchoredAt).toBe(chain.ledger.last().time);
    }
    expect(decodeAnchoredProof(parts.version)).toBeNull();
  });

  test('does not hold with headers left out, of another feed, or with the anchor of another history', async () => {
    const { parts, byBatch, byFeed, laptop, chain } = await anchored();
    const other = await laptop.create('Other');
    const version = await write(other, 'a');
    const { tip, batch } = anchor(chain, other);
    const foreign = { version: await other.proof('a', version), links: other.headersUpTo(version, tip.hash) };
    const ofOther = encodeLedgerProof(await proveHead(chain.ledger, founder, batch, 0));
    refuse(() => verifyAnchoredProof({ ...parts, links: [], anchor: byBatch }));
    refuse(() => verifyAnchoredProof({ ...parts, links: [...parts.links, ...parts.links], anchor: byFeed }));
    refuse(() => verifyAnchoredProof({ ...foreign, anchor: byBatch }));
    refuse(() => verifyAnchoredProof({ ...parts, anchor: ofOther }));
    refuse(() => verifyAnchoredProof({ ...parts, anchor: new Uint8Array(3) }), 'malformed');
    refuse(() => verifyAnchoredProof({ ...parts, anchor: byFeed }, { path: 'b' }));
  });

  test('no byte of it can be changed to another answer, and junk is no proof', async () => {
    const { parts, byFeed } = await anchored();
    const bytes = encodeAnchoredProof({ ...parts, anchor: byFeed });
    const truth = verifyAnchoredProof(decodeAnchoredProof(bytes)!);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const changed = bytes.map((byte, i) => (i === at ? byte ^ mask : byte));
        try {
          const decoded = decodeAnchoredProof(changed);
          if (decoded) expect(verifyAnchoredProof(decoded)).toEqual(truth);
        } catch (error) {
          expect(isAppError(error), String(error)).toBe(true);
        }
      }),
      { numRuns: 100 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (junk) => decodeAnchoredProof(junk) === null));
  });
});

describe('a rewritten history', () => {
  test('is proven false by the latest head: it has another entry in the same place', async () => {
    const { stolen, parts, byFeed } = await anchored();
    // From a copy of the same computer, as if what came after had never been written.
    const lie = await write(stolen, 'c');
    const { chain: links } = verifyProof(await stolen.proof('c', lie));
    const honest = verifyAnchoredProof({ ...parts, anchor: byFeed });
    expect(differingEntry(feedOf(links), honest.feed)).toBe(honest.feed.at(-1)!.header.seq);
    expect(differingEntry(feedOf(honest.version.chain), honest.feed)).toBeNull();
    // And it gets no anchor of that head.
    refuse(() =>
      verifyAnchoredProof({
        version: parts.version,
        links: stolen.headersUpTo(lie, stolen.ownTip()!.hash),
        anchor: byFeed,
      }),
    );
  });

  test('anchored itself, marks the writer as forked for ever: neither history can be proven any more', async () => {
    const { stolen, chain, tip, parts } = await anchored();
    await write(stolen, 'c');
    anchor(chain, stolen);
    const anchorNow = encodeLedgerProof(await proveFeed(chain.ledger, tip.writer, tip.incarnation));
    refuse(() => verifyAnchoredProof({ ...parts, anchor: anchorNow }), 'fork');
  });

  test('is not taken for the same one because both begin alike', async () => {
    const { parts, byFeed } = await anchored();
    const honest = verifyAnchoredProof({ ...parts, anchor: byFeed }).feed;
    // What a short chain of headers shows: the founding, and an entry the other chain skips.
    const [first, ...rest] = honest;
    expect(rest.length).toBeGreaterThan(1);
    expect(differingEntry([first!, rest[0]!], honest)).toBeNull();
    refuse(() => differingEntry([first!, rest[0]!], [first!, rest.at(-1)!]));
    refuse(() => differingEntry([first!, rest.at(-1)!], [first!, rest[0]!]));
  });

  test('of another writer can not be compared', async () => {
    const { parts, byFeed } = await anchored();
    const other = await bench.node(person('ben')).create('Mine');
    const { chain } = verifyProof(await other.proof('z', await write(other, 'z')));
    refuse(() => differingEntry(feedOf(chain), verifyAnchoredProof({ ...parts, anchor: byFeed }).feed));
  });
});
