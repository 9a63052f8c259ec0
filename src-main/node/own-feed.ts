import type { Clock, Logger } from '../../src-shared/runtime.ts';
import type { Drive } from '../drive/index.ts';
import type { Exchange } from '../exchange/index.ts';
import type { Network } from '../network/index.ts';

/**
 * Before its first write after a start a device asks its peers for its own head: a database restored from a backup, or lost,
 * must not sign a second entry at a place where one stands already. The first commit waits until those who are connected have
 * told what they know, at most `patience`; if one knows more of our feed than we do, a new incarnation begins.
 */
export interface OwnFeedCheck {
  /** The drive, with `commit` behind the check. */
  readonly drive: Drive;
  stop(): void;
}

const patience = 2000;
const settle = 100;

export function createOwnFeedCheck(deps: {
  readonly drive: Drive;
  readonly exchange: Exchange;
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
}): OwnFeedCheck {
  const { drive, exchange, network, clock, logger } = deps;
  const started = clock.now();
  const off = exchange.on('ownFeedBehind', ({ driveId }) => {
    if (driveId !== drive.id) return;
    logger.warn({ driveId }, 'peers know more of our own feed than we do; a new incarnation begins');
    drive.newIncarnation();
  });
  let ready: Promise<void> | null = null;

  const wait = (ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve));

  async function asked(): Promise<void> {
    // Nobody to ask on a drive that only this device writes to and that is shared with nobody.
    if (drive.ownTip() === null || (drive.members().length === 1 && network.peers().length === 0)) return;
    while (clock.now() - started < patience) {
      const members = exchange.members(drive.id);
      if (members.length > 0 && members.every((member) => member.sameHistory)) return;
      await wait(settle);
    }
  }

  return {
    drive: {
      ...drive,
      async commit(ops) {
        await (ready ??= asked());
        return drive.commit(ops);
      },
    },
    stop: off,
  };
}
