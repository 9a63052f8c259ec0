import type { Clock, Logger } from '../../../src-shared/runtime.ts';
import { decodeTx, sameBytes } from '../../ledger/index.ts';
import type { Address, FoundTx, Tx } from '../../ledger/index.ts';
import type { OpenChain } from './chains.ts';

/**
 * Own transactions that a light node handed to others. It has no mempool: so it says them again until they stand in a block, and
 * counts them, so that the next one takes the next number.
 */
export interface Relay {
  keep(open: OpenChain, tx: Uint8Array): void;
  /** After the last one kept; 0: none. */
  nextNonce(chainId: string, sender: Address): number;
  /** The newest first. */
  waiting(chainId: string, sender: Address): readonly FoundTx[];
  stop(): void;
}

/** ms */
const again = 4000;
const maxKept = 1000;

export function createRelay(clock: Clock, logger: Logger): Relay {
  let kept: { readonly open: OpenChain; readonly tx: Tx }[] = [];
  let cancel: (() => void) | null = null;
  let stopped = false;

  const of = (chainId: string, sender: Address): Tx[] =>
    kept
      .filter(({ tx }) => tx.body.chainId === chainId && sameBytes(tx.body.sender, sender))
      .map(({ tx }) => tx);

  async function sayAgain(): Promise<void> {
    for (const one of [...kept]) {
      const { open, tx } = one;
      const forget = (): void => void (kept = kept.filter((other) => other !== one));
      try {
        if (open.chain.status().height > tx.body.validUntil) forget();
        else if ((await open.reader.findTx(tx.hash))?.place) forget();
        else await open.chain.submit(tx.bytes);
      } catch (error) {
        // A number that is used: another one took its place.
        if ((error as { code?: unknown }).code === 'nonce_too_low') forget();
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

  return {
    keep(open, bytes) {
      kept.push({ open, tx: decodeTx(bytes) });
      if (kept.length > maxKept) kept.shift();
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
