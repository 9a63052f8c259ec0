import { createHash } from 'node:crypto';
import tls from 'node:tls';
import { encode } from '@ipld/dag-cbor';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { isAppError } from '../../../src-shared/errors.ts';
import { createReplica, driveId, makeBlocks, put, realClock, requestsFor, until } from '../testing/world.ts';
import type { Replica } from '../testing/world.ts';
import type { Network } from '../../network/index.ts';
import { startRealNode } from '../testing/real-network.ts';
import type { RealNode } from '../testing/real-network.ts';
import { decodeBulkMessage, encodeBulkMessage } from './bulk-messages.ts';
import type { BulkMessage } from './bulk-messages.ts';
import { createBulkCertificate } from './certificate.ts';
import { createSocketFrames } from './socket-frames.ts';
import { dialTls, listenTls } from './tls-sockets.ts';
import type { TlsListeners } from './tls-sockets.ts';

const never = new AbortController().signal;
const cleanup: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo();
});

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const message: fc.Arbitrary<BulkMessage> = fc.oneof(
  fc.record({ t: fc.constantFrom('ask' as const, 'ok' as const, 'no' as const) }),
  fc.record({
    t: fc.constant('offer' as const),
    addresses: fc.array(
      fc.record({ ip: fc.oneof(fc.ipV4(), fc.constant('')), port: fc.integer({ min: 1, max: 65535 }) }),
      {
        maxLength: 16,
      },
    ),
    fingerprint: bytes32,
    token: bytes32,
  }),
);

describe('messages about the bulk channel', () => {
  test('decode to what was encoded; anything else is malformed', () => {
    fc.assert(
      fc.property(message, (m) => {
        const back = decodeBulkMessage(encodeBulkMessage(m));
        expect(Buffer.from(encodeBulkMessage(back))).toEqual(Buffer.from(encodeBulkMessage(m)));
        expect(back.t).toBe(m.t);
      }),
      { seed: 1 },
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc.jsonValue().map((v) => encode(v)),
        ),
        (bytes) => {
          try {
            decodeBulkMessage(bytes);
          } catch (error) {
            expect(isAppError(error, 'malformed')).toBe(true);
          }
        },
      ),
      { seed: 2, numRuns: 2000 },
    );
  });
});

describe('the listener', () => {
  async function listener(
    onToken: Parameters<typeof listenTls>[3],
  ): Promise<{ fingerprint: Uint8Array; port: number; listeners: TlsListeners }> {
    const certificate = await createBulkCertificate(Date.now());
    const listeners = await listenTls(certificate, ['127.0.0.5'], realClock, onToken);
    cleanup.push(() => listeners.stop());
    return { fingerprint: certificate.fingerprint, port: listeners.addresses[0]!.port, listeners };
  }
  const token = createHash('sha256').update('token').digest();

  test('carries frames both ways, also large ones, and ends cleanly', async () => {
    const served = Promise.withResolvers<void>();
    const { fingerprint, port } = await listener((shown, socket) => {
      expect(Buffer.from(shown)).toEqual(token);
      const stream = createSocketFrames(socket, 'p', 4 << 20);
      void (async () => {
        for (let frame = await stream.read(); frame !== null; frame = await stream.read())
          await stream.send(frame);
        await stream.close();
        served.resolve();
      })();
    });
    const socket = await dialTls('127.0.0.5', port, fingerprint, token, never);
    const stream = createSocketFrames(socket, 'q', 4 << 20);
    for (const size of [0, 1, 100_000, 4 << 20]) {
      const frame = Buffer.alloc(size, 7);
      const [echo] = await Promise.all([
        stream.read(),
        stream.send([frame.subarray(0, 1), frame.subarray(1)]),
      ]);
      expect(Buffer.compare(echo!, frame)).toBe(0);
    }
    await stream.close();
    expect(await stream.read()).toBeNull();
    await served.promise;
    await stream.closed;
  });

  test('is not taken for somebody else', async () => {
    const { port } = await listener((_, socket) => socket.destroy());
    await expect(dialTls('127.0.0.5', port, new Uint8Array(32), token, never)).rejects.toMatchObject({
      code: 'bad_hash',
    });
    await expect(dialTls('127.0.0.5', 1, new Uint8Array(32), token, never)).rejects.toMatchObject({
      code: 'unreachable',
    });
  });

  test('drops who shows no token, and who speaks no TLS 1.3', async () => {
    const { port } = await listener((_, socket) => socket.destroy());
    const silent = tls.connect({ host: '127.0.0.5', port, rejectUnauthorized: false });
    silent.on('error', () => {});
    const at = performance.now();
    await new Promise((resolve) => silent.on('close', resolve).resume());
    expect(performance.now() - at).toBeGreaterThan(2000);
    const old = tls.connect({ host: '127.0.0.5', port, rejectUnauthorized: false, maxVersion: 'TLSv1.2' });
    await expect(new Promise((_, reject) => old.on('error', reject))).rejects.toThrow();
  });

  test('a frame above the limit or cut short ends the channel', async () => {
    const { fingerprint, port } = await listener((_, socket) => {
      const stream = createSocketFrames(socket, 'p', 1000);
      stream.send(new Uint8Array(1000)).then(
        () => socket.end(Buffer.from([200, 1, 0])),
        () => {},
      );
    });
    const small = createSocketFrames(await dialTls('127.0.0.5', port, fingerprint, token, never), 'q', 999);
    await expect(small.read()).rejects.toMatchObject({ code: 'too_large' });
    const fits = createSocketFrames(await dialTls('127.0.0.5', port, fingerprint, token, never), 'q', 1000);
    expect((await fits.read())!.length).toBe(1000);
    await expect(fits.read()).rejects.toMatchObject({ code: 'protocol_violation' });
  });
});

describe('blocks between direct peers', () => {
  async function pair(bulk: [boolean, boolean]): Promise<{ nodes: RealNode[]; replicas: Replica[] }> {
    const names = ['bulk one', 'bulk two'];
    const nodes = await Promise.all(names.map((name, i) => startRealNode(name, `127.0.0.${i + 6}`)));
    const replicas = await Promise.all(
      nodes.map((node, i) => createReplica(node.network, names[i]!, names, { bulk: () => bulk[i]! })),
    );
    for (const { drive } of replicas) for (const { user } of nodes) drive.roles.set(user, 'editor');
    cleanup.push(async () => {
      await Promise.all(replicas.map(({ exchange }) => exchange.stop()));
      await Promise.all(nodes.map((node) => node.stop()));
    });
    await nodes[0]!.network.connect(nodes[1]!.network.addresses()[0]!);
    await until(() => replicas.every(({ exchange }) => exchange.members(driveId)[0]?.sameHistory === true));
    for (const { network } of nodes) {
      const count = network.countBytes.bind(network);
      overBulk.set(network, 0);
      network.countBytes = (peer, sent, received) => {
        overBulk.set(network, overBulk.get(network)! + received);
        count(peer, sent, received);
      };
    }
    return { nodes, replicas };
  }
  const overBulk = new Map<Network, number>();

  /** Bytes of the fetch that went over libp2p. */
  async function fetched(from: Replica, to: Replica, node: RealNode, seed: number): Promise<number> {
    const blocks = makeBlocks(16, 1 << 20, seed);
    put(from.source, blocks);
    const received = (): number => node.network.traffic().received - overBulk.get(node.network)!;
    const before = received();
    const got = new Map<string, Uint8Array>();
    await to.exchange.fetch(driveId, requestsFor(blocks, got), never);
    expect(got.size).toBe(16);
    expect(node.network.peers()[0]!.received).toBeGreaterThan(16 << 20);
    return received() - before;
  }

  test('take the channel whichever side dialled', async () => {
    const { nodes, replicas } = await pair([true, true]);
    expect(await fetched(replicas[0]!, replicas[1]!, nodes[1]!, 1)).toBeLessThan(1 << 20);
    expect(await fetched(replicas[1]!, replicas[0]!, nodes[0]!, 2)).toBeLessThan(1 << 20);
  });

  test('fall back to libp2p where one side has it turned off, or a bandwidth limit is set', async () => {
    const { nodes, replicas } = await pair([true, false]);
    expect(await fetched(replicas[0]!, replicas[1]!, nodes[1]!, 3)).toBeGreaterThan(16 << 20);
    expect(await fetched(replicas[1]!, replicas[0]!, nodes[0]!, 4)).toBeGreaterThan(16 << 20);
  });

  test('a bandwidth limit keeps blocks on libp2p', async () => {
    const { nodes, replicas } = await pair([true, true]);
    nodes[1]!.network.setLimits({ up: null, down: 100 << 20 });
    expect(await fetched(replicas[0]!, replicas[1]!, nodes[1]!, 5)).toBeGreaterThan(16 << 20);
  });

  test('a bandwidth limit set later moves them back to libp2p', async () => {
    const { nodes, replicas } = await pair([true, true]);
    expect(await fetched(replicas[0]!, replicas[1]!, nodes[1]!, 6)).toBeLessThan(1 << 20);
    nodes[0]!.network.setLimits({ up: 100 << 20, down: null });
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(await fetched(replicas[0]!, replicas[1]!, nodes[1]!, 7)).toBeGreaterThan(16 << 20);
  });
});
