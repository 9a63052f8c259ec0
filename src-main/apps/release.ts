import { z } from '../../src-shared/contract/zod.ts';
import { appId, appVersion, bundleManifest, channel, slug } from '../../src-shared/apps/index.ts';
import type { BundleManifest } from '../../src-shared/apps/index.ts';
import { count, hash, userId } from '../../src-shared/contract/common.ts';
import { AppError } from '../../src-shared/errors.ts';
import { hashOfUserId } from '../identity/index.ts';
import { rootOf } from './bundle/index.ts';
import { appIdOf } from './ids.ts';
import { readDocument, signDocument } from './signed.ts';
import type { DocumentSigner, SignedBy } from './signed.ts';

/** What a publisher signs beside the bundle. Its manifest tells what is asked for before anything is downloaded. */
const release = z.strictObject({
  appId,
  publisher: userId,
  slug,
  version: appVersion,
  channel,
  root: hash,
  /** Of the bundle. */
  bytes: count,
  /** ms since the epoch. */
  time: count,
  manifest: bundleManifest,
});
export type Release = z.infer<typeof release>;

/** Largest file of a release: its manifest, and a little around it. */
export const maxReleaseBytes = 5 * 1024 ** 2;

/** Where a release lies in the publisher's public drive. */
export const releasePlaces = {
  bundle: (app: string, version: string): string => `${app}/${version}/${app}-${version}.exapp`,
  release: (app: string, version: string): string => `${app}/${version}/release.json`,
  /** The newest of a channel, for links that name no version. */
  newest: (app: string, line: string): string => `${app}/${line}.json`,
  /** A picture of the store, as its manifest names it. */
  picture: (app: string, version: string, path: string): string => `${app}/${version}/pictures/${path}`,
} as const;

/** Signs a bundle as a release of one's own. @param publisher who signs */
export function signRelease(
  made: {
    readonly manifest: BundleManifest;
    readonly bytes: number;
    readonly channel: string;
    readonly time: number;
  },
  publisher: string,
  signer: DocumentSigner,
): { readonly release: Release; readonly file: string } {
  const { manifest, ...rest } = made;
  const one: Release = {
    ...rest,
    appId: appIdOf(hashOfUserId(publisher), manifest.slug),
    publisher,
    slug: manifest.slug,
    version: manifest.version,
    root: Buffer.from(rootOf(manifest)).toString('hex'),
    manifest,
  };
  return { release: one, file: signDocument('release', one, signer) };
}

/**
 * A release as its publisher signed it: the id is the publisher's own, and the manifest is the one of the root.
 * @throws AppError `malformed`, `bad_signature`, `app_id_mismatch`, `bad_hash`
 */
export function readRelease(bytes: Uint8Array): { readonly release: Release; readonly by: SignedBy } {
  const { payload, ...by } = readDocument('release', bytes, release);
  const { user } = by;
  if (payload.publisher !== user)
    throw new AppError('bad_signature', 'The release is not signed by its publisher.');
  if (payload.appId !== appIdOf(hashOfUserId(user), payload.slug))
    throw new AppError('app_id_mismatch', 'The release has the id of an app of somebody else.');
  const { manifest } = payload;
  if (Buffer.from(rootOf(manifest)).toString('hex') !== payload.root)
    throw new AppError('bad_hash', 'The manifest of the release is not the one of its root.');
  if (manifest.slug !== payload.slug || manifest.version !== payload.version)
    throw new AppError('manifest_invalid', 'The manifest of the release is of another app or version.');
  return { release: payload, by };
}
