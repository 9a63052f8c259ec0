import { flag } from '../../codec/shape.ts';
import type { StateView } from '../../state/overlay.ts';
import { keyNumber, numberKey, table } from '../../state/table.ts';
import type { Key } from '../../state/table.ts';
import type { BlockContext } from '../context.ts';

/*
 * What was paid for ends by itself. Ends stand in a table of their own, sorted by time, so a block looks only at those that are due,
 * and only at so many.
 */

const endings = table('J', 'ends of registered things', flag);
/** Entries that end in one block at the most. */
const maxEndings = 100;

/** What ends: `a` apps, `c` claims, `n` names, `s` services. */
export type EndingKind = 'a' | 'c' | 'n' | 's';
const endingKey = (time: number, what: EndingKind, key: Key): Key => numberKey(time) + what + key;

/** Moves the end of a thing; null: it has none (before or after). */
export function setEnding(
  ctx: BlockContext,
  what: EndingKind,
  key: Key,
  before: number | null,
  after: number | null,
): void {
  if (before !== null) ctx.state.set(endings, endingKey(before, what, key), null);
  if (after !== null) ctx.state.set(endings, endingKey(after, what, key), true);
}

/** Ends what is due, oldest first. */
export function endDue(ctx: BlockContext, end: (what: EndingKind, key: Key) => void): void {
  const due: Key[] = [];
  for (const [key] of ctx.state.rows(endings)) {
    if (keyNumber(key, 0) > ctx.time || due.length >= maxEndings) break;
    due.push(key);
  }
  for (const key of due) {
    ctx.state.set(endings, key, null);
    end(key[8] as EndingKind, key.slice(9));
  }
}

/** For invariants: each thing of a kind has its end, and no end is without its thing. */
export function endingsFit(
  state: StateView,
  what: EndingKind,
  things: Iterable<readonly [Key, number]>,
): boolean {
  let count = 0;
  for (const [key, time] of things) {
    count += 1;
    if (state.get(endings, endingKey(time, what, key)) === null) return false;
  }
  return [...state.rows(endings)].filter(([key]) => key[8] === what).length === count;
}
