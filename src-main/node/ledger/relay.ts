import { decodeTx, sameBytes } from '../../ledger/index.ts';
import type { Address, FoundTx, Tx } from '../../ledger/index.ts';
import { migrate } from '../../store/index.ts';
import type { Online } from '../core.ts';
import type { OpenChain } from './chains.ts';

/**
 * Own transactions that a light node handed to others. It has no mempool: so it says them again until they stand in a block, and
 * counts them, so that the next one takes the next number. They are kept on disk: a restart loses none.
 */
export interface Relay {
  keep(tx: Uint8Array): void;
  /** After the last one kept; 0: none. */
  nextNonce(chainId: string, sender: Address): number;
  /** The newest first. */
  waiting(chainId: string, sender: Address): readonly FoundTx[];
  stop(): void;
}

/** ms */
const again = 4000;
const maxKept = 1000;

const migrations = [
  `CREATE TABLE sent_transactions (at INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, tx BLOB NOT NULL) STRICT`,
];

/** @param chains those that are open */
export function createRelay(
  { db, clock, logger }: Pick<Online, 'db' | 'clock' | 'logger'>,
  chains: () => readonly OpenChain[],
): Relay {
  migrate(db, 'sent transactions', migrations);
  const insert = db.prepare('INSERT OR IGNORE INTO sent_transactions (hash, tx) VALUES (?, ?)');
  const remove = db.prepare('DELETE FROM sent_transactions WHERE hash = ?');
  /** The oldest first. */
  let kept = db
    .prepare<[], { tx: Buffer }>('SELECT tx FROM sent_transactions ORDER BY at')
    .all()
    .map(({ tx }) => decodeTx(new Uint8Array(tx)));
  let cancel: (() => void) | null = null;
  let stopped = false;

  const of = (chainId: string, sender: Address): Tx[] =>
    kept.filter(({ body }) => body.chainId === chainId && sameBytes(body.sender, sender));

  function forget(tx: Tx): void {
    remove.run(tx.hash);
    kept = kept.filter((other) => other !== tx);
  }

  async function sayAgain(): Promise<void> {
    const open = new Map(chains().map((one) => [one.record.chainId, one]));
    for (const tx of [...kept]) {
      const at = open.get(tx.body.chainId);
      if (stopped || !at) continue;
      try {
        if (at.chain.status().height > tx.body.validUntil) forget(tx);
        else if ((await at.reader.findTx(tx.hash))?.place) forget(tx);
        else await at.chain.submit(tx.bytes);
      } catch (error) {
        // A number that is used: another one took its place.
        if ((error as { code?: unknown }).code === 'nonce_too_low' && !stopped) forget(tx);
        logger.debug({ error: String(error) }, 'a transaction was not handed on');
      }
    }
  }

  function schedule(): void {
    if (stopped || cancel !== null || kept.length === 0) return;
    cancel = clock.after(again, () => {
      void sayAgain().finally(() => {
        cancel = null;
        schedule();
      });
    });
  }

  schedule();
  return {
    keep(bytes) {
      const tx = decodeTx(bytes);
      insert.run(tx.hash, bytes);
      kept.push(tx);
      if (kept.length > maxKept) forget(kept[0] as Tx);
      schedule();
    },
    nextNonce: (chainId, sender) => Math.max(0, ...of(chainId, sender).map(({ body }) => body.nonce + 1)),
    waiting: (chainId, sender) =>
      of(chainId, sender)
        .map(({ bytes }) => ({ bytes, place: null }))
        .reverse(),
    stop() {
      stopped = true;
      cancel?.();
    },
  };
}
