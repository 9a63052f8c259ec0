import type { Bandwidth } from '../../src-shared/contract/index.ts';
import type { NodeServices } from '../api/index.ts';
import type { Base, Online } from './core.ts';
import { trafficSteps, type TrafficLog } from './traffic-log.ts';

export function createNetServices(
  online: () => Online,
  base: Base,
  log: TrafficLog,
): Pick<NodeServices, 'net'> {
  function bandwidth(): Bandwidth {
    const { network, readers } = online();
    const { up, down } = network.limits();
    const now = network.traffic();
    const { sent, received } = now;
    const forReaders = { up: readers.rate(), sent: readers.total() };
    return { up, down, upNow: now.up, downNow: now.down, sent, received, readers: forReaders };
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
      traffic({ step, since }) {
        const slots = log.slots(step, since === undefined ? 0 : Date.parse(since));
        return {
          seconds: trafficSteps[step].seconds,
          slots: slots.map(({ time, ...carried }) => ({ time: new Date(time).toISOString(), ...carried })),
        };
      },
      trafficByPeer({ since }) {
        const { network } = online();
        return log
          .peers(since === undefined ? 0 : Date.parse(since))
          .map((sum) => ({ ...sum, userId: network.cards.userOf(sum.peerId) }));
      },
      limit({ up, down, readers }) {
        const { network } = online();
        if (up !== undefined) base.settings.write('net.bandwidth.up', up);
        if (down !== undefined) base.settings.write('net.bandwidth.down', down);
        if (readers !== undefined) base.settings.write('open.upload', readers);
        network.setLimits({
          up: base.settings.get('net.bandwidth.up'),
          down: base.settings.get('net.bandwidth.down'),
        });
        return bandwidth();
      },
    },
  };
}
