import type { Chain } from '../chain/types.ts';
import type { LedgerReader } from '../execute/application.ts';
import { proveBalance, proveFeed, proveHead, proveTx } from '../execute/proofs.ts';
import { accountOf } from '../modules/account.ts';
import type { FoundTx, LedgerAccess } from './reader.ts';

/** Reads the state kept here. */
export function createFullReader(
  ledger: LedgerReader,
  chain: Pick<Chain, 'waiting' | 'nextNonce'>,
): LedgerAccess {
  function placed(height: number, index: number): FoundTx | null {
    const found = ledger.blockAt(height);
    const result = ledger.results(height)?.[index];
    const bytes = found?.block.txs[index];
    if (!found || !result || !bytes) return null;
    return { bytes, place: { height, index, time: found.block.header.time, result } };
  }
  return {
    read: async (look) => look({ ...ledger.last(), state: ledger.state }),
    proveBalance: (address, symbol) => proveBalance(ledger, address, symbol),
    proveTx: async (hash) => proveTx(ledger, hash),
    proveHead: (sender, batch, index) => proveHead(ledger, sender, batch, index),
    proveFeed: (writer, incarnation) => proveFeed(ledger, writer, incarnation),
    async findTx(hash) {
      const place = ledger.findTx(hash);
      if (place) return placed(place.height, place.index);
      const bytes = await chain.waiting(hash);
      return bytes && { bytes, place: null };
    },
    accountTxs: async (address, before, limit) =>
      ledger.accountTxs(address, before, limit).flatMap(({ height, index }) => placed(height, index) ?? []),
    nextNonce: (address) => chain.nextNonce(address, accountOf(ledger.state, address).nonce),
    async block(height) {
      const found = ledger.blockAt(height);
      return found && { ...found, results: ledger.results(height) ?? [] };
    },
  };
}
