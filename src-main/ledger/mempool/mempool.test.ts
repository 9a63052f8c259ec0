import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../../src-shared/errors.ts';
import type { TxInfo } from '../types.ts';
import { createMempool } from './mempool.ts';
import type { MempoolLimits } from './mempool.ts';

/** A transaction of the test: sender, nonce, fee rate, last height, size. */
interface Spec {
  readonly sender: number;
  readonly nonce: number;
  readonly fee: number;
  readonly until?: number;
  readonly bytes?: number;
  /** The fee due, and who pays it; default: the sender, nothing. */
  readonly due?: number;
  readonly payer?: number;
}

const encode = (spec: Spec): Uint8Array => new Uint8Array(Buffer.from(JSON.stringify(spec)));
const decode = (tx: Uint8Array): Spec => JSON.parse(Buffer.from(tx).toString()) as Spec;
const address = (n: number): Uint8Array => new Uint8Array(32).fill(n);
const infoOf = (tx: Uint8Array, committedNonce = 0, owned = 1000n): TxInfo => {
  const { sender, nonce, fee, until = 100, bytes = 200, due = 0, payer = sender } = decode(tx);
  const hash = new Uint8Array(32);
  hash.set([sender, nonce, fee, bytes & 255]);
  return {
    hash,
    sender: address(sender),
    nonce,
    committedNonce,
    validUntil: until,
    feeRate: BigInt(fee),
    dues: [{ of: `account ${payer}`, amount: BigInt(due), owned }],
    bytes,
  };
};

function pool(limits: Partial<MempoolLimits> = {}) {
  const nonces = new Map<number, number>();
  const owned = new Map<number, bigint>();
  const dropped: [number[], string][] = [];
  const mempool = createMempool(
    {
      check(tx) {
        const { sender, payer = sender } = decode(tx);
        const committed = nonces.get(sender) ?? 0;
        const info = infoOf(tx, committed, owned.get(payer));
        if (info.nonce < committed)
          return { ok: false, error: new AppError('invalid_argument', 'The nonce is used.') };
        return { ok: true, info };
      },
      onDropped: (hash, code) => dropped.push([[...hash.subarray(0, 3)], code]),
    },
    { maxCount: 100, maxBytes: 100_000, maxPerSender: 20, replacePercent: 10, ...limits },
  );
  const add = (spec: Spec): TxInfo => mempool.add(encode(spec));
  const picked = (maxBytes = 1e6): string[] =>
    mempool.pick(maxBytes).map((tx) => `${decode(tx).sender}:${decode(tx).nonce}`);
  const code = (spec: Spec): string => {
    try {
      add(spec);
      return 'ok';
    } catch (error) {
      return (error as AppError).code;
    }
  };
  return { mempool, nonces, owned, dropped, add, picked, code };
}

describe('the mempool', () => {
  test('one balance does not stand for many fees, and what it no longer pays for gives way', () => {
    const { code, owned, mempool, dropped, picked } = pool();
    owned.set(1, 25n);
    owned.set(9, 10n);
    expect(code({ sender: 1, nonce: 0, fee: 5, due: 10 })).toBe('ok');
    expect(code({ sender: 1, nonce: 1, fee: 5, due: 10 })).toBe('ok');
    expect(code({ sender: 1, nonce: 2, fee: 5, due: 10 })).toBe('underfunded');
    // In the place of another one only the difference counts.
    expect(code({ sender: 1, nonce: 1, fee: 9, due: 15 })).toBe('ok');
    expect(code({ sender: 1, nonce: 2, fee: 5, due: 1 })).toBe('underfunded');
    // A sponsor's balance is one, whoever sends.
    expect(code({ sender: 2, nonce: 0, fee: 5, due: 6, payer: 9 })).toBe('ok');
    expect(code({ sender: 3, nonce: 0, fee: 5, due: 6, payer: 9 })).toBe('underfunded');
    expect(code({ sender: 3, nonce: 0, fee: 5, due: 4, payer: 9 })).toBe('ok');
    owned.set(1, 12n);
    mempool.afterBlock([], 1);
    expect(dropped).toContainEqual([[1, 1, 9], 'underfunded']);
    expect(picked().sort()).toEqual(['1:0', '2:0', '3:0']);
    // What leaves takes its share with it.
    mempool.afterBlock([infoOf(encode({ sender: 2, nonce: 0, fee: 5, due: 6, payer: 9 })).hash], 2);
    expect(code({ sender: 4, nonce: 0, fee: 5, due: 6, payer: 9 })).toBe('ok');
  });

  test('best fee first, each sender in the order of its nonces, nothing after a gap', () => {
    const { add, picked, mempool } = pool();
    add({ sender: 1, nonce: 1, fee: 90 });
    add({ sender: 1, nonce: 0, fee: 10 });
    add({ sender: 2, nonce: 0, fee: 50 });
    add({ sender: 3, nonce: 0, fee: 20 });
    add({ sender: 3, nonce: 2, fee: 99 });
    expect(picked()).toEqual(['2:0', '3:0', '1:0', '1:1']);
    expect(picked(400)).toEqual(['2:0', '3:0']);
    expect(mempool.nextNonce(address(1), 0)).toBe(2);
    expect(mempool.nextNonce(address(3), 0)).toBe(1);
    expect(mempool.nextNonce(address(9), 7)).toBe(7);
  });

  test('a replacement pays a tenth more', () => {
    const { add, code, picked, dropped } = pool();
    add({ sender: 1, nonce: 0, fee: 100 });
    expect(code({ sender: 1, nonce: 0, fee: 100 })).toBe('tx_known');
    expect(code({ sender: 1, nonce: 0, fee: 109 })).toBe('tx_underpriced');
    expect(code({ sender: 1, nonce: 0, fee: 110 })).toBe('ok');
    expect(dropped).toEqual([[[1, 0, 100], 'tx_underpriced']]);
    expect(picked()).toEqual(['1:0']);
  });

  test('full: the cheapest last of a queue gives way to one that pays more, and only to that', () => {
    const { add, code, picked } = pool({ maxCount: 3 });
    add({ sender: 1, nonce: 0, fee: 10 });
    add({ sender: 1, nonce: 1, fee: 30 });
    add({ sender: 2, nonce: 0, fee: 20 });
    expect(code({ sender: 3, nonce: 0, fee: 20 })).toBe('mempool_full');
    expect(code({ sender: 2, nonce: 1, fee: 99 })).toBe('mempool_full');
    expect(code({ sender: 3, nonce: 0, fee: 25 })).toBe('ok');
    expect(picked()).toEqual(['3:0', '1:0', '1:1']);
  });

  test('what does not follow the committed state is not picked, whatever it offers, until it does', () => {
    const { add, picked, mempool, nonces } = pool();
    add({ sender: 1, nonce: 1, fee: 200 });
    expect(mempool.hasReady()).toBe(false);
    expect(picked()).toEqual([]);
    const ready = add({ sender: 2, nonce: 0, fee: 1 });
    expect(mempool.hasReady()).toBe(true);
    expect(picked(200)).toEqual(['2:0']);
    add({ sender: 2, nonce: 1, fee: 2 });
    mempool.afterBlock([ready.hash], 2, 0);
    expect(picked()).toEqual(['2:1']);
    // Its nonce 0 came with a block from elsewhere.
    nonces.set(1, 1);
    mempool.afterBlock([], 3);
    expect(picked()).toEqual(['1:1', '2:1']);
  });

  test('full: what comes after a gap gives way first, however much it offers, and takes no ready one’s place', () => {
    const { add, code, picked, dropped } = pool({ maxCount: 3 });
    add({ sender: 1, nonce: 0, fee: 10 });
    add({ sender: 2, nonce: 5, fee: 90 });
    add({ sender: 3, nonce: 5, fee: 80 });
    expect(code({ sender: 4, nonce: 5, fee: 80 })).toBe('mempool_full');
    expect(code({ sender: 4, nonce: 0, fee: 1 })).toBe('ok');
    expect(code({ sender: 5, nonce: 0, fee: 1 })).toBe('ok');
    expect(dropped).toEqual([
      [[3, 5, 80], 'mempool_full'],
      [[2, 5, 90], 'mempool_full'],
    ]);
    expect(code({ sender: 6, nonce: 3, fee: 200 })).toBe('mempool_full');
    expect(picked()).toHaveLength(3);
  });

  test('bounds of bytes and of one sender', () => {
    const { add, code } = pool({ maxBytes: 1000, maxPerSender: 2 });
    add({ sender: 1, nonce: 0, fee: 5 });
    add({ sender: 1, nonce: 1, fee: 5 });
    expect(code({ sender: 1, nonce: 2, fee: 50 })).toBe('mempool_full');
    expect(code({ sender: 2, nonce: 0, fee: 5, bytes: 700 })).toBe('mempool_full');
    expect(code({ sender: 2, nonce: 0, fee: 5, bytes: 600 })).toBe('ok');
  });

  test('after a block: what is in it leaves silently, what expired or no longer holds is told of', () => {
    const { add, mempool, nonces, dropped } = pool();
    const first = add({ sender: 1, nonce: 0, fee: 5 });
    add({ sender: 1, nonce: 1, fee: 5, until: 9 });
    add({ sender: 2, nonce: 0, fee: 7 });
    nonces.set(2, 1);
    mempool.afterBlock([first.hash], 10);
    expect(dropped).toEqual([
      [[1, 1, 5], 'timeout'],
      [[2, 0, 7], 'invalid_argument'],
    ]);
    expect(mempool.size()).toEqual({ count: 0, bytes: 0 });
  });

  test('never over its bounds, never out of order, whatever comes', () => {
    const limits = { maxCount: 12, maxBytes: 3000, maxPerSender: 5 };
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            sender: fc.integer({ min: 1, max: 4 }),
            nonce: fc.integer({ min: 0, max: 8 }),
            fee: fc.integer({ min: 1, max: 200 }),
            bytes: fc.integer({ min: 100, max: 600 }),
          }),
          { maxLength: 80 },
        ),
        (specs) => {
          const { mempool, code, dropped } = pool(limits);
          // By sender: fees by nonce. What waits, looked through as a whole each time.
          const model = new Map<number, Map<number, number>>();
          const tails = () =>
            [...model].map(([sender, fees]) => {
              const nonce = Math.max(...fees.keys());
              return { sender, ready: nonce < fees.size, fee: fees.get(nonce) as number };
            });
          for (const spec of specs) {
            let told = dropped.length;
            const before = structuredClone(model);
            const taken = code(spec) === 'ok';
            for (; told < dropped.length; told++) {
              const [[sender, nonce], why] = dropped[told] as [number[], string];
              const fees = model.get(sender as number)!;
              if (why === 'mempool_full') {
                const own = { ready: nonce! < fees.size, fee: fees.get(nonce!)! };
                expect(nonce).toBe(Math.max(...fees.keys()));
                for (const other of tails()) {
                  // One of its own that is replaced is out of the way already.
                  if (other.sender === spec.sender) continue;
                  expect(other.ready === own.ready ? other.fee >= own.fee : other.ready).toBe(true);
                }
              }
              fees.delete(nonce!);
              if (fees.size === 0) model.delete(sender as number);
            }
            if (taken) {
              const fees = model.get(spec.sender) ?? new Map<number, number>();
              model.set(spec.sender, fees.set(spec.nonce, spec.fee));
            } else if (dropped.length === 0) expect(model).toEqual(before);
            const ready = [...model.values()].some((fees) => fees.has(0));
            expect(mempool.hasReady()).toBe(ready);
            expect(mempool.size().count).toBe([...model.values()].reduce((sum, { size }) => sum + size, 0));
          }
          const { count, bytes } = mempool.size();
          expect(count).toBeLessThanOrEqual(limits.maxCount);
          expect(bytes).toBeLessThanOrEqual(limits.maxBytes);
          const last = new Map<number, number>();
          let size = 0;
          for (const tx of mempool.pick(2000)) {
            const { sender, nonce } = decode(tx);
            size += infoOf(tx).bytes;
            expect(nonce).toBe(last.has(sender) ? last.get(sender)! + 1 : 0);
            last.set(sender, nonce);
          }
          expect(size).toBeLessThanOrEqual(2000);
        },
      ),
    );
  });
});
