import { tcp } from '@libp2p/tcp';
import { tls } from '@libp2p/tls';
import { yamux } from '@libp2p/yamux';
import type { Connection, Libp2p } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';

/** A libp2p host without any of our rules, to misbehave with. */
export interface RawPeer {
  readonly peerId: string;
  readonly address: string;
  dial(address: string): Promise<Connection>;
}

const running = new Set<Libp2p>();

export async function startRawPeer(): Promise<RawPeer> {
  const host = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [tls()],
    streamMuxers: [
      yamux({
        streamOptions: { initialStreamWindowSize: 1024 * 1024, maxStreamWindowSize: 4 * 1024 * 1024 },
      }),
    ],
  });
  running.add(host);
  return {
    peerId: host.peerId.toString(),
    address: host.getMultiaddrs()[0]!.toString(),
    dial: (address) => host.dial(multiaddr(address)),
  };
}

export async function stopRawPeers(): Promise<void> {
  const all = [...running];
  running.clear();
  for (const host of all) await host.stop();
}
