import { lookAgainMs } from '../../exchange/index.ts';
import type { Online } from '../core.ts';
import type { DriveLink } from '../drive-link.ts';

const searchMs = 15_000;

/**
 * Looks in the DHT for others that have an open drive, beside those the link names, and reads from them as well from then on: so the load
 * of a popular one spreads over all that keep it. Looks again for half a minute, as others come.
 * @param isWanted whether the drive is still being read; asked before each look, and when some were found
 */
export function followOthers(
  { sources, open, exchange, clock, logger }: Online,
  link: DriveLink,
  isWanted: () => boolean,
): void {
  const secret = link.power?.t === 'read' ? link.power.secret : null;
  const since = clock.now();

  async function look(): Promise<void> {
    const peers = await sources.others(link, AbortSignal.timeout(searchMs));
    if (peers.length === 0 || !isWanted()) return;
    open.follow(link.driveId, secret, peers);
    exchange.sourcesChanged();
  }

  function next(): void {
    const passed = clock.now() - since;
    const at = lookAgainMs.find((ms) => ms > passed);
    if (at !== undefined && isWanted()) clock.after(at - passed, run);
  }

  function run(): void {
    if (!isWanted()) return;
    look()
      .catch((error: unknown) => logger.debug({ err: error }, 'no others that have this drive were found'))
      .finally(next);
  }
  run();
}
