import { sealedLength } from '../../drive/index.ts';
import type { Drive, FileContent, NodeId, TreeNode } from '../../drive/index.ts';
import type { BlockSource } from '../../exchange/index.ts';
import type { Clock } from '../../../src-shared/runtime.ts';
import type { CodingPool } from './coding-pool.ts';
import { limits } from '../limits.ts';
import { decodeStripe, shardsOf, stripeOrNull } from './stripe.ts';
import type { ErasureCode, Shard, Stripe } from './stripe.ts';
import type { StripeRecords } from './stripe-records.ts';

/** Which files are erasure-coded rather than kept whole. */
export interface CodingRules {
  /** Files of at least so many bytes. */
  readonly codedBytes: number;
  /** Unchanged for so long, by the time of the file. ms. */
  readonly coldMs: number;
}

/** Turns large files that rarely change into stripes, a part at a time. */
export interface ColdFiles {
  /** Whether a file is one of them. */
  isCold(node: TreeNode): boolean;
  /** Looks at these files when it is their turn. */
  note(nodes: readonly TreeNode[]): void;
  /**
   * Codes some of what was noted. `more`: there is more to do; `waits`: hosts that may know stripes of it are not there yet; `absent`: some
   * of it cannot be read here (yet) and stays whole.
   */
  step(code: ErasureCode, signal: AbortSignal): Promise<'done' | 'more' | 'waits' | 'absent'>;
  readonly pending: boolean;
}

/** Ciphertext coded in one step: it is held in memory, and others get their turn afterwards. */
const stepBytes = 64 * 1024 * 1024;

export function createColdFiles(deps: {
  readonly drive: Drive;
  readonly source: BlockSource;
  readonly stripes: StripeRecords;
  readonly coding: CodingPool;
  readonly clock: Clock;
  readonly rules: () => CodingRules;
  /** Stripes of these blocks that hosts know, never trusted; null: none of those that may know some is there yet. */
  readonly known: (ids: readonly Uint8Array[], signal: AbortSignal) => Promise<readonly Uint8Array[] | null>;
  /** Fetches a block of the drive that is not here; null: nobody has it. */
  readonly fetch: (shard: Shard, signal: AbortSignal) => Promise<Uint8Array | null>;
}): ColdFiles {
  const { drive, stripes } = deps;
  const queue = new Set<NodeId>();
  let isAbsent = false;
  /** Up to which of their blocks stripes of before were looked for. */
  const looked = new Map<NodeId, number>();
  const done = (id: NodeId): void => {
    queue.delete(id);
    looked.delete(id);
  };

  const isCold = ({ content }: TreeNode): boolean => {
    const { codedBytes, coldMs } = deps.rules();
    return (
      content?.kind === 'file' && content.size >= codedBytes && deps.clock.now() - content.mtime >= coldMs
    );
  };

  /** Blocks of the file that are in no stripe, each once, in order. */
  function freeBlocks({ blocks }: FileContent): Uint8Array[] {
    const found = new Map<string, Uint8Array>();
    for (const { id } of blocks)
      if (stripes.isFree(drive.id, id)) found.set(Buffer.from(id).toString('hex'), id);
    return [...found.values()];
  }

  /**
   * A keeper before this one may have coded the file: stripes are taken over as they are, as some of their blocks may be nowhere else by
   * now. Parity follows from the blocks, so it is computed anew and compared; blocks that are not here are fetched for that.
   * @returns false: who may know is not there yet
   */
  async function takeOver(
    some: FileContent['blocks'],
    now: ErasureCode,
    signal: AbortSignal,
  ): Promise<boolean> {
    const free = some.map(({ id }) => id).filter((id) => stripes.isFree(drive.id, id));
    const found = free.length === 0 ? [] : await deps.known(free, signal);
    for (const bytes of found ?? []) {
      const stripe = stripeOrNull(bytes);
      const isSame = stripe?.data === now.data && stripe.parity.length === now.parity;
      if (stripe && isSame && stripes.fits(drive.id, stripe)) await adopt(stripe, signal);
    }
    return found !== null;
  }

  async function adopt(stripe: Stripe, signal: AbortSignal): Promise<void> {
    const found = await deps.source.read(stripe.blocks.map(({ id }) => id));
    // A computer that has nothing of a file does not bring all of it here to compare it.
    if (found.every((bytes) => bytes === null)) return;
    const blocks: Uint8Array[] = [];
    for (const [i, shard] of stripe.blocks.entries()) {
      signal.throwIfAborted();
      const bytes = found[i] ?? (await deps.fetch(shard, signal));
      if (bytes?.length !== shard.size) return;
      blocks.push(bytes);
    }
    const encoded = await deps.coding.encode(blocks, { data: stripe.data, parity: stripe.parity.length });
    const isTrue = encoded.parity.every(({ id }, i) => Buffer.compare(id, stripe.parity[i]!.id) === 0);
    if (isTrue && stripes.fits(drive.id, stripe))
      stripes.add(drive.id, stripe, encoded.roots, encoded.parity);
  }

  /** @returns false: some of them cannot be read here, and the file stays whole */
  async function code(ids: readonly Uint8Array[], { data, parity }: ErasureCode): Promise<boolean> {
    const found = await deps.source.read(ids);
    const blocks = found.filter((bytes) => bytes !== null);
    if (blocks.length < ids.length) return false;
    const encoded = await deps.coding.encode(blocks, { data, parity });
    const stripe: Stripe = {
      data,
      blocks: ids.map((id, i) => ({ id, size: blocks[i]!.length })),
      parity: encoded.parity.map(({ id, bytes }) => ({ id, size: bytes.length })),
    };
    const isDistinct = new Set(
      [...stripe.blocks, ...stripe.parity].map(({ id }) => Buffer.from(id).toString('hex')),
    );
    if (isDistinct.size === ids.length + parity) stripes.add(drive.id, stripe, encoded.roots, encoded.parity);
    return true;
  }

  return {
    isCold,
    note(nodes) {
      for (const node of nodes) if (isCold(node)) queue.add(node.id);
    },
    get pending() {
      return queue.size > 0;
    },
    async step(codeNow, signal) {
      let left = stepBytes;
      for (const id of queue) {
        const node = drive.tree.get(id);
        if (!node || !isCold(node)) {
          done(id);
          continue;
        }
        const content = node.content as FileContent;
        const bytes = sealedLength(content.blockSize) * codeNow.data;
        const atOnce = Math.min(limits.blocksPerSearch, Math.ceil(stepBytes / bytes) * codeNow.data);
        for (let at = looked.get(id) ?? 0; at < content.blocks.length; at += atOnce) {
          if (left <= 0) return 'more';
          const some = content.blocks.slice(at, at + atOnce);
          if (!(await takeOver(some, codeNow, signal))) return 'waits';
          looked.set(id, at + atOnce);
          left -= some.length * sealedLength(content.blockSize);
        }
        const free = freeBlocks(content);
        while (free.length > 0 && left > 0) {
          signal.throwIfAborted();
          if (!(await code(free.splice(0, codeNow.data), codeNow))) isAbsent = true;
          left -= bytes;
        }
        if (free.length > 0) return 'more';
        done(id);
      }
      const state = isAbsent ? 'absent' : 'done';
      isAbsent = false;
      return state;
    },
  };
}

/**
 * What this device can serve besides blocks of its files: parity, computed from them when somebody asks for it.
 */
export function createCodedSource(deps: {
  readonly drive: Drive;
  readonly source: BlockSource;
  readonly stripes: () => Pick<StripeRecords, 'of'>;
  readonly coding: CodingPool;
}): BlockSource {
  /** The last stripe's parity: its hosts ask for it at about the same time. */
  let last: { readonly key: string; readonly parity: Promise<readonly (Uint8Array | null)[]> } | null = null;

  function parityOf(encoded: Uint8Array, stripe: Stripe): Promise<readonly (Uint8Array | null)[]> {
    const key = Buffer.from(encoded).toString('latin1');
    if (last?.key !== key) last = { key, parity: compute(stripe) };
    return last.parity;
  }

  async function compute(stripe: Stripe): Promise<readonly (Uint8Array | null)[]> {
    const found = await deps.source.read(stripe.blocks.map(({ id }) => id));
    const blocks = found.filter((bytes) => bytes !== null);
    if (blocks.length < stripe.blocks.length) return stripe.parity.map(() => null);
    const code = { data: stripe.data, parity: stripe.parity.length };
    return (await deps.coding.encode(blocks, code)).parity.map(({ bytes }) => bytes);
  }

  async function parity(id: Uint8Array): Promise<Uint8Array | null> {
    const encoded = deps.stripes().of(deps.drive.id, id);
    if (encoded === null) return null;
    const stripe = decodeStripe(encoded);
    const at = shardsOf(stripe).findIndex((shard) => shard && Buffer.compare(shard.id, id) === 0);
    if (at < stripe.data) return null;
    const bytes = (await parityOf(encoded, stripe))[at - stripe.data];
    // The asker may do with it what it likes.
    return bytes ? new Uint8Array(bytes) : null;
  }

  return {
    ...deps.source,
    async read(ids) {
      const found = await deps.source.read(ids);
      const all: (Uint8Array | null)[] = [];
      for (const [i, bytes] of found.entries()) all.push(bytes ?? (await parity(ids[i]!)));
      return all;
    },
  };
}
