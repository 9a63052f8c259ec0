import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isAppError } from '../../../src-shared/errors.ts';
import type { FrameStream } from '../../network/index.ts';
import type { Chain } from '../chain/types.ts';
import { decodeTx, encodeTx, encodeTxBody } from '../codec/index.ts';
import { message } from '../modules/index.ts';
import { accountView, holdingsView, stakesView, tokensView, validatorsView } from '../modules/views.ts';
import { addressOfName, createTestChain, signerOf } from '../testing.ts';
import type { TestChain } from '../testing.ts';
import { verifyLedgerProof } from '../execute/proofs.ts';
import { createFullReader } from './full-reader.ts';
import { createLightReader } from './light-reader.ts';
import { createReadServer } from './serve.ts';
import { simulateOn } from './simulate.ts';
import {
  decodeReadAnswer,
  decodeReadRequest,
  encodeReadAnswer,
  encodeReadRequest,
  maxScanned,
} from './wire.ts';
import type { ReadAnswer, ReadRequest } from './wire.ts';

const founder = addressOfName('founder');
const ben = addressOfName('ben');
const pay = (amount: bigint, to = ben) => message('bank.send', { to, symbol: 'EXC', amount, memo: '' });

function world(): TestChain {
  const chain = createTestChain();
  chain.add('founder', [pay(5_000_000n)]);
  chain.block();
  chain.add('ben', [message('stake.bond', { symbol: 'EXC', validator: founder, amount: 1_000_000n })]);
  chain.add('founder', [pay(1n), pay(2n, addressOfName('cyd'))]);
  chain.block();
  chain.block();
  return chain;
}

type Alter = (answer: ReadAnswer, peer: string) => ReadAnswer | Uint8Array;

/** A light reader over the real server, with somebody in between who may alter the answers. */
function reader(chain: TestChain, alter: Alter = (answer) => answer, peers: readonly string[] = ['p']) {
  const penalised: string[] = [];
  const asked: ReadRequest[] = [];
  const waiting = new Map<string, Uint8Array>();
  const pool = {
    waiting: async (hash: Uint8Array) => waiting.get(Buffer.from(hash).toString('hex')) ?? null,
    nextNonce: async (_sender: Uint8Array, committed: number) => committed + waiting.size,
  };
  const serve = createReadServer(chain.ledger, pool);
  const open = async (peer: string): Promise<FrameStream> => {
    let request: Uint8Array | null = null;
    let answer: Uint8Array | null = null;
    const stream = { peer, close: async () => {}, abort: () => {}, closed: Promise.resolve() };
    return {
      ...stream,
      async send(frame) {
        request = frame as Uint8Array;
        asked.push(decodeReadRequest(request));
        await serve({
          ...stream,
          read: async () => request,
          send: async (bytes) => void (answer = bytes as Uint8Array),
        });
      },
      async read() {
        const altered = alter(decodeReadAnswer(answer as Uint8Array), peer);
        return altered instanceof Uint8Array ? altered : encodeReadAnswer(altered);
      },
    };
  };
  const light = createLightReader({
    chain: {
      chainId: chain.ledger.chainId,
      header: async (height) => chain.ledger.signedHeaderAt(height)!,
      peers: () => peers.map((peerId) => ({ peerId, height: 3 })),
      status: () => ({ height: chain.ledger.last().height, problem: null }) as ReturnType<Chain['status']>,
      waitFor: async () => {},
    },
    network: { open, penalise: (peer) => void penalised.push(peer) },
    clock: { after: () => () => {} } as never,
    logger: { debug: () => {} } as never,
  });
  return { light, full: createFullReader(chain.ledger, pool), penalised, asked, waiting };
}

describe('a ledger read through others', () => {
  test('says the same as the state itself', async () => {
    const chain = world();
    const { light, full } = reader(chain);
    for (const one of [founder, ben, addressOfName('nobody')]) {
      const look = ({ state, time }: Parameters<Parameters<typeof light.read>[0]>[0]) => [
        holdingsView(state, one, time),
        stakesView(state, one, time),
        accountView(state, one),
        tokensView(state, time),
        validatorsView(state),
      ];
      expect(await light.read(look)).toEqual(await full.read(look));
      expect(await light.accountTxs(one, null, 10)).toEqual(await full.accountTxs(one, null, 10));
      expect(await light.nextNonce(one)).toBe(await full.nextNonce(one));
    }
    expect(await light.block(2)).toEqual(await full.block(2));
    expect(await light.block(1)).toEqual(await full.block(1));
    const [tx] = await full.accountTxs(ben, null, 1);
    const { hash } = decodeTx(tx!.bytes);
    expect(await light.findTx(hash)).toMatchObject({ bytes: tx!.bytes, place: tx!.place });
    expect(verifyLedgerProof(await light.proveTx(hash))).toEqual(verifyLedgerProof(await full.proveTx(hash)));
    expect(await light.proveBalance(ben, 'EXC')).toEqual(await full.proveBalance(ben, 'EXC'));
    await expect(light.proveTx(new Uint8Array(32))).rejects.toMatchObject({ code: 'not_found' });
  });

  test('tries transactions as the state machine does, in a round or two once it knows what they need', async () => {
    const chain = world();
    const { light, asked } = reader(chain);
    const body = { v: 1, chainId: chain.ledger.chainId, sender: ben, nonce: 1, validUntil: 50 } as const;
    const fees = { feeAsset: 'EXC', feeMax: 10_000_000n, feePayer: null };
    const txOf = (amount: bigint) =>
      encodeTx(encodeTxBody({ ...body, ...fees, msgs: [pay(amount, founder)] }), [
        { key: signerOf('ben').publicKey, sig: new Uint8Array(64) },
      ]);
    for (const amount of [10n, 10n ** 12n]) {
      const { fee, result } = await light.read(
        (view) => simulateOn(view, chain.genesis, txOf(amount)),
        'try',
      );
      const real = chain.ledger.simulate(txOf(amount));
      expect({ fee, result }).toEqual({ fee: real.fee, result: real.result });
    }
    asked.length = 0;
    await light.read((view) => simulateOn(view, chain.genesis, txOf(7n)), 'try');
    expect(asked).toHaveLength(1);
    const wrong = light.read((view) => simulateOn(view, { ...chain.genesis, name: 'other' }, txOf(1n)));
    await expect(wrong).rejects.toMatchObject({ code: 'wrong_chain' });
  });

  test('knows what waits in the mempool of others, but nothing they make up', async () => {
    const chain = world();
    const { light, waiting } = reader(chain);
    const tx = chain.tx('ben', [pay(1n)]);
    const { hash } = decodeTx(tx);
    expect(await light.findTx(hash)).toBeNull();
    waiting.set(Buffer.from(hash).toString('hex'), tx);
    expect(await light.findTx(hash)).toMatchObject({ bytes: tx, place: null });
    expect(await light.nextNonce(ben)).toBe(2);
    const liar = reader(chain, (answer) => (answer.type === 'tx' ? { ...answer, waiting: tx } : answer));
    await expect(liar.light.findTx(new Uint8Array(32))).rejects.toMatchObject({ code: 'unreachable' });
    expect(liar.penalised).toEqual(['p']);
  });

  test('whoever alters, withholds or invents a row, a transaction or a block is penalised, and another is asked', async () => {
    const chain = world();
    const other = createTestChain();
    other.block();
    const { full } = reader(chain);
    const balance = (view: Parameters<Parameters<typeof full.read>[0]>[0]) =>
      holdingsView(view.state, ben, view.time);
    const right = await full.read(balance);
    const lies: Alter[] = [
      () => Uint8Array.of(1, 2, 3),
      () => ({ type: 'nonce', nonce: 1 }),
      (answer) =>
        answer.type === 'rows'
          ? { ...answer, rows: answer.rows.map((row) => ({ ...row, value: null })) }
          : answer,
      (answer) => (answer.type === 'rows' ? { ...answer, rows: answer.rows.slice(1), scans: [] } : answer),
      (answer) =>
        answer.type === 'rows'
          ? {
              ...answer,
              scans: answer.scans.map((scan) => ({ ...scan, rows: [...scan.rows, ...scan.rows] })),
            }
          : answer,
      (answer) =>
        answer.type === 'rows'
          ? {
              ...answer,
              scans: answer.scans.map((scan) => ({
                ...scan,
                rows: scan.rows.map((row) => ({ ...row, value: Uint8Array.of(255) })),
              })),
            }
          : answer,
      (answer) =>
        answer.type === 'rows'
          ? {
              ...answer,
              block: {
                signed: other.ledger.signedHeaderAt(1)!,
                validators: other.ledger.validatorsAt(1)!,
              },
            }
          : answer,
    ];
    for (const [i, lie] of lies.entries()) {
      const { light, penalised } = reader(
        chain,
        (answer, peer) => (peer === 'liar' ? lie(answer, peer) : answer),
        ['liar', 'honest'],
      );
      expect(await light.read(balance), `lie ${i}`).toEqual(right);
      expect(penalised.length, `lie ${i}`).toBeGreaterThan(0);
      expect(new Set(penalised), `lie ${i}`).toEqual(new Set(['liar']));
    }
    const blockLies: Alter[] = [
      (answer) => (answer.type === 'block' ? { ...answer, results: [] } : answer),
      (answer) =>
        answer.type === 'block'
          ? { ...answer, results: answer.results.map((one) => ({ ...one, ok: false, code: 'underfunded' })) }
          : answer,
      (answer) =>
        answer.type === 'account'
          ? { ...answer, txs: answer.txs.map((one) => ({ ...one, proof: Uint8Array.of(0) })) }
          : answer,
    ];
    for (const lie of blockLies) {
      const { light, penalised } = reader(chain, lie);
      const outcome = await Promise.all([
        light.block(2).catch((error: unknown) => error),
        light.accountTxs(ben, null, 5).catch((error: unknown) => error),
      ]);
      expect(outcome.filter((one) => isAppError(one, 'unreachable'))).toHaveLength(1);
      expect(penalised).toEqual(['p']);
    }
  });

  test('lists too long for a light node are refused, not cut', async () => {
    const chain = world();
    const { light } = reader(chain, (answer) =>
      answer.type === 'rows'
        ? { ...answer, scans: answer.scans.map((scan) => ({ ...scan, more: true })) }
        : answer,
    );
    const look = light.read(({ state, time }) => tokensView(state, time));
    await expect(look).rejects.toMatchObject({ code: 'too_large' });
    expect(maxScanned).toBeGreaterThan(1000);
  });
});

describe('decoders', () => {
  test('anything either decodes and encodes to the same bytes, or is malformed', () => {
    const samples = [
      encodeReadRequest({ type: 'rows', keys: [Uint8Array.of(1)], prefixes: [Uint8Array.of(2)] }),
      encodeReadRequest({ type: 'account', address: ben, before: { height: 3, index: 1 }, limit: 5 }),
      encodeReadAnswer({ type: 'tx', proof: null, waiting: Uint8Array.of(1), message: 'why' }),
      encodeReadAnswer({ type: 'rows', block: null, rows: [], scans: [{ rows: [], more: true }] }),
      encodeReadAnswer({
        type: 'block',
        block: null,
        results: [{ hash: new Uint8Array(32), ok: true, code: '', fee: 7n }],
      }),
    ];
    const near = fc
      .tuple(fc.constantFrom(...samples), fc.nat(), fc.nat(255))
      .map(([bytes, at, value]) => bytes.map((byte, i) => (i === at % bytes.length ? value : byte)));
    const codecs = [
      [decodeReadRequest, encodeReadRequest],
      [decodeReadAnswer, encodeReadAnswer],
    ] as const;
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), near), (bytes) => {
        for (const [decode, encode] of codecs) {
          let value;
          try {
            value = decode(bytes);
          } catch (error) {
            expect(isAppError(error, 'malformed') || isAppError(error, 'too_large')).toBe(true);
            continue;
          }
          expect(Buffer.from(encode(value as never))).toEqual(Buffer.from(bytes));
        }
      }),
      { numRuns: 500 },
    );
  });
});
