import { isCollectionKey } from '../../drive/index.ts';
import type { Drive, OpDraft, Register } from '../../drive/index.ts';
import type { UserId } from '../../identity/index.ts';
import { AppError } from '../../../src-shared/errors.ts';

/** Any JSON. */
export type JsonValue =
  null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** What a key of a collection has now. */
export interface CollectionEntry {
  readonly key: string;
  readonly value: JsonValue;
  /** Names the write. */
  readonly version: string;
  /** Who wrote it; null: not known. */
  readonly user: UserId | null;
  /** ms, the writer's clock. */
  readonly time: number;
  /** Others wrote something else at the same time; what stands here is the last in the one order. */
  readonly concurrent: boolean;
}

/** A key that changed; `entry` null: it has no value any more. */
export interface CollectionChange {
  readonly key: string;
  readonly entry: CollectionEntry | null;
}

export interface CollectionPage {
  readonly prefix?: string | undefined;
  readonly after?: string | undefined;
  readonly limit: number;
  readonly reverse?: boolean | undefined;
}

/** JSON text of one value, bytes of UTF-8. */
export const maxValueJson = 256 * 1024;
/** Bytes of values in one page. */
const maxPageBytes = 4 * 1024 * 1024;
/** Keys that may wait for the disk. */
const maxWaiting = 10_000;
/** Keys of one commit: eight signed entries, one flush. */
const commitKeys = 1600;

/** The key-value store of an app: JSON values by key, the same on the computers of all members. */
export interface Collection {
  get(key: string): CollectionEntry | null;
  /** All values that were written at the same time, the one shown first; a deletion is null. */
  versions(key: string): readonly (Omit<CollectionEntry, 'value'> & { readonly value: JsonValue })[];
  entries(page: CollectionPage): {
    readonly entries: readonly CollectionEntry[];
    readonly next: string | null;
  };
  /**
   * Sets or takes away (null entry) keys; resolves when they are signed and on disk. What comes while another commit is under way goes
   * together into the next one; of several writes to one key the last counts.
   * @throws AppError `invalid_argument`, `too_large`, `forbidden`, `rate_limited`
   */
  write(changes: readonly { readonly key: string; readonly value: JsonValue | undefined }[]): Promise<void>;
  revision(): number;
  changedSince(
    revision: number,
    limit: number,
  ): { readonly changes: readonly CollectionChange[]; readonly revision: number };
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** What a member wrote may be anything: what is no JSON reads as null. */
function jsonOf(bytes: Uint8Array): JsonValue {
  try {
    return JSON.parse(decoder.decode(bytes)) as JsonValue;
  } catch {
    return null;
  }
}

const entryOf = ({ value, ...rest }: Register): CollectionEntry => ({ ...rest, value: jsonOf(value) });

function bytesOf(key: string, value: JsonValue): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(value));
  if (bytes.length > maxValueJson) {
    throw new AppError('too_large', 'A value has at most 256 KiB of JSON.', {
      details: { key, limit: maxValueJson },
    });
  }
  return new Uint8Array(bytes);
}

interface Waiting {
  readonly value: Uint8Array | null;
  readonly done: (() => void)[];
  readonly failed: ((error: unknown) => void)[];
}

/** @param drive one whose purpose is a collection */
export function createCollection(drive: Pick<Drive, 'registers' | 'commit'>): Collection {
  const { registers } = drive;
  let waiting = new Map<string, Waiting>();
  let committing = false;

  async function flush(): Promise<void> {
    if (committing) return;
    committing = true;
    try {
      while (waiting.size > 0) {
        const batch = new Map([...waiting].slice(0, commitKeys));
        if (batch.size === waiting.size) waiting = new Map();
        else for (const key of batch.keys()) waiting.delete(key);
        const drafts = [...batch].map(([key, { value }]): OpDraft => ({ t: 'set', key, value }));
        try {
          await drive.commit(drafts);
          for (const { done } of batch.values()) for (const tell of done) tell();
        } catch (error) {
          for (const { failed } of batch.values()) for (const tell of failed) tell(error);
        }
      }
    } finally {
      committing = false;
    }
  }

  return {
    get(key) {
      const found = registers.get(key);
      return found && entryOf(found);
    },
    versions: (key) =>
      registers
        .heads(key)
        .map(({ value, ...rest }) => ({ ...rest, value: value === null ? null : jsonOf(value) })),
    entries({ prefix, after, limit, reverse }) {
      const found = registers.page({
        limit: limit + 1,
        ...(prefix !== undefined && { prefix }),
        ...(after !== undefined && { after }),
        ...(reverse !== undefined && { reverse }),
      });
      let bytes = 0;
      const shown = found.slice(0, limit).filter((one, i) => {
        bytes += one.value.length;
        return i === 0 || bytes <= maxPageBytes;
      });
      return {
        entries: shown.map(entryOf),
        next: shown.length < found.length ? (shown.at(-1)?.key ?? null) : null,
      };
    },
    async write(changes) {
      if (waiting.size + changes.length > maxWaiting) {
        throw new AppError(
          'rate_limited',
          'More is written than can be stored; wait for what was written before.',
        );
      }
      const list = changes.map(({ key, value }) => {
        if (!isCollectionKey(key)) {
          throw new AppError('invalid_argument', 'A key has 1 to 512 bytes of text.', {
            details: { key: key.slice(0, 100) },
          });
        }
        return { key, value: value === undefined ? null : bytesOf(key, value) };
      });
      await Promise.all(
        list.map(
          ({ key, value }) =>
            new Promise<void>((resolve, reject) => {
              const before = waiting.get(key);
              waiting.set(key, {
                value,
                done: [...(before?.done ?? []), resolve],
                failed: [...(before?.failed ?? []), reject],
              });
              if (waiting.size === 1) queueMicrotask(() => void flush());
            }),
        ),
      );
    },
    revision: () => registers.revision(),
    changedSince(from, limit) {
      const { changes, revision } = registers.changedSince(from, limit);
      return {
        revision,
        changes: changes.map(({ key, register }) => ({ key, entry: register && entryOf(register) })),
      };
    },
  };
}
