import type { Clock } from '../../../src-shared/runtime.ts';
import type { NodeId } from '../../drive/index.ts';
import type { FileFlow } from '../types.ts';

/** Files nothing was taken of for this long are no longer on their way, ms. */
const quiet = 3000;
/** Beyond that the oldest are forgotten: somebody fetches a whole drive of small files. */
const most = 200;

/** Notes whose blocks members take, so that people see which files leave this computer. */
export interface Outgoing {
  /** Bytes of plaintext of a file that went to members. */
  sent(node: NodeId, bytes: number): void;
  list(): readonly FileFlow[];
}

export function createOutgoing(deps: {
  readonly clock: Clock;
  /** Bytes of a file; null when it is gone. */
  readonly size: (node: NodeId) => number | null;
}): Outgoing {
  /** By the last time something was taken, oldest first. */
  const files = new Map<NodeId, { done: number; at: number }>();

  function sent(node: NodeId, bytes: number): void {
    const now = deps.clock.now();
    const before = files.get(node);
    files.delete(node);
    files.set(node, { done: (before && now - before.at < quiet ? before.done : 0) + bytes, at: now });
    if (files.size > most) files.delete(files.keys().next().value as NodeId);
  }

  return {
    sent,
    list() {
      const oldest = deps.clock.now() - quiet;
      for (const [node, { at }] of files) {
        if (at >= oldest) break;
        files.delete(node);
      }
      return [...files].flatMap(([node, { done }]): FileFlow[] => {
        const total = deps.size(node);
        // Several members take the same file: each round begins anew.
        return total === null || total === 0
          ? []
          : [{ node, done: done % total || total, total, active: true }];
      });
    },
  };
}
