import { AppError } from '../../../src-shared/errors.ts';
import { maxTime, sameBytes } from '../codec/index.ts';
import { flag, oneOf, record, text, whole } from '../codec/shape.ts';
import type { ValueOf } from '../codec/shape.ts';
import { day } from '../codec/token-spec.ts';
import { addressShape } from '../codec/tx.ts';
import { keyNumber, numberKey, table } from '../state/table.ts';
import type { Key } from '../state/table.ts';
import { kind } from './context.ts';
import type { BlockContext, Module, TxContext } from './context.ts';
import { account, move, pot } from './value.ts';

/** What is public and wants to be found: drives, streams, people. Each entry pays rent, and goes when it is not paid. */

const maxDays = 3650;
/** Entries that end in one block at the most. */
const maxEndings = 100;

const kindShape = oneOf('drive', 'stream', 'person');
const fields = {
  kind: kindShape,
  /** Of the drive or stream; a person's user id. */
  id: text(128, 1),
  title: text(100, 1),
  /** What is searched, besides the title. */
  text: text(500),
  /** Where it is: a link for this program. */
  link: text(500),
};
const entryShape = record({ ...fields, owner: addressShape, paidUntil: whole(maxTime) });
export type DirectoryEntry = ValueOf<typeof entryShape>;
export const directory = table('g', 'directory', entryShape);
const endings = table('w', 'ends of directory entries', flag);

export const directoryKey = (what: DirectoryEntry['kind'], id: string): Key =>
  `${what}\0${Buffer.from(id).toString('latin1')}`;
/** The words of entries, so that who looks for one need not read them all: word, zero byte, key of the entry. */
export const directoryWords = table('z', 'words of the directory', flag);
/** Words of an entry that are listed; its title comes first. */
const maxWords = 40;
/** Of a word that is longer the beginning is listed. */
const maxWordLength = 24;

/**
 * The words of a text, in small letters. Only A-Z have small ones here, and every character beyond ASCII is a letter: what Unicode
 * says of them changes, and all nodes must agree.
 */
export function wordsOf(text: string): readonly string[] {
  const words = text
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    // eslint-disable-next-line no-control-regex
    .split(/[\x00-\x2f\x3a-\x60\x7b-\x7f]+/)
    .filter((word) => word.length > 1)
    .map((word) => [...word].slice(0, maxWordLength).join(''));
  return [...new Set(words)];
}
export const wordKey = (word: string, key: Key = ''): Key =>
  `${Buffer.from(word).toString('latin1')}\0${key}`;

function list(
  ctx: BlockContext,
  key: Key,
  entry: Pick<DirectoryEntry, 'title' | 'text'>,
  shown: true | null,
): void {
  for (const word of wordsOf(`${entry.title} ${entry.text}`).slice(0, maxWords)) {
    ctx.state.set(directoryWords, wordKey(word, key), shown);
  }
}

const endingKey = (time: number, key: Key): Key => numberKey(time) + key;

function owned(ctx: TxContext, key: Key): DirectoryEntry | null {
  const known = ctx.state.get(directory, key);
  if (!known || sameBytes(known.owner, ctx.sender)) return known;
  throw new AppError('not_owner', 'Somebody else published this entry.');
}

function drop(ctx: BlockContext, key: Key, entry: DirectoryEntry): void {
  ctx.state.set(directory, key, null);
  ctx.state.set(endings, endingKey(entry.paidUntil, key), null);
  list(ctx, key, entry, null);
}

export const directoryModule = {
  name: 'directory',
  messages: {
    'directory.publish': kind({
      shape: record({ ...fields, days: whole(maxDays, 1) }),
      weight: 2000,
      delegable: true,
      run(ctx, { days, ...entry }) {
        const key = directoryKey(entry.kind, entry.id);
        const known = owned(ctx, key);
        if (known) drop(ctx, key, known);
        const paidUntil = Math.max(known?.paidUntil ?? 0, ctx.time) + days * day;
        if (paidUntil > ctx.time + maxDays * day) {
          throw new AppError('invalid_argument', `Rent is paid for ${maxDays} days ahead at most.`);
        }
        move(ctx, account(ctx.sender), pot('fees'), ctx.base, ctx.params.rentPerDay * BigInt(days));
        ctx.state.set(directory, key, { ...entry, owner: ctx.sender, paidUntil });
        ctx.state.set(endings, endingKey(paidUntil, key), true);
        list(ctx, key, entry, true);
      },
    }),
    'directory.remove': kind({
      shape: record({ kind: kindShape, id: text(128, 1) }),
      weight: 300,
      delegable: true,
      run(ctx, message) {
        const key = directoryKey(message.kind, message.id);
        const known = owned(ctx, key);
        if (!known) throw new AppError('not_found', 'There is no such entry in the directory.');
        drop(ctx, key, known);
      },
    }),
  },
  beginBlock(ctx) {
    const due: Key[] = [];
    for (const [key] of ctx.state.rows(endings)) {
      if (keyNumber(key, 0) > ctx.time || due.length >= maxEndings) break;
      due.push(key);
    }
    for (const ending of due) {
      const key = ending.slice(8);
      const entry = ctx.state.get(directory, key);
      if (entry) drop(ctx, key, entry);
      else ctx.state.set(endings, ending, null);
    }
  },
  dueAt(state) {
    for (const [key] of state.rows(endings)) return keyNumber(key, 0);
    return null;
  },
  invariants: {
    'every entry of the directory has its end'(state) {
      let count = 0;
      for (const [key, entry] of state.rows(directory)) {
        count += 1;
        if (state.get(endings, endingKey(entry.paidUntil, key)) === null) return entry.title;
      }
      return [...state.rows(endings)].length === count ? null : 'an end without an entry';
    },
    'the words of the directory are those of its entries'(state) {
      const wanted = new Set<Key>();
      for (const [key, entry] of state.rows(directory)) {
        for (const word of wordsOf(`${entry.title} ${entry.text}`).slice(0, maxWords))
          wanted.add(wordKey(word, key));
      }
      for (const [at] of state.rows(directoryWords)) if (!wanted.delete(at)) return at.split('\0')[0] ?? at;
      return wanted.size === 0 ? null : 'a word is not listed';
    },
  },
} satisfies Module;
