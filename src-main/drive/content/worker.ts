import type { MessagePort } from 'node:worker_threads';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { move } from 'piscina';
import { createSharedMemory, releaseShared } from '../../../src-shared/shared-memory.ts';
import type { BlockRef } from '../types.ts';
import { openBlock, sealedLength } from './block.ts';
import { fileError } from './file-error.ts';
import { createMemoryPool } from './memory-pool.ts';
import {
  packBytes,
  packRefs,
  plainError,
  refBuffers,
  unpackRefs,
  type ControlMessage,
  type FinishItem,
  type IndexAnswer,
  type IndexItem,
  type PackedRefs,
  type PlainError,
  type SealedMessage,
  type Task,
} from './messages.ts';
import { createNodeFiles } from './node-files.ts';
import { createOpenFiles } from './open-files.ts';

// One set per thread: this module is the thread's program, so its state is the thread's.
const memory = createMemoryPool(24 * 1024 * 1024);
const files = createNodeFiles(memory, createOpenFiles(64, 2000), process.umask());

/** Ciphertexts go out in it: whoever gets them releases them when they are sent. */
const outgoing = createSharedMemory(64 * 1024 * 1024);
/** Less is copied faster than it is counted. Bytes. */
const smallestShared = 64 * 1024;
let trim: NodeJS.Timeout | null = null;

/** Memory of these lengths, all in one piece. */
function takeMany(lengths: readonly number[]): Uint8Array[] {
  const total = lengths.reduce((sum, length) => sum + length, 0);
  if (total < smallestShared) return lengths.map((length) => Buffer.allocUnsafeSlow(length));
  if (trim) trim.refresh();
  else trim = setTimeout(() => outgoing.trim(), trimMs).unref();
  const all = outgoing.take(total);
  let at = 0;
  return lengths.map((length) => all.subarray(at, (at += length)));
}

/** A batch of new blocks goes out at this many bytes of ciphertext. */
const sealedBatch = 1024 * 1024;
/** Batches on their way at once: one being taken, one behind it. */
const maxUncredited = 2;
/** Idle for so long, the thread gives up memory for ciphertexts, ms. */
const trimMs = 5_000;
/** Other tasks of this thread (a peer waits for blocks) get their turn at least this often, ms. */
const turn = 4;

/** Does one task; what fails inside is the answer of that item. */
export default async function contentTask(task: Task): Promise<unknown> {
  switch (task.op) {
    case 'index':
      return index(task.inputs, task.previous, task.port);
    case 'seal': {
      const refs = unpackRefs(task.refs);
      const into = takeMany(refs.map((ref) => sealedLength(ref.len)));
      const requests = task.items.map((item, i) => ({ ...item, ref: refs[i]! }));
      const results = await files.seal(requests, into);
      results.forEach((result, i) => result ?? releaseShared(into[i]!));
      return handOver(results);
    }
    case 'place': {
      const refs = unpackRefs(task.refs);
      return each(
        task.items,
        (item, i) => files.place({ ...item, ref: refs[i]! }),
        (item) => item.path,
      );
    }
    case 'copy': {
      const refs = unpackRefs(task.refs);
      const results = await files.copy(task.items.map((item, i) => ({ ...item, ref: refs[i]! })));
      return results.map((error) => error && plainError(fileError(error, '')));
    }
    case 'finish':
      return Promise.all(task.items.map(finish));
    case 'open': {
      try {
        return handOver([openBlock(task.key, unpackRefs(task.refs)[0]!, task.ciphertext)]);
      } catch (error) {
        return { error: plainError(fileError(error, '')) };
      }
    }
  }
}

async function each<T>(
  items: readonly T[],
  work: (item: T, index: number) => void,
  pathOf: (item: T) => string,
): Promise<(PlainError | null)[]> {
  const results: (PlainError | null)[] = [];
  let since = performance.now();
  for (const [i, item] of items.entries()) {
    try {
      work(item, i);
      results.push(null);
    } catch (error) {
      results.push(plainError(fileError(error, pathOf(item))));
    }
    if (performance.now() - since > turn) {
      await nextTurn();
      since = performance.now();
    }
  }
  return results;
}

async function finish({ temp, fsync, ...content }: FinishItem): Promise<unknown> {
  try {
    const full = { kind: 'file', ...content, hash: new Uint8Array(0), blockSize: 0, blocks: [] } as const;
    return await files.finish({ temp, fsync, content: full });
  } catch (error) {
    return { error: plainError(fileError(error, temp)) };
  }
}

function handOver(results: readonly (Uint8Array | null)[]): unknown {
  const { views, transfer } = packBytes(results.filter((bytes) => bytes !== null));
  let next = 0;
  return movable(
    results.map((bytes) => bytes && views[next++]!),
    transfer,
  );
}

/** Piscina's marker for a value whose buffers are transferred. */
function movable(value: unknown, transfer: ArrayBuffer[]): unknown {
  return move({
    get [Symbol.for('Piscina.transferable')]() {
      return transfer;
    },
    get [Symbol.for('Piscina.valueOf')]() {
      return value;
    },
  } as never);
}

async function index(
  inputs: readonly IndexItem[],
  previous: PackedRefs,
  port: MessagePort,
): Promise<unknown> {
  const outbox = createOutbox(port);
  const answers: IndexAnswer[] = [];
  const refs: BlockRef[] = [];
  let since = performance.now();
  try {
    for (const [i, { path, epoch, key, wantsSealed, start, count }] of inputs.entries()) {
      try {
        const { content, stamp } = await files.index(
          path,
          { epoch, key },
          count > 0 ? { blocks: unpackRefs(previous, start, count) } : null,
          wantsSealed
            ? {
                memory: (length) => outbox.memory(length),
                found: (ref, offset, ciphertext) => outbox.add(i, ref, offset, ciphertext),
              }
            : undefined,
          outbox.aborted,
        );
        const { size, mtime, exec, hash, inline, blockSize, blocks } = content;
        const range = { start: refs.length, count: blocks.length };
        for (const block of blocks) refs.push(block);
        answers.push({ error: null, stamp, size, mtime, exec, hash, inline, blockSize, ...range });
      } catch (error) {
        answers.push({ error: plainError(fileError(error, path)) });
      }
      if (performance.now() - since > turn) {
        await nextTurn();
        since = performance.now();
      }
    }
    await outbox.drain();
  } finally {
    port.close();
  }
  const packed = packRefs(refs);
  return movable({ answers, refs: packed }, refBuffers(packed));
}

interface Outbox {
  /** For one ciphertext, to be added next. */
  memory(length: number): Uint8Array;
  add(input: number, ref: BlockRef, offset: number, ciphertext: Uint8Array): Promise<void> | void;
  /** Sends the rest and waits until all was taken. */
  drain(): Promise<void>;
  aborted(): boolean;
}

function createOutbox(port: MessagePort): Outbox {
  let items: { input: number; offset: number; ciphertext: Uint8Array }[] = [];
  let refs: BlockRef[] = [];
  let bytes = 0;
  let uncredited = 0;
  let stopped = false;
  let wake: (() => void) | null = null;
  /** Small ones lie beside each other; what is left of it. */
  let rest: Uint8Array = new Uint8Array(0);
  const stop = (): void => {
    stopped = true;
    wake?.();
  };
  port.on('close', stop);
  port.on('message', (message: ControlMessage) => {
    if (message === 'abort') stop();
    else uncredited--;
    wake?.();
  });

  async function room(limit: number): Promise<void> {
    while (uncredited > limit && !stopped) {
      await new Promise<void>((resolve) => (wake = resolve));
      wake = null;
    }
  }
  function giveUpRest(): void {
    if (rest.length > 0) releaseShared(rest);
    rest = new Uint8Array(0);
  }
  async function send(): Promise<void> {
    giveUpRest();
    const { views, transfer } = packBytes(items.map((item) => item.ciphertext));
    const packed = packRefs(refs);
    const message: SealedMessage = {
      items: items.map(({ input, offset }, i) => ({ input, offset, ciphertext: views[i]! })),
      refs: packed,
    };
    items = [];
    refs = [];
    bytes = 0;
    uncredited++;
    port.postMessage(message, [...transfer, ...refBuffers(packed)]);
    await room(maxUncredited - 1);
  }
  return {
    memory(length) {
      if (length > sealedBatch / 4) return takeMany([length])[0]!;
      if (rest.length < length) {
        giveUpRest();
        [rest] = takeMany([sealedBatch]) as [Uint8Array];
      }
      const memory = rest.subarray(0, length);
      rest = rest.subarray(length);
      return memory;
    },
    add(input, ref, offset, ciphertext) {
      if (stopped) return releaseShared(ciphertext);
      items.push({ input, offset, ciphertext });
      refs.push(ref);
      bytes += ciphertext.length;
      if (bytes >= sealedBatch) return send();
    },
    async drain() {
      if (items.length > 0 && !stopped) await send();
      giveUpRest();
      await room(0);
    },
    aborted: () => stopped,
  };
}
