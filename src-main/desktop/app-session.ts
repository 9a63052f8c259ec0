import type { Session } from 'electron';
import type { ElectronParts } from './electron-parts.ts';
import { appPartition, appScheme, isAppUrl, mayLoad } from './policy/app-origins.ts';

/** Nothing listens there: whatever would leave all the same goes to it. */
const deadProxy = 'http=127.0.0.1:1;https=127.0.0.1:1;socks=127.0.0.1:1';

/**
 * The session of one app's window: storage of its own, one scheme that answers, and no way out.
 * @param serve answers for the app's origin; never throws
 * @param granted what the person allowed of camera and microphone
 */
export async function appSession(
  { session: sessions }: Pick<ElectronParts, 'session'>,
  appId: string,
  serve: (request: Request) => Promise<Response>,
  granted: () => { readonly camera: boolean; readonly microphone: boolean },
): Promise<Session> {
  const session = sessions.fromPartition(appPartition(appId));
  // A second window of the app finds it made.
  if (session.protocol.isProtocolHandled(appScheme)) return session;
  session.protocol.handle(appScheme, (request) =>
    isAppUrl(request.url, appId) ? serve(request) : new Response('403\n', { status: 403 }),
  );
  session.webRequest.onBeforeRequest(({ url }, answer) => answer({ cancel: !mayLoad(url, appId) }));
  session.setPermissionRequestHandler((_, permission, answer, details) => {
    const kinds = 'mediaTypes' in details ? (details.mediaTypes ?? []) : [];
    const { camera, microphone } = granted();
    answer(
      isAppUrl(details.requestingUrl, appId) &&
        (permission === 'fullscreen' ||
          (permission === 'media' &&
            kinds.length > 0 &&
            kinds.every((kind) => (kind === 'video' ? camera : microphone)))),
    );
  });
  session.setPermissionCheckHandler((_, permission, __, { mediaType }) => {
    const { camera, microphone } = granted();
    return permission === 'media' && (mediaType === 'video' ? camera : mediaType === 'audio' && microphone);
  });
  session.setDevicePermissionHandler(() => false);
  session.setBluetoothPairingHandler((_, answer) => answer({ confirmed: false }));
  // Null refuses. A choice without a picture throws in the main process, which tells the person of an error.
  session.setDisplayMediaRequestHandler((_, answer) => answer(null));
  session.on('will-download', (event) => event.preventDefault());
  await session.setProxy({ mode: 'fixed_servers', proxyRules: deadProxy, proxyBypassRules: '<-loopback>' });
  return session;
}
