import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../src-shared/errors.ts';
import { txHash } from '../codec/index.ts';
import { message } from '../modules/index.ts';
import { addressOfName, createTestChain } from '../testing.ts';
import {
  createHeadBatch,
  decodeLedgerProof,
  encodeLedgerProof,
  proveBalance,
  proveHead,
  proveTx,
  verifyLedgerProof,
} from './proofs.ts';
import type { LedgerProof } from './proofs.ts';

const bytes = (name: string): Uint8Array => new Uint8Array(createHash('sha256').update(name).digest());
let counter = 0;
const random = (): Uint8Array => bytes(`random ${counter++}`);
const heads = ['a', 'b', 'c'].map((name, seq) => ({
  drive: bytes('drive'),
  writer: bytes(`writer ${name}`),
  incarnation: 1,
  seq,
  entry: bytes(`entry ${name}`),
}));

const batch = createHeadBatch(heads, random);
const chain = createTestChain();
chain.add('founder', [
  message('bank.send', { to: addressOfName('ada'), symbol: 'EXC', amount: 77n, memo: '' }),
]);
chain.add('founder', [
  message('bank.send', { to: addressOfName('ada'), symbol: 'EXC', amount: 2n ** 120n, memo: '' }),
]);
chain.add('founder', [message('anchor.commit', { root: batch.root, count: batch.count, heads: [] })]);
const first = chain.block();
for (let n = 0; n < 6; n++) chain.block();
const { ledger } = chain;
const [good, failed] = first.block.txs as [Uint8Array, Uint8Array];

const proofs: Record<string, LedgerProof> = {
  'a balance': await proveBalance(ledger, addressOfName('ada'), 'EXC'),
  'no balance': await proveBalance(ledger, addressOfName('nobody'), 'EXC'),
  'a transaction': proveTx(ledger, txHash(good)),
  'a failed transaction': proveTx(ledger, txHash(failed)),
  'an anchored head': await proveHead(ledger, addressOfName('founder'), batch, 1),
};

describe('a proof', () => {
  it('says what it proves, without a node', async () => {
    const said = (name: string) =>
      verifyLedgerProof(decodeLedgerProof(encodeLedgerProof(proofs[name] as LedgerProof)));
    const { blockId, height } = ledger.last();
    expect(said('a balance')).toMatchObject({
      type: 'balance',
      amount: 77n,
      height: 7,
      checkpoint: { height, blockId },
    });
    expect(said('no balance')).toMatchObject({ amount: 0n });
    expect(said('a transaction')).toMatchObject({
      type: 'tx',
      ok: true,
      code: '',
      height: 1,
      hash: txHash(good),
    });
    expect(said('a failed transaction')).toMatchObject({ ok: false, code: 'underfunded' });
    expect(said('an anchored head')).toMatchObject({ type: 'head', head: heads[1], anchoredIn: 1 });
    expect(() => proveTx(ledger, bytes('none'))).toThrow(/no block/);
    await expect(proveHead(ledger, addressOfName('ada'), batch, 1)).rejects.toThrow(/not anchored/);
  });

  it.each(Object.entries(proofs))('of %s: no byte of it can be changed', (_name, proof) => {
    const encoded = encodeLedgerProof(proof);
    const truth = verifyLedgerProof(proof);
    fc.assert(
      fc.property(fc.nat(encoded.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const changed = encoded.map((byte, i) => (i === at ? byte ^ mask : byte));
        try {
          expect(verifyLedgerProof(decodeLedgerProof(changed))).toEqual(truth);
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
        }
      }),
      { seed: 20261126, numRuns: 200 },
    );
  });

  it('decodes anything, or says that it can not', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (junk) => {
        expect(() => decodeLedgerProof(junk)).toThrow(AppError);
      }),
      { seed: 20261126, numRuns: 300 },
    );
  });

  it('does not carry over to other statements', () => {
    const balance = proofs['a balance'] as LedgerProof;
    const subject = balance.subject as Extract<LedgerProof['subject'], { type: 'balance' }>;
    const refused = (changed: LedgerProof) => expect(() => verifyLedgerProof(changed)).toThrow(AppError);
    refused({ ...balance, subject: { ...subject, address: addressOfName('ben') } });
    refused({ ...balance, subject: { ...subject, symbol: 'EXD' } });
    const tx = proofs['a transaction'] as LedgerProof;
    const of = tx.subject as Extract<LedgerProof['subject'], { type: 'tx' }>;
    refused({ ...tx, subject: { ...of, result: { ...of.result, ok: false } } });
    refused({ ...tx, subject: { ...of, tx: failed } });
    refused({ ...tx, older: null });
    const head = proofs['an anchored head'] as LedgerProof;
    const anchored = head.subject as Extract<LedgerProof['subject'], { type: 'head' }>;
    refused({ ...head, subject: { ...anchored, index: 0 } });
    refused({ ...head, subject: { ...anchored, sender: addressOfName('ada') } });
    refused({ ...head, validators: [] });
  });
});
