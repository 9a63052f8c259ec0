import { AppError } from '../../../../src-shared/errors.ts';
import { encodeStrict } from '../../../identity/index.ts';
import { hashIn, maxTime, sameBytes } from '../../codec/index.ts';
import { bytesOf, oneOf, pattern, record, refined, text, whole } from '../../codec/shape.ts';
import type { Shape, ValueOf } from '../../codec/shape.ts';
import { day } from '../../codec/token-spec.ts';
import { addressShape } from '../../codec/tx.ts';
import type { StateView } from '../../state/overlay.ts';
import { bytesKey, table } from '../../state/table.ts';
import type { Key } from '../../state/table.ts';
import type { Address, Amount, Hash } from '../../types.ts';
import { kind } from '../context.ts';
import type { BlockContext, Module, TxContext } from '../context.ts';
import { account, move, pot } from '../value.ts';
import { endApp } from './app.ts';
import { endDue, endingsFit, setEnding } from './endings.ts';
import { endService } from './service.ts';

/*
 * Names for people, drives, streams and apps: one space of names, each held by an account for as long as it pays. Whoever wants a name
 * first puts down a hash of it, so that nobody who sees the claim on its way can be faster.
 */

/** Small letters, digits and hyphens inside: nothing that looks like another name. */
const namePattern = /^[a-z0-9][a-z0-9-]{1,30}[a-z0-9]$/;
const nameShape: Shape<string> = pattern(
  namePattern,
  'a name of 3 to 32 small letters, digits and inner hyphens',
);

const nameKinds = ['person', 'drive', 'stream', 'app'] as const;
const pointsAt = {
  kind: oneOf(...nameKinds),
  /** Id of the drive, stream or app; '' for a person, who is the owner. */
  target: text(128),
};
const pointed = ({
  kind: what,
  target,
}: {
  readonly kind: string;
  readonly target: string;
}): string | null =>
  (what === 'person') === (target === '') ? null : 'a person’s name points at its owner, any other at an id';

const nameRow = record({ owner: addressShape, ...pointsAt, paidUntil: whole(maxTime) });
export type NameRow = ValueOf<typeof nameRow>;
export const names = table('K', 'names', nameRow);
/** The name an account goes by. */
export const ownNames = table('L', 'names of accounts', nameShape);
/** When a hash was put down. */
const claims = table('M', 'claims of names', record({ height: whole(), time: whole(maxTime) }));

const maxDays = 3650;
/** A claim is open so long. */
const claimMs = day;
/** After what was paid for, nobody but who renews gets the name for so long. It resolves no more. */
export const graceMs = 30 * day;

/** What is put down: nobody learns the name from it, and nobody else can use it. */
export const nameClaim = (name: string, owner: Address, salt: Uint8Array): Hash =>
  hashIn('name claim', encodeStrict([name, owner, salt]));

/** Short names cost more: 16 times the rent with 3 letters, 4 times with 4. */
export const nameRent = (rentPerDay: Amount, name: string, days: number): Amount =>
  rentPerDay * BigInt(days) * (name.length === 3 ? 16n : name.length === 4 ? 4n : 1n);

/** @throws AppError `name_unknown` */
function nameAt(state: StateView, name: string): NameRow {
  const found = state.get(names, name);
  if (found) return found;
  throw new AppError('name_unknown', `Nobody has the name ${name}.`);
}

/** @throws AppError `name_unknown`, `not_owner`, `name_expired` */
function owned(ctx: TxContext, name: string): NameRow {
  const row = nameAt(ctx.state, name);
  if (!sameBytes(row.owner, ctx.sender))
    throw new AppError('not_owner', `The name ${name} is somebody else's.`);
  if (row.paidUntil < ctx.time)
    throw new AppError('name_expired', `The name ${name} has to be renewed first.`);
  return row;
}

const endOf = ({ paidUntil }: NameRow): number => paidUntil + graceMs;

function put(ctx: BlockContext, name: string, before: NameRow | null, after: NameRow | null): void {
  setEnding(ctx, 'n', name, before && endOf(before), after && endOf(after));
  ctx.state.set(names, name, after);
  // Who no longer has the name no longer goes by it.
  if (before && !(after && after.kind === 'person' && sameBytes(after.owner, before.owner))) {
    const at = bytesKey(before.owner);
    if (ctx.state.get(ownNames, at) === name) ctx.state.set(ownNames, at, null);
  }
  if (after?.kind === 'person') {
    const at = bytesKey(after.owner);
    if (ctx.state.get(ownNames, at) === null) ctx.state.set(ownNames, at, name);
  }
}

/** Takes the rent and says until when the name is paid. @throws AppError `too_far_ahead`, `underfunded` */
function pay(ctx: TxContext, name: string, from: number, days: number): number {
  const until = Math.max(from, ctx.time) + days * day;
  if (until > ctx.time + maxDays * day) {
    throw new AppError('too_far_ahead', `A name is paid for ${maxDays} days ahead at most.`, {
      details: { days: maxDays },
    });
  }
  move(ctx, account(ctx.sender), pot('fees'), ctx.base, nameRent(ctx.params.rentPerDay, name, days));
  return until;
}

export const nameModule = {
  name: 'name',
  messages: {
    'name.commit': kind({
      shape: record({ hash: bytesOf(32) }),
      weight: 1000,
      delegable: true,
      run(ctx, { hash }) {
        const key = bytesKey(hash);
        if (ctx.state.get(claims, key)) throw new AppError('already_exists', 'This claim was made already.');
        ctx.state.set(claims, key, { height: ctx.height, time: ctx.time });
        setEnding(ctx, 'c', key, null, ctx.time + claimMs);
      },
    }),
    'name.reveal': kind({
      shape: refined(
        record({ name: nameShape, salt: bytesOf(32), ...pointsAt, days: whole(maxDays, 1) }),
        pointed,
      ),
      weight: 1500,
      delegable: true,
      run(ctx, { name, salt, days, kind: what, target }) {
        const key = bytesKey(nameClaim(name, ctx.sender, salt));
        const claim = ctx.state.get(claims, key);
        if (!claim) {
          throw new AppError('claim_unknown', 'The name was not claimed beforehand, or too long ago.');
        }
        if (claim.height >= ctx.height) {
          throw new AppError('claim_too_new', 'The claim has to stand in an earlier block.');
        }
        const before = ctx.state.get(names, name);
        if (before && endOf(before) >= ctx.time) {
          throw new AppError('name_taken', `The name ${name} is taken.`, {
            details: { until: endOf(before) },
          });
        }
        ctx.state.set(claims, key, null);
        setEnding(ctx, 'c', key, claim.time + claimMs, null);
        const paidUntil = pay(ctx, name, ctx.time, days);
        put(ctx, name, before, { owner: ctx.sender, kind: what, target, paidUntil });
      },
    }),
    /** By anybody, so that a name can be given as a present. */
    'name.renew': kind({
      shape: record({ name: nameShape, days: whole(maxDays, 1) }),
      weight: 500,
      delegable: true,
      run(ctx, { name, days }) {
        const row = nameAt(ctx.state, name);
        if (endOf(row) < ctx.time)
          throw new AppError('name_expired', `The name ${name} is free again; claim it.`);
        put(ctx, name, row, { ...row, paidUntil: pay(ctx, name, row.paidUntil, days) });
      },
    }),
    'name.transfer': kind({
      shape: record({ name: nameShape, to: addressShape }),
      weight: 500,
      delegable: false,
      run(ctx, { name, to }) {
        const row = owned(ctx, name);
        put(ctx, name, row, { ...row, owner: to });
      },
    }),
    /** Turns a name to something else. A person's becomes the one the owner goes by. */
    'name.point': kind({
      shape: refined(record({ name: nameShape, ...pointsAt }), pointed),
      weight: 500,
      delegable: true,
      run(ctx, { name, ...pointer }) {
        const row = owned(ctx, name);
        put(ctx, name, row, { ...row, ...pointer });
        if (pointer.kind === 'person') ctx.state.set(ownNames, bytesKey(ctx.sender), name);
      },
    }),
  },
  beginBlock(ctx) {
    endDue(ctx, (what, key) => {
      if (what === 'c') ctx.state.set(claims, key, null);
      else if (what === 'a') endApp(ctx, key);
      else if (what === 's') endService(ctx, key);
      else {
        const row = ctx.state.get(names, key);
        if (!row) return;
        ctx.state.set(names, key, null);
        if (ctx.state.get(ownNames, bytesKey(row.owner)) === key)
          ctx.state.set(ownNames, bytesKey(row.owner), null);
      }
    });
  },
  invariants: {
    'every name and claim has its end'(state) {
      const all = [...state.rows(names)].map(([key, row]): [Key, number] => [key, endOf(row)]);
      if (!endingsFit(state, 'n', all)) return 'names';
      const open = [...state.rows(claims)].map(([key, row]): [Key, number] => [key, row.time + claimMs]);
      return endingsFit(state, 'c', open) ? null : 'claims';
    },
    'who goes by a name has it, as a person'(state) {
      for (const [owner, name] of state.rows(ownNames)) {
        const row = state.get(names, name);
        if (!row || row.kind !== 'person' || bytesKey(row.owner) !== owner) return name;
      }
      return null;
    },
  },
} satisfies Module;
