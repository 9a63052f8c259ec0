import { AppError } from '../../../src-shared/errors.ts';
import type { ErrorCode } from '../../../src-shared/errors.ts';
import type { Hash, TxInfo } from '../types.ts';
import { createDues } from './dues.ts';
import { createHeap } from './heap.ts';

export interface MempoolLimits {
  readonly maxCount: number;
  readonly maxBytes: number;
  readonly maxPerSender: number;
  /** A replacement pays at least this much more, in hundredths of the fee rate it replaces. */
  readonly replacePercent: number;
}

export const defaultMempoolLimits: MempoolLimits = {
  maxCount: 20_000,
  maxBytes: 32 * 1024 * 1024,
  maxPerSender: 4096,
  replacePercent: 10,
};

export interface MempoolDeps {
  /** As of the last committed block. */
  readonly check: (
    tx: Uint8Array,
  ) => { readonly ok: true; readonly info: TxInfo } | { readonly ok: false; readonly error: AppError };
  readonly onDropped: (hash: Hash, code: ErrorCode) => void;
}

/**
 * Transactions that wait for a block. Bounded in number, in bytes and per sender; each sender's are a queue by nonce. Those that
 * follow the sender's committed ones without a gap are ready; the others can't be in a block yet, compete for none, and are the
 * first to give way.
 */
export interface Mempool {
  /**
   * Takes a transaction that `check` passes.
   * @throws AppError of `check`; `tx_known`; `tx_underpriced` when it does not pay enough more than the one of the same nonce, or
   * than the cheapest of a full mempool; `mempool_full`; `underfunded` when what pays for it can't pay for all else that waits, too
   */
  add(tx: Uint8Array): TxInfo;
  /**
   * What is ready for a block: best fee rate first, each sender's in the order of its nonces.
   * @param maxBytes of all together
   */
  pick(maxBytes: number): readonly Uint8Array[];
  get(hash: Hash): Uint8Array | null;
  has(hash: Hash): boolean;
  /** Whether `pick` has anything to give. */
  hasReady(): boolean;
  /** Infos in the order of `pick`. */
  infos(): readonly TxInfo[];
  size(): { readonly count: number; readonly bytes: number };
  /** The nonce after those of a sender that wait without a gap from `committed` on. */
  nextNonce(sender: Uint8Array, committed: number): number;
  /**
   * After a block: takes out what it holds, what expired and what no longer passes.
   * @param height of the next block
   * @param limit how many are looked at again; the others at the next block
   */
  afterBlock(included: readonly Hash[], height: number, limit?: number): void;
}

interface Entry {
  readonly tx: Uint8Array;
  /** As of when it was looked at last. */
  info: TxInfo;
  readonly key: string;
  readonly sender: string;
  /** Looked at last for this height. */
  checkedAt: number;
}

/** What waits of one sender. */
interface Queue {
  readonly entries: Map<number, Entry>;
  /** Of the entries, in order. */
  readonly nonces: number[];
  /** The sender's next nonce, as far as known here. */
  committed: number;
  /** Whether one of that nonce waits. */
  ready: boolean;
  /** Of its last change: what was noted of it before holds no more. */
  stamp: number;
}

/** The last of a sender's queue, as it was at a change of it. */
interface Tail {
  readonly sender: string;
  readonly stamp: number;
  readonly ready: boolean;
  readonly feeRate: bigint;
}

/** Where a nonce stands, or would, among others in order. */
function placeOf(nonces: readonly number[], nonce: number): number {
  let [low, high] = [0, nonces.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (nonces[middle]! < nonce) low = middle + 1;
    else high = middle;
  }
  return low;
}

const lastOf = ({ entries, nonces }: Queue): Entry => entries.get(nonces.at(-1) as number) as Entry;

const keyOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');

export function createMempool(deps: MempoolDeps, limits: MempoolLimits = defaultMempoolLimits): Mempool {
  const byHash = new Map<string, Entry>();
  const senders = new Map<string, Queue>();
  const dues = createDues();
  /** Who gives way first comes first: one after a gap, then the cheapest. Outdated ones are left out when they come up. */
  const tails = createHeap<Tail>((a, b) =>
    a.ready !== b.ready ? b.ready : a.feeRate !== b.feeRate ? a.feeRate < b.feeRate : a.stamp < b.stamp,
  );
  let stamps = 0;
  let readyCount = 0;
  let bytes = 0;
  let height = 0;

  function remove(entry: Entry): void {
    byHash.delete(entry.key);
    bytes -= entry.info.bytes;
    dues.remove(entry.info.dues);
    const queue = senders.get(entry.sender);
    if (queue?.entries.get(entry.info.nonce) !== entry) return;
    queue.entries.delete(entry.info.nonce);
    queue.nonces.splice(placeOf(queue.nonces, entry.info.nonce), 1);
    changed(entry.sender, queue);
  }

  /** Notes how a sender's queue stands now. */
  function changed(sender: string, queue: Queue): void {
    const ready = queue.entries.has(queue.committed);
    if (ready !== queue.ready) readyCount += ready ? 1 : -1;
    queue.ready = ready;
    queue.stamp = ++stamps;
    if (queue.entries.size === 0) {
      senders.delete(sender);
      return;
    }
    tails.push(tailOf(sender, queue));
    if (tails.size() <= 4 * senders.size + 1024) return;
    // Most are outdated: begin anew with those that are not.
    while (tails.size() > 0) tails.pop();
    for (const [one, other] of senders) tails.push(tailOf(one, other));
  }

  function tailOf(sender: string, queue: Queue): Tail {
    const { nonce, feeRate } = lastOf(queue).info;
    return { sender, stamp: queue.stamp, ready: nonce - queue.committed < queue.entries.size, feeRate };
  }

  function drop(entry: Entry, code: ErrorCode): void {
    remove(entry);
    deps.onDropped(entry.info.hash, code);
  }

  /** A sender's next nonce is known to be at least this: what is below it has no place any more. */
  function learn(sender: string, committed: number): void {
    const queue = senders.get(sender);
    if (!queue || queue.committed >= committed) return;
    queue.committed = committed;
    const passed = queue.nonces.slice(0, placeOf(queue.nonces, committed));
    for (const nonce of passed) drop(queue.entries.get(nonce) as Entry, 'nonce_too_low');
    if (senders.get(sender) === queue) changed(sender, queue);
  }

  /** There is less to pay it from than before: the last of the sender's give way until the rest can be paid. */
  function dropUncovered({ sender, info }: Entry): void {
    while (!dues.covered(info.dues)) {
      const queue = senders.get(sender);
      if (!queue) return;
      drop(lastOf(queue), 'underfunded');
    }
  }

  /** The cheapest whose removal leaves no gap behind it: the last of some sender's queue; before all others one after a gap. */
  function worstTail(): { readonly entry: Entry; readonly ready: boolean } | null {
    for (let tail = tails.peek(); tail; tail = tails.peek()) {
      const queue = senders.get(tail.sender);
      if (queue?.stamp === tail.stamp) return { entry: lastOf(queue), ready: tail.ready };
      tails.pop();
    }
    return null;
  }

  /** Whether a transaction would follow its sender's committed and waiting ones without a gap. */
  function isReady({ nonce, committedNonce }: TxInfo, sender: string): boolean {
    const queue = senders.get(sender);
    const next = Math.max(queue?.committed ?? 0, committedNonce);
    if (nonce <= next) return true;
    return queue !== undefined && placeOf(queue.nonces, nonce) - placeOf(queue.nonces, next) === nonce - next;
  }

  function makeRoom(info: TxInfo, sender: string): void {
    const ready = isReady(info, sender);
    while (byHash.size >= limits.maxCount || bytes + info.bytes > limits.maxBytes) {
      const found = worstTail();
      if (found === null) throw new AppError('mempool_full', 'No more transactions can wait here now.');
      const worst = found.entry;
      const isBetter = ready === found.ready ? worst.info.feeRate < info.feeRate : ready;
      if (worst.sender === sender || !isBetter) {
        throw new AppError(
          'mempool_full',
          'Too many transactions wait for a block. Pay a higher fee, or try again soon.',
        );
      }
      drop(worst, 'mempool_full');
    }
  }

  function insert(entry: Entry): void {
    byHash.set(entry.key, entry);
    bytes += entry.info.bytes;
    dues.add(entry.info.dues);
    const { nonce, committedNonce } = entry.info;
    const queue = senders.get(entry.sender) ?? {
      entries: new Map<number, Entry>(),
      ...{ nonces: [], committed: committedNonce, ready: false, stamp: 0 },
    };
    queue.entries.set(nonce, entry);
    queue.nonces.splice(placeOf(queue.nonces, nonce), 0, nonce);
    senders.set(entry.sender, queue);
    changed(entry.sender, queue);
  }

  /** Those compete that are each sender's next by the committed state; the winner's successor takes its place. */
  function* inOrder(): Generator<Entry> {
    const lines = [...senders.values()].flatMap(({ entries: waiting, committed }) => {
      const entries: Entry[] = [];
      // After a gap nothing of that sender can be included.
      for (let next = waiting.get(committed); next; next = waiting.get(committed + entries.length))
        entries.push(next);
      return entries.length === 0 ? [] : [{ entries, at: 0 }];
    });
    const heap = createHeap<(typeof lines)[number]>((a, b) => {
      const [one, two] = [a.entries[a.at]!.info, b.entries[b.at]!.info];
      if (one.feeRate !== two.feeRate) return one.feeRate > two.feeRate;
      return Buffer.compare(one.hash, two.hash) < 0;
    });
    for (const line of lines) heap.push(line);
    for (let line = heap.pop(); line; line = heap.pop()) {
      yield line.entries[line.at]!;
      line.at += 1;
      if (line.at < line.entries.length) heap.push(line);
    }
  }

  return {
    add(tx) {
      const result = deps.check(tx);
      if (!result.ok) throw result.error;
      const { info } = result;
      const key = keyOf(info.hash);
      if (byHash.has(key)) throw new AppError('tx_known', 'This transaction waits already.');
      const sender = keyOf(info.sender);
      learn(sender, info.committedNonce);
      const queue = senders.get(sender);
      if (queue && info.nonce < queue.committed) {
        throw new AppError('nonce_too_low', `The account's next transaction has number ${queue.committed}.`);
      }
      const same = queue?.entries.get(info.nonce);
      if (!dues.fits(info.dues, same?.info.dues ?? [])) {
        throw new AppError(
          'underfunded',
          'The fees of all transactions that wait come to more than there is to pay them from.',
        );
      }
      if (same) {
        const least = same.info.feeRate + (same.info.feeRate * BigInt(limits.replacePercent)) / 100n;
        if (info.feeRate <= same.info.feeRate || info.feeRate < least) {
          throw new AppError(
            'tx_underpriced',
            `Another transaction of yours waits in its place; to replace it, pay at least ${limits.replacePercent} % more.`,
          );
        }
        remove(same);
      } else if ((queue?.entries.size ?? 0) >= limits.maxPerSender) {
        throw new AppError('mempool_full', 'Too many transactions of this account wait for a block.');
      }
      try {
        makeRoom(info, sender);
      } catch (error) {
        if (same) {
          insert(same);
          learn(sender, info.committedNonce);
        }
        throw error;
      }
      if (same) deps.onDropped(same.info.hash, 'tx_underpriced');
      insert({ tx, info, key, sender, checkedAt: height });
      return info;
    },

    pick(maxBytes) {
      const picked: Uint8Array[] = [];
      let left = maxBytes;
      const skipped = new Set<string>();
      for (const { tx, info, sender } of inOrder()) {
        if (skipped.has(sender)) continue;
        if (info.bytes > left) {
          skipped.add(sender);
          if (left < 256) break;
          continue;
        }
        left -= info.bytes;
        picked.push(tx);
      }
      return picked;
    },

    get: (hash) => byHash.get(keyOf(hash))?.tx ?? null,
    has: (hash) => byHash.has(keyOf(hash)),
    hasReady: () => readyCount > 0,
    infos: () => [...inOrder()].map(({ info }) => info),
    size: () => ({ count: byHash.size, bytes }),

    nextNonce(sender, committed) {
      const queue = senders.get(keyOf(sender));
      let nonce = committed;
      while (queue?.entries.has(nonce)) nonce += 1;
      return nonce;
    },

    afterBlock(included, next, limit = 256) {
      height = next;
      for (const hash of included) {
        const entry = byHash.get(keyOf(hash));
        if (!entry) continue;
        remove(entry);
        learn(entry.sender, entry.info.nonce + 1);
      }
      for (const entry of [...byHash.values()]) if (entry.info.validUntil < next) drop(entry, 'timeout');
      // The longest unchecked first: with a full mempool a block would else cost seconds of checking.
      const waiting = [...byHash.values()];
      if (waiting.length > limit) waiting.sort((a, b) => a.checkedAt - b.checkedAt);
      for (const entry of waiting.slice(0, limit)) {
        if (byHash.get(entry.key) !== entry) continue;
        const result = deps.check(entry.tx);
        if (!result.ok) {
          drop(entry, result.error.code);
          continue;
        }
        entry.checkedAt = next;
        dues.remove(entry.info.dues);
        entry.info = result.info;
        dues.add(entry.info.dues);
        // What it pays, seen from today, may have changed.
        changed(entry.sender, senders.get(entry.sender) as Queue);
        learn(entry.sender, result.info.committedNonce);
        dropUncovered(entry);
      }
    },
  };
}
