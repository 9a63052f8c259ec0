import * as Y from 'yjs';
import {
  fromBase64url,
  toBase64url,
  type Collection,
  type CollectionChange,
} from '../../../src-shared/sdk/index.ts';

/** Changes are gathered so long before they go out, ms: a fast typist makes ten a second. */
const gather = 60;
/** So many changes are brought together into one state by whoever opens the note. */
const mostChanges = 200;

/** A note that several people write at once: a Yjs document whose changes are values of a collection. */
export interface Note {
  readonly text: Y.Text;
  /** Takes in what changed in the collection. */
  take(changes: readonly CollectionChange[]): void;
  /** True while something written here is not on disk yet. */
  pending(): boolean;
  onState(listener: () => void): void;
  close(): Promise<void>;
}

const unique = (): string => `${Date.now().toString().padStart(14, '0')}-${crypto.randomUUID().slice(0, 8)}`;
/** Where the changes of a note stand. */
export const changesOf = (id: string): string => `u/${id}/`;

/**
 * Opens a note. Each change is a key of its own, so that nothing written at the same time replaces anything; many of them are now and
 * then brought together into one. Yjs takes a change once however often it comes, in any order.
 */
export async function openNote(notebook: Collection, id: string, writable: boolean): Promise<Note> {
  const doc = new Y.Doc();
  const prefix = changesOf(id);
  const known = new Set<string>();
  const listeners = new Set<() => void>();
  let waiting: Uint8Array[] = [];
  let timer: ReturnType<typeof setTimeout> | null = null;
  let sending: Promise<void> = Promise.resolve();
  let unsent = 0;

  const tell = (): void => listeners.forEach((listener) => listener());

  function apply(key: string, value: unknown): void {
    if (known.has(key) || typeof value !== 'string') return;
    known.add(key);
    try {
      Y.applyUpdate(doc, fromBase64url(value), 'remote');
    } catch {
      // A member may write anything; what is no change of a document is left out.
    }
  }

  for await (const { key, value } of notebook.entries({ prefix })) apply(key, value);

  function flush(): void {
    timer = null;
    if (waiting.length === 0) return;
    const update = Y.mergeUpdates(waiting);
    waiting = [];
    const key = `${prefix}${unique()}`;
    known.add(key);
    unsent += 1;
    sending = sending
      .then(() => notebook.put(key, toBase64url(update)))
      .catch(() => {
        // Not lost: it goes with the next change, or with the state as a whole when the note is closed.
        waiting.unshift(update);
      })
      .finally(() => {
        unsent -= 1;
        tell();
      });
    tell();
  }

  doc.on('update', (update: Uint8Array, origin: unknown) => {
    if (origin === 'remote') return;
    waiting.push(update);
    timer ??= setTimeout(flush, gather);
    tell();
  });

  /** Everything in one change, in place of those it holds. Done by two at once it is there twice, which does no harm. */
  async function bringTogether(): Promise<void> {
    const old = [...known];
    const state = toBase64url(Y.encodeStateAsUpdate(doc));
    // A value of a collection has 256 KiB at the most: a long note stays in its parts.
    if (old.length < mostChanges || state.length > 240_000) return;
    const key = `${prefix}${unique()}`;
    known.add(key);
    await notebook.put(key, state);
    for (let at = 0; at < old.length; at += 500) await notebook.remove(...old.slice(at, at + 500));
  }
  if (writable) void bringTogether().catch(() => {});

  return {
    text: doc.getText('text'),
    take(changes) {
      for (const { key, entry } of changes) if (entry && key.startsWith(prefix)) apply(key, entry.value);
    },
    pending: () => waiting.length > 0 || unsent > 0,
    onState: (listener) => void listeners.add(listener),
    async close() {
      if (timer !== null) clearTimeout(timer);
      flush();
      await sending;
      doc.destroy();
    },
  };
}

/** What turns one text into another: where, how much goes, what comes. */
export function difference(before: string, after: string): { at: number; gone: number; come: string } {
  const most = Math.min(before.length, after.length);
  let at = 0;
  while (at < most && before[at] === after[at]) at += 1;
  let end = 0;
  while (end < most - at && before[before.length - 1 - end] === after[after.length - 1 - end]) end += 1;
  return { at, gone: before.length - at - end, come: after.slice(at, after.length - end) };
}

/** Ties a text field to a note: what is typed goes in, what others write appears without moving the cursor from its word. */
export function bindField(field: HTMLTextAreaElement, text: Y.Text): () => void {
  field.value = text.toJSON();
  const onInput = (): void => {
    const { at, gone, come } = difference(text.toJSON(), field.value);
    text.doc?.transact(() => {
      if (gone > 0) text.delete(at, gone);
      if (come !== '') text.insert(at, come);
    }, field);
  };
  const onChange = (event: Y.YTextEvent): void => {
    if (event.transaction.origin === field) return;
    let { selectionStart: start, selectionEnd: end } = field;
    let at = 0;
    for (const { retain = 0, insert, delete: gone = 0 } of event.changes.delta as {
      retain?: number;
      insert?: string;
      delete?: number;
    }[]) {
      at += retain;
      if (insert !== undefined) {
        if (at <= start) start += insert.length;
        if (at < end) end += insert.length;
        at += insert.length;
      }
      if (gone > 0) {
        if (at < start) start = Math.max(at, start - gone);
        if (at < end) end = Math.max(at, end - gone);
      }
    }
    const { scrollTop } = field;
    field.value = text.toJSON();
    field.setSelectionRange(start, Math.max(start, end));
    field.scrollTop = scrollTop;
  };
  field.addEventListener('input', onInput);
  text.observe(onChange);
  return () => {
    field.removeEventListener('input', onInput);
    text.unobserve(onChange);
  };
}
