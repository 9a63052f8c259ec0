import type { IpcMainEvent, MessagePortMain, WebContents } from 'electron';
import { hostPortMessage } from '../../src-shared/host-bridge.ts';
import type { Clock, Logger } from '../../src-shared/runtime.ts';
import { messagePortCarrier, serve } from '../../src-shared/rpc/index.ts';
import type { Implementation, Port } from '../../src-shared/rpc/index.ts';
import type { ElectronParts } from './electron-parts.ts';
import { isTrustedFrame } from './policy/sender.ts';

export interface BridgeOptions {
  readonly electron: Pick<ElectronParts, 'ipcMain'>;
  /** The contents of the main window; null while there is none. */
  readonly contents: () => WebContents | null;
  /** What is served; while it is pending, ports wait. */
  readonly implementation: Promise<Implementation>;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Serves the contract to the page of the main window, and to nobody else, over ports that its preload script hands over.
 * @returns ends every connection
 */
export function createBridge({ electron, contents, implementation, clock, log }: BridgeOptions): () => void {
  const open = new Set<Port>();
  let ended = false;

  function onPort(event: IpcMainEvent): void {
    const [port] = event.ports;
    if (ended || !port || !isTrustedFrame(event.senderFrame, event.sender === contents())) {
      log.warn({ url: event.senderFrame?.url ?? null }, 'a port from a stranger was refused');
      for (const one of event.ports) one.close();
      return;
    }
    const carrier = mainPortCarrier(port);
    open.add(carrier);
    const forget = () => open.delete(carrier);
    port.on('close', forget);
    implementation.then(
      async (served) => {
        if (!open.has(carrier)) return;
        await serve(served, carrier, {
          clock,
          onInternalError: (error, call) =>
            log.error({ call, error: error instanceof Error ? error.stack : String(error) }, 'a call failed'),
        });
        forget();
      },
      () => {
        forget();
        carrier.close();
      },
    );
  }

  electron.ipcMain.on(hostPortMessage, onPort);
  return () => {
    ended = true;
    electron.ipcMain.off(hostPortMessage, onPort);
    for (const port of open) port.close();
    open.clear();
  };
}

/** Electron's port gives events where Node's gives messages. */
export function mainPortCarrier(port: MessagePortMain): Port {
  return messagePortCarrier({
    postMessage: (message) => port.postMessage(message),
    on(event: 'message' | 'close', listener: (message: unknown) => void) {
      if (event === 'close') port.on('close', () => listener(undefined));
      else port.on('message', ({ data }) => listener(data));
    },
    start: () => port.start(),
    close: () => port.close(),
  });
}
