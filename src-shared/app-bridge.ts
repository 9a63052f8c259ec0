/**
 * What the preload script of an app's window puts into the page as `window.extrachainCarrier`: the carrier of the provider, in
 * place of the browser's WebSocket.
 */
export interface AppCarrier {
  /** Opens a connection; messages are JSON-RPC 2.0, one each. */
  connect(onMessage: (text: string) => void, onClose: () => void): void;
  send(text: string): void;
}

export const appPortMessage = 'extrachain:app-port';
