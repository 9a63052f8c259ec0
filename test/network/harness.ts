import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createSigner, encodeCard, signCard, signDeviceCertificate } from '../../src-main/identity/index.ts';
import type { Signer } from '../../src-main/identity/index.ts';
import { createNetwork } from '../../src-main/network/index.ts';
import type { NetworkDeps, NodeNetwork } from '../../src-main/network/index.ts';
import { openDatabase } from '../../src-main/store/index.ts';
import type { Database } from '../../src-main/store/index.ts';
import { silentLogger } from '../../src-shared/runtime.ts';
import { wallClock } from '../../src-shared/wall-clock.ts';

export interface TestUser {
  readonly root: Signer;
  readonly encKey: Uint8Array;
}

export function testUser(): TestUser {
  const { publicKey } = generateKeyPairSync('x25519');
  const encKey = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  return { root: createSigner(randomBytes(32)), encKey: Uint8Array.from(encKey) };
}

/** An actor card with these devices (raw public keys). */
export function cardOf(user: TestUser, number: number, deviceKeys: readonly Uint8Array[]): Uint8Array {
  return encodeCard(
    signCard(user.root, {
      number,
      encKey: user.encKey,
      encKeyNumber: 0,
      devices: deviceKeys.map((deviceKey) =>
        signDeviceCertificate(user.root, { deviceKey, name: 'Test', issuedAt: 1 }),
      ),
      revoked: [],
      time: 1,
    }),
  );
}

export interface TestNode {
  readonly network: NodeNetwork;
  readonly db: Database;
  readonly seed: Uint8Array;
  setCard(card: Uint8Array): void;
}

const running = new Set<NodeNetwork>();

/** A started node on a loopback address; it must be stopped by `stopAll`. */
export async function startNode(
  options: Partial<NetworkDeps> & { readonly address?: string } = {},
): Promise<TestNode> {
  const seed = options.deviceSeed ?? randomBytes(32);
  const db = options.db ?? openDatabase(':memory:');
  let card: Uint8Array | null = null;
  const network = await createNetwork({
    listen: [`/ip4/${options.address ?? '127.0.0.1'}/tcp/0`],
    bootstrap: [],
    mdns: false,
    relay: 'off',
    upnp: false,
    clock: wallClock,
    logger: silentLogger,
    ownCard: () => card,
    ...options,
    deviceSeed: seed,
    db,
  });
  await network.start();
  running.add(network);
  return { network, db, seed, setCard: (bytes) => void (card = bytes) };
}

export async function stopNode(node: TestNode): Promise<void> {
  running.delete(node.network);
  await node.network.stop();
}

export async function stopAll(): Promise<void> {
  const all = [...running];
  running.clear();
  await Promise.all(all.map((network) => network.stop()));
}

/** Waits until `check` gives something truthy. */
export async function until<T>(
  check: () => T | Promise<T>,
  timeout: number,
  what: string,
): Promise<NonNullable<T>> {
  const end = Date.now() + timeout;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${timeout} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
