import { rm } from 'node:fs/promises';
import path from 'node:path';
import { appIdPattern, compareVersions } from '../../../src-shared/apps/index.ts';
import type { InstalledApp } from '../../../src-shared/contract/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { previewType, type NodeServices } from '../../api/index.ts';
import {
  createInstalls,
  hashOfAppId,
  openBundle,
  packApp,
  readProvided,
  verifyBundle,
  type InstallRecord,
  type Installs,
} from '../../apps/index.ts';
import { hashOfUserId } from '../../identity/index.ts';
import { appHash, appView, message, nameOfAccount } from '../../ledger/index.ts';
import type { AppView, WireMessage } from '../../ledger/index.ts';
import type { Base, Online } from '../core.ts';
import type { Drives } from '../drives.ts';
import type { Chains } from '../ledger/chains.ts';
import { handIn, type Paying } from '../ledger/hand-in.ts';
import { fromHex, hex, iso } from '../ledger/shown.ts';
import type { Wallet } from '../ledger/wallet.ts';
import type { Views } from '../sharing/views.ts';
import { isAppLink, parseAppLink } from './app-link.ts';
import { createBlockLists } from './block-lists.ts';
import { createInstalling, type InstallGrants } from './installing.ts';
import { createCardOf } from './newest-card.ts';
import { createPublicFiles } from './public-files.ts';
import { createPublishing } from './publishing.ts';
import { createReceivedBundles, fileDetails, filePicture } from './file-bundles.ts';
import { createAppStore } from './store.ts';

type Calls = Omit<
  NodeServices['apps'],
  'permissions' | 'grant' | 'revoke' | 'sessions' | 'endSession' | 'deeds' | 'approvals' | 'decide' | 'launch'
>;

/** The store and what is installed, as the contract has them, and what running apps needs of it. */
export interface AppInstalls {
  readonly calls: Calls;
  readonly installs: Installs;
  /** The id of an app that is named by id, link or, where it is installed, slug. @throws AppError `app_unknown`, `invalid_argument` */
  idOf(app: string): string;
  /** @throws AppError `app_not_installed`, `release_revoked`, `app_blocked` */
  checkRunnable(appId: string): void;
  /** @param shipped folder of the bundles that come with the program */
  start(shipped: string | null): Promise<void>;
  stop(): Promise<void>;
  /** Looks for updates and at block lists from now on, while the node is online. @returns ends that */
  follow(): () => void;
}

/** Rent is added by itself when less than so much of it is left, ms, and then for so many days. */
const rentShort = 30 * 86_400_000;
const rentDays = 365;
/** After a start, ms. */
const firstLook = 10_000;

export function createAppInstalls(parts: {
  readonly base: Base;
  readonly online: () => Online;
  readonly drives: () => Drives;
  readonly views: () => Views;
  readonly chains: () => Chains;
  readonly wallet: () => Wallet;
  readonly services: () => Pick<NodeServices, 'drives' | 'files'>;
  readonly grants: InstallGrants;
}): AppInstalls {
  const { base, online, drives, chains, wallet, services } = parts;
  const { clock, logger, events } = base;
  const installs = createInstalls({ db: base.db, dir: path.join(base.dataDir, 'apps'), clock, log: logger });
  installs.on('changed', () => events.emit('apps', {}));
  const files = createPublicFiles(() => services().files, parts.views);
  const cardOf = createCardOf(online);
  const lists = createBlockLists({
    records: installs.records,
    files,
    clock,
    cardOf,
    changed: () => events.emit('apps', {}),
  });
  const store = createAppStore({ chains, installs, files, lists, cardOf });
  const installing = createInstalling({ base, installs, store, files, lists, grants: parts.grants });
  const publishing = createPublishing({ online, drives, services });
  const received = createReceivedBundles({ temporary: () => installs.temporary(), clock });
  /** Where the bundle of a call is on this computer; null: it names an app. */
  const fileOf = (input: { file?: string | undefined; received?: string | undefined }): string | null =>
    input.received === undefined ? (input.file ?? null) : received.file(input.received);

  function ownUser(): string {
    const user = base.identity.userId();
    if (user !== null) return user;
    throw new AppError('no_identity', 'Create an identity first, restore one, or link this computer to one.');
  }

  function idOf(app: string): string {
    if (isAppLink(app)) return parseAppLink(app).appId;
    if (appIdPattern.test(app)) return app;
    const found = installs.list().filter(({ slug }) => slug === app);
    if (found.length === 1) return found[0]!.appId;
    if (found.length > 1)
      throw new AppError('invalid_argument', `Several installed apps are called ${app}; give the id.`);
    throw new AppError(
      'app_unknown',
      `No installed app is called ${app.slice(0, 80)}. Give an id, a name like @chat, or a link.`,
    );
  }
  const wanted = (app: string): string => (isAppLink(app) ? app : idOf(app));

  /** Names that accounts go by, where a network is followed. */
  async function namesOf(users: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const open = chains().current();
    if (!open?.ledger || users.length === 0) return new Map();
    return open.reader.read(({ state, time }) => {
      const found = [...new Set(users)].map((user): [string, string | null] => [
        user,
        nameOfAccount(state, hashOfUserId(user), time),
      ]);
      return new Map(found.filter((one): one is [string, string] => one[1] !== null));
    }, 'names');
  }

  const shown = (record: InstallRecord, names: ReadonlyMap<string, string>): InstalledApp => {
    const update = installing.pending(record.appId);
    const { appId, manifest } = record;
    return {
      appId,
      slug: record.slug,
      name: manifest.name,
      version: record.version,
      channel: record.channel,
      publisher: record.publisher,
      publisherName: record.source === 'shipped' ? 'ExtraChain' : (names.get(record.publisher) ?? null),
      description: manifest.description,
      categories: manifest.categories,
      size: record.size,
      source: record.source,
      pinned: record.pinned,
      autoUpdate: record.autoUpdate,
      installedAt: iso(record.installedAt),
      updatedAt: iso(record.updatedAt),
      previous: record.previous?.version ?? null,
      update: update && { version: update.version, grows: [...update.grows] },
      revoked: record.revoked,
      blocked: lists.blocked(appId),
    };
  };
  const shownOne = async (record: InstallRecord): Promise<InstalledApp> =>
    shown(record, await namesOf([record.publisher]));

  /** Makes a transaction about an app of the account in use. */
  async function hand(paying: Paying, make: () => WireMessage): Promise<{ hash: string }> {
    return handIn({ online: online(), wallet: wallet() }, await chains().get(null), make, paying);
  }
  /** @throws AppError `app_unknown`, `not_owner` */
  async function ownApp(app: string): Promise<AppView> {
    const id = hashOfAppId(idOf(app));
    const open = await chains().get(null);
    const found = await open.reader.read(({ state }) => appView(state, id), 'app');
    if (!found) throw new AppError('app_unknown', 'There is no such app on this network.');
    if (hex(found.owner) !== hex(hashOfUserId(wallet().user())))
      throw new AppError('not_owner', 'That app is somebody else’s.');
    return found;
  }

  /** So that an author hears of it, and not only whoever installs it. @throws AppError as `readProvided` */
  async function checkServices(file: string): Promise<void> {
    const bundle = await openBundle(file);
    try {
      for (const one of bundle.manifest.services.provides)
        await readProvided(one, (name) => bundle.read(name));
    } catch (error) {
      await rm(file, { force: true });
      throw error;
    } finally {
      await bundle.close();
    }
  }
  /** @throws AppError `version_not_newer` */
  async function refuseOld(file: string, channel: string): Promise<void> {
    const { manifest } = await verifyBundle(file);
    const { slug, version } = manifest;
    const open = await chains().get(null);
    const id = appHash(hashOfUserId(wallet().user()), slug);
    const last = await open.reader.read(
      ({ state }) => appView(state, id)?.releases.find((one) => one.channel === channel)?.version ?? null,
      'app',
    );
    if (last === null || compareVersions(version, last) > 0) return;
    throw new AppError('version_not_newer', `The channel ${channel} has ${last}; ${version} is not newer.`, {
      details: { version: last },
    });
  }

  const calls: Calls = {
    list: (input) => store.list(input),
    show({ app, channel, ...from }, signal) {
      const file = fileOf(from);
      if (file === null) return store.details(wanted(app!), channel, signal);
      return fileDetails(file, ownUser(), channel, { installs, lists });
    },
    receive: ({ size }) => received.accept(size),
    async media({ app, kind, index, ...from }, signal) {
      const bundle = fileOf(from);
      const { path: file, bytes } =
        bundle === null
          ? await store.picture(wanted(app!), kind, index, signal)
          : await filePicture(bundle, kind, index);
      const fileName = file.split('/').at(-1)!;
      return { fileName, type: previewType(fileName) ?? 'application/octet-stream', bytes };
    },
    reviews: ({ app, limit }) => store.reviews(idOf(app), limit),
    async review({ app, stars, text, ...paying }) {
      // Who never had it has nothing to say of it.
      const { appId, version } = installs.get(idOf(app));
      return hand(paying, () => message('app.review', { app: hashOfAppId(appId), stars, text, version }));
    },
    async installed() {
      const all = installs.list();
      const names = await namesOf(all.map(({ publisher }) => publisher));
      return all
        .map((record) => shown(record, names))
        .sort((a, b) => Number(b.pinned) - Number(a.pinned) || a.name.localeCompare(b.name));
    },
    async install({ app, channel, grants, ...from }, signal) {
      const file = fileOf(from);
      if (file !== null) {
        const record = await installing.installFile(file, ownUser(), channel, grants);
        if (from.received !== undefined) await received.drop(from.received);
        return shownOne(record);
      }
      return shownOne(await installing.install(wanted(app!), channel, grants, signal));
    },
    async develop({ dir, grants }) {
      return shownOne(await installing.develop(dir, ownUser(), grants));
    },
    async update({ app }, signal) {
      if (app === undefined) {
        await installing.updateAll(signal);
        return calls.installed({}, signal);
      }
      return [await shownOne(await installing.update(idOf(app), true, signal))];
    },
    async rollback({ app }) {
      return shownOne(await installs.rollback(idOf(app)));
    },
    async remove({ app, keepData }) {
      await installs.remove(idOf(app), keepData);
      return { ok: true };
    },
    async set({ app, pinned, autoUpdate }) {
      const change = {
        ...(pinned !== undefined && { pinned }),
        ...(autoUpdate !== undefined && { autoUpdate }),
      };
      return shownOne(installs.change(idOf(app), change));
    },
    async pack({ dir, out }) {
      const { manifest, root, size } = await packApp(dir, out);
      await checkServices(out);
      return {
        slug: manifest.slug,
        version: manifest.version,
        root: hex(root),
        size,
        files: Object.keys(manifest.files).length,
      };
    },
    async publish({ file, channel, days, ...paying }) {
      // Before anything in the drive is overwritten: what was released stays what it was.
      await refuseOld(file, channel);
      const { release, link } = await publishing.release(file, channel);
      const { appId, manifest, version, root, bytes } = release;
      const { hash } = await handIn(
        { online: online(), wallet: wallet() },
        await chains().get(null),
        ({ state, time }) => {
          const before = appView(state, hashOfAppId(appId));
          const enough = before !== null && before.paidUntil - time > rentShort;
          return message('app.publish', {
            slug: manifest.slug,
            name: manifest.name,
            text: manifest.description,
            categories: manifest.categories,
            channel,
            version,
            root: fromHex(root),
            link,
            bytes,
            days: days ?? (enough ? 0 : rentDays),
          });
        },
        paying,
      );
      return { appId, version, link, hash };
    },
    async revokeRelease({ app, version, reason, ...paying }) {
      const { slug } = await ownApp(app);
      return hand(paying, () => message('app.revoke', { slug, version, reason }));
    },
    async unpublish({ app, ...paying }) {
      const { slug } = await ownApp(app);
      return hand(paying, () => message('app.remove', { slug }));
    },
    blockLists: () => lists.list(),
    subscribeBlockList: ({ link }, signal) => lists.subscribe(link, signal),
    unsubscribeBlockList({ listId }) {
      lists.unsubscribe(listId);
      return { ok: true };
    },
    publishBlockList: ({ title, apps }) => publishing.blockList(title, apps),
  };

  return {
    calls,
    installs,
    idOf,
    checkRunnable(appId) {
      const { revoked, version } = installs.get(appId);
      if (revoked)
        throw new AppError(
          'release_revoked',
          `Its publisher took ${version} back; update the app, or go back to the version before.`,
        );
      const blocked = lists.blocked(appId);
      if (blocked)
        throw new AppError(
          'app_blocked',
          `The block list ${blocked.list} names this app: ${blocked.reason}`,
          { details: blocked },
        );
    },
    async start(shipped) {
      await installs.start();
      if (shipped !== null) await installing.installShipped(shipped);
    },
    async stop() {
      await received.stop();
      await installs.stop();
    },
    follow() {
      const ending = new AbortController();
      const look = async (): Promise<void> => {
        await lists.refresh(ending.signal);
        await installing.updateAll(ending.signal);
        if (!ending.signal.aborted)
          cancel = clock.after(base.settings.get('apps.updateSeconds') * 1000, start);
      };
      const start = (): void =>
        void look().catch((error: unknown) => logger.warn({ err: error }, 'apps could not be looked after'));
      let cancel = clock.after(firstLook, start);
      return () => {
        ending.abort();
        cancel();
      };
    },
  };
}
