import type { Emitter } from '../../src-shared/emitter.ts';
import type { Clock, Logger, RandomBytes } from '../../src-shared/runtime.ts';
import type { NodeEvents } from '../api/index.ts';
import type { ContentIo } from '../drive/index.ts';
import type { Exchange } from '../exchange/index.ts';
import type { Hosting } from '../hosting/index.ts';
import type { Identity } from '../identity/index.ts';
import type { NodeNetwork } from '../network/index.ts';
import type { Database } from '../store/index.ts';
import type { ActivityLog } from './activity.ts';
import type { OpenAccess } from './sharing/open-access.ts';
import type { Readers } from './sharing/reader-bounds.ts';
import type { Sources } from './sharing/sources.ts';
import type { NodeSettings } from './settings.ts';

/** What every part of the node may use: there from the first moment. */
export interface Base {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly logger: Logger;
  readonly events: Emitter<NodeEvents>;
  readonly activity: ActivityLog;
  readonly db: Database;
  readonly settings: NodeSettings;
  readonly identity: Identity;
}

/** What needs the device key: there once the keystore is open. */
export interface Online extends Base {
  readonly network: NodeNetwork;
  readonly exchange: Exchange;
  readonly content: ContentIo;
  readonly hosting: Hosting;
  /** Drives read by link rather than by a role. */
  readonly open: OpenAccess;
  readonly sources: Sources;
  readonly readers: Readers;
}
