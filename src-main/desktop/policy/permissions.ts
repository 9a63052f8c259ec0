import { isPageUrl } from './origins.ts';

/** What the page may use: recording (camera, microphone, screen), copying text, and showing a video on the whole screen. */
const allowed: ReadonlySet<string> = new Set([
  'media',
  'display-capture',
  'clipboard-sanitized-write',
  'fullscreen',
]);

/** Who asks, and for what. */
export interface PermissionAsked {
  readonly permission: string;
  /** Address of the frame that asks. */
  readonly url: string;
  readonly isMainFrame: boolean;
}

/** Whether a permission is given. Everything is denied but a few to our own page; previews in frames get none. */
export function decidePermission({ permission, url, isMainFrame }: PermissionAsked): boolean {
  return isMainFrame && allowed.has(permission) && isPageUrl(url);
}
