import { createHash, randomBytes } from 'node:crypto';
import { createConnection, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type {
  Connection,
  ConnectionEncrypter,
  ConnectionGater,
  Libp2p,
  Logger,
  MessageStream,
  Stream,
} from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { tcp } from '@libp2p/tcp';
import { tls } from '@libp2p/tls';
import type { TLSComponents } from '@libp2p/tls';
import { webSockets } from '@libp2p/websockets';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { afterEach, describe, expect, test } from 'vitest';
import { nativeTls } from './native-tls.ts';

type Encrypter = (components: TLSComponents) => ConnectionEncrypter;

const protocol = '/test/echo/1';
const undo: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

async function node(
  encrypter: Encrypter,
  listen = '/ip4/127.0.0.1/tcp/0',
  connectionGater: ConnectionGater = {},
): Promise<Libp2p> {
  const made = await createLibp2p({
    addresses: { listen: [listen] },
    transports: [tcp(), webSockets()],
    connectionEncrypters: [encrypter],
    streamMuxers: [yamux()],
    connectionGater,
    connectionMonitor: { enabled: false },
    connectionManager: { inboundConnectionThreshold: 1000 },
  });
  undo.push(() => made.stop());
  await made.handle(protocol, echo);
  return made;
}

/** Sends everything back, no faster than it is taken. */
async function echo(stream: Stream): Promise<void> {
  for await (const bytes of stream) if (!stream.send(bytes)) await stream.onDrain();
  await stream.close();
}

/** Sends `bytes` and returns the hash of what came back. */
async function sendAndHear(from: Libp2p, to: Libp2p, bytes: Uint8Array): Promise<string> {
  const stream = await from.dialProtocol(to.getMultiaddrs()[0]!, protocol);
  const hash = createHash('sha256');
  const heard = (async () => {
    for await (const part of stream) hash.update(part.subarray());
  })();
  for (let at = 0; at < bytes.length; at += 100_000) {
    if (!stream.send(bytes.subarray(at, at + 100_000))) await stream.onDrain();
  }
  await stream.close();
  await heard;
  return hash.digest('hex');
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const kinds = { ours: (): Encrypter => nativeTls(), theirs: (): Encrypter => tls() };

describe('TLS on the socket itself', () => {
  test.for([
    ['ours', 'ours'],
    ['ours', 'theirs'],
    ['theirs', 'ours'],
  ] as const)('a %s dials a %s: both know each other, and bytes go both ways', async ([from, to]) => {
    const [a, b] = [await node(kinds[from]()), await node(kinds[to]())];
    const bytes = randomBytes(8 << 20);
    expect(await sendAndHear(a, b, bytes)).toBe(sha256(bytes));
    expect(a.getConnections()[0]!.remotePeer.equals(b.peerId)).toBe(true);
    expect(b.getConnections()[0]!.remotePeer.equals(a.peerId)).toBe(true);
    expect(a.getConnections()[0]!.encryption).toBe('/tls/1.0.0');
    await expect.poll(() => b.getConnections()[0]!.multiplexer).toBe('/yamux/1.0.0');
  });

  test('over WebSocket the library itself does it', async () => {
    const [a, b] = [await node(nativeTls()), await node(nativeTls(), '/ip4/127.0.0.1/tcp/0/ws')];
    const bytes = randomBytes(1 << 20);
    expect(await sendAndHear(a, b, bytes)).toBe(sha256(bytes));
  });

  test('counts the bytes on the wire', async () => {
    let [sent, received] = [0, 0];
    const counting = nativeTls((_connection, more, less) => {
      sent += more;
      received += less;
    });
    const [a, b] = [await node(counting), await node(nativeTls())];
    await sendAndHear(a, b, randomBytes(4 << 20));
    for (const bytes of [sent, received]) {
      expect(bytes).toBeGreaterThan(4 << 20);
      expect(bytes).toBeLessThan(4.1 * 2 ** 20);
    }
  });

  test('refuses whoever is not the one that was dialled', async () => {
    const [a, b] = [await node(nativeTls()), await node(nativeTls())];
    const other = peerIdFromPrivateKey(await generateKeyPair('Ed25519'));
    const [address] = b.getMultiaddrs();
    const wrong = multiaddr(address!.toString().replace(b.peerId.toString(), other.toString()));
    await expect(a.dial(wrong)).rejects.toThrow();
    expect(a.getConnections()).toEqual([]);
    await expect.poll(() => b.getConnections()).toEqual([]);
  });

  test('ends when the other side goes, in order or not', async () => {
    const [a, b] = [await node(nativeTls()), await node(nativeTls())];
    const connect = async (): Promise<[Connection, Connection]> => {
      const near = await a.dial(b.getMultiaddrs()[0]!);
      await expect.poll(() => b.getConnections().length).toBe(1);
      return [near, b.getConnections()[0]!];
    };
    const [near, far] = await connect();
    await far.close();
    await expect.poll(() => near.status).toBe('closed');
    const [broken, breaking] = await connect();
    breaking.abort(new Error('enough'));
    await expect.poll(() => broken.status).not.toBe('open');
    const [own] = await connect();
    await own.close();
    await expect.poll(() => b.getConnections().length).toBe(0);
  });

  test('who is not let in once it is known who it is, is sent away', async () => {
    const closed = await node(nativeTls(), undefined, { denyInboundEncryptedConnection: () => true });
    for (const encrypter of [nativeTls(), tls()]) {
      const a = await node(encrypter);
      for (let n = 0; n < 8; n++) {
        const connection = await a.dial(closed.getMultiaddrs()[0]!).catch(() => null);
        await expect.poll(() => connection?.status ?? 'closed').not.toBe('open');
      }
    }
    expect(closed.getConnections()).toEqual([]);
  });

  test('whenever a connection breaks, on either side, the node stays', async () => {
    // What ends a socket below TLS has crashed the runtime before: so it is done at many moments, each in several ways.
    const [a, b] = [await node(nativeTls()), await node(nativeTls())];
    const bytes = randomBytes(1 << 20);
    for (let round = 0; round < 48; round++) {
      const control = new AbortController();
      const dialling = a.dialProtocol(b.getMultiaddrs()[0]!, protocol, { signal: control.signal });
      const sending = dialling
        .then(async (stream) => {
          stream.addEventListener('message', () => {});
          for (let n = 0; n < 8; n++) if (!stream.send(bytes)) await stream.onDrain();
        })
        .catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, (round % 16) * 2));
      const side = round % 2 === 0 ? a : b;
      for (const connection of side.getConnections()) {
        if (round % 3 === 0) connection.abort(new Error('enough'));
        else if (round % 3 === 1) await connection.close().catch(() => {});
        else if ('maConn' in connection) (connection.maConn as MessageStream).abort(new Error('timeout'));
      }
      control.abort();
      await sending;
      for (const connection of a.getConnections()) connection.abort(new Error('next'));
      await expect.poll(() => a.getConnections().length + b.getConnections().length).toBe(0);
    }
    expect(await sendAndHear(a, b, bytes)).toBe(sha256(bytes));
  });

  const bad: readonly [string, (socket: Socket) => void][] = [
    ['says nothing', (socket) => void socket.resume()],
    [
      'agrees on TLS, then says nothing',
      (socket) => void socket.resume().write(lines('/multistream/1.0.0', '/tls/1.0.0')),
    ],
    ['hangs up', (socket) => void socket.once('data', () => socket.destroy())],
    ['sends rubbish', (socket) => void socket.write(randomBytes(4096))],
    [
      'agrees on TLS, then sends rubbish',
      (socket) => {
        socket.write(lines('/multistream/1.0.0', '/tls/1.0.0'));
        socket.once('data', () => socket.write(randomBytes(4096)));
      },
    ],
  ];
  test.for(bad)('gives up on one that %s', async ([, behave]): Promise<void> => {
    const a = await node(nativeTls());
    const server = createServer((socket) => {
      socket.on('error', () => {});
      behave(socket);
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    undo.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    const signal = AbortSignal.timeout(500);
    await expect(a.dial(multiaddr(`/ip4/127.0.0.1/tcp/${port}`), { signal })).rejects.toThrow();
    expect(a.getConnections()).toEqual([]);
  });

  test('takes what came together with the last line of the negotiation', async () => {
    // Both sides as libp2p leaves them after it agreed on TLS, with the hello of TLS already read by the transport.
    const key = await generateKeyPair('Ed25519');
    const components = {
      privateKey: key,
      logger: { forComponent: () => silent },
      upgrader: { getStreamMuxers: () => new Map() },
    } as unknown as TLSComponents;
    const [near, far] = await socketPair();
    const encrypter = nativeTls()(components);
    const early = transportOf(far);
    const securedOut = encrypter.secureOutbound(transportOf(near));
    await expect.poll(() => early.readBuffer.byteLength).toBeGreaterThan(100);
    const [out, inbound] = await Promise.all([securedOut, encrypter.secureInbound(early)]);
    expect(inbound.remotePeer.equals(peerIdFromPrivateKey(key))).toBe(true);
    const heard = new Promise<string>((done) =>
      inbound.connection.addEventListener('message', ({ data }) =>
        done(Buffer.from(data.subarray()).toString()),
      ),
    );
    out.connection.send(Buffer.from('hello'));
    expect(await heard).toBe('hello');
    out.connection.abort(new Error('done'));
    await expect.poll(() => inbound.connection.status).not.toBe('open');
  });
});

const silent: Logger = Object.assign(() => {}, {
  enabled: false,
  trace() {},
  error() {},
  newScope: (): Logger => silent,
});

/** Lines of multistream-select: each with its length before and a line feed at its end. */
function lines(...texts: readonly string[]): Uint8Array {
  return Buffer.concat(texts.map((text) => Buffer.from([text.length + 1, ...Buffer.from(`${text}\n`)])));
}

async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const far = new Promise<Socket>((done) => server.once('connection', done));
  const near = createConnection((server.address() as AddressInfo).port, '127.0.0.1');
  await new Promise((done) => near.once('connect', done));
  undo.push(() => server.close());
  undo.push(async () => {
    near.destroy();
    (await far).destroy();
  });
  return [near, await far];
}

const { toMultiaddrConnection } = (await import(
  new URL('./socket-to-conn.js', import.meta.resolve('@libp2p/tcp')).href
)) as { toMultiaddrConnection(init: object): MessageStream & { readBuffer: { byteLength: number } } };

const transportOf = (socket: Socket): MessageStream & { readBuffer: { byteLength: number } } =>
  toMultiaddrConnection({ socket, log: silent, direction: 'inbound' });
