import { sealedLength } from '../drive/index.ts';
import type { Content, Drive, NodeId, TreeNode } from '../drive/index.ts';
import { rootNode } from '../drive/index.ts';
import type { BlockSource } from '../exchange/index.ts';
import type { ColdFiles } from './coding/cold-files.ts';
import type { LeafPool } from './leaf-pool.ts';
import type { ReplicaRecords } from './replica-records.ts';

/** Keeps the list of blocks that a drive's hosts are to hold in step with its tree. */
export interface BlockList {
  /** Adds what the tree names by now. Cheap when nothing changed. */
  refresh(signal: AbortSignal): Promise<void>;
  /**
   * Looks at the whole tree and retires blocks it names no more; returns how many.
   * @param which `lost`: of these, only what this device cannot read any more: a host that lacks it would wait for ever
   * @param more does more with what the tree names (hex ids), and returns how many blocks or stripes that changed
   */
  retire(
    which: 'all' | 'lost',
    signal: AbortSignal,
    more?: (used: ReadonlySet<string>) => number,
  ): Promise<number>;
  /** All files and folders of the tree, in pages. */
  walk(signal: AbortSignal): AsyncGenerator<readonly TreeNode[]>;
  /** Computes audit roots of some blocks that this device has; returns whether there may be more to do. */
  commit(signal: AbortSignal): Promise<boolean>;
}

/** Nodes looked at before others get a turn. */
const sliceNodes = 100;
/** Ciphertext read for roots at once. */
const commitBytes = 16 * 1024 * 1024;
const commitBlocks = 64;
/** Blocks of at most 16 MiB in memory when it is looked whether they can be read. */
const readAtOnce = 4;

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export function createBlockList(deps: {
  readonly drive: Drive;
  readonly source: BlockSource;
  readonly records: ReplicaRecords;
  readonly leaves: LeafPool;
  /** Files to be erasure-coded: new blocks of theirs are told to nobody before. */
  readonly cold: Pick<ColdFiles, 'isCold' | 'note'>;
  /** Whether any file is to be now. */
  readonly mayCode: () => boolean;
}): BlockList {
  const { drive, records } = deps;
  /** Blocks this device could not read; asked again after a restart. */
  const unreadable = new Set<string>();

  function add(all: readonly (TreeNode | null)[]): void {
    const nodes = all.filter((node) => node !== null);
    const coded = deps.mayCode() ? nodes.filter((node) => deps.cold.isCold(node)) : [];
    const isCoded = new Set(coded);
    const put = (some: readonly TreeNode[], whole: boolean): void => {
      const blocks = some.flatMap((node) => blocksOf(node.content));
      if (blocks.length > 0) records.addBlocks(drive.id, blocks, whole);
    };
    put(
      nodes.filter((node) => !isCoded.has(node)),
      true,
    );
    put(coded, false);
    deps.cold.note(coded);
  }

  async function* walk(signal: AbortSignal): AsyncGenerator<readonly TreeNode[]> {
    const folders: NodeId[] = [rootNode];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      let after: string | undefined;
      for (;;) {
        signal.throwIfAborted();
        const page = drive.tree.children(folder, {
          limit: sliceNodes,
          ...(after !== undefined && { after }),
        });
        if (page.length === 0) break;
        for (const node of page) if (node.kind === 'dir') folders.push(node.id);
        yield page;
        await pause();
        after = page.at(-1)!.name;
        if (page.length < sliceNodes) break;
      }
    }
  }

  /** Adds to `used` the other blocks of the list that can be read here. */
  async function addReadable(used: Set<string>, signal: AbortSignal): Promise<void> {
    const unused = records.living(drive.id).filter((id) => !used.has(Buffer.from(id).toString('hex')));
    // Blocks are large: a few at a time.
    for (let at = 0; at < unused.length; at += readAtOnce) {
      signal.throwIfAborted();
      const part = unused.slice(at, at + readAtOnce);
      const found = await deps.source.read(part);
      part.forEach((id, i) => found[i] && used.add(Buffer.from(id).toString('hex')));
    }
  }

  return {
    walk,
    async refresh(signal) {
      let revision = records.revision(drive.id);
      while (revision !== drive.tree.revision()) {
        const changed = revision === null ? null : drive.tree.changedSince(revision, sliceNodes);
        if (changed === null) {
          revision = drive.tree.revision();
          for await (const page of walk(signal)) add(page);
        } else {
          add(changed.ids.map((id) => drive.tree.get(id)));
          revision = changed.revision;
        }
        records.setRevision(drive.id, revision);
        await pause();
        signal.throwIfAborted();
      }
    },
    async retire(which, signal, more) {
      const revision = drive.tree.revision();
      const used = new Set<string>();
      for await (const page of walk(signal)) {
        for (const node of page) {
          for (const { id } of blocksOf(node.content)) used.add(Buffer.from(id).toString('hex'));
        }
      }
      if (which === 'lost') await addReadable(used, signal);
      // What changed during the walk is not known to be unused.
      if (drive.tree.revision() !== revision) return 0;
      return records.retire(drive.id, used) + (more?.(used) ?? 0);
    },
    async commit(signal) {
      const batch: { id: Uint8Array; size: number }[] = [];
      let bytes = 0;
      for (const row of records.rootless(drive.id, commitBlocks + unreadable.size)) {
        if (unreadable.has(Buffer.from(row.id).toString('hex'))) continue;
        if (batch.length > 0 && (bytes + row.size > commitBytes || batch.length >= commitBlocks)) break;
        batch.push(row);
        bytes += row.size;
      }
      if (batch.length === 0) return false;
      const found = await deps.source.read(batch.map(({ id }) => id));
      for (const [i, { id }] of batch.entries()) {
        signal.throwIfAborted();
        const ciphertext = found[i];
        if (ciphertext) records.setRoot(drive.id, id, ciphertext.length, await deps.leaves.root(ciphertext));
        else unreadable.add(Buffer.from(id).toString('hex'));
      }
      return true;
    },
  };
}

function blocksOf(content: Content | null): { id: Uint8Array; size: number }[] {
  if (content?.kind !== 'file') return [];
  return content.blocks.map(({ id, len }) => ({ id, size: sealedLength(len) }));
}
