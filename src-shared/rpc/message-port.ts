import type { Port } from './port.ts';

/** What Node's MessagePort, and Electron's MessagePortMain behind a two-line adapter, have in common. */
export interface MessagePortLike {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
  start(): void;
  close(): void;
}

/** Carries the kernel over a MessagePort. Messages that come before `onMessage` wait inside the port. */
export function messagePortCarrier(port: MessagePortLike): Port {
  return {
    send: (message) => port.postMessage(message),
    onMessage(listener) {
      port.on('message', listener);
      port.start();
    },
    onClose: (listener) => void port.on('close', listener),
    close: () => port.close(),
  };
}
