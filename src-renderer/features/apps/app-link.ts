import { appIdPattern } from '../../../src-shared/apps/ids.ts';

/** What a link to a page of an app says. */
export interface AppLink {
  readonly appId: string;
  /** Where in the app, without a leading slash. */
  readonly path: string;
  /** The link as it was: with it the node finds an app that is on no ledger. */
  readonly text: string;
}

/** Reads `extrachain://app/<id>/<path>?...`, which may hold anything; null when it is none. The node checks it again. */
export function readAppLink(text: string): AppLink | null {
  const trimmed = text.trim();
  if (trimmed.length > 8192 || !URL.canParse(trimmed)) return null;
  const { protocol, host, pathname } = new URL(trimmed);
  const [, appId = '', ...rest] = pathname.split('/');
  if (protocol !== 'extrachain:' || host !== 'app' || !appIdPattern.test(appId)) return null;
  try {
    return { appId, path: rest.map(decodeURIComponent).join('/'), text: trimmed };
  } catch {
    return null;
  }
}
