import { createHash } from 'node:crypto';
import {
  appIdPattern,
  compareVersions,
  defaultChannel,
  type BundleManifest,
} from '../../../src-shared/apps/index.ts';
import type { AppDetails, AppReview, StoreApp } from '../../../src-shared/contract/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import {
  appIdOfHash,
  hashOfAppId,
  maxReleaseBytes,
  readRelease,
  refuseRevoked,
  releasePlaces,
  type Installs,
  type Release,
} from '../../apps/index.ts';
import { userIdOfHash } from '../../identity/index.ts';
import { appView, nameOfAccount, reviewsView, revokedReason } from '../../ledger/index.ts';
import type { AppView, LedgerView } from '../../ledger/index.ts';
import type { Chains } from '../ledger/chains.ts';
import { hex, iso } from '../ledger/shown.ts';
import { isAppLink, parseAppLink } from './app-link.ts';
import type { BlockLists } from './block-lists.ts';
import type { CardOf } from './newest-card.ts';
import type { PublicFiles } from './public-files.ts';
import { searchApps } from './store-search.ts';

/** A release that was checked: its publisher signed it, and the ledger (where it stands there) says the same. */
export interface FoundRelease {
  readonly release: Release;
  readonly source: 'ledger' | 'link';
  /** Of the publisher's public drive. */
  readonly drive: string;
  readonly view: AppView | null;
}

/** What can be installed: the register of the active network, and releases in publishers' drives. */
export interface AppStore {
  list(input: {
    readonly search: string;
    readonly category: string | null;
    readonly channel: string;
    readonly limit: number;
  }): Promise<StoreApp[]>;
  details(app: string, channel: string, signal: AbortSignal): Promise<AppDetails>;
  /** Its newest release. @throws AppError `app_unknown`, `release_revoked`, and as `readRelease` */
  find(app: string, channel: string, signal: AbortSignal): Promise<FoundRelease>;
  /** The newest version of an installed app, without asking its publisher; null where no ledger tells. */
  newest(
    appId: string,
    channel: string,
    version: string,
  ): Promise<{ readonly version: string | null; readonly revoked: boolean } | null>;
  picture(
    app: string,
    kind: 'icon' | 'screenshot',
    index: number,
    signal: AbortSignal,
  ): Promise<{ path: string; bytes: Uint8Array }>;
  reviews(appId: string, limit: number): Promise<AppReview[]>;
}

/** Reviews of one app that are looked at. */
const mostReviews = 2000;
const maxPictureBytes = 8 * 1024 ** 2;

export function createAppStore(parts: {
  readonly chains: () => Chains;
  readonly installs: Installs;
  readonly files: PublicFiles;
  readonly lists: BlockLists;
  readonly cardOf: CardOf;
}): AppStore {
  const { chains, installs, files, lists } = parts;

  function shown(view: LedgerView, app: AppView, line: string): StoreApp | null {
    const release = app.releases.find(({ channel }) => channel === line);
    if (!release) return null;
    const appId = appIdOfHash(app.id);
    return {
      appId,
      slug: app.slug,
      name: app.name,
      version: release.version,
      channel: line,
      publisher: userIdOfHash(app.owner),
      publisherName: nameOfAccount(view.state, app.owner, view.time),
      description: app.text,
      categories: [...app.categories],
      size: release.bytes,
      publishedAt: iso(release.time),
      ...ratingOf(app),
      installed: installs.find(appId)?.version ?? null,
      revoked: release.revoked,
      blocked: lists.blocked(appId),
    };
  }

  const ratingOf = ({ rating }: AppView): Pick<StoreApp, 'rating' | 'reviews'> => ({
    rating: rating.count === 0 ? null : Math.round((rating.stars / rating.count) * 10) / 10,
    reviews: rating.count,
  });

  /** Where an app's releases are; from the ledger, else from the link, else from where it was installed from. */
  async function place(app: string, line: string) {
    const link = isAppLink(app) ? parseAppLink(app) : null;
    const appId = link?.appId ?? app;
    if (!appIdPattern.test(appId)) throw unknown();
    const open = chains().current();
    const row = open && (await open.reader.read(({ state }) => appView(state, hashOfAppId(appId)), 'app'));
    const release = row?.releases.find(({ channel }) => channel === line);
    if (row && release) {
      const root = hex(release.root);
      return {
        appId,
        view: row,
        drive: release.link,
        slug: row.slug,
        at: release.version,
        row: { ...release, root },
        line,
      };
    }
    if (row) throw new AppError('app_unknown', `The app has no channel ${line}.`);
    const known = installs.find(appId);
    const releases =
      link?.releases ?? (known?.link ? { drive: known.link, slug: known.slug, channel: line } : null);
    if (!releases) throw unknown();
    return {
      appId,
      view: null,
      drive: releases.drive,
      slug: releases.slug,
      at: null,
      row: null,
      line: releases.channel,
    };
  }

  async function find(app: string, line: string, signal: AbortSignal): Promise<FoundRelease> {
    const { appId, view, drive, slug, at, row, line: channel } = await place(app, line);
    const path = at === null ? releasePlaces.newest(slug, channel) : releasePlaces.release(slug, at);
    const { release, by } = readRelease(await files.bytes(drive, path, maxReleaseBytes, signal));
    // What stands on the ledger its owner's account has signed for; a link alone says nothing of that.
    if (!row) refuseRevoked(await parts.cardOf(by.user, signal), by);
    if (release.appId !== appId)
      throw new AppError(
        'app_id_mismatch',
        'The drive has the release of another app than the one that was asked for.',
      );
    if (row && (release.root !== row.root || release.version !== row.version))
      throw new AppError('bad_hash', 'The release in the publisher’s drive is not the one of the ledger.');
    return { release, drive, view, source: row ? 'ledger' : 'link' };
  }

  /** Of a release that is on no ledger. */
  const unlisted = ({ release }: FoundRelease): StoreApp => {
    const { manifest } = release;
    return {
      appId: release.appId,
      slug: release.slug,
      name: manifest.name,
      version: release.version,
      channel: release.channel,
      publisher: release.publisher,
      publisherName: null,
      description: manifest.description,
      categories: manifest.categories,
      size: release.bytes,
      publishedAt: iso(release.time),
      rating: null,
      reviews: 0,
      installed: installs.find(release.appId)?.version ?? null,
      revoked: false,
      blocked: lists.blocked(release.appId),
    };
  };

  return {
    async list({ search, category, channel, limit }) {
      const open = chains().current();
      if (!open) return [];
      const words = search.toLowerCase().split(/\s+/).filter(Boolean);
      const order = (a: StoreApp, b: StoreApp): number =>
        (b.rating ?? 0) - (a.rating ?? 0) || b.reviews - a.reviews || a.name.localeCompare(b.name);
      let best: readonly StoreApp[] = [];
      const found = searchApps(
        open,
        (row) => {
          if (category !== null && !row.categories.includes(category)) return false;
          const text = `${row.name} ${row.slug} ${row.text} ${row.categories.join(' ')}`.toLowerCase();
          return words.every((word) => text.includes(word));
        },
        (view, app) => shown(view, app, channel),
      );
      for await (const some of found) {
        if (some.length > 0) best = [...best, ...some].sort(order).slice(0, limit);
      }
      return [...best];
    },
    async details(app, channel, signal) {
      const found = await find(app, channel, signal);
      const { manifest, root } = found.release;
      const open = chains().current();
      const listed =
        found.view && open
          ? await open.reader.read((view) => shown(view, found.view!, channel), 'app')
          : unlisted(found);
      return {
        ...listed!,
        permissions: manifest.permissions,
        screenshots: manifest.screenshots.length,
        license: manifest.license,
        homepage: manifest.homepage ?? null,
        root,
        link: found.drive,
        source: found.source,
        consumes: manifest.services.consumes.map((one) => one.interface),
      };
    },
    async find(app, channel, signal) {
      const found = await find(app, channel, signal);
      if (found.view?.releases.find((one) => one.channel === channel)?.revoked) {
        throw new AppError(
          'release_revoked',
          `The release ${found.release.version} was taken back by its publisher.`,
        );
      }
      return found;
    },
    async newest(appId, channel, version) {
      const open = chains().current();
      if (!open) return null;
      return open.reader.read(({ state }) => {
        const row = appView(state, hashOfAppId(appId));
        const last = row?.releases.find((one) => one.channel === channel);
        const revoked = revokedReason(state, hashOfAppId(appId), version) !== null;
        if (!last) return { version: null, revoked };
        const newer = !last.revoked && compareVersions(last.version, version) > 0;
        return { version: newer ? last.version : null, revoked };
      }, 'app');
    },
    async picture(app, kind, index, signal) {
      const here = appIdPattern.test(app) ? installs.find(app) : null;
      const pathIn = (manifest: BundleManifest): string => {
        const path = kind === 'icon' ? manifest.icon : manifest.screenshots[index];
        if (path !== undefined) return path;
        throw new AppError('not_found', 'The app has no such picture.');
      };
      if (here) {
        const path = pathIn(here.manifest);
        const bytes = await installs.read(here.appId, path);
        if (bytes) return { path, bytes };
        throw new AppError('not_found', 'The app has no such picture.');
      }
      const { release, drive } = await find(app, defaultChannel, signal);
      const path = pathIn(release.manifest);
      const place = releasePlaces.picture(release.slug, release.version, path);
      const bytes = await files.bytes(drive, place, maxPictureBytes, signal);
      if (sha256(bytes) !== release.manifest.files[path]?.sha256)
        throw new AppError('bad_hash', 'The picture in the publisher’s drive is not the one of the release.');
      return { path, bytes };
    },
    async reviews(appId, limit) {
      const open = await chains().get(null);
      return open.reader.read(({ state, time }) => {
        return reviewsView(state, hashOfAppId(appId), mostReviews)
          .slice(0, limit)
          .map((one) => ({
            author: userIdOfHash(one.author),
            authorName: nameOfAccount(state, one.author, time),
            stars: one.stars,
            text: one.text,
            version: one.version,
            at: iso(one.time),
          }));
      }, 'reviews');
    },
  };
}

const unknown = (): AppError =>
  new AppError('app_unknown', 'No app goes by that here. Give its id, a name like @chat, or its link.');
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
