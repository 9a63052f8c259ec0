import { createHash, randomBytes } from 'node:crypto';
import { encode } from '@ipld/dag-cbor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../src-shared/errors.ts';
import { createSigner } from '../../identity/index.ts';
import type { Block, Commit, Evidence, Hash, Header, Proposal, Vote } from '../types.ts';
import * as codec from './index.ts';

const seed = 20261126;
const hash = (n: number): Hash => new Uint8Array(createHash('sha256').update(String(n)).digest());
const sig = (n: number): Uint8Array => new Uint8Array([...hash(n), ...hash(n + 1)]);
const keyOf = (n: number) => createSigner(hash(n));
const chainId = 'testnet-0123456789abcdef';

const header: Header = {
  v: 1,
  chainId,
  height: 7,
  time: 1_790_000_000_000,
  prev: hash(1),
  lastCommitHash: hash(2),
  txRoot: hash(3),
  stateRoot: hash(4),
  resultsRoot: hash(5),
  historyRoot: hash(6),
  validatorsHash: hash(7),
  nextValidatorsHash: hash(8),
  evidenceHash: hash(9),
  proposer: hash(10),
};
const commit: Commit = {
  height: 6,
  round: 0,
  blockId: hash(1),
  signatures: [
    { validator: hash(20), sig: sig(20) },
    { validator: hash(21), sig: sig(21) },
  ],
};
const vote: Vote = { type: 'prevote', height: 6, round: 1, blockId: null, validator: hash(1), sig: sig(1) };
const proposal: Proposal = {
  height: 6,
  round: 1,
  validRound: -1,
  blockId: hash(1),
  proposer: hash(2),
  sig: sig(3),
};
const duplicate: Evidence = { type: 'duplicateVote', a: vote, b: { ...vote, blockId: hash(1) } };
const attack: Evidence = {
  type: 'lightAttack',
  header,
  commit,
  actual: header,
  path: { height: 6, size: 7, path: [hash(1)], peaks: [hash(2), hash(3)] },
};
const founder = keyOf(1);
const genesis = codec.defaultGenesis({
  name: 'testnet',
  time: 1_790_000_000_000,
  founder: codec.addressOf(founder.publicKey),
  validatorKey: keyOf(2).publicKey,
});
const body: codec.TxBody = {
  v: 1,
  chainId,
  sender: codec.addressOf(founder.publicKey),
  nonce: 0,
  validUntil: 100,
  feeAsset: 'EXC',
  feeMax: 1000n,
  feePayer: null,
  msgs: [{ type: 'bank.send', to: hash(3), amount: new Uint8Array(16) }],
};
const tx = codec.signTx(body, founder);
const block: Block = { header, txs: [tx], lastCommit: commit, evidence: [duplicate, attack] };
const set = [3, 4, 5].map((n) => ({
  id: codec.validatorIdOf(keyOf(n).publicKey),
  key: keyOf(n).publicKey,
  power: BigInt(n),
}));
set.sort(codec.byPower);

/** Each encoding with its way back. */
const all: Record<string, { bytes: Uint8Array; decode: (bytes: Uint8Array) => unknown; value: unknown }> = {
  header: { bytes: codec.encodeHeader(header), decode: codec.decodeHeader, value: header },
  signedHeader: {
    bytes: codec.encodeSignedHeader({ header, commit }),
    decode: codec.decodeSignedHeader,
    value: { header, commit },
  },
  block: { bytes: codec.encodeBlock(block), decode: codec.decodeBlock, value: block },
  commit: { bytes: codec.encodeCommit(commit), decode: codec.decodeCommit, value: commit },
  vote: { bytes: codec.encodeVote(vote), decode: codec.decodeVote, value: vote },
  proposal: { bytes: codec.encodeProposal(proposal), decode: codec.decodeProposal, value: proposal },
  evidence: { bytes: codec.encodeEvidence(attack), decode: codec.decodeEvidence, value: attack },
  set: { bytes: codec.encodeValidatorSet(set), decode: codec.decodeValidatorSet, value: set },
  genesis: { bytes: codec.encodeGenesis(genesis), decode: codec.decodeGenesis, value: genesis },
  history: {
    bytes: codec.encodeHistoryProof(attack.path),
    decode: codec.decodeHistoryProof,
    value: attack.path,
  },
  tx: { bytes: tx, decode: codec.decodeTx, value: codec.decodeTx(tx) },
};

describe.each(Object.entries(all))('%s', (_name, { bytes, decode, value }) => {
  it('comes back as it was', () => {
    expect(decode(bytes)).toEqual(value);
  });

  it('refuses any change of its encoding with a typed error, or means something else', () => {
    fc.assert(
      fc.property(
        fc.nat(bytes.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.constantFrom('flip', 'cut', 'insert'),
        (at, mask, kind) => {
          const changed =
            kind === 'flip'
              ? bytes.map((byte, i) => (i === at ? byte ^ mask : byte))
              : kind === 'cut'
                ? bytes.subarray(0, at)
                : Uint8Array.from([...bytes.subarray(0, at), mask, ...bytes.subarray(at)]);
          try {
            expect(decode(changed)).not.toEqual(value);
          } catch (error) {
            expect(error).toBeInstanceOf(AppError);
          }
        },
      ),
      { seed, numRuns: 300 },
    );
  });

  it('refuses anything else', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc.jsonValue().map((json) => new Uint8Array(encode(json))),
        ),
        (junk) => {
          expect(() => decode(junk)).toThrow(AppError);
        },
      ),
      { seed, numRuns: 200 },
    );
  });
});

it('has one encoding: other orders, lengths and spare fields are refused', () => {
  const bytes = codec.encodeVote(vote);
  // A map of six with its first two entries exchanged.
  const fields: Record<string, unknown> = { ...vote };
  const rows = Object.entries(fields).map(([key, value]) => Buffer.concat([encode(key), encode(value)]));
  expect(() => codec.decodeVote(Buffer.concat([Buffer.from([0xa6]), ...rows]))).toThrow(AppError);
  expect(() => codec.decodeVote(new Uint8Array(encode({ ...vote, more: 1 })))).toThrow(/fields/);
  expect(() => codec.decodeVote(Buffer.concat([bytes, Buffer.from([0])]))).toThrow(AppError);
});

it('will not encode what it would not decode', () => {
  expect(() => codec.encodeHeader({ ...header, height: 0 })).toThrow(/whole number/);
  expect(() => codec.encodeHeader({ ...header, chainId: 'Test' })).toThrow(AppError);
  expect(() => codec.encodeCommit({ ...commit, signatures: [] })).toThrow(AppError);
  expect(() => codec.encodeEvidence({ type: 'duplicateVote', a: vote, b: vote })).toThrow(/two/);
  expect(() => codec.encodeValidatorSet([...set].reverse())).toThrow(/order/);
  expect(() => codec.encodeTxBody({ ...body, feeMax: 2n ** 128n })).toThrow(/range/);
  expect(() => codec.encodeTxBody({ ...body, msgs: [] })).toThrow(AppError);
});

it('signs in domains that do not meet', () => {
  const precommit = codec.voteSignBytes(chainId, { ...vote, type: 'precommit' });
  expect(precommit).not.toEqual(codec.voteSignBytes(chainId, vote));
  expect(codec.voteSignBytes('other-0123456789abcdef', vote)).not.toEqual(codec.voteSignBytes(chainId, vote));
  expect(codec.commitSignBytes(chainId, commit)).toEqual(
    codec.voteSignBytes(chainId, { type: 'precommit', height: 6, round: 0, blockId: hash(1) }),
  );
});

it('names a chain after its genesis', () => {
  const id = codec.chainIdOf(genesis);
  expect(id).toMatch(/^testnet-[0-9a-f]{16}$/);
  expect(codec.chainIdOf({ ...genesis, time: genesis.time + 1 })).not.toBe(id);
  expect(codec.genesisValidators(genesis)).toEqual([
    expect.objectContaining({ power: 10_000n, key: keyOf(2).publicKey }),
  ]);
});

describe('certificates', () => {
  const signed = (
    members: readonly number[],
    signature = (n: number, bytes: Uint8Array) => keyOf(n).sign(bytes),
  ) => {
    const blank: Commit = { height: 9, round: 0, blockId: hash(1), signatures: [] };
    const bytes = codec.commitSignBytes(chainId, blank);
    return {
      ...blank,
      signatures: members.map((n) => ({
        validator: codec.validatorIdOf(keyOf(n).publicKey),
        sig: signature(n, bytes),
      })),
    };
  };

  it('need more than two thirds, in order, of members only', () => {
    codec.verifyCommit(chainId, set, signed([5, 4]));
    expect(() => codec.verifyCommit(chainId, set, signed([5, 3]))).toThrow(/two thirds/);
    expect(() => codec.verifyCommit(chainId, set, signed([4, 5]))).toThrow(/order/);
    expect(() => codec.verifyCommit(chainId, set, signed([5, 4, 9]))).toThrow(/order/);
    expect(() => codec.verifyCommit(chainId, set, signed([5, 5, 4]))).toThrow(/order/);
    expect(() =>
      codec.verifyCommit(
        chainId,
        set,
        signed([5, 4], () => sig(1)),
      ),
    ).toThrow(/signature/);
    expect(() => codec.verifyCommit('other-0123456789abcdef', set, signed([5, 4]))).toThrow(/signature/);
  });
});

describe('the mountain range over block ids', () => {
  const nodes = new Map<string, Hash>();
  const ranges = [codec.noHistory];
  for (let n = 0; n < 70; n++) {
    ranges.push(
      codec.addToHistory(ranges[n] as codec.HistoryPeaks, hash(n), (level, place, made) =>
        nodes.set(`${level}/${place}`, made),
      ),
    );
  }
  const node = (level: number, place: number): Hash => nodes.get(`${level}/${place}`) as Hash;

  it('proves every block in every later range, and nothing else', () => {
    for (const range of ranges.slice(1)) {
      const root = codec.historyRoot(range);
      for (let height = 1; height <= range.size; height++) {
        const proof = codec.proveInHistory(height, range.size, node);
        expect(codec.verifyInHistory(root, hash(height - 1), proof)).toBe(true);
        expect(codec.verifyInHistory(root, hash(height), proof)).toBe(false);
        expect(codec.verifyInHistory(root, hash(height - 1), { ...proof, height: height + 1 })).toBe(false);
        expect(codec.verifyInHistory(root, hash(height - 1), { ...proof, size: range.size + 1 })).toBe(false);
      }
    }
  });

  it('knows no block outside of it', () => {
    expect(() => codec.proveInHistory(0, 5, node)).toThrow(/no block 0/);
    expect(() => codec.proveInHistory(6, 5, node)).toThrow(/no block 6/);
  });
});

it('proves a transaction under the root of its block', () => {
  const hashes = Array.from({ length: 9 }, (_, n) => hash(n));
  const root = codec.listRoot(hashes);
  for (const [index, one] of hashes.entries()) {
    const proof = codec.proveInList(hashes, index);
    expect(codec.verifyInList(root, one, proof)).toBe(true);
    expect(codec.verifyInList(root, randomBytes(32), proof)).toBe(false);
    expect(codec.verifyInList(root, one, { ...proof, size: 10 })).toBe(false);
  }
});
