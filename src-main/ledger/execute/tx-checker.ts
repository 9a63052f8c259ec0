import { setImmediate } from 'node:timers/promises';
import { hexOf, txHash } from '../codec/index.ts';
import { verifySignatureAsync } from '../../identity/index.ts';
import { prepareTx, signaturesHold } from './transaction.ts';
import type { PreparedTx } from './transaction.ts';

/** Bytes of transactions remembered; decoded they take about four times as much. */
const maxBytes = 16 * 1024 * 1024;
/** Transactions decoded in one slice, some 5 ms, while the signatures of the slice before are checked on other threads. */
const atOnce = 64;

/** Decodes transactions and checks their signatures, each once, as mempool, proposer and executor all ask. */
export interface TxChecker {
  /** @throws AppError `malformed`, `too_large`, `message_unknown` */
  prepare(bytes: Uint8Array): PreparedTx;
  /** Whether all its signatures hold; checked here and now unless it is known. */
  signed(tx: PreparedTx): boolean;
  /**
   * Checks transactions in slices, their signatures on threads of libuv's pool, and remembers the outcome for `prepare` and
   * `signed`: whoever receives a block calls this before it is executed. False: can't be decoded, or badly signed.
   */
  verifyTxs(txs: readonly Uint8Array[]): Promise<boolean[]>;
}

interface Known {
  readonly tx: PreparedTx;
  signed: boolean | null;
}

export function createTxChecker(): TxChecker {
  const known = new Map<string, Known>();
  let bytes = 0;

  function remember(name: string, tx: PreparedTx): Known {
    const entry: Known = { tx, signed: null };
    known.set(name, entry);
    bytes += tx.bytes.length;
    for (const [oldest, { tx: old }] of known) {
      if (bytes <= maxBytes) break;
      known.delete(oldest);
      bytes -= old.bytes.length;
    }
    return entry;
  }

  const entryOf = (tx: Uint8Array): Known => {
    const name = hexOf(txHash(tx));
    return known.get(name) ?? remember(name, prepareTx(tx));
  };

  async function verify(bytes: Uint8Array): Promise<boolean> {
    let entry: Known;
    try {
      entry = entryOf(bytes);
    } catch {
      return false;
    }
    if (entry.signed !== null) return entry.signed;
    const { sigs, signed } = entry.tx;
    const held = await Promise.all(sigs.map(({ key, sig }) => verifySignatureAsync(key, signed, sig)));
    entry.signed = held.every(Boolean);
    return entry.signed;
  }

  return {
    prepare: (tx) => entryOf(tx).tx,
    signed(tx) {
      const entry = known.get(hexOf(tx.hash));
      if (!entry) return signaturesHold(tx);
      entry.signed ??= signaturesHold(tx);
      return entry.signed;
    },
    async verifyTxs(txs) {
      const outcome: boolean[] = [];
      let before: Promise<boolean[]> | null = null;
      for (let at = 0; at < txs.length; at += atOnce) {
        if (at > 0) await setImmediate();
        const slice = Promise.all(txs.slice(at, at + atOnce).map(verify));
        if (before) outcome.push(...(await before));
        before = slice;
      }
      return before ? [...outcome, ...(await before)] : outcome;
    },
  };
}
