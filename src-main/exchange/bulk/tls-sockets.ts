import { createHash, timingSafeEqual } from 'node:crypto';
import tls from 'node:tls';
import type { Server, TLSSocket } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { AppError } from '../../../src-shared/errors.ts';
import type { Clock } from '../../../src-shared/runtime.ts';
import type { BulkCertificate } from './certificate.ts';
import type { BulkAddress } from './bulk-messages.ts';

const tokenBytes = 32;
/** Connections that have not shown a token yet. */
const maxUnknown = 64;
/** Time to do so, ms. */
const tokenMs = 3_000;
/** Small buffers mean many turns of the event loop per MiB. */
const highWaterMark = 256 * 1024;

/** Listeners for one certificate, on one or several addresses. */
export interface TlsListeners {
  readonly addresses: readonly BulkAddress[];
  stop(): void;
}

/**
 * Listens on a free port of each address; '' = on all addresses.
 * @param onToken gets each connection with the token it showed; it must destroy those it does not know
 */
export async function listenTls(
  certificate: BulkCertificate,
  ips: readonly string[],
  clock: Clock,
  onToken: (token: Uint8Array, socket: TLSSocket) => void,
): Promise<TlsListeners> {
  const sockets = new Set<TLSSocket>();
  let unknown = 0;

  function accept(socket: TLSSocket): void {
    socket.on('error', () => {});
    if (unknown >= maxUnknown) return void socket.destroy();
    unknown++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    let waiting = true;
    const leave = (): void => {
      if (!waiting) return;
      waiting = false;
      unknown--;
      cancel();
      socket.off('readable', onReadable);
    };
    const onReadable = (): void => {
      const token = socket.read(tokenBytes) as Buffer | null;
      if (!token) return;
      leave();
      if (token.length !== tokenBytes) return void socket.destroy();
      tune(socket);
      onToken(token, socket);
    };
    const cancel = clock.after(tokenMs, () => socket.destroy());
    socket.on('readable', onReadable);
    socket.on('close', leave);
  }

  const servers: Server[] = [];
  const addresses: BulkAddress[] = [];
  for (const ip of ips) {
    const server = tls.createServer(
      {
        cert: certificate.cert,
        key: certificate.key,
        minVersion: 'TLSv1.3',
        handshakeTimeout: tokenMs,
        highWaterMark,
      },
      accept,
    );
    server.on('tlsClientError', () => {});
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, ip === '' ? undefined : ip, resolve);
      });
    } catch {
      continue; // an address that went away meanwhile
    }
    server.on('error', () => {});
    servers.push(server);
    addresses.push({ ip, port: (server.address() as AddressInfo).port });
  }
  return {
    addresses,
    stop() {
      for (const server of servers) server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/**
 * Connects, checks that the certificate is the one expected, and shows the token.
 * @throws AppError `unreachable`, `bad_hash` (somebody else answers there)
 */
export function dialTls(
  host: string,
  port: number,
  fingerprint: Uint8Array,
  token: Uint8Array,
  signal: AbortSignal,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    // Nobody vouches for the certificate but the peer itself, over libp2p: the pin below is the check.
    const options = { host, port, rejectUnauthorized: false, minVersion: 'TLSv1.3', highWaterMark } as const;
    const socket = tls.connect(options);
    const give = (error: AppError): void => {
      socket.destroy();
      reject(error);
    };
    const onAbort = (): void => give(unreachable(signal.reason));
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', (error) => give(unreachable(error)));
    socket.once('close', () => signal.removeEventListener('abort', onAbort));
    socket.once('secureConnect', () => {
      signal.removeEventListener('abort', onAbort);
      const { raw } = socket.getPeerCertificate();
      const shown = raw ? createHash('sha256').update(raw).digest() : Buffer.alloc(32);
      if (!timingSafeEqual(shown, fingerprint)) {
        return give(new AppError('bad_hash', 'Another computer answers on the bulk channel.'));
      }
      tune(socket);
      socket.write(token);
      resolve(socket);
    });
  });
}

function tune(socket: TLSSocket): void {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 15_000);
}

function unreachable(cause: unknown): AppError {
  return new AppError('unreachable', 'The bulk channel could not be opened.', { cause });
}
