import { createHash } from 'node:crypto';
import {
  appIdDomain,
  categoryPattern,
  channelPattern,
  compareVersions,
  slugPattern,
  versionPattern,
} from '../../../../src-shared/apps/index.ts';
import { AppError } from '../../../../src-shared/errors.ts';
import { maxTime } from '../../codec/index.ts';
import { bytesOf, listOf, pattern, record, refined, text, whole } from '../../codec/shape.ts';
import type { ValueOf } from '../../codec/shape.ts';
import { day } from '../../codec/token-spec.ts';
import { addressShape } from '../../codec/tx.ts';
import type { StateView } from '../../state/overlay.ts';
import { bytesKey, table } from '../../state/table.ts';
import type { Key } from '../../state/table.ts';
import type { Address, Hash } from '../../types.ts';
import { kind } from '../context.ts';
import type { BlockContext, Module, TxContext } from '../context.ts';
import { account, move, pot } from '../value.ts';
import { endingsFit, setEnding } from './endings.ts';

/*
 * The register of apps: who publishes what, the newest release of each channel by the hash of its manifest, what was taken back, and
 * what people think of it. What was taken back and the reviews outlive the entry: whoever lets it lapse and publishes anew does not
 * get rid of them.
 */

const maxDays = 3650;
const maxChannels = 8;
const slugShape = pattern(slugPattern, 'a slug of small letters, digits and hyphens');
const channelShape = pattern(channelPattern, 'a channel of small letters and digits');
const versionShape = refined(text(64, 1), (value) =>
  versionPattern.test(value) ? null : 'a version is three numbers, perhaps with a label',
);
const describing = {
  name: text(50, 1),
  text: text(500, 1),
  categories: listOf(pattern(categoryPattern, 'a category of small letters'), 5),
};
const released = {
  version: versionShape,
  /** Hash of the bundle's manifest with its files. */
  root: bytesOf(32),
  /** Where the bundle is: a link to a public drive with a path. */
  link: text(2000, 1),
  /** Of the bundle. */
  bytes: whole(),
};

const appRow = record({
  owner: addressShape,
  slug: slugShape,
  ...describing,
  channels: whole(maxChannels),
  paidUntil: whole(maxTime),
});
export type AppRow = ValueOf<typeof appRow>;
/** By app id (32 bytes). */
export const appRows = table('3', 'apps', appRow);
const releaseRow = record({ ...released, time: whole(maxTime) });
export type ReleaseRow = ValueOf<typeof releaseRow>;
/** The newest release: by app id, then channel. */
export const releases = table('4', 'releases of apps', releaseRow);
/** By app id, then version. */
export const revokedReleases = table(
  '5',
  'releases of apps taken back',
  record({ reason: text(200), time: whole(maxTime) }),
);
const reviewRow = record({
  stars: whole(5, 1),
  text: text(500),
  version: versionShape,
  time: whole(maxTime),
});
export type ReviewRow = ValueOf<typeof reviewRow>;
/** By app id, then who wrote it. */
export const reviewRows = table('6', 'reviews of apps', reviewRow);
/** By app id. */
export const ratings = table('7', 'ratings of apps', record({ count: whole(), stars: whole() }));

/** The id of an app, from its publisher and what it is called there. */
export function appHash(publisher: Address, name: string): Hash {
  return new Uint8Array(createHash('sha256').update(appIdDomain).update(publisher).update(name).digest());
}

/** @throws AppError `app_unknown` */
function appAt(state: StateView, key: Key): AppRow {
  const found = state.get(appRows, key);
  if (found) return found;
  throw new AppError('app_unknown', 'There is no such app on this network.');
}

/** Takes the rent and says until when it is paid. @throws AppError `too_far_ahead`, `underfunded` */
function pay(ctx: TxContext, from: number, days: number): number {
  const until = Math.max(from, ctx.time) + days * day;
  if (until > ctx.time + maxDays * day) {
    throw new AppError('too_far_ahead', `Rent is paid for ${maxDays} days ahead at most.`, {
      details: { days: maxDays },
    });
  }
  if (days > 0) move(ctx, account(ctx.sender), pot('fees'), ctx.base, ctx.params.rentPerDay * BigInt(days));
  return until;
}

/** Takes an app off the register; its end is the caller's. */
export function endApp(ctx: BlockContext, key: Key): void {
  for (const [release] of [...ctx.state.rows(releases, key)]) ctx.state.set(releases, release, null);
  ctx.state.set(appRows, key, null);
}

export const appModule = {
  name: 'app',
  messages: {
    /** Enters an app, or its next release. Rent is needed the first time, and prolongs what was paid. */
    'app.publish': kind({
      shape: record({
        slug: slugShape,
        ...describing,
        channel: channelShape,
        ...released,
        days: whole(maxDays),
      }),
      weight: 2000,
      delegable: true,
      run(ctx, { slug: name, channel: line, days, version, root, link, bytes, ...described }) {
        const key = bytesKey(appHash(ctx.sender, name));
        const before = ctx.state.get(appRows, key);
        if (!before && days === 0)
          throw new AppError('invalid_argument', 'A new app is paid for at least one day.');
        const last = ctx.state.get(releases, key + line);
        if (last && compareVersions(version, last.version) <= 0) {
          throw new AppError(
            'version_not_newer',
            `The channel ${line} has ${last.version}; ${version} is not newer.`,
            { details: { version: last.version } },
          );
        }
        if (ctx.state.get(revokedReleases, key + version))
          throw new AppError('release_revoked', `The release ${version} was taken back.`);
        const channels = (before?.channels ?? 0) + (last ? 0 : 1);
        if (channels > maxChannels)
          throw new AppError('too_many', `An app has at most ${maxChannels} channels.`);
        const paidUntil = pay(ctx, before?.paidUntil ?? 0, days);
        setEnding(ctx, 'a', key, before?.paidUntil ?? null, paidUntil);
        ctx.state.set(appRows, key, { owner: ctx.sender, slug: name, ...described, channels, paidUntil });
        ctx.state.set(releases, key + line, { version, root, link, bytes, time: ctx.time });
      },
    }),
    /** By anybody. */
    'app.renew': kind({
      shape: record({ app: bytesOf(32), days: whole(maxDays, 1) }),
      weight: 500,
      delegable: true,
      run(ctx, { app, days }) {
        const key = bytesKey(app);
        const before = appAt(ctx.state, key);
        const paidUntil = pay(ctx, before.paidUntil, days);
        setEnding(ctx, 'a', key, before.paidUntil, paidUntil);
        ctx.state.set(appRows, key, { ...before, paidUntil });
      },
    }),
    /** Takes a release back for good. */
    'app.revoke': kind({
      shape: record({ slug: slugShape, version: versionShape, reason: text(200) }),
      weight: 1000,
      delegable: true,
      run(ctx, { slug: name, version, reason }) {
        const key = bytesKey(appHash(ctx.sender, name));
        appAt(ctx.state, key);
        if (ctx.state.get(revokedReleases, key + version))
          throw new AppError('already_exists', `The release ${version} was taken back already.`);
        ctx.state.set(revokedReleases, key + version, { reason, time: ctx.time });
      },
    }),
    /** One of each account; a second one takes the place of the first. */
    'app.review': kind({
      shape: record({ app: bytesOf(32), stars: whole(5, 1), text: text(500), version: versionShape }),
      weight: 2000,
      delegable: true,
      run(ctx, { app, ...fields }) {
        const key = bytesKey(app);
        const { owner } = appAt(ctx.state, key);
        if (bytesKey(owner) === bytesKey(ctx.sender))
          throw new AppError('not_allowed', 'Nobody reviews an app of their own.');
        const at = key + bytesKey(ctx.sender);
        const before = ctx.state.get(reviewRows, at);
        const rating = ctx.state.get(ratings, key) ?? { count: 0, stars: 0 };
        ctx.state.set(reviewRows, at, { ...fields, time: ctx.time });
        ctx.state.set(ratings, key, {
          count: rating.count + (before ? 0 : 1),
          stars: rating.stars + fields.stars - (before?.stars ?? 0),
        });
      },
    }),
    'app.remove': kind({
      shape: record({ slug: slugShape }),
      weight: 1000,
      delegable: true,
      run(ctx, { slug: name }) {
        const key = bytesKey(appHash(ctx.sender, name));
        const { paidUntil } = appAt(ctx.state, key);
        setEnding(ctx, 'a', key, paidUntil, null);
        endApp(ctx, key);
      },
    }),
  },
  invariants: {
    'every app has its end'(state) {
      const all = [...state.rows(appRows)].map(([key, row]): [Key, number] => [key, row.paidUntil]);
      return endingsFit(state, 'a', all) ? null : 'apps';
    },
    'an app goes by the hash of its publisher and slug, and has the channels it counts'(state) {
      const channels = new Map<Key, number>();
      for (const [key] of state.rows(releases))
        channels.set(key.slice(0, 32), (channels.get(key.slice(0, 32)) ?? 0) + 1);
      for (const [key, row] of state.rows(appRows)) {
        if (bytesKey(appHash(row.owner, row.slug)) !== key) return row.slug;
        if (channels.get(key) !== row.channels) return `channels of ${row.slug}`;
        channels.delete(key);
      }
      return channels.size === 0 ? null : 'a release without its app';
    },
    'ratings are the sums of reviews'(state) {
      const sums = new Map<Key, { count: number; stars: number }>();
      for (const [key, { stars }] of state.rows(reviewRows)) {
        const sum = sums.get(key.slice(0, 32)) ?? { count: 0, stars: 0 };
        sums.set(key.slice(0, 32), { count: sum.count + 1, stars: sum.stars + stars });
      }
      for (const [key, { count, stars }] of state.rows(ratings)) {
        const sum = sums.get(key);
        if (sum?.count !== count || sum.stars !== stars) return 'a rating';
        sums.delete(key);
      }
      return sums.size === 0 ? null : 'reviews without a rating';
    },
  },
} satisfies Module;
