import { sha256 } from './codec/header.ts';
import type { StreamAnnouncement } from './codec/records.ts';
import { formatStreamLink } from './link-text.ts';
import type { Session } from './live/session-types.ts';
import type { StreamInfo } from './streams-types.ts';

/** A stream that this node takes part in, as far as lists go. */
export interface ListedStream {
  readonly session: Session;
  readonly watching: boolean;
  /** It is sent from here. */
  readonly own: boolean;
  readonly link: () => string;
}

/**
 * All streams a person may want to see: own ones first, then those that are watched here, then those that were only heard of; what has ended
 * comes last, and the newest first in each.
 */
export function listStreams(
  streams: Iterable<ListedStream>,
  announced: readonly StreamAnnouncement[],
): StreamInfo[] {
  const shown: StreamInfo[] = [];
  for (const one of streams) {
    const genesis = one.session.genesis();
    const description = one.session.description();
    const programme = one.session.programme();
    if (!genesis || !description || (!programme && !one.watching)) continue;
    shown.push({
      streamId: one.session.streamId,
      title: programme?.title ?? '',
      user: genesis.user,
      link: one.link(),
      audience: genesis.audience,
      state: one.session.ended() || description.state === 'ended' ? 'ended' : 'live',
      away: !one.session.ended() && description.state === 'away',
      poster: hashOf(programme?.poster ?? null),
      own: one.own,
      watching: !one.own,
      startedAt: genesis.startedAt,
      viewers: one.session.stats().viewers,
      renditions: programme?.renditions ?? [],
      targetLatency: description.targetLatency,
      dvrSeconds: description.dvrSeconds,
    });
  }
  for (const said of announced) {
    const { genesis } = said;
    const already = shown.find((each) => each.streamId === genesis.streamId);
    if (already) continue;
    shown.push({
      streamId: genesis.streamId,
      title: said.title,
      user: genesis.user,
      link: formatStreamLink({ streamId: genesis.streamId, addresses: said.addresses, key: null }),
      audience: 'public',
      state: 'live',
      away: false,
      poster: hashOf(said.poster),
      own: false,
      watching: false,
      startedAt: genesis.startedAt,
      viewers: said.viewers,
      renditions: said.renditions,
      targetLatency: said.targetLatency,
      dvrSeconds: said.dvrSeconds,
    });
  }
  const rank = (one: StreamInfo): number => (one.state === 'ended' ? 3 : one.own ? 0 : one.watching ? 1 : 2);
  return shown.sort((a, b) => rank(a) - rank(b) || b.startedAt - a.startedAt);
}

/** Of pictures that stay the same object. */
const hashes = new WeakMap<Uint8Array, string>();

/** The name of a picture; one that is a hash already stays as it is. */
function hashOf(poster: Uint8Array | null): string | null {
  if (poster === null) return null;
  let hash = hashes.get(poster);
  if (hash === undefined) {
    hash = Buffer.from(poster.length === 32 ? poster : sha256(poster)).toString('hex');
    hashes.set(poster, hash);
  }
  return hash;
}
