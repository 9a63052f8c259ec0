import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { createSigner } from '../../identity/index.ts';
import {
  addToHistory,
  blockId,
  byPower,
  commitSignBytes,
  historyRoot,
  noHistory,
  proveInHistory,
  validatorIdOf,
  validatorSetHash,
} from '../codec/index.ts';
import type { Commit, Hash, Header, Validator, ValidatorSet } from '../types.ts';
import { isAttack, trustedFrom, verifyOld, verifyStep, verifyTo } from './verify.ts';
import type { LightBlock, LightRules, Trusted } from './verify.ts';

const sha = (text: string): Hash => new Uint8Array(createHash('sha256').update(text).digest());
const signers = Array.from({ length: 60 }, (_, i) => createSigner(sha(`light validator ${i}`)));
const signerOf = new Map(
  signers.map((one) => [Buffer.from(validatorIdOf(one.publicKey)).toString('hex'), one]),
);
const chainId = 'light-0123456789abcdef';
const day = 86_400_000;
const start = 1_790_000_000_000;

/** Ten members of equal power; one leaves and one comes every `stride` blocks. */
function setAt(height: number, stride: number): ValidatorSet {
  const first = Math.floor(height / stride);
  return signers
    .slice(first, first + 10)
    .map((one): Validator => ({ id: validatorIdOf(one.publicKey), key: one.publicKey, power: 10n }))
    .sort(byPower);
}

function commitOf(id: Hash, height: number, set: ValidatorSet, skip = 0): Commit {
  const bare: Commit = { height, round: 0, blockId: id, signatures: [] };
  const bytes = commitSignBytes(chainId, bare);
  return {
    ...bare,
    signatures: set.slice(skip).map(({ id: validator }) => ({
      validator,
      sig: signerOf.get(Buffer.from(validator).toString('hex'))!.sign(bytes),
    })),
  };
}

interface World {
  readonly blocks: readonly LightBlock[];
  readonly nodes: ReadonlyMap<string, Hash>;
  readonly genesis: Trusted;
  at(height: number): LightBlock;
}

function makeChain(length: number, stride: number, stateRoot = sha('state')): World {
  const blocks: LightBlock[] = [];
  const nodes = new Map<string, Hash>();
  let range = noHistory;
  let prev = sha('genesis');
  for (let height = 1; height <= length; height++) {
    const validators = setAt(height, stride);
    const header: Header = {
      v: 1,
      chainId,
      height,
      time: start + height * 1000,
      prev,
      lastCommitHash: sha('c'),
      txRoot: sha('t'),
      stateRoot,
      resultsRoot: sha('r'),
      historyRoot: historyRoot(range),
      validatorsHash: validatorSetHash(validators),
      nextValidatorsHash: validatorSetHash(setAt(height + 1, stride)),
      evidenceHash: sha('e'),
      proposer: validators[0]!.id,
    };
    prev = blockId(header);
    range = addToHistory(range, prev, (level, place, hash) => nodes.set(`${level} ${place}`, hash));
    blocks.push({ signed: { header, commit: commitOf(prev, height, validators) }, validators });
  }
  const genesis: Trusted = {
    height: 0,
    blockId: sha('genesis'),
    time: start,
    validators: setAt(1, stride),
    nextValidatorsHash: null,
  };
  return { blocks, nodes, genesis, at: (height) => blocks[height - 1]! };
}

const rules: LightRules = { chainId, trustingPeriod: 7 * day, now: start + day, maxDrift: 10_000 };
let world: World;
beforeAll(() => {
  world = makeChain(300, 10);
});

const refuse = (work: () => unknown, code: string): void => {
  expect(work).toThrowError(expect.objectContaining({ code }));
};

describe('the light client', () => {
  test('skips while a third of the trusted set still signs, and halves the distance where it does not', async () => {
    const asked: number[] = [];
    const fetch = async (height: number): Promise<LightBlock> => {
      asked.push(height);
      return world.at(height);
    };
    expect(verifyStep(trustedFrom(world.at(10)), world.at(70), rules)).toBe(true);
    expect(verifyStep(trustedFrom(world.at(10)), world.at(100), rules)).toBe(false);
    const path = await verifyTo(world.genesis, world.at(300), fetch, rules);
    expect(path.at(-1)).toBe(world.at(300));
    expect(path.length).toBeGreaterThan(3);
    expect(asked.length).toBeLessThan(20);
  });

  test('refuses what is altered, signed by too few, of another chain or set, too old, or of the future', () => {
    const trusted = trustedFrom(world.at(10));
    const good = world.at(12);
    const { header, commit } = good.signed;
    const altered = { ...header, stateRoot: sha('stolen') };
    refuse(
      () => verifyStep(trusted, { ...good, signed: { header: altered, commit } }, rules),
      'header_invalid',
    );
    const own = { ...commit, blockId: blockId(altered) };
    refuse(
      () => verifyStep(trusted, { ...good, signed: { header: altered, commit: own } }, rules),
      'bad_signature',
    );
    const few = commitOf(commit.blockId, 12, good.validators, 4);
    refuse(() => verifyStep(trusted, { ...good, signed: { header, commit: few } }, rules), 'commit_invalid');
    refuse(() => verifyStep(trusted, { ...good, validators: setAt(99, 10) }, rules), 'header_invalid');
    refuse(
      () => verifyStep(trusted, good, { ...rules, chainId: 'other-0123456789abcdef' }),
      'header_invalid',
    );
    refuse(() => verifyStep(trusted, world.at(9), rules), 'header_invalid');
    refuse(() => verifyStep(trusted, good, { ...rules, now: start - day }), 'header_invalid');
    refuse(() => verifyStep(trusted, good, { ...rules, now: start + 8 * day }), 'trust_expired');
  });

  test('the next height needs exactly the set that was named for it, and the link to the block before', () => {
    const fork = makeChain(12, 10, sha('fork'));
    refuse(() => verifyStep(trustedFrom(world.at(11)), fork.at(12), rules), 'header_invalid');
    expect(verifyStep(trustedFrom(world.at(11)), world.at(12), rules)).toBe(true);
  });

  test('a peer that leads on for ever is left', async () => {
    const foreign = makeChain(1, 1000);
    const liar = async (height: number): Promise<LightBlock> => ({
      ...world.at(299),
      signed: { ...world.at(299).signed, header: { ...world.at(299).signed.header, height } },
    });
    await expect(verifyTo(foreign.genesis, world.at(300), liar, rules)).rejects.toMatchObject({
      code: 'header_invalid',
    });
  });

  test('two validly signed blocks of one height are an attack; a badly signed one is only a lie', () => {
    const fork = makeChain(60, 10, sha('fork'));
    const trusted = trustedFrom(world.at(40));
    expect(isAttack(trusted, world.at(60), fork.at(60), rules)).toBe(true);
    expect(isAttack(trusted, world.at(60), world.at(60), rules)).toBe(false);
    const bad = { ...fork.at(60), signed: { ...fork.at(60).signed, commit: world.at(60).signed.commit } };
    expect(isAttack(trusted, world.at(60), bad, rules)).toBe(false);
  });

  test('any old header is proven under the newest by one path', () => {
    const head = world.at(300).signed;
    const prove = (height: number) =>
      proveInHistory(height, 299, (level, place) => world.nodes.get(`${level} ${place}`) as Hash);
    for (let height = 1; height < 300; height++) verifyOld(head, world.at(height).signed, prove(height));
    refuse(() => verifyOld(head, world.at(7).signed, prove(8)), 'header_invalid');
    const fork = makeChain(12, 10, sha('fork'));
    refuse(() => verifyOld(head, fork.at(12).signed, prove(12)), 'header_invalid');
  });
});
