import type { WebSocket } from 'ws';
import type { Port } from '../../../src-shared/rpc/index.ts';
import { maxMessage } from '../../../src-shared/rpc/index.ts';

/** Longest WebSocket message in bytes: the kernel's limit if every unit took three bytes of UTF-8. */
export const maxPayload = maxMessage * 3;
/** Bytes that may wait for a reader who does not read; beyond that he is cut off. */
const maxBuffered = 16 * 1024 * 1024;

/** Carries the kernel over a WebSocket of the `ws` package, on either side. */
export function webSocketPort(socket: WebSocket): Port {
  // An error is always followed by `close`, which is what the kernel listens to.
  socket.on('error', () => {});
  return {
    send(message) {
      if (socket.readyState !== socket.OPEN) return;
      if (socket.bufferedAmount > maxBuffered) socket.terminate();
      else socket.send(message);
    },
    onMessage: (listener) =>
      void socket.on('message', (data: Buffer, isBinary) =>
        listener(isBinary ? null : data.toString('utf8')),
      ),
    onClose: (listener) => void socket.on('close', listener),
    close() {
      if (socket.readyState !== socket.CLOSED) socket.close();
      // A peer that does not answer the closing handshake is not waited for.
      setTimeout(() => socket.terminate(), 1000).unref();
    },
  };
}
