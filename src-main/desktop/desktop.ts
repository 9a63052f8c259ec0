import path from 'node:path';
import { AppError } from '../../src-shared/errors.ts';
import { createLinkInbox } from './link-inbox.ts';
import type { DesktopOptions } from './options.ts';
import { linksAmong, parseDeepLink } from './policy/deep-links.ts';
import { registerSchemes } from './protocols.ts';
import { startUp } from './start-up.ts';
import { stringsFor } from './strings.ts';
import type { Language } from './strings.ts';

/** Quitting takes no longer than this, ms. What is on disk is sound at any moment. */
const stopLimit = 4_500;

/** As in electron-builder.yml. */
const appId = 'org.extrachain.desktop';

/**
 * Runs the desktop application. Must be called before Electron is ready; what has to be done until then it does at once.
 * @returns resolves when everything runs, or when it has ended before that
 */
export async function runDesktop(options: DesktopOptions): Promise<void> {
  const { electron, clock, log } = options;
  const { app } = electron;

  // Beside the node's data: one application a data folder, and on macOS no clash of two folders of nearly one name.
  app.setPath('userData', path.join(options.dataDir, 'window'));
  // Kept on this computer only: what a crash of Electron itself leaves, for a person who wants help with it. After the path:
  // where the reports lie is settled here.
  electron.crashReporter.start({ uploadToServer: false });
  app.enableSandbox();
  // That of the shortcut the installer makes: without it Windows shows no notifications and a second icon.
  if (options.platform === 'win32') app.setAppUserModelId(appId);
  registerSchemes(electron);
  if (!app.requestSingleInstanceLock()) {
    app.exit(0);
    return;
  }

  const links = createLinkInbox();
  links.add(linksAmong(options.argv));
  let show = () => {};
  app.on('open-url', (event, url) => {
    event.preventDefault();
    const link = parseDeepLink(url);
    if (link === null) return;
    links.add([link]);
    show();
  });
  app.on('second-instance', (_, argv) => {
    links.add(linksAmong(argv));
    show();
  });
  app.on('activate', () => show());

  /** What to undo when quitting, in reverse order. */
  const undo: (() => Promise<void> | void)[] = [];
  let language: () => Language | null = () => null;
  let stopping: Promise<void> | null = null;
  let started: Promise<void> = Promise.resolve();

  async function undoAll(): Promise<void> {
    // What is being built is not torn down under its feet; it looks at `isStopping` after every step.
    await started.catch(() => {});
    for (const step of undo.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        log.error({ error: String(error) }, 'a part did not stop well');
      }
    }
  }
  const stop = () => (stopping ??= undoAll());
  async function end(code: number): Promise<void> {
    await Promise.race([stop(), new Promise<void>((resolve) => clock.after(stopLimit, resolve))]);
    app.exit(code);
  }
  let ending = false;
  app.on('before-quit', (event) => {
    event.preventDefault();
    if (ending) return;
    ending = true;
    void end(0);
  });

  const build = startUp({
    ...options,
    links,
    undo: (step) => undo.push(step),
    isStopping: () => stopping !== null,
    stopNode: stop,
    onWindow: (showWindow) => (show = showWindow),
    onLanguage: (read) => (language = read),
  });
  started = build;
  try {
    await build;
  } catch (error) {
    if (ending) return;
    ending = true;
    log.error({ error: error instanceof Error ? error.stack : String(error) }, 'the start failed');
    const { cannotStart, alreadyRunning } = stringsFor(language(), app.getLocale());
    const why = error instanceof Error ? error.message : String(error);
    const isLocked = error instanceof AppError && error.code === 'locked';
    electron.dialog.showErrorBox(cannotStart, isLocked ? alreadyRunning : why);
    await end(1);
  }
}
