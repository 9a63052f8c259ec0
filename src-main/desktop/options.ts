import type { Clock, Logger } from '../../src-shared/runtime.ts';
import type { Node, NodeOptions } from '../api/index.ts';
import type { ElectronParts } from './electron-parts.ts';
import type { Updater } from './updates.ts';

/** What the desktop is made of; `main.ts` gives the real things. */
export interface DesktopOptions {
  readonly electron: ElectronParts;
  /** The node's folder; the window keeps its own things in a folder inside. */
  readonly dataDir: string;
  readonly argv: readonly string[];
  readonly platform: NodeJS.Platform;
  /** The person's folder of configuration files (Linux). */
  readonly configDir: string;
  /** What the system starts at login. */
  readonly program: string;
  readonly files: {
    /** Folder of the built page. */
    readonly page: string;
    readonly preload: string;
    /** The bundled preload script of apps' windows, absolute. */
    readonly appPreload: string;
    /** Folder of icons. */
    readonly icons: string;
  };
  readonly node: Omit<NodeOptions, 'dataDir' | 'keychain'>;
  /** Loads the node's code: late, so that the window opens first. */
  readonly loadNode: () => Promise<(options: NodeOptions) => Promise<Node>>;
  /** null: this build does not update itself. */
  readonly loadUpdater: () => Promise<Updater | null>;
  readonly clock: Clock;
  readonly log: Logger;
}
