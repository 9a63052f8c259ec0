import { isHeaderSigned, readHeader } from '../codec/header.ts';
import type { Genesis } from '../codec/records.ts';
import type { PartRing, RingPlace } from '../part-ring.ts';
import type { PartWindow } from '../part-window.ts';
import type { SessionDeps } from './session-types.ts';

/**
 * Opens the ring on disk of one stream and gives it to the window of its parts.
 * @param open where it lies, and how it is opened
 * @param options `parts`: how many it keeps; `resumed`: what an earlier start left there still counts
 * @returns null when the stream was left meanwhile: the ring is gone again
 */
export async function openStreamRing(
  open: NonNullable<SessionDeps['openRing']>,
  window: PartWindow,
  options: {
    readonly genesis: Genesis;
    readonly parts: number;
    readonly resumed: boolean;
    readonly isStopped: () => boolean;
  },
): Promise<PartRing | null> {
  const { genesis, parts, resumed } = options;
  const { streamId, streamKey } = genesis;
  const found = (bytes: Uint8Array, place: RingPlace): number | null => {
    try {
      // Whether it was signed is looked at when it is read.
      const header = readHeader(bytes);
      if (header.stream !== streamId) return null;
      window.found(header, place);
      return header.seq;
    } catch {
      return null;
    }
  };
  if (resumed) window.keep(parts);
  const ring = await open(streamId, resumed ? found : undefined);
  if (options.isStopped()) {
    await ring.remove();
    return null;
  }
  window.useRing(ring, parts, (bytes) => {
    const header = readHeader(bytes);
    return header.stream === streamId && isHeaderSigned(streamKey, header) ? header : null;
  });
  return ring;
}
