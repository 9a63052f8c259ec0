import { AppError } from '../../src-shared/errors.ts';
import { hostPortMessage } from '../../src-shared/host-bridge.ts';
import type { HostBridge } from '../../src-shared/host-bridge.ts';
import type { Port } from '../../src-shared/rpc/index.ts';

/** The WebSocket subprotocol of the contract; the token goes along as a second one. */
const subprotocol = 'extrachain.1';
const patience = 10_000;

/**
 * Opens the loopback WebSocket of the daemon.
 * @throws AppError `unreachable`
 */
export function dialWebSocket(url: string, token: string): Promise<Port> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, [subprotocol, `token.${token}`]);
    const late = setTimeout(() => socket.close(), patience);
    const refused = () => {
      clearTimeout(late);
      reject(new AppError('unreachable', 'The node does not answer.'));
    };
    socket.addEventListener('close', refused);
    socket.addEventListener('open', () => {
      clearTimeout(late);
      socket.removeEventListener('close', refused);
      resolve({
        send(message) {
          if (socket.readyState === WebSocket.OPEN) socket.send(message);
        },
        onMessage: (listener) =>
          socket.addEventListener('message', (event: MessageEvent<unknown>) => listener(event.data)),
        onClose: (listener) => socket.addEventListener('close', listener),
        close: () => socket.close(),
      });
    });
  });
}

/** Asks the desktop shell for a MessagePort. */
export function dialShell(shell: HostBridge): Promise<Port> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(late);
      removeEventListener('message', onMessage);
    };
    const late = setTimeout(() => {
      end();
      reject(new AppError('unreachable', 'The node does not answer.'));
    }, patience);
    function onMessage(event: MessageEvent<unknown>) {
      const port = event.ports[0];
      if (event.source !== window || event.data !== hostPortMessage || !port) return;
      end();
      resolve(portOf(port));
    }
    addEventListener('message', onMessage);
    shell.connect();
  });
}

function portOf(port: MessagePort): Port {
  let closed = () => {};
  return {
    send: (message) => port.postMessage(message),
    onMessage(listener) {
      port.addEventListener('message', (event: MessageEvent<unknown>) => listener(event.data));
      port.start();
    },
    onClose(listener) {
      closed = listener;
      port.addEventListener('close', listener);
    },
    close() {
      port.close();
      closed();
    },
  };
}
