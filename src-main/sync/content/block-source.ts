import type { ContentIo, Drive, NodeId, SealRequest } from '../../drive/index.ts';
import type { BlockSource } from '../../exchange/index.ts';
import { layout } from '../scan/root.ts';
import type { PlacedBlock } from '../apply/staging-job.ts';
import type { SyncState } from '../state/index.ts';

/**
 * Blocks for other members: sealed again from the files of the folder, else from what is there of a file that is still coming, else
 * from what is retained. A file that is no longer what it was answers nothing, is withdrawn and looked at again.
 */
export function createBlockSource(deps: {
  readonly drive: Drive;
  readonly content: ContentIo;
  readonly folder: string;
  readonly state: SyncState;
  readonly retained: (id: Uint8Array) => Promise<Uint8Array | null>;
  /** Where a block of a file that is still coming lies already. */
  readonly coming: (id: Uint8Array) => PlacedBlock | null;
  readonly again: (dir: string, ms: number) => void;
  /** What this file holds is not what was noted, or could not be read just now. */
  readonly reread: (node: NodeId) => void;
  /** So many bytes of plaintext of this file go to somebody. */
  readonly sent: (node: NodeId, bytes: number) => void;
}): BlockSource {
  const { state } = deps;
  const at = layout(deps.folder).at;

  function requestFor(id: Uint8Array): { node: string; path: string; request: SealRequest } | null {
    for (const { node, offset, ref } of state.blocks.find(id, 3)) {
      const row = state.local.get(node);
      const path = row?.kind === 'file' ? state.local.path(node) : null;
      if (row === null || path === null) continue;
      try {
        const key = deps.drive.contentKey(ref.epoch);
        return { node, path, request: { path: at(path), offset, ref, key, stamp: row.stamp } };
      } catch {
        // Without the key of that epoch it can't be sealed; perhaps it is retained.
      }
    }
    return null;
  }

  /** A block of a file on its way. That it is gone meanwhile (landed, given up) says nothing of the folder. */
  async function onItsWay(id: Uint8Array): Promise<Uint8Array | null> {
    const place = deps.coming(id);
    if (place === null) return null;
    const { from: path, fromOffset: offset, ref } = place;
    try {
      const key = deps.drive.contentKey(ref.epoch);
      const [bytes] = await deps.content.seal([{ path, offset, ref, key, stamp: null }]);
      return bytes ?? null;
    } catch {
      // Without the key of that epoch.
      return null;
    }
  }

  return {
    async read(ids) {
      const answers: (Uint8Array | null)[] = ids.map(() => null);
      const wanted: {
        readonly index: number;
        readonly node: string;
        readonly path: string;
        readonly request: SealRequest;
      }[] = [];
      // In one transaction, as each question by itself would lock the database anew.
      state.transaction(() => {
        ids.forEach((id, index) => {
          const found = requestFor(id);
          if (found !== null) wanted.push({ index, ...found });
        });
      });
      const sealed = wanted.length === 0 ? [] : await deps.content.seal(wanted.map(({ request }) => request));
      wanted.forEach(({ index, node, path, request }, i) => {
        const bytes = sealed[i] ?? null;
        answers[index] = bytes;
        if (bytes !== null) return deps.sent(node, request.ref.len);
        // It was moved or written to since its row was made, which a scan tells; when the row still fits the disk, only reading
        // the file anew tells what it holds. Its blocks stay noted: a file in motion must not count as gone for good.
        deps.again(path.slice(0, Math.max(0, path.lastIndexOf('/'))), 0);
        deps.reread(node);
      });
      for (let i = 0; i < ids.length; i++) {
        const id = ids[i];
        if (answers[i] === null && id !== undefined)
          answers[i] = (await onItsWay(id)) ?? (await deps.retained(id));
      }
      return answers;
    },
  };
}
