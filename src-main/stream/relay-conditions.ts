import type { Network } from '../network/index.ts';
import type { Conditions } from './overlay/index.ts';
import type { StreamsDeps } from './streams-types.ts';

/**
 * What this computer can do for others who watch. `uplink` 0: as measured.
 * @param runningMs how long this program has been running
 */
export function relayConditions(
  { network, relay, powered }: Pick<StreamsDeps, 'network' | 'relay' | 'powered'>,
  runningMs: number,
): Conditions {
  const { enabled, uplink } = relay();
  const limit = network.limits().up;
  const most = uplink !== null && limit !== null ? Math.min(uplink, limit) : (uplink ?? limit);
  const addresses = network.addresses().filter((one) => one.length <= 256 && !one.includes('/p2p-circuit'));
  return {
    willing: enabled !== 'off',
    reachable: isReachable(network, addresses),
    powered: powered(),
    uplink: 8 * (most ?? 0),
    // Who was told to pass on streams is trusted to stay.
    uptimeMs: enabled === 'on' ? 3_600_000 : runningMs,
    maxChildren: null,
    addresses: addresses.slice(0, 4),
  };
}

/** Can others open connections to this node? Seen so, or it listens where only this computer is, or on a public address. */
function isReachable(network: Network, addresses: readonly string[]): boolean {
  if (network.peers().some((one) => one.direction === 'inbound' && !one.relayed)) return true;
  const hosts = addresses.flatMap((one) => /^\/ip4\/([\d.]+)\//.exec(one)?.[1] ?? []);
  if (hosts.length === 0) return false;
  if (hosts.every((host) => host.startsWith('127.'))) return true;
  return hosts.some(
    (host) =>
      !/^(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)/.test(
        host,
      ),
  );
}
