import { AppError } from '../../src-shared/errors.ts';
import type { Capabilities, Preferences, UpdateState } from '../../src-shared/contract/index.ts';

/** What the handlers need of the computer the window is shown at. Paths are absolute. */
export interface PlatformServices {
  readonly capabilities: Capabilities;
  pickFolder(options: {
    readonly title?: string | undefined;
    readonly from?: string | undefined;
  }): Promise<string | null>;
  reveal(file: string): Promise<void> | void;
  /** Throws `not_allowed` for what would run. */
  open(file: string): Promise<void>;
  drag(files: readonly string[]): void;
  /** Throws `not_allowed` for anything but https. */
  openExternal(url: string): Promise<void>;
  preferences(): Preferences;
  setPreferences(change: {
    readonly [K in keyof Preferences]?: Preferences[K] | undefined;
  }): Promise<Preferences>;
  readonly links: {
    /** Those nobody has seen yet; they are then taken for seen. */
    take(): readonly string[];
    /** Told of a new one; returns what ends that. */
    on(listener: () => void): () => void;
  };
  readonly update: {
    state(): UpdateState;
    on(listener: () => void): () => void;
    check(): Promise<void>;
    install(): Promise<void>;
  };
}

/** A node that nobody sits in front of: whatever needs a screen is refused. */
export const noPlatform: PlatformServices = {
  capabilities: {
    host: 'browser',
    os: process.platform,
    pickFolder: false,
    showFiles: false,
    drag: false,
    preferences: false,
    startAtLogin: false,
    notifications: false,
    keychain: false,
    links: false,
    updates: false,
  },
  pickFolder: refuse,
  reveal: refuse,
  open: refuse,
  drag: refuse,
  openExternal: refuse,
  preferences: refuse,
  setPreferences: refuse,
  links: { take: () => [], on: () => () => {} },
  update: {
    state: () => ({ state: 'off', version: null, percent: null, message: null }),
    on: () => () => {},
    check: refuse,
    install: refuse,
  },
};

function refuse(): never {
  throw new AppError('unsupported', 'Only the desktop application can do this.');
}
