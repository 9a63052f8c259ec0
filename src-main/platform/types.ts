/** What the window may offer on this host, so that no button is dead. */
export interface Capabilities {
  readonly dialogs: boolean;
  readonly notifications: boolean;
  readonly revealInFolder: boolean;
  readonly startAtLogin: boolean;
  readonly osKeychain: boolean;
}

/** What differs between desktop and daemon. */
export interface Platform {
  readonly name: 'headless' | 'desktop';
  readonly capabilities: Capabilities;
  /** Where a node lives when nobody says otherwise: an absolute path. */
  defaultDataDir(): string;
}
