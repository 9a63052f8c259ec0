import { Socket } from 'node:net';
import { TLSSocket, connect, createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';
import type {
  AbortOptions,
  ConnectionEncrypter,
  MessageStream,
  SecureConnectionOptions,
  SecuredConnection,
  StreamMuxerFactory,
} from '@libp2p/interface';
import { PROTOCOL, tls } from '@libp2p/tls';
import type { TLSComponents } from '@libp2p/tls';
import { generateCertificate, verifyPeerCertificate } from '@libp2p/tls/utils';
import { AbstractMessageStream } from '@libp2p/utils';
import type { Uint8ArrayList } from 'uint8arraylist';
import { AppError } from '../../src-shared/errors.ts';

/**
 * Bytes of a connection on the wire, encryption included, that its own methods do not see.
 * @param connection what the transport made
 */
export type CountWire = (connection: MessageStream, sent: number, received: number) => void;

/** What is below the public face of a connection that libp2p's TCP transport made. */
interface TcpConnection extends MessageStream {
  readonly socket: Socket;
  /** Came after the negotiation of the encrypter and belongs to TLS. */
  readonly readBuffer: Uint8ArrayList;
  /** How it closes its socket. */
  sendClose(options?: AbortOptions): Promise<void>;
  sendReset(error: Error): void;
}

/**
 * libp2p's TLS 1.3 (https://github.com/libp2p/specs/blob/master/tls/tls.md), the same on the wire as `@libp2p/tls`, whose certificates
 * and checks it uses. Where the connection is a TCP socket, TLS is put on that socket itself, and all bytes are encrypted and
 * written without passing through JavaScript; over anything else (WebSocket, relay) `@libp2p/tls` does it.
 */
export function nativeTls(count: CountWire = () => {}): (components: TLSComponents) => ConnectionEncrypter {
  return (components) => {
    const overAnything = tls()(components);
    let ownContext: Promise<SecureContext> | null = null;

    /** One certificate as long as the node runs: it says who we are, and each connection has fresh keys anyway. */
    function context(options: AbortOptions): Promise<SecureContext> {
      ownContext ??= generateCertificate(components.privateKey).then(({ cert, key }) =>
        createSecureContext({ cert, key, minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' }),
      );
      ownContext.catch(() => (ownContext = null));
      options.signal?.throwIfAborted();
      return ownContext;
    }

    async function secure(
      connection: MessageStream,
      isServer: boolean,
      options: SecureConnectionOptions = {},
    ): Promise<SecuredConnection> {
      const secureContext = await context(options);
      options.signal?.throwIfAborted();
      if (!isPlainTcp(connection)) {
        return isServer
          ? overAnything.secureInbound(connection, options)
          : overAnything.secureOutbound(connection, options);
      }
      const muxers = options.skipStreamMuxerNegotiation === true ? [] : muxersOf(components);
      const socket = isServer
        ? new TLSSocket(takeSocket(connection), {
            secureContext,
            isServer,
            requestCert: true,
            // Whose certificate it is shows in its libp2p extension, checked below.
            rejectUnauthorized: false,
            ALPNCallback: ({ protocols }) =>
              protocols.find((name) => name === 'libp2p' || muxers.includes(name)),
          })
        : connect({
            socket: takeSocket(connection),
            secureContext,
            rejectUnauthorized: false,
            ALPNProtocols: [...muxers, 'libp2p'],
          });
      const raw = connection.socket;
      closeThrough(connection, socket);
      const wire = countsOf(raw, (sent, received) => count(connection, sent, received));
      try {
        await handshake(socket, options.signal);
        wire();
        const remotePeer = await verifyPeerCertificate(
          socket.getPeerCertificate().raw ?? new Uint8Array(0),
          options.remotePeer,
          connection.log,
        );
        options.signal?.throwIfAborted();
        const streamMuxer = chosenMuxer(components, socket, muxers);
        const secured = new NativeTlsConnection(connection, socket, wire);
        return { connection: secured, remotePeer, ...(streamMuxer ? { streamMuxer } : {}) };
      } catch (error) {
        // Nobody waits for what the socket says from here on.
        socket.on('error', () => {});
        socket.destroy();
        connection.abort(error as Error);
        throw error;
      }
    }

    return {
      protocol: PROTOCOL,
      secureInbound: (connection, options) => secure(connection, true, options),
      secureOutbound: (connection, options) => secure(connection, false, options),
    };
  };
}

function muxersOf(components: TLSComponents): string[] {
  return [...components.upgrader.getStreamMuxers().keys()];
}

/** The muxer both agreed on with the handshake; none: it is negotiated afterwards. */
function chosenMuxer(
  components: TLSComponents,
  socket: TLSSocket,
  muxers: readonly string[],
): StreamMuxerFactory | null {
  const name = socket.alpnProtocol;
  if (typeof name !== 'string' || !muxers.includes(name)) return null;
  return components.upgrader.getStreamMuxers().get(name) ?? null;
}

function isPlainTcp(connection: MessageStream): connection is TcpConnection {
  const { socket } = connection as Partial<TcpConnection>;
  return (
    socket instanceof Socket &&
    !(socket instanceof TLSSocket) &&
    // Only the connection itself listens to it: nobody else would miss the bytes.
    socket.listenerCount('data') === 1
  );
}

/** Takes the socket from the connection, with the bytes that came early; from here on its bytes are TLS's. */
function takeSocket(connection: TcpConnection): Socket {
  const { socket, readBuffer } = connection;
  if (connection.status !== 'open' || socket.destroyed) {
    throw new AppError('unreachable', 'The connection was closed before it was secured.');
  }
  socket.removeAllListeners('data');
  socket.pause();
  const early = readBuffer.slice();
  readBuffer.consume(early.length);
  if (early.length > 0) socket.unshift(early);
  return socket;
}

/**
 * Whoever closes the connection closes TLS, which closes the socket: Node crashes when a socket is reset below TLS.
 */
function closeThrough(connection: TcpConnection, socket: TLSSocket): void {
  const raw = connection.socket;
  connection.sendReset = () => void socket.destroy();
  connection.sendClose = async (options) => {
    if (raw.closed) return;
    const closed = new Promise<void>((resolve) => raw.once('close', () => resolve()));
    socket.destroySoon();
    await unlessAborted(closed, options?.signal);
  };
}

async function unlessAborted(done: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return done;
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  await Promise.race([done, aborted.promise]).finally(() => signal.removeEventListener('abort', onAbort));
}

/** Tells what went over the wire since it was last called. */
function countsOf(socket: Socket, count: (sent: number, received: number) => void): () => void {
  let { bytesRead, bytesWritten } = socket;
  return () => {
    const [sent, received] = [socket.bytesWritten - bytesWritten, socket.bytesRead - bytesRead];
    ({ bytesRead, bytesWritten } = socket);
    if (sent > 0 || received > 0) count(sent, received);
  };
}

async function handshake(socket: TLSSocket, signal: AbortSignal | undefined): Promise<void> {
  const done = Promise.withResolvers<void>();
  const onAbort = (): void => done.reject(new AppError('timeout', 'Securing the connection took too long.'));
  const onClose = (): void =>
    done.reject(new AppError('unreachable', 'The connection was lost while it was secured.'));
  socket.once('secure', done.resolve);
  socket.once('error', done.reject);
  socket.once('close', onClose);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    await done.promise;
  } finally {
    socket.off('secure', done.resolve);
    socket.off('error', done.reject);
    socket.off('close', onClose);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** The plain side of a connection whose socket speaks TLS by itself. */
class NativeTlsConnection extends AbstractMessageStream {
  readonly #transport: MessageStream;
  readonly #socket: TLSSocket;
  readonly #closed: Promise<void>;

  constructor(transport: MessageStream, socket: TLSSocket, onWire: () => void) {
    super({
      log: transport.log,
      inactivityTimeout: transport.inactivityTimeout,
      maxReadBufferLength: transport.maxReadBufferLength,
      direction: transport.direction,
    });
    this.#transport = transport;
    this.#socket = socket;
    socket.on('data', (bytes) => {
      onWire();
      this.onData(bytes);
    });
    socket.on('drain', () => {
      onWire();
      this.safeDispatchEvent('drain');
    });
    socket.on('error', (error) => transport.abort(error));
    transport.addEventListener('close', (event) => {
      onWire();
      socket.destroy();
      // How it ended is told as the transport told it: by us, by the other side, or in order.
      if (event.error === undefined) this.onTransportClosed();
      else if (event.local === true) this.abort(event.error);
      else this.onRemoteReset();
    });
    this.#closed = new Promise((resolve) => {
      const closeTransport = (): void => {
        transport
          .close()
          .catch((error: unknown) => transport.abort(error as Error))
          .finally(resolve);
      };
      if (socket.closed) closeTransport();
      else socket.once('close', closeTransport);
    });
  }

  /** Ends the connection in order; resolves when the transport is closed. */
  async close(options?: AbortOptions): Promise<void> {
    options?.signal?.throwIfAborted();
    this.#socket.destroySoon();
    await unlessAborted(this.#closed, options?.signal);
  }

  override sendPause(): void {
    this.#socket.pause();
  }

  override sendResume(): void {
    this.#socket.resume();
  }

  override sendReset(error: Error): void {
    this.#socket.destroy();
    this.#transport.abort(error);
  }

  override sendData(data: Uint8ArrayList): { sentBytes: number; canSendMore: boolean } {
    // All at once, or the first few bytes (a header) would go out by themselves.
    this.#socket.cork();
    const sentBytes = data.byteLength;
    for (const bytes of data) this.#socket.write(bytes);
    this.#socket.uncork();
    return { sentBytes, canSendMore: !this.#socket.writableNeedDrain };
  }
}
