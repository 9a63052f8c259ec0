import { describe, expect, it } from 'vitest';
import { message } from '../../ledger/index.ts';
import { addressOfName, createTestChain } from '../../ledger/testing.ts';
import { openDatabase } from '../../store/index.ts';
import { createRelay } from './relay.ts';

/** What a light node sent, on a real state machine; only the clock and the network between are not there. */
describe('transactions that a light node sent', () => {
  it('are known and said again after a restart, and forgotten once they stand in a block', async () => {
    const chain = createTestChain();
    const { ledger } = chain;
    const handed: Uint8Array[] = [];
    const open = {
      record: { chainId: ledger.chainId },
      chain: {
        status: () => ({ height: ledger.last().height }),
        submit: async (tx: Uint8Array) => void handed.push(tx),
      },
      reader: { findTx: async (hash: Uint8Array) => ledger.findTx(hash) && { place: ledger.findTx(hash) } },
    };
    let tick: (() => void) | null = null;
    const clock = { after: (_: number, then: () => void) => ((tick = then), () => (tick = null)) };
    const node = { db: openDatabase(':memory:'), clock, logger: { debug() {} } } as unknown as Parameters<
      typeof createRelay
    >[0];
    const chains = () => [open] as unknown as ReturnType<Parameters<typeof createRelay>[1]>;
    const founder = addressOfName('founder');
    const send = (amount: bigint) =>
      chain.tx('founder', [message('bank.send', { to: founder, symbol: 'EXC', amount, memo: '' })]);
    const turn = async (): Promise<void> => {
      const run = tick as (() => void) | null;
      tick = null;
      run?.();
      await new Promise((resolve) => setImmediate(resolve));
    };

    const first = createRelay(node, chains);
    const [one, two] = [send(1n), send(2n)];
    first.keep(one);
    first.keep(two);
    first.stop();

    const second = createRelay(node, chains);
    expect(second.nextNonce(ledger.chainId, founder)).toBe(2);
    expect(second.nextNonce('another', founder)).toBe(0);
    expect(second.waiting(ledger.chainId, founder).map(({ bytes }) => bytes)).toEqual([two, one]);
    await turn();
    expect(handed).toEqual([one, two]);
    chain.block({ txs: [one] });
    await turn();
    expect(handed).toEqual([one, two, two]);
    second.stop();

    const third = createRelay(node, chains);
    expect(third.waiting(ledger.chainId, founder).map(({ bytes }) => bytes)).toEqual([two]);
    chain.block({ txs: [two] });
    await turn();
    third.stop();
    expect(createRelay(node, chains).waiting(ledger.chainId, founder)).toEqual([]);
  });
});
