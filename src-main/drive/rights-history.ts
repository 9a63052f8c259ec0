import type { AccessLog } from './access/access-log.ts';
import type { RightsDeed } from './types.ts';

/** Told at most; more would be a drive whose rights change all day. */
const mostTold = 1000;

/**
 * What was done to the rights of a drive, newest first by the order of its history. Entries their author had no right to are
 * left out, and so is what devices do by themselves (handing on keys, ending invitations that were used).
 */
export function rightsHistory(access: AccessLog): readonly RightsDeed[] {
  const told: { readonly deed: RightsDeed; readonly lamport: number }[] = [];
  for (const event of access.graph.events()) {
    const { id, kind } = event;
    const opened = access.opened(id);
    if (kind === 'keys' || kind === 'lapse' || !opened || !access.graph.isValid(id)) continue;
    const was = kind === 'genesis' ? null : (access.graph.before(id).members.get(event.user)?.role ?? null);
    told.push({
      lamport: opened.entry.header.lamport,
      deed: {
        id,
        kind,
        time: event.time,
        author: event.author,
        deviceId: opened.author.device,
        device: opened.author.deviceName,
        user: event.user === '' ? null : event.user,
        role: event.role,
        was,
        visibility: event.extra?.t === 'open' ? event.extra.visibility : null,
        byLink: kind === 'grant' && event.extra?.t === 'via',
      },
    });
  }
  return told
    .toSorted((a, b) => b.lamport - a.lamport || (a.deed.id < b.deed.id ? 1 : -1))
    .slice(0, mostTold)
    .map(({ deed }) => deed);
}
