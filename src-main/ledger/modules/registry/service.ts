import { AppError } from '../../../../src-shared/errors.ts';
import { maxTime } from '../../codec/index.ts';
import {
  bytesOf,
  listOf,
  nullable,
  pattern,
  positiveAmount,
  record,
  text,
  whole,
} from '../../codec/shape.ts';
import type { ValueOf } from '../../codec/shape.ts';
import { day } from '../../codec/token-spec.ts';
import { symbolShape } from '../../codec/tx.ts';
import { bytesKey, keyBytes, table } from '../../state/table.ts';
import type { Key } from '../../state/table.ts';
import type { Address } from '../../types.ts';
import { kind } from '../context.ts';
import type { BlockContext, Module } from '../context.ts';
import { feeShape, poolAt, poolKeyOf } from '../pool/state.ts';
import { account, move, pot, tokenOf } from '../value.ts';
import { endingsFit, setEnding } from './endings.ts';

/** What apps and daemons offer to others: an interface, where it answers, what a call costs, and which pool its demand is traded in. */

const maxDays = 3650;
const slugShape = pattern(/^[a-z0-9][a-z0-9-]{0,31}$/, 'a name of 1 to 32 small letters, digits and hyphens');
const fields = {
  title: text(100, 1),
  text: text(500),
  /** SHA-256 of the JSON Schema of its interface: both ends of a call compare it. */
  schema: bytesOf(32),
  /** Peer ids or multiaddrs where it answers. */
  peers: listOf(text(256, 1), 8),
  /** Of one call; null: free. */
  price: nullable(record({ symbol: symbolShape, amount: positiveAmount })),
  /** The pool that liquidity for this service belongs in; null: none. */
  pool: nullable(record({ a: symbolShape, b: symbolShape, feeBp: feeShape })),
};
const serviceShape = record({ ...fields, paidUntil: whole(maxTime) });
export type ServiceRow = ValueOf<typeof serviceShape>;
/** By who offers it, then its short name. */
export const services = table('N', 'services', serviceShape);
export const serviceKey = (owner: Address, slug: string): Key => bytesKey(owner) + slug;
/** The other way round: addresses have 32 bytes. */
export const ownerOfService = (key: Key): { owner: Address; slug: string } => ({
  owner: keyBytes(key.slice(0, 32)),
  slug: key.slice(32),
});

/** When its rent is over. */
export const endService = (ctx: BlockContext, key: Key): void => ctx.state.set(services, key, null);

export const serviceModule = {
  name: 'service',
  messages: {
    'service.register': kind({
      shape: record({ slug: slugShape, ...fields, days: whole(maxDays, 1) }),
      weight: 1500,
      delegable: true,
      run(ctx, { slug, days, ...service }) {
        if (service.price) tokenOf(ctx.state, service.price.symbol);
        if (service.pool) poolAt(ctx.state, poolKeyOf(service.pool.a, service.pool.b, service.pool.feeBp));
        const key = serviceKey(ctx.sender, slug);
        const before = ctx.state.get(services, key);
        const paidUntil = Math.max(before?.paidUntil ?? 0, ctx.time) + days * day;
        if (paidUntil > ctx.time + maxDays * day) {
          throw new AppError('too_far_ahead', `Rent is paid for ${maxDays} days ahead at most.`, {
            details: { days: maxDays },
          });
        }
        move(ctx, account(ctx.sender), pot('fees'), ctx.base, ctx.params.rentPerDay * BigInt(days));
        setEnding(ctx, 's', key, before?.paidUntil ?? null, paidUntil);
        ctx.state.set(services, key, { ...service, paidUntil });
      },
    }),
    'service.remove': kind({
      shape: record({ slug: slugShape }),
      weight: 300,
      delegable: true,
      run(ctx, { slug }) {
        const key = serviceKey(ctx.sender, slug);
        const before = ctx.state.get(services, key);
        if (!before) throw new AppError('not_found', `There is no service ${slug} of this account.`);
        setEnding(ctx, 's', key, before.paidUntil, null);
        ctx.state.set(services, key, null);
      },
    }),
  },
  invariants: {
    'every service has its end'(state) {
      const all = [...state.rows(services)].map(([key, row]): [Key, number] => [key, row.paidUntil]);
      return endingsFit(state, 's', all) ? null : 'services';
    },
  },
} satisfies Module;
