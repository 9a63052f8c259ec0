import { isPageUrl } from './origins.ts';

/** A frame that sent us something, as Electron names it. */
export interface FrameLike {
  readonly url: string;
  readonly parent: unknown;
}

/** Whether a message came from the page of our window itself: not from a frame in it, not from a frame that is gone. */
export function isTrustedFrame(frame: FrameLike | null, ownContents: boolean): boolean {
  return ownContents && frame !== null && frame.parent === null && isPageUrl(frame.url);
}
