import { appIdPattern, channelPattern, defaultChannel, slugPattern } from '../../../src-shared/apps/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { parseDriveLink } from '../drive-link.ts';

/** What an `extrachain://app/` link says: which app, where in it, and, for one that is on no ledger, where its releases are. */
export interface AppLink {
  readonly appId: string;
  /** A place in the app; '' is its beginning. */
  readonly path: string;
  readonly releases: { readonly drive: string; readonly slug: string; readonly channel: string } | null;
}

const prefix = 'extrachain://app/';
const maxPath = 2000;

export const isAppLink = (text: string): boolean => text.trim().startsWith(prefix);

/** Writes `extrachain://app/<id>/<path>?slug=&channel=&drive=<link of the publisher's drive>`. */
export function formatAppLink({ appId, path, releases }: AppLink): string {
  const query = new URLSearchParams();
  if (releases) {
    query.set('slug', releases.slug);
    if (releases.channel !== defaultChannel) query.set('channel', releases.channel);
    query.set('drive', releases.drive);
  }
  const tail = query.toString();
  const place = path === '' ? '' : `/${path.split('/').map(encodeURIComponent).join('/')}`;
  return `${prefix}${appId}${place}${tail === '' ? '' : `?${tail}`}`;
}

/** @throws AppError `invalid_argument`, and as drive links */
export function parseAppLink(text: string): AppLink {
  let url: URL;
  let path: string;
  try {
    url = new URL(text.trim());
    path = url.pathname.slice(1).split('/').map(decodeURIComponent).join('/');
  } catch (cause) {
    throw new AppError('invalid_argument', 'This is not a link of an app.', { cause });
  }
  // The host of the URL is `app`, so the id is the first part of its path.
  const [appId = '', ...rest] = path.split('/');
  if (url.protocol !== 'extrachain:' || url.host !== 'app' || !appIdPattern.test(appId))
    throw new AppError('invalid_argument', 'A link of an app begins with extrachain://app/ and its id.');
  const inApp = rest.join('/');
  if (inApp.length > maxPath) throw new AppError('too_large', 'The link is too long.');
  const drive = url.searchParams.get('drive');
  if (drive === null) return { appId, path: inApp, releases: null };
  const slug = url.searchParams.get('slug') ?? '';
  const channel = url.searchParams.get('channel') ?? defaultChannel;
  if (!slugPattern.test(slug) || !channelPattern.test(channel))
    throw new AppError('invalid_argument', 'The link does not say which app of its publisher it means.');
  parseDriveLink(drive);
  return { appId, path: inApp, releases: { drive, slug, channel } };
}
