import type { Clock, RandomBytes } from '../../../src-shared/runtime.ts';
import type { NodeId } from '../../drive/index.ts';

/**
 * Ids for new nodes: 48 bits of time (ms), then 80 random bits, as in UUID version 7 (RFC 9562) without its version bits.
 * What is made together lies together in every table that is sorted by id; purely random ids made each batch of an import
 * rewrite most pages of them.
 */
export function createNodeIds(clock: Clock, random: RandomBytes): () => NodeId {
  return () => {
    const id = Buffer.alloc(16);
    id.writeUIntBE(Math.max(0, Math.floor(clock.now())) % 2 ** 48, 0, 6);
    id.set(random(10), 6);
    return id.toString('hex');
  };
}
