import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { blockId } from '../codec/index.ts';
import { defaultParams } from '../consensus/index.ts';
import { openInputLog } from '../consensus/input-log.ts';
import { message } from '../modules/index.ts';
import { addressOfName, createTestChain, testGenesis } from '../testing.ts';
import type { TestChain } from '../testing.ts';
import type { Block, Commit, ExecutedBlock, Vote } from '../types.ts';
import { createDriver } from './driver.ts';

const dir = mkdtempSync(path.join(tmpdir(), 'slices-'));
afterAll(() => rmSync(dir, { recursive: true }));

const genesis = testGenesis();
/** A first block of so many transfers, with its certificate. */
function made(count: number): {
  readonly block: Block;
  readonly executed: ExecutedBlock;
  readonly commit: Commit;
} {
  const chain = createTestChain(genesis);
  for (let i = 0; i < count; i++) {
    const fields = { to: addressOfName(`${i}`), symbol: 'EXC', amount: BigInt(i + 1), memo: '' };
    chain.add('founder', [message('bank.send', fields)]);
  }
  const executed = chain.block();
  const { commit } = chain.ledger.signedHeaderAt(1)!;
  expect(executed.results.filter(({ ok }) => ok)).toHaveLength(count);
  return { block: executed.block, executed, commit };
}
let logs = 0;
function driverOf({ ledger }: TestChain) {
  const seen = { committed: 0, halted: '' };
  const driver = createDriver({
    application: ledger,
    clock: {
      now: () => ledger.last().time + 1000,
      after(ms, fn) {
        const timer = setTimeout(fn, ms);
        return () => clearTimeout(timer);
      },
    },
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    params: { ...defaultParams, blockInterval: 1, propose: 600_000, prevote: 600_000, precommit: 600_000 },
    signer: null,
    log: openInputLog(path.join(dir, `${logs++}.log`)),
    content: () => ({ txs: [], evidence: [] }),
    maxBlockBytes: 2 ** 21,
    sendVote() {},
    sendProposal() {},
    fetch() {},
    onCommit: () => void (seen.committed += 1),
    hasTxs: () => false,
    emptyAfter: () => 600_000,
    onEvidence() {},
    onRound() {},
    onHalt: (error) => void (seen.halted = error.message),
  });
  driver.begin();
  return { driver, seen };
}
/** As its proposer sends it, body and all. */
function propose(driver: ReturnType<typeof driverOf>['driver'], block: Block): void {
  const proposal = { height: 1, round: 0, validRound: -1, blockId: blockId(block.header) };
  driver.proposal({ ...proposal, proposer: block.header.proposer, sig: new Uint8Array(64) });
  driver.body(block);
}
const vote = (type: Vote['type'], block: Block): Vote => ({
  ...{ type, height: 1, round: 0, blockId: blockId(block.header) },
  ...{ validator: block.header.proposer, sig: new Uint8Array(64) },
});

describe('a block of many transactions', () => {
  const large = made(400);

  it('leads to the same state in slices as at once, and ends when the state is replaced', () => {
    const one = createTestChain(genesis);
    const work = one.ledger.executing(large.block);
    let slices = 1;
    let step = work.next();
    for (; !step.done; step = work.next()) slices += 1;
    expect(slices).toBe(7);
    expect(step.value.blockId).toEqual(large.executed.blockId);
    expect(createTestChain(genesis).ledger.execute(large.block).results).toEqual(step.value.results);

    const other = createTestChain(genesis);
    const given = other.ledger.executing(large.block);
    given.next();
    other.block();
    expect(() => given.next()).toThrow(expect.objectContaining({ code: 'cancelled' }));
    expect(() => other.ledger.execute(large.block)).toThrow(
      expect.objectContaining({ code: 'block_invalid' }),
    );
  });

  it('is executed while votes are counted, and decided when both are there', async () => {
    const chain = createTestChain(genesis);
    const { driver, seen } = driverOf(chain);
    propose(driver, large.block);
    const id = blockId(large.block.header);
    expect(driver.executed(id)).toBeNull();
    driver.vote(vote('prevote', large.block));
    const [{ sig }] = large.commit.signatures as unknown as [{ readonly sig: Uint8Array }];
    driver.vote({ ...vote('precommit', large.block), sig });
    expect(driver.state().rounds.get(0)!.precommits.voted).toBeGreaterThan(0n);
    expect(driver.executed(id)).toBeNull();
    expect(seen.committed).toBe(0);
    await expect.poll(() => seen, { timeout: 60_000 }).toEqual({ committed: 1, halted: '' });
    expect(chain.ledger.last().stateRoot).toEqual(large.block.header.stateRoot);
    driver.stop();
  });

  it('is let go when another one is committed before it is done', async () => {
    const chain = createTestChain(genesis);
    const { driver, seen } = driverOf(chain);
    propose(driver, large.block);
    const small = made(1);
    driver.applyFinal(small.block, small.commit);
    expect(seen).toEqual({ committed: 1, halted: '' });
    expect(chain.ledger.last()).toMatchObject({ height: 1, blockId: small.executed.blockId });
    for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(driver.executed(blockId(large.block.header))).toBeNull();
    expect(seen.halted).toBe('');
    expect(driver.running()).toBe(true);
    driver.stop();
  });
});
