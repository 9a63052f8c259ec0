import { z } from './zod.ts';
import { count, done, download, localPath, nothing, path, time, userId, watchedList } from './common.ts';
import { accepted, amount, paying, symbol } from './amounts.ts';
import { command, query, subscription } from '../rpc/contract.ts';
// Not by the index: the manifest's schema is nothing for the window.
import { disclosureNames } from '../apps/disclosures.ts';
import { appId, appVersion, channel, defaultChannel, slug } from '../apps/ids.ts';
import { bundleLimits } from '../apps/limits.ts';
import { caveats, grant, permissionName, permissionRequest } from '../apps/permissions.ts';

/** An app by its id, an `@name` of the ledger, a link, or, among installed ones, its slug. */
const app = z.string().min(1).max(16_384);
const permissions = z.object({
  required: z.array(permissionRequest),
  optional: z.array(permissionRequest),
});
/** A block list that names the app. */
const blocked = z.object({ list: z.string(), reason: z.string() });

/** An app in the store: its newest release in a channel. */
export const storeApp = z.object({
  appId,
  slug,
  name: z.string(),
  version: appVersion,
  channel,
  publisher: userId,
  /** The name that the publisher's account goes by. */
  publisherName: z.string().nullable(),
  description: z.string(),
  categories: z.array(z.string()),
  /** Bytes of the bundle. */
  size: count,
  publishedAt: time,
  /** Of five; null: no reviews. */
  rating: z.number().min(1).max(5).nullable(),
  reviews: count,
  /** The version installed here. */
  installed: appVersion.nullable(),
  /** Its publisher took this release back. */
  revoked: z.boolean(),
  blocked: blocked.nullable(),
});
export type StoreApp = z.infer<typeof storeApp>;

/** What an install sheet shows: read from the publisher's drive and checked against the ledger. */
export const appDetails = storeApp.extend({
  permissions,
  screenshots: count,
  license: z.string(),
  homepage: z.string().nullable(),
  root: z.string(),
  link: z.string(),
  /** Who says that it is what it is: the network's register, the publisher alone, or nobody. */
  source: z.enum(['ledger', 'link', 'file']),
  /** Services of other apps that it uses, by interface. */
  consumes: z.array(z.string()),
});
export type AppDetails = z.infer<typeof appDetails>;

export const installedApp = z.object({
  appId,
  slug,
  name: z.string(),
  version: appVersion,
  channel,
  publisher: userId,
  publisherName: z.string().nullable(),
  description: z.string(),
  categories: z.array(z.string()),
  size: count,
  /** Where it came from: `shipped` with ExtraChain, `dev`: a folder that is served as it is. */
  source: z.enum(['ledger', 'link', 'file', 'shipped', 'dev']),
  pinned: z.boolean(),
  /** Updates that need no more permissions install by themselves. */
  autoUpdate: z.boolean(),
  installedAt: time,
  updatedAt: time,
  /** The version before this one, while it is kept. */
  previous: appVersion.nullable(),
  /** A newer release, and what it needs that this one does not. */
  update: z.object({ version: appVersion, grows: z.array(permissionRequest) }).nullable(),
  revoked: z.boolean(),
  blocked: blocked.nullable(),
});
export type InstalledApp = z.infer<typeof installedApp>;

export const review = z.object({
  author: userId,
  authorName: z.string().nullable(),
  stars: z.int().min(1).max(5),
  text: z.string(),
  version: appVersion,
  at: time,
});
export type AppReview = z.infer<typeof review>;

export const appPermission = z.object({
  name: permissionName,
  required: z.boolean(),
  /** `off`: never given; `revoked`: given and taken back. */
  state: z.enum(['granted', 'off', 'revoked']),
  caveats,
  /** What the manifest says it is for. */
  reason: z.string().nullable(),
  /** Of a permission with `perDay`: how much of it the last 24 hours took. */
  used: z.string().nullable(),
  lastUsed: time.nullable(),
});
export type AppPermission = z.infer<typeof appPermission>;

/** A page (or window) of an app that may talk to the node. */
export const appSession = z.object({
  sessionId: z.string(),
  appId,
  carrier: z.enum(['browser', 'desktop']),
  scopes: z.array(z.string()),
  /** Whether the page is kept from connecting elsewhere by ways that no request takes; `open`: its browser can't do that. */
  confinement: z.enum(['closed', 'open', 'unknown']),
  startedAt: time,
  expiresAt: time,
});
export type AppSession = z.infer<typeof appSession>;

/** Something that an app did, for the page that shows what each may and did. */
export const appDeed = z.object({
  appId,
  at: time,
  method: z.string(),
  permission: permissionName.nullable(),
  /** One sentence of what it was about; '' where the method says it all. */
  about: z.string(),
  outcome: z.enum(['done', 'refused', 'failed']),
  /** Times in a row that the same was done. */
  times: count,
});
export type AppDeed = z.infer<typeof appDeed>;

/** What an app wants that a person has to decide. */
export const approval = z.object({
  approvalId: z.string(),
  appId,
  appName: z.string(),
  kind: z.enum(['payment', 'transaction', 'signIn', 'sign', 'permission', 'folder', 'share', 'link']),
  /** What is signed, opened or sent, as it is. */
  text: z.string(),
  /** Of payments: what leaves, to whom, and what is left. */
  spends: z.array(z.object({ symbol, amount, to: z.string().nullable() })),
  balancesAfter: z.array(z.object({ symbol, amount })),
  fee: z.object({ symbol, amount }).nullable(),
  /** Who learns what, one sentence each. */
  discloses: z.array(z.enum(disclosureNames)),
  /** Of a permission or a folder: what would be granted. */
  grants: z.array(permissionRequest),
  /** A yes needs the keystore's password. */
  password: z.boolean(),
  createdAt: time,
  expiresAt: time,
});
export type Approval = z.infer<typeof approval>;

export const blockList = z.object({
  listId: z.string(),
  title: z.string(),
  link: z.string(),
  author: userId,
  apps: count,
  updatedAt: time.nullable(),
  problem: z.string().nullable(),
});
export type BlockList = z.infer<typeof blockList>;

/** One bundle: of a published app, of a local `.exapp` file, or one that came by `receive`. */
const bundle = {
  app: app.optional(),
  file: localPath.optional(),
  received: z.string().max(64).optional(),
};
function oneBundle({
  value,
  issues,
}: {
  readonly value: {
    readonly app?: string | undefined;
    readonly file?: string | undefined;
    readonly received?: string | undefined;
  };
  readonly issues: { push(issue: { code: 'custom'; message: string; input: unknown }): unknown };
}): void {
  const given = [value.app, value.file, value.received].filter((one) => one !== undefined).length;
  if (given !== 1)
    issues.push({ code: 'custom', message: 'One of an app, a file or what was received.', input: value });
}

const installOptions = {
  channel: channel.default(defaultChannel),
  /** What is granted besides the required permissions, and the folders of those about one. */
  grants: z.array(grant).max(64).default([]),
};

/** Apps: the store, what is installed, what each may do, and what waits for a person's yes. */
export const apps = {
  /** Releases on the active network; by rating, then by name. */
  list: query(
    z.object({
      search: z.string().max(200).default(''),
      category: z.string().max(24).nullable().default(null),
      channel: channel.default(defaultChannel),
      limit: z.int().min(1).max(500).default(100),
    }),
    z.array(storeApp),
  ),
  /** Of an app that need not be installed. */
  show: query(z.object({ ...bundle, channel: channel.default(defaultChannel) }).check(oneBundle), appDetails),
  /** Its icon, or a screenshot by number. */
  media: query(
    z
      .object({ ...bundle, kind: z.enum(['icon', 'screenshot']), index: count.max(7).default(0) })
      .check(oneBundle),
    download,
  ),
  reviews: query(z.object({ app, limit: z.int().min(1).max(500).default(50) }), z.array(review)),
  /** One review of each user; a second one takes the place of the first. */
  review: command(
    z.object({ ...paying, app, stars: z.int().min(1).max(5), text: z.string().max(500).default('') }),
    accepted,
  ),

  installed: query(nothing, z.array(installedApp)),
  /** Key `appId`. */
  watchInstalled: subscription(nothing, watchedList(installedApp)),
  /**
   * Takes the bytes of an `.exapp` file of a window that knows no path of it: by PUT to the URL. `show` and `install` then name it
   * by `received`, for an hour.
   */
  receive: command(
    z.object({ size: count.min(1).max(bundleLimits.bytes + 16 * 1024 ** 2) }),
    z.object({ received: z.string(), url: z.url() }),
  ),
  /** From the ledger, a link, or a file. Grants what is required, and `grants`. */
  install: command(z.object({ ...bundle, ...installOptions }).check(oneBundle), installedApp),
  /** Serves a folder as an app of one's own, as it is on disk: for writing apps. It stays until it is removed. */
  develop: command(z.object({ dir: localPath, grants: z.array(grant).max(64).default([]) }), installedApp),
  /** Looks for newer releases; `app` left out: of all. Takes those that need no more, and of a named app all. */
  update: command(z.object({ app: app.optional() }), z.array(installedApp)),
  /** Goes back to the version before. */
  rollback: command(z.object({ app }), installedApp),
  /** `keepData`: what the app stored stays for when it is installed again. */
  remove: command(z.object({ app, keepData: z.boolean().default(false) }), done),
  /** What is left out stays as it is. */
  set: command(
    z.object({ app, pinned: z.boolean().optional(), autoUpdate: z.boolean().optional() }),
    installedApp,
  ),

  /** A folder with `extrachain.json` as a bundle at `out`. */
  pack: command(
    z.object({ dir: localPath, out: localPath }),
    z.object({ slug, version: appVersion, root: z.string(), size: count, files: count }),
  ),
  /** Puts a bundle into the public drive of this account's apps and registers the release. */
  publish: command(
    z.object({
      ...paying,
      file: localPath,
      channel: channel.default(defaultChannel),
      /** Rent of the entry; null: a year for a new one, and for one whose rent ends within a month. */
      days: z.int().min(0).max(3650).nullable().default(null),
    }),
    z.object({ appId, version: appVersion, link: z.string(), hash: z.string() }),
  ),
  /** Takes a release of one's own back: it is installed nowhere any more, and shown as revoked where it is. */
  revokeRelease: command(
    z.object({ ...paying, app, version: appVersion, reason: z.string().max(200).default('') }),
    accepted,
  ),
  /** Takes an app of one's own off the ledger. */
  unpublish: command(z.object({ ...paying, app }), accepted),

  blockLists: query(nothing, z.array(blockList)),
  /** By the link of a public drive (or of a folder of one) with `blocklist.json`. */
  subscribeBlockList: command(z.object({ link: app }), blockList),
  unsubscribeBlockList: command(z.object({ listId: z.string().max(200) }), done),
  /** Writes and signs a list of one's own and puts it into this account's public drive of apps. */
  publishBlockList: command(
    z.object({
      title: z.string().trim().min(1).max(100),
      apps: z.array(z.object({ appId, reason: z.string().max(200) })).max(10_000),
    }),
    z.object({ link: z.string() }),
  ),

  permissions: query(z.object({ app }), z.array(appPermission)),
  grant: command(z.object({ app, grant }), z.array(appPermission)),
  /** Of one name all; with `caveats`, exactly that one. */
  revoke: command(
    z.object({ app, name: permissionName, caveats: caveats.optional() }),
    z.array(appPermission),
  ),
  sessions: query(z.object({ app: app.optional() }), z.array(appSession)),
  endSession: command(z.object({ sessionId: z.string().max(200) }), done),
  /** The last ones, newest first. */
  deeds: query(
    z.object({ app: app.optional(), limit: z.int().min(1).max(1000).default(100) }),
    z.array(appDeed),
  ),

  approvals: query(nothing, z.array(approval)),
  /** Key `approvalId`. */
  watchApprovals: subscription(nothing, watchedList(approval)),
  /** `grant`: what is given, where the person may choose (the folder). */
  decide: command(
    z.object({
      approvalId: z.string().max(200),
      allow: z.boolean(),
      grant: grant.optional(),
      password: z.string().max(1024).optional(),
    }),
    done,
  ),

  /** Opens a session; the page at `url` is good once, shortly. `path`: where in the app, as `extrachain://app/` links name it. */
  launch: command(z.object({ app, path: path.default('') }), z.object({ url: z.url(), appId })),
};
