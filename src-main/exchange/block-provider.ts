import { AppError } from '../../src-shared/errors.ts';
import type { Logger } from '../../src-shared/runtime.ts';
import { releaseShared } from '../../src-shared/shared-memory.ts';
import type { FrameStream } from '../network/index.ts';
import { decodeBlockFrame, encodeBlockFrame } from './block-frames.ts';
import type { Block, Want } from './block-frames.ts';
import { blockKey } from './block-key.ts';
import { limits } from './limits.ts';
import type { LoadShare } from './serving-load.ts';
import { tellsAtOnce } from './source-choice.ts';
import type { BlockSource } from './types.ts';

/** What a provider may serve of one drive to one peer, or why it may not. */
export interface Servable {
  readonly source: BlockSource;
  /** Ciphertext still in memory from an early announcement; the provider's own from then on. */
  readonly cached: (key: string) => Uint8Array | null;
  readonly onSent: (bytes: number) => void;
  /** For a peer whose share of the upload is bounded: counts what is about to be sent, and waits for its turn. */
  readonly pay?: (bytes: number) => Promise<void> | null;
}

export interface ProviderDeps {
  readonly stream: FrameStream;
  readonly logger: Logger;
  /** Asked for each batch, so that a removed member is refused at once; null refuses. */
  readonly servable: (drive: string) => Servable | null;
  /** This peer's part of what the node has to send. */
  readonly load: LoadShare;
  /** The peer asked for a drive it is no member of. */
  readonly onRefused: () => void;
}

interface QueuedWant {
  readonly drive: string;
  readonly id: Uint8Array;
  readonly key: string;
  readonly size: number;
}

/** Batches being read or sent at once: enough to keep disk, worker and wire busy together. */
const batchesAtOnce = 3;
/** A load is told anew when it differs by so much, and by a quarter, from what was told last. ms */
const toldSteps = 100;

/**
 * Serves one blocks stream until it ends. Memory is bounded by the wants' sizes; a peer that understates a size, or asks for
 * more than it may, is cut off.
 * @throws AppError `malformed`, `too_large`, `protocol_violation`, or what the transport says
 */
export async function serveBlocks(deps: ProviderDeps): Promise<void> {
  const { stream, load } = deps;
  const queue = new Map<string, QueuedWant>();
  let queuedBytes = 0;
  let running = 0;
  let ended = false;
  // Grows with each batch whose sizes were stated honestly: the sizes decide how much is read at once.
  let batchCount = 4;
  let sending: Promise<void> = Promise.resolve();
  let told = 0;
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});

  function takeBatch(): QueuedWant[] {
    const batch: QueuedWant[] = [];
    let bytes = 0;
    for (const [key, want] of queue) {
      if (batch.length > 0) {
        if (batch[0]!.drive !== want.drive || bytes + want.size > limits.blocksBatchBytes) break;
      }
      queue.delete(key);
      queuedBytes -= want.size;
      batch.push(want);
      bytes += want.size;
      if (batch.length >= batchCount) break;
    }
    return batch;
  }

  async function read(batch: readonly QueuedWant[], from: Servable): Promise<(Uint8Array | null)[]> {
    const found = batch.map((want) => from.cached(want.key));
    const missing = batch.filter((_, i) => found[i] === null);
    if (missing.length === 0) return found;
    let rest: readonly (Uint8Array | null)[] = [];
    try {
      rest = await from.source.read(missing.map((want) => want.id));
    } catch (error) {
      deps.logger.warn({ error, peer: stream.peer }, 'blocks could not be read');
    }
    let next = 0;
    return found.map((bytes) => bytes ?? rest[next++] ?? null);
  }

  /** Lets the other side know when it does better to ask elsewhere, and when that is over. */
  async function tellLoad(): Promise<void> {
    const waitMs = Math.round(load.waitMs());
    if (Math.abs(waitMs - told) <= Math.max(toldSteps, told / 4)) return;
    told = waitMs;
    await stream.send(encodeBlockFrame({ t: 'load', waitMs }));
  }

  async function serve(batch: readonly QueuedWant[]): Promise<void> {
    const wanted = batch.reduce((sum, want) => sum + want.size, 0);
    let sent = 0;
    try {
      sent = await answer(batch);
    } finally {
      load.done(wanted, sent);
    }
  }

  /** @returns bytes of blocks sent */
  async function answer(batch: readonly QueuedWant[]): Promise<number> {
    const drive = batch[0]!.drive;
    const before = deps.servable(drive);
    const found = before ? await read(batch, before) : [];
    const giveUp = (): void => found.forEach((bytes) => bytes && releaseShared(bytes));
    let bytes = 0;
    sending = sending.then(async () => {
      if (ended) return giveUp();
      const servable = deps.servable(drive);
      if (!servable) {
        giveUp();
        deps.onRefused();
        await stream.send(encodeBlockFrame({ t: 'forbidden', drive }));
        return;
      }
      const blocks: Block[] = [];
      const gone: Uint8Array[] = [];
      batch.forEach((want, i) => {
        const block = found[i];
        if (!block) return void gone.push(want.id);
        if (block.length > want.size) {
          throw new AppError('protocol_violation', 'A peer asked for a block with too small a size.');
        }
        blocks.push({ id: want.id, bytes: block });
        bytes += block.length;
      });
      if (gone.length > 0) await stream.send(encodeBlockFrame({ t: 'gone', ids: gone }));
      if (blocks.length > 0) {
        await tellLoad();
        await servable.pay?.(bytes);
        await stream.send(encodeBlockFrame({ t: 'blocks', blocks }));
        servable.onSent(bytes);
      }
      batchCount = Math.min(batchCount * 2, limits.blocksBatchCount);
    });
    await sending;
    return bytes;
  }

  /** Queues what is taken on; the rest is sent back at once. */
  function take(drive: string, wants: readonly Want[]): Promise<void> | null {
    const back: Uint8Array[] = [];
    if (ended) return null;
    for (const { id, size } of wants) {
      const key = blockKey(id);
      if (queue.has(key)) continue;
      if (!load.takesOn(size)) {
        back.push(id);
        continue;
      }
      queue.set(key, { drive, id, key, size });
      queuedBytes += size;
      load.add(size);
    }
    if (back.length === 0) return tellsAtOnce(load.waitMs(), told) ? tellLoad() : null;
    told = Math.round(load.waitMs());
    return stream.send(encodeBlockFrame({ t: 'busy', waitMs: told, ids: back }));
  }

  function pump(): void {
    while (!ended && running < batchesAtOnce && queue.size > 0) {
      running++;
      serve(takeBatch())
        .catch((error: unknown) => failure.reject(error))
        .finally(() => {
          running--;
          pump();
        });
    }
  }

  async function readLoop(): Promise<void> {
    for (;;) {
      const bytes = await stream.read();
      if (bytes === null) return;
      const frame = decodeBlockFrame(bytes);
      if (frame.t === 'want') {
        const sentBack = take(frame.drive, frame.wants);
        if (queue.size > limits.wantsPerPeer || queuedBytes > limits.wantBytesPerPeer) {
          throw new AppError('protocol_violation', 'A peer asks for more blocks at once than it may.');
        }
        pump();
        await sentBack;
      } else if (frame.t === 'cancel') {
        for (const id of frame.ids) {
          const want = queue.get(blockKey(id));
          if (!want) continue;
          queue.delete(want.key);
          queuedBytes -= want.size;
          load.done(want.size, 0);
        }
      } else {
        throw new AppError('protocol_violation', `An asking peer sent "${frame.t}".`);
      }
    }
  }

  try {
    await Promise.race([readLoop(), failure.promise]);
  } finally {
    ended = true;
    queue.clear();
    load.close();
  }
}
