import type { EntryId } from '../../history/index.ts';
import type { Online } from '../core.ts';
import type { DriveLink } from '../drive-link.ts';
import { followOthers } from '../sharing/follow-others.ts';
import type { FollowedLinks } from '../sharing/followed-links.ts';

/** Drives kept by their link: who may have them, and why we may read them. */
export interface Following {
  /** At a start: finds those who have the drive, when it is kept by its link. */
  resume(driveId: EntryId): void;
  /** It is kept by its link, and something of it is still to come. */
  lacksSome(driveId: EntryId): boolean;
  /** It is no longer kept by its link. */
  forget(driveId: EntryId): void;
}

/** ms for which those that a link names are looked for. */
export const reachMs = 30_000;

/** @param deps.behind whether something of a drive is still to come */
export function createFollowing(deps: {
  readonly node: Online;
  readonly links: FollowedLinks;
  behind(driveId: EntryId): boolean;
}): Following {
  const { node, links } = deps;
  const { exchange, logger } = node;
  const lacksSome = (driveId: EntryId): boolean => deps.behind(driveId) && links.get(driveId) !== null;

  return {
    lacksSome,
    resume(driveId) {
      const link = links.get(driveId);
      if (!link) return;
      const { secret, addresses } = link;
      node.open.follow(driveId, secret, []);
      const reaching: DriveLink = { driveId, addresses, power: { t: 'read', secret } };
      void node.sources
        .reach(reaching, AbortSignal.timeout(reachMs))
        .then((peers) => {
          node.open.follow(driveId, secret, peers);
          exchange.sourcesChanged();
        })
        .catch((error: unknown) =>
          logger.debug({ err: error, driveId }, 'nobody who has this drive is reached'),
        )
        .finally(() => followOthers(node, reaching, () => lacksSome(driveId)));
    },
    forget(driveId) {
      links.remove(driveId);
      node.open.unfollow(driveId);
    },
  };
}
