import { createHash } from 'node:crypto';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { BlockRef, Content, ContentIo, Drive, FileContent } from '../../drive/index.ts';
import type { Exchange } from '../../exchange/index.ts';
import type { Trash } from '../apply/trash.ts';
import type { FolderFs } from '../fs/types.ts';
import { contentKey } from '../plan/rows.ts';
import { layout } from '../scan/root.ts';
import type { SyncState } from '../state/index.ts';
import type { ReadRange } from '../types.ts';
import type { Retention } from './retention.ts';

export interface Reader {
  read(content: Content, range?: ReadRange): AsyncIterable<Uint8Array>;
  state(content: Content): 'here' | 'elsewhere' | 'lost';
}

/** Blocks asked from members at once while reading on. */
const readAhead = 8;

/** Reads any version from wherever its bytes are, block by block, each checked by its hash. */
export function createReader(deps: {
  readonly drive: Drive;
  readonly exchange: Exchange;
  readonly content: ContentIo;
  readonly fs: FolderFs;
  readonly folder: string;
  readonly state: SyncState;
  readonly trash: Trash;
  readonly retention: Retention;
  /** Ciphertext that lies on this disk; null where there is none. */
  readonly retained: (id: Uint8Array) => Promise<Uint8Array | null>;
}): Reader {
  const { fs, state, drive } = deps;
  const paths = layout(deps.folder);
  /** Content that reachable members said they don't have. */
  const gone = new Set<string>();

  /** Whole files that should hold this content. */
  function wholeFiles(key: string): string[] {
    const files = state.local.byContent(key, 4).flatMap(({ id }) => {
      const path = state.local.path(id);
      return path === null ? [] : [paths.at(path)];
    });
    const trashed = deps.trash.find(key);
    const retained = deps.retention.file(key);
    return [...files, ...(trashed === null ? [] : [trashed]), ...(retained === null ? [] : [retained])];
  }

  async function fromFile(path: string, offset: number, ref: BlockRef): Promise<Uint8Array | null> {
    try {
      const bytes = await fs.read(path, offset, ref.len);
      return createHash('sha256').update(bytes).digest().equals(ref.plainHash) ? bytes : null;
    } catch {
      return null;
    }
  }

  async function hereNow(
    files: readonly string[],
    offset: number,
    ref: BlockRef,
  ): Promise<Uint8Array | null> {
    for (const file of files) {
      const bytes = await fromFile(file, offset, ref);
      if (bytes !== null) return bytes;
    }
    for (const place of state.blocks.find(ref.id, 3)) {
      const path = state.local.path(place.node);
      const bytes = path === null ? null : await fromFile(paths.at(path), place.offset, ref);
      if (bytes !== null) return bytes;
    }
    const ciphertext = await deps.retained(ref.id);
    if (ciphertext === null) return null;
    return deps.content.open(ref, drive.contentKey(ref.epoch), ciphertext).catch(() => null);
  }

  async function fetched(ref: BlockRef, signal: AbortSignal): Promise<Uint8Array> {
    let plain: Uint8Array | null = null;
    const accept = async (ciphertext: Uint8Array): Promise<void> => {
      plain = await deps.content.open(ref, drive.contentKey(ref.epoch), ciphertext);
    };
    await deps.exchange.fetch(drive.id, [{ ref, accept }], signal);
    if (plain === null) throw new AppError('gone', 'Nobody reachable has it.');
    return plain;
  }

  async function* readFile(
    content: FileContent,
    from: number,
    to: number,
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array> {
    if (content.inline !== null) {
      const part = content.inline.subarray(from, to);
      if (part.length > 0) yield part;
      return;
    }
    const key = contentKey(content);
    const files = wholeFiles(key);
    const ahead: Promise<Uint8Array>[] = [];
    let next = 0;
    let offset = 0;
    const start = (): void => {
      let ref = content.blocks[next++];
      for (; ref !== undefined && offset + ref.len <= from; ref = content.blocks[next++]) offset += ref.len;
      if (ref === undefined || offset >= to) return;
      const wanted = ref;
      const at = offset;
      offset += ref.len;
      const bytes = hereNow(files, at, wanted)
        .then((here) => here ?? fetched(wanted, signal))
        .then((plain) => plain.subarray(Math.max(0, from - at), Math.max(0, to - at)));
      // It is awaited later; until then a failure must not count as unhandled.
      bytes.catch(() => {});
      ahead.push(bytes);
    };
    for (let i = 0; i < readAhead; i++) start();
    try {
      for (let bytes = ahead.shift(); bytes !== undefined; bytes = ahead.shift()) {
        signal.throwIfAborted();
        yield await bytes;
        start();
      }
      gone.delete(key);
      if (state.lost.has(key)) state.lost.remove(key);
    } catch (error) {
      if (!isAppError(error, 'gone')) throw error;
      gone.add(key);
      throw new AppError(
        'content_lost',
        'No computer that is reachable now has this version any more; it may be on one that is offline.',
        { cause: error },
      );
    }
  }

  return {
    async *read(content, { start = 0, end, signal = new AbortController().signal } = {}) {
      if (content.kind === 'link') yield new TextEncoder().encode(content.target).subarray(start, end);
      else yield* readFile(content, start, Math.min(end ?? content.size, content.size), signal);
    },
    state(content) {
      if (content.kind === 'link' || content.inline !== null || content.blocks.length === 0) return 'here';
      const key = contentKey(content);
      if (wholeFiles(key).length > 0 || deps.retention.has(key)) return 'here';
      if (content.blocks.every((ref) => state.blocks.find(ref.id, 1).length > 0)) return 'here';
      if (gone.has(key) || state.lost.has(key)) return 'lost';
      // What was freed was somewhere else then, and still is as far as anybody knows.
      if (state.local.isOnline(key)) return 'elsewhere';
      return drive.members().length <= 1 && deps.exchange.members(drive.id).length === 0
        ? 'lost'
        : 'elsewhere';
    },
  };
}
