import { isBytesUrl, isPageUrl, pageHost, pageScheme } from './origins.ts';

/** `stay`: let it happen; `save`: offer to save what the address holds instead; `deny`: nothing happens. */
export type Navigation = 'stay' | 'save' | 'deny';

/**
 * What becomes of a frame that wants to go elsewhere. The page never leaves its one document (a reload is allowed), and it
 * has no frames in it.
 */
export function decideNavigation(to: string, isMainFrame: boolean): Navigation {
  if (!isMainFrame) return 'deny';
  if (isBytesUrl(to)) return 'save';
  return isPageUrl(to) && isIndex(to) ? 'stay' : 'deny';
}

function isIndex(text: string): boolean {
  const { pathname, search } = new URL(text);
  return (pathname === '/' || pathname === '/index.html') && search === '';
}

/** Where the page lies. */
export const indexUrl = `${pageScheme}://${pageHost}/index.html`;

const longestUrl = 4096;

/** The address in the form in which it may be handed to the person's browser; null: it may not. */
export function externalUrl(text: string): string | null {
  if (text.length > longestUrl || !URL.canParse(text)) return null;
  const url = new URL(text);
  // Names and passwords in an address only serve to make it look like another one.
  if (url.protocol !== 'https:' || url.username !== '' || url.password !== '') return null;
  return url.href;
}
