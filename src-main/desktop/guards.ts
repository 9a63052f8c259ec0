import type { Session, WebContents } from 'electron';
import type { ElectronParts } from './electron-parts.ts';
import { decideNavigation, externalUrl } from './policy/navigation.ts';
import { decidePermission } from './policy/permissions.ts';
import { isTrustedFrame } from './policy/sender.ts';

/** Denies every permission the policy does not give, both when asked for and when only looked at. */
export function guardPermissions(session: Session): void {
  session.setPermissionRequestHandler((_, permission, answer, { requestingUrl, isMainFrame }) =>
    answer(decidePermission({ permission, url: requestingUrl, isMainFrame })),
  );
  session.setPermissionCheckHandler((_, permission, origin, { requestingUrl, isMainFrame }) =>
    decidePermission({ permission, url: requestingUrl ?? origin, isMainFrame }),
  );
  session.setDevicePermissionHandler(() => false);
  session.setBluetoothPairingHandler((_, answer) => answer({ confirmed: false }));
}

/** Lets the person choose what our own page may show of the screen; nothing is shown unasked. */
export function guardScreenCapture(
  { desktopCapturer, Menu }: Pick<ElectronParts, 'desktopCapturer' | 'Menu'>,
  session: Session,
  title: () => string,
): void {
  session.setDisplayMediaRequestHandler(
    (request, answer) => {
      if (!request.userGesture || !isTrustedFrame(request.frame, true)) return answer(null);
      desktopCapturer
        .getSources({ types: ['screen', 'window'], thumbnailSize: { width: 0, height: 0 } })
        .then((sources) => {
          let chosen: (typeof sources)[number] | null = null;
          const menu = Menu.buildFromTemplate([
            { label: title(), enabled: false },
            { type: 'separator' },
            ...sources.map((source) => ({ label: source.name, click: () => void (chosen = source) })),
          ]);
          // A click comes just before or just after the menu closes, depending on the system.
          menu.popup({
            callback: () =>
              setTimeout(
                () =>
                  answer(
                    chosen && {
                      video: chosen,
                      // Only there does the system give its own sound.
                      ...(request.audioRequested &&
                        process.platform === 'win32' && { audio: 'loopback' as const }),
                    },
                  ),
                50,
              ),
          });
        })
        // No list of screens, or no window that has the focus: without an answer the page would wait for ever.
        .catch(() => answer(null));
    },
    { useSystemPicker: true },
  );
}

/** Keeps a window on its page: no navigation, no other windows, no webviews. */
export function guardNavigation({ shell }: Pick<ElectronParts, 'shell'>, contents: WebContents): void {
  contents.on('will-frame-navigate', (event) => {
    const decision = decideNavigation(event.url, event.isMainFrame);
    if (decision !== 'stay') event.preventDefault();
    if (decision === 'save') contents.downloadURL(event.url);
  });
  contents.on('will-redirect', (event) => {
    if (decideNavigation(event.url, event.isMainFrame) !== 'stay') event.preventDefault();
  });
  contents.on('will-attach-webview', (event) => event.preventDefault());
  contents.setWindowOpenHandler(({ url }) => {
    const allowed = externalUrl(url);
    // Only after this handler has answered, as Electron's documentation asks.
    if (allowed !== null) setImmediate(() => void shell.openExternal(allowed).catch(() => {}));
    return { action: 'deny' };
  });
}
