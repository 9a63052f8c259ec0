import path from 'node:path';
import type { Tray } from 'electron';
import type { Clock, Logger } from '../../src-shared/runtime.ts';
import type { NodeServices } from '../api/index.ts';
import type { ElectronParts } from './electron-parts.ts';
import { trayState } from './policy/tray-state.ts';
import type { TrayFacts, TrayState } from './policy/tray-state.ts';
import type { Strings } from './strings.ts';

export interface TrayOptions {
  readonly electron: Pick<ElectronParts, 'Menu' | 'nativeImage' | 'Tray'>;
  readonly iconDir: string;
  readonly platform: NodeJS.Platform;
  readonly strings: () => Strings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly show: () => void;
  readonly quit: () => void;
}

/** The icon in the tray: what goes on, pause and resume, open, quit. */
export interface TrayIcon {
  /** Follows a node; until then it says that one starts. */
  follow(node: NodeServices): void;
  /** Says it anew, in the language in use. */
  refresh(): void;
  remove(): void;
}

/** Looked at most this often, ms. */
const interval = 1000;

export function createTray(options: TrayOptions): TrayIcon {
  const { electron, strings, clock, log } = options;
  const never = new AbortController().signal;
  let facts: TrayFacts = { status: null, drives: [], transfers: 0 };
  let shown = '';
  let node: NodeServices | null = null;
  let timer: (() => void) | null = null;
  let ends: (() => void)[] = [];

  const imageOf = (icon: TrayState['icon']) => {
    // macOS colours a template image itself; "Template" at the end of its name makes it one.
    const name = options.platform === 'darwin' ? `${icon}Template.png` : `${icon}.png`;
    return electron.nativeImage.createFromPath(path.join(options.iconDir, name));
  };
  const tray: Tray = new electron.Tray(imageOf('busy'));
  tray.on('click', options.show);

  async function setAllPaused(pause: boolean): Promise<void> {
    if (!node) return;
    for (const { driveId, state } of await node.drives.list({}, never)) {
      if ((state === 'paused') === pause) continue;
      await node.drives[pause ? 'pause' : 'resume']({ drive: driveId }, never);
    }
    look();
  }

  function draw(): void {
    const texts = strings();
    const { icon, label, pause } = trayState(facts, texts);
    // Rebuilding a menu closes it under the pointer on some desktops.
    const next = JSON.stringify([icon, label, pause, texts.open]);
    if (next === shown) return;
    shown = next;
    tray.setImage(imageOf(icon));
    tray.setToolTip(`ExtraChain: ${label}`);
    const changePause = () =>
      void setAllPaused(pause === 'pause').catch((error: unknown) =>
        log.warn({ error: String(error) }, 'pausing from the tray failed'),
      );
    tray.setContextMenu(
      electron.Menu.buildFromTemplate([
        { label, enabled: false },
        { type: 'separator' },
        { label: texts.open, click: options.show },
        ...(pause === null
          ? []
          : [{ label: pause === 'pause' ? texts.pauseAll : texts.resumeAll, click: changePause }]),
        { type: 'separator' },
        { label: texts.quit, click: options.quit },
      ]),
    );
  }

  async function read(from: NodeServices): Promise<void> {
    const status = await from.node.status({}, never);
    const drives = status.keystore === 'locked' ? [] : await from.drives.list({}, never);
    facts = { status, drives, transfers: from.node.transfers().length };
    draw();
  }

  function look(): void {
    if (timer || !node) return;
    const from = node;
    timer = clock.after(interval, () => {
      timer = null;
      read(from).catch((error: unknown) =>
        log.warn({ error: String(error) }, 'the tray could not be brought up to date'),
      );
    });
  }

  draw();
  return {
    follow(next) {
      node = next;
      ends = (['status', 'drives', 'transfers', 'peers'] as const).map((name) => next.events.on(name, look));
      read(next).catch(() => look());
    },
    refresh: draw,
    remove() {
      for (const end of ends) end();
      timer?.();
      node = null;
      tray.destroy();
    },
  };
}
