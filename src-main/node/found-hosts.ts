import { createHash } from 'node:crypto';
import type { HostAddress } from '../hosting/index.ts';
import type { DeviceId } from '../identity/index.ts';
import type { NodeNetwork } from '../network/index.ts';

/**
 * Those who lend disk say so in the DHT under one of a few keys, by their id: no single key has to hold them all. A drive's keeper begins with
 * another one for each drive.
 */
const buckets = 8;
const hostsPerBucket = 16;
/** With so many found no other bucket is looked into. */
const enough = 8;

function keyOf(bucket: number): Uint8Array {
  return new Uint8Array(createHash('sha256').update(`extrachain hosts v1\0${bucket}`).digest());
}

function bucketOf(id: string): number {
  return createHash('sha256').update(id).digest()[0]! % buckets;
}

/** The key under which a node says that it lends disk. */
export function hostKey(self: DeviceId): Uint8Array {
  return keyOf(bucketOf(self));
}

/** Hosts that the DHT knows. What it says only tells whom to dial. */
export async function findHosts(
  network: Pick<NodeNetwork, 'providers'>,
  drive: string,
  signal: AbortSignal,
): Promise<readonly HostAddress[]> {
  const first = bucketOf(drive);
  const found = [...(await network.providers.find(keyOf(first), hostsPerBucket, signal))];
  if (found.length >= enough) return found;
  const others = Array.from({ length: buckets - 1 }, (_, i) => (first + 1 + i) % buckets);
  const more = await Promise.allSettled(
    others.map((bucket) => network.providers.find(keyOf(bucket), hostsPerBucket, signal)),
  );
  return [...found, ...more.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))];
}
