import { AppError } from '../../../src-shared/errors.ts';
import { encodeStrict, verifySignature } from '../../identity/index.ts';
import { inDomain, maxTime, sameBytes } from '../codec/index.ts';
import { bytesOf, flag, listOf, record, refined, whole } from '../codec/shape.ts';
import type { ValueOf } from '../codec/shape.ts';
import { bytesKey, table } from '../state/table.ts';
import type { Key } from '../state/table.ts';
import type { Address, Hash } from '../types.ts';
import { kind } from './context.ts';
import type { Module, TxContext } from './context.ts';

/*
 * What happened elsewhere, put beyond doubt: batches of drive heads under one root, the newest head of each chain, and which
 * actor card is the newest. Nothing here says which drive it is of: roots are over salted leaves, and a chain is named by its
 * writer's key for that drive.
 */

const hash = bytesOf(32);

/** Batches of heads by who made them and their root. */
export const batches = table(
  'h',
  'anchored batches',
  record({
    count: whole(1_000_000, 1),
    height: whole(),
    /** Of the block, ms since the epoch. */
    time: whole(maxTime),
  }),
);
export const batchKey = (sender: Address, root: Hash): Key => bytesKey(sender) + bytesKey(root);

/** The newest head of a chain: a writer's key and incarnation. */
const headFields = { writer: bytesOf(32), incarnation: whole(2 ** 48 - 1), seq: whole(), head: hash };
const headShape = record({ ...headFields, sig: bytesOf(64) });
export type SignedHead = ValueOf<typeof headShape>;
export const heads = table(
  'i',
  'anchored heads',
  record({
    seq: whole(),
    head: hash,
    height: whole(),
    time: whole(maxTime),
    /** Two heads of one number were signed: somebody rewrote this history. */
    forked: flag,
  }),
);
export const headKey = (writer: Uint8Array, incarnation: number): Key => {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(incarnation));
  return bytesKey(writer) + number.toString('latin1');
};

/** What a writer signs to have a head anchored. It holds on every chain: a head is what it is. */
export const headSignBytes = (head: Omit<SignedHead, 'sig'>): Uint8Array =>
  inDomain('chain head', encodeStrict([head.writer, head.incarnation, head.seq, head.head]));

/** The newest actor card of an account: its number and hash. */
export const cards = table(
  'j',
  'anchored cards',
  record({ number: whole(), hash, height: whole(), time: whole(maxTime) }),
);

const maxHeads = 32;

function checkHead(head: SignedHead): void {
  if (!verifySignature(head.writer, headSignBytes(head), head.sig)) {
    throw new AppError('bad_signature', 'A head is not signed by the writer of its chain.');
  }
}

function putHead(ctx: TxContext, one: SignedHead): void {
  checkHead(one);
  const key = headKey(one.writer, one.incarnation);
  const known = ctx.state.get(heads, key);
  const { height, time } = ctx;
  if (known && known.seq === one.seq && !sameBytes(known.head, one.head)) {
    ctx.state.set(heads, key, { ...known, forked: true });
    return;
  }
  if (known && known.seq >= one.seq) {
    throw new AppError('head_outdated', 'A head as new as this one, or newer, is anchored already.');
  }
  ctx.state.set(heads, key, { seq: one.seq, head: one.head, height, time, forked: known?.forked ?? false });
}

export const anchorModule = {
  name: 'anchor',
  messages: {
    'anchor.commit': kind({
      shape: record({ root: hash, count: whole(1_000_000, 1), heads: listOf(headShape, maxHeads) }),
      // A signature takes as long as some 1,000 bytes.
      weight: (message) => 500 + 1000 * message.heads.length,
      delegable: true,
      run(ctx, message) {
        const key = batchKey(ctx.sender, message.root);
        if (ctx.state.get(batches, key))
          throw new AppError('already_exists', 'This batch is anchored already.');
        ctx.state.set(batches, key, { count: message.count, height: ctx.height, time: ctx.time });
        for (const one of message.heads) putHead(ctx, one);
      },
    }),
    'anchor.fork': kind({
      shape: refined(record({ a: headShape, b: headShape }), ({ a, b }) =>
        sameBytes(a.writer, b.writer) &&
        a.incarnation === b.incarnation &&
        a.seq === b.seq &&
        !sameBytes(a.head, b.head)
          ? null
          : 'these heads do not contradict each other',
      ),
      weight: 2500,
      delegable: true,
      run(ctx, { a, b }) {
        checkHead(a);
        checkHead(b);
        const key = headKey(a.writer, a.incarnation);
        const known = ctx.state.get(heads, key);
        const { height, time } = ctx;
        ctx.state.set(
          heads,
          key,
          known ? { ...known, forked: true } : { seq: a.seq, head: a.head, height, time, forked: true },
        );
      },
    }),
    'anchor.card': kind({
      shape: record({ number: whole(), hash }),
      weight: 400,
      delegable: true,
      run(ctx, message) {
        const known = ctx.state.get(cards, bytesKey(ctx.sender));
        if (known && known.number >= message.number) {
          throw new AppError('card_outdated', 'A card as new as this one, or newer, is anchored already.');
        }
        ctx.state.set(cards, bytesKey(ctx.sender), { ...message, height: ctx.height, time: ctx.time });
      },
    }),
  },
  invariants: {},
} satisfies Module;
