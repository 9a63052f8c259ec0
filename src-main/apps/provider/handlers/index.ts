import type { AppHandlers, HandlerDeps } from '../types.ts';
import { accountHandlers } from './accounts.ts';
import { collectionHandlers } from './collections.ts';
import { driveHandlers } from './drives.ts';
import { messageHandlers } from './messages.ts';
import { serviceHandlers } from './services.ts';
import { sessionHandlers } from './session.ts';
import { streamHandlers } from './streams.ts';
import { walletHandlers } from './wallet.ts';

/** A handler for every method of the provider. */
export function createAppHandlers(deps: HandlerDeps): AppHandlers {
  return {
    ...sessionHandlers(deps),
    ...accountHandlers(deps),
    ...driveHandlers(deps),
    ...streamHandlers(deps),
    ...walletHandlers(deps),
    ...collectionHandlers(deps),
    ...messageHandlers(deps),
    ...serviceHandlers(deps),
  };
}
