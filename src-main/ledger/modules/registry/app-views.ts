import type { StateView } from '../../state/overlay.ts';
import { bytesKey, keyBytes } from '../../state/table.ts';
import type { Address, Hash } from '../../types.ts';
import { appRows, ratings, releases, reviewRows, revokedReleases } from './app.ts';
import type { AppRow, ReleaseRow, ReviewRow } from './app.ts';

/** An app with its newest release of each channel. */
export interface AppView extends AppRow {
  readonly id: Hash;
  readonly releases: readonly (ReleaseRow & { readonly channel: string; readonly revoked: boolean })[];
  /** `stars` is the sum over `count` reviews. */
  readonly rating: { readonly count: number; readonly stars: number };
}

function viewOf(state: StateView, key: string, row: AppRow): AppView {
  const lines = [...state.rows(releases, key)].map(([at, release]) => ({
    ...release,
    channel: at.slice(32),
    revoked: state.get(revokedReleases, key + release.version) !== null,
  }));
  const rating = state.get(ratings, key) ?? { count: 0, stars: 0 };
  return { ...row, id: keyBytes(key), releases: lines, rating };
}

/** Null: it is not registered, or no longer. */
export function appView(state: StateView, id: Hash): AppView | null {
  const key = bytesKey(id);
  const row = state.get(appRows, key);
  return row && viewOf(state, key, row);
}

/** Apps for which `wanted` says yes. @param prefix of their ids, as a key */
export function appsView(
  state: StateView,
  wanted: (row: AppRow) => boolean,
  prefix = '',
): readonly AppView[] {
  const found: AppView[] = [];
  for (const [key, row] of state.rows(appRows, prefix)) if (wanted(row)) found.push(viewOf(state, key, row));
  return found;
}

/** Why a release was taken back; null: it was not. */
export const revokedReason = (state: StateView, id: Hash, version: string): string | null =>
  state.get(revokedReleases, bytesKey(id) + version)?.reason ?? null;

/** The newest reviews of `most` that are looked at. */
export function reviewsView(
  state: StateView,
  id: Hash,
  most: number,
): readonly (ReviewRow & { readonly author: Address })[] {
  const found: (ReviewRow & { readonly author: Address })[] = [];
  for (const [key, row] of state.rows(reviewRows, bytesKey(id))) {
    found.push({ ...row, author: keyBytes(key.slice(32)) });
    if (found.length >= most) break;
  }
  return found.sort((a, b) => b.time - a.time);
}
