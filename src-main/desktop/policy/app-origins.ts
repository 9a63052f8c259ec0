import type { FrameLike } from './sender.ts';

/** Apps: a scheme of their own, one origin each. */
export const appScheme = 'exc-app';

/** The session partition in which an app keeps what it stores. */
export const appPartition = (appId: string): string => `persist:app-${appId}`;
/** The first page of an app. @param place where in the app; '': its beginning */
export const appUrl = (appId: string, place: string): string =>
  `${appScheme}://${appId}/${place === '' ? '' : `#/${place}`}`;

/** Whether an address lies on the origin of an app. By hand: `URL.origin` is "null" for such schemes. */
export function isAppUrl(text: string, appId: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  const plain = url.username === '' && url.password === '' && url.port === '';
  return url.protocol === `${appScheme}:` && url.host === appId && plain;
}

/** What the page of an app may load: its own origin, and what it made itself. Everything else never leaves the window. */
export function mayLoad(url: string, appId: string): boolean {
  if (url.startsWith('blob:')) return isAppUrl(url.slice('blob:'.length), appId);
  return url.startsWith('data:') || isAppUrl(url, appId);
}

/** Whether a message came from the page of an app's own window itself. */
export function isAppFrame(frame: FrameLike | null, appId: string): boolean {
  return frame !== null && frame.parent === null && isAppUrl(frame.url, appId);
}
