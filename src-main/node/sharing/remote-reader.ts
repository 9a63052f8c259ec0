import { AppError } from '../../../src-shared/errors.ts';
import type { BlockRef, ContentIo, Drive } from '../../drive/index.ts';
import type { BlockSource, Exchange } from '../../exchange/index.ts';
import type { FolderSync } from '../../sync/index.ts';
import type { BlockCache } from './reader-bounds.ts';

/** Blocks asked for at once while reading on. */
const readAhead = 6;

/** Reads versions of a drive that is not kept here, fetching only the blocks that hold what is asked for. */
export function createRemoteReader(deps: {
  readonly drive: Drive;
  readonly exchange: Exchange;
  readonly content: ContentIo;
  /** What of the drive is kept here for others: it is on this disk. */
  readonly kept: BlockSource;
  /** A player asks for the same places again. */
  readonly cache: BlockCache;
}): FolderSync['readContent'] {
  const { drive, exchange, kept, cache, content: io } = deps;

  /** null as well when what lies here is damaged: then it is fetched. */
  async function hereAlready(ref: BlockRef): Promise<Uint8Array | null> {
    const [ciphertext] = await kept.read([ref.id]);
    return ciphertext ? io.open(ref, drive.contentKey(ref.epoch), ciphertext).catch(() => null) : null;
  }

  async function block(ref: BlockRef, signal: AbortSignal): Promise<Uint8Array> {
    const key = Buffer.from(ref.id).toString('latin1');
    const known = cache.get(drive.id, key);
    if (known) return known;
    let plain = await hereAlready(ref);
    const accept = async (ciphertext: Uint8Array): Promise<void> => {
      plain = await io.open(ref, drive.contentKey(ref.epoch), ciphertext);
    };
    if (plain === null) await exchange.fetch(drive.id, [{ ref, accept }], signal);
    if (plain === null) throw new AppError('gone', 'Nobody reachable has it.');
    cache.put(drive.id, key, plain);
    return plain;
  }

  return async function* read(content, range = {}) {
    const { start = 0, signal = new AbortController().signal } = range;
    const inline = content.kind === 'link' ? new TextEncoder().encode(content.target) : content.inline;
    if (inline !== null) return void (yield inline.subarray(start, range.end));
    if (content.kind === 'link') return;
    const end = Math.min(range.end ?? content.size, content.size);
    const wanted: { ref: BlockRef; at: number }[] = [];
    let at = 0;
    for (const ref of content.blocks) {
      if (at + ref.len > start && at < end) wanted.push({ ref, at });
      at += ref.len;
    }
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    const ahead: Promise<Uint8Array>[] = [];
    const more = (): void => {
      const next = wanted.shift();
      if (!next) return;
      const bytes = block(next.ref, both).then((plain) =>
        plain.subarray(Math.max(0, start - next.at), Math.max(0, end - next.at)),
      );
      // Awaited later; until then a failure must not count as unhandled.
      bytes.catch(() => {});
      ahead.push(bytes);
    };
    try {
      for (let i = 0; i < readAhead; i++) more();
      for (let bytes = ahead.shift(); bytes !== undefined; bytes = ahead.shift()) {
        yield await bytes;
        more();
      }
    } finally {
      stop.abort();
    }
  };
}
