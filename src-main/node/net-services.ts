import type { Bandwidth } from '../../src-shared/contract/index.ts';
import type { NodeServices } from '../api/index.ts';
import type { Base, Online } from './core.ts';

export function createNetServices(online: () => Online, base: Base): Pick<NodeServices, 'net'> {
  function bandwidth(): Bandwidth {
    const { network } = online();
    const { up, down } = network.limits();
    const now = network.traffic();
    return { up, down, upNow: now.up, downNow: now.down, sent: now.sent, received: now.received };
  }
  return {
    net: {
      peers: () => [...online().network.peers()],
      async ping({ peer }, signal) {
        const { network } = online();
        const peerId = await network.connect(peer, signal);
        return { peerId, rtt: await network.ping(peerId, signal) };
      },
      bandwidth,
      limit({ up, down }) {
        const { network } = online();
        if (up !== undefined) base.settings.write('net.bandwidth.up', up);
        if (down !== undefined) base.settings.write('net.bandwidth.down', down);
        network.setLimits({
          up: base.settings.get('net.bandwidth.up'),
          down: base.settings.get('net.bandwidth.down'),
        });
        return bandwidth();
      },
    },
  };
}
