/** What a link to a drive says, as far as a person has to know it before agreeing. */
export interface DriveLinkInfo {
  /** `drive`: for members; `invite`: lets its holder in; `open`: lets its holder read without joining. */
  readonly kind: 'drive' | 'invite' | 'open';
  readonly driveId: string;
  /** Where somebody who has the drive may be reached. */
  readonly addresses: readonly string[];
}

export const isOurLink = (text: string): boolean => /^\s*extrachain:/i.test(text);

const mostShown = 16;
const kinds: readonly string[] = ['drive', 'invite', 'open'] satisfies DriveLinkInfo['kind'][];

/** Reads a link that may hold anything; null when it is none to a drive. The node checks it again. */
export function readDriveLink(text: string): DriveLinkInfo | null {
  const trimmed = text.trim();
  if (trimmed.length > 8192 || !URL.canParse(trimmed)) return null;
  const url = new URL(trimmed);
  if (url.protocol !== 'extrachain:' || !kinds.includes(url.host)) return null;
  const driveId = url.pathname.slice(1);
  if (!/^[a-z2-7]{20,128}$/.test(driveId)) return null;
  return {
    kind: url.host as DriveLinkInfo['kind'],
    driveId,
    addresses: url.searchParams.getAll('at').slice(0, mostShown),
  };
}
