import { createHash } from 'node:crypto';
import { silentLogger } from '../../../src-shared/runtime.ts';
import { wallClock } from '../../../src-shared/wall-clock.ts';
import { createSigner, encodeCard, signCard, signDeviceCertificate } from '../../identity/index.ts';
import { createNetwork } from '../../network/index.ts';
import type { NodeNetwork } from '../../network/index.ts';
import { openDatabase } from '../../store/index.ts';

export interface RealNode {
  readonly network: NodeNetwork;
  readonly user: string;
  stop(): Promise<void>;
}

/** A libp2p node on a loopback address, with a user of its own whose card it shows. */
export async function startRealNode(
  name: string,
  ip: string,
  options: { readonly gossip?: boolean; readonly port?: number } = {},
): Promise<RealNode> {
  const seed = (what: string): Uint8Array => createHash('sha256').update(`${name} ${what}`).digest();
  const root = createSigner(seed('root'));
  const device = createSigner(seed('device'));
  const certificate = signDeviceCertificate(root, { deviceKey: device.publicKey, name, issuedAt: 1 });
  const encKey = seed('enc');
  // An X25519 key is valid in its canonical form only: below 2^255.
  encKey[31]! &= 0x7f;
  const card = signCard(root, {
    number: 1,
    encKey,
    encKeyNumber: 0,
    devices: [certificate],
    revoked: [],
    time: 1,
  });
  const db = openDatabase(':memory:');
  const network = await createNetwork({
    deviceSeed: seed('device'),
    db,
    listen: [`/ip4/${ip}/tcp/${options.port ?? 0}`],
    gossip: options.gossip ?? false,
    bootstrap: [],
    mdns: false,
    upnp: false,
    relay: 'off',
    ownCard: () => encodeCard(card),
    clock: wallClock,
    logger: silentLogger,
  });
  await network.start();
  return {
    network,
    user: card.user,
    async stop() {
      await network.stop();
      db.close();
    },
  };
}
