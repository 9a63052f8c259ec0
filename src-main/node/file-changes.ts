import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { link, lstat, mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AppError } from '../../src-shared/errors.ts';
import type { FileEntry } from '../../src-shared/contract/index.ts';
import type { NodeServices, Upload } from '../api/index.ts';
import { isName, rootNode, type NodeId, type OpDraft, type TreeNode } from '../drive/index.ts';
import type { Drives, OpenDrive } from './drives.ts';
import { inside, refuseMounts } from './inside.ts';

type Changes = Pick<
  NodeServices['files'],
  'mkdir' | 'move' | 'remove' | 'settle' | 'search' | 'checkUpload' | 'write'
>;
/** How a node of the tree is shown. */
export type ShowEntry = (one: OpenDrive, parent: string, item: TreeNode) => FileEntry;

/** Operations in one commit. */
const batch = 500;
/** Entries looked at before other work gets its turn. */
const slice = 400;

/** What people do to files from the window: changes of the drive's tree, and files on their way in. */
export function createFileChanges(drives: () => Drives, entry: ShowEntry): Changes {
  /** The folder of `target` and the name in it, both checked; throws when the name is taken. */
  function freePlace(one: OpenDrive, target: string): { parent: NodeId; name: string } {
    const [folder, name] = split(target);
    const parent = folderAt(one, folder);
    if (one.drive.tree.child(parent.id, name)) throw taken(name);
    return { parent: parent.id, name };
  }

  async function commit(one: OpenDrive, drafts: readonly OpDraft[]): Promise<void> {
    if (one.drive.ownRole() === 'reader')
      throw new AppError('forbidden', 'You may only read this drive, so nothing in it can be changed here.');
    refuseByMode(one);
    for (let at = 0; at < drafts.length; at += batch) await one.drive.commit(drafts.slice(at, at + batch));
  }

  /** A node and all below it, children before their folder: the order in which they can be deleted. */
  async function subtree(one: OpenDrive, node: TreeNode, into: OpDraft[]): Promise<void> {
    if (node.kind === 'dir') {
      for await (const child of walk(one, node.id, '')) await subtree(one, child.node, into);
    }
    into.push({ t: 'del', node: node.id, base: node.kind === 'dir' ? [] : [node.version] });
  }

  /** Where a path leads, which may be into a drive that has its place in a folder of this one. */
  const at = (drive: string, target: string) => inside(drives(), drives().get(drive), target, false);

  async function checkUpload({ drive, path: asked, replace }: Upload): Promise<void> {
    const { one, path: target } = at(drive, asked);
    const [folder, name] = split(target);
    if (one.drive.ownRole() === 'reader')
      throw new AppError('forbidden', 'You may only read this drive, so nothing can be put into it.');
    const found = one.drive.tree.child(folderAt(one, folder).id, name);
    if (found && (!replace || found.kind === 'dir')) throw taken(name);
    await checkFolders(one.record.folder, folder);
  }

  async function removeFrom(one: OpenDrive, paths: readonly string[]): Promise<void> {
    const drafts: OpDraft[] = [];
    // What lies in a folder that goes as well is not looked at twice.
    const tops = paths.filter(
      (path) => !paths.some((other) => other !== path && path.startsWith(`${other}/`)),
    );
    for (const target of new Set(tops)) await subtree(one, nodeAt(one, target), drafts);
    await commit(one, drafts);
  }

  /** Into or out of a folder that is a drive of its own: on the disk, where both are; either drive then sees its part. */
  async function moveAcross(
    one: OpenDrive,
    from: string,
    other: OpenDrive,
    to: string,
  ): Promise<{ ok: true }> {
    refuseMounts(one, from);
    nodeAt(one, from);
    freePlace(other, to);
    for (const each of [one, other])
      if (each.drive.ownRole() === 'reader')
        throw new AppError('forbidden', 'You may only read one of the two drives.');
    await checkFolders(one.record.folder, split(from)[0]);
    await checkFolders(other.record.folder, split(to)[0]);
    const [source, target] = [path.join(one.record.folder, from), path.join(other.record.folder, to)];
    if (await lstat(target).catch(() => null)) throw taken(split(to)[1]);
    try {
      // A link never replaces what came meanwhile, and a folder's name only that of an empty folder.
      if ((await lstat(source)).isFile()) {
        await link(source, target);
        await rm(source);
      } else await rename(source, target);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT')
        throw new AppError('not_found', `${from} is not on this computer (yet), so it can’t be moved there.`);
      throw writeError(cause, to);
    }
    await Promise.all([other.sync.scan(), one.sync.scan()]);
    return { ok: true };
  }

  return {
    async mkdir({ drive, path: asked }) {
      const { one, path: target } = at(drive, asked);
      const place = freePlace(one, target);
      const node = randomBytes(16).toString('hex');
      await commit(one, [{ t: 'make', node, kind: 'dir', ...place, content: null }]);
      return { ok: true };
    },
    async move({ drive, from: source, to: target }) {
      const { one, path: from } = at(drive, source);
      const { one: other, path: to } = at(drive, target);
      if (other !== one) return moveAcross(one, from, other, to);
      const node = nodeAt(one, from);
      if (from === to) return { ok: true };
      if (node.kind === 'dir' && to.startsWith(`${from}/`)) {
        throw new AppError('invalid_argument', 'A folder cannot be moved into itself.');
      }
      await commit(one, [{ t: 'move', node: node.id, ...freePlace(one, to) }]);
      return { ok: true };
    },
    async remove({ drive, paths: asked }) {
      const targets = asked.map((target) => at(drive, target));
      for (const { one, path: target } of targets) refuseMounts(one, target);
      for (const one of new Set(targets.map((target) => target.one))) {
        await removeFrom(
          one,
          targets.filter((target) => target.one === one).map((target) => target.path),
        );
      }
      return { ok: true };
    },
    async settle({ drive, path: asked, keep }) {
      const { one, path: target } = at(drive, asked);
      const copy = nodeAt(one, target);
      const original = copy.conflictOf === null ? null : one.drive.tree.get(copy.conflictOf);
      if (!original)
        throw new AppError('not_found', 'This is no longer one of two versions: somebody has settled it.');
      // A copy nobody has touched has no life of its own yet: it is a content of the file it stands beside.
      if (one.drive.nodeHistory(copy.id) === null) {
        await commit(one, [{ t: 'settle', node: copy.id, keep }]);
        return { ok: true };
      }
      if (keep === 'copy' && (original.kind === 'dir' || copy.content === null)) {
        throw new AppError(
          'invalid_argument',
          `${original.name} is a folder by now; give this file another name to keep both.`,
        );
      }
      const gone: OpDraft = { t: 'del', node: copy.id, base: [copy.version] };
      await commit(
        one,
        keep === 'original' || copy.content === null
          ? [gone]
          : [{ t: 'put', node: original.id, base: [original.version], content: copy.content }, gone],
      );
      return { ok: true };
    },
    async search({ drive, text, limit }, signal) {
      const one = drives().get(drive);
      const wanted = text.normalize('NFC').toLowerCase();
      const found: FileEntry[] = [];
      const folders: { id: NodeId; path: string }[] = [{ id: rootNode, path: '' }];
      for (let folder = folders.shift(); folder && found.length < limit; folder = folders.shift()) {
        for await (const { node, parent } of walk(one, folder.id, folder.path)) {
          signal.throwIfAborted();
          if (node.kind === 'dir') folders.push({ id: node.id, path: joined(parent, node.name) });
          if (!node.name.toLowerCase().includes(wanted)) continue;
          found.push(entry(one, parent, node));
          if (found.length >= limit) break;
        }
      }
      return found;
    },
    checkUpload,
    async write(input, bytes, signal) {
      await checkUpload(input);
      const { one, path: inDrive } = at(input.drive, input.path);
      const { folder } = one.record;
      const target = path.join(folder, ...inDrive.split('/'));
      const temp = path.join(folder, '.extrachain', 'tmp', `upload-${randomBytes(8).toString('hex')}`);
      try {
        await mkdir(path.dirname(target), { recursive: true });
        await pipeline(Readable.from(bytes), createWriteStream(temp, { flags: 'wx', flush: true }), {
          signal,
        });
        await checkFolders(folder, split(inDrive)[0]);
        if (input.replace) await rename(temp, target);
        // A link never replaces what came meanwhile.
        else await link(temp, target);
      } catch (cause) {
        throw writeError(cause, input.path);
      } finally {
        await rm(temp, { force: true });
      }
    },
  };
}

/** What is done in the tree would be signed by a device that only receives, or not be done in the folder of one that only sends. */
export function refuseByMode({ sync }: Pick<OpenDrive, 'sync'>): void {
  const { mode } = sync.status();
  if (mode === 'send-receive') return;
  throw new AppError(
    'not_allowed',
    mode === 'receive-only'
      ? 'This computer only receives this drive, so nothing is changed from here.'
      : 'This computer only sends this drive: change it in its folder.',
  );
}

const joined = (parent: string, name: string): string => (parent === '' ? name : `${parent}/${name}`);

/** Children of a folder, a slice at a time. */
async function* walk(
  one: OpenDrive,
  folder: NodeId,
  parent: string,
): AsyncGenerator<{ node: TreeNode; parent: string }> {
  for (let after: string | null = ''; after !== null;) {
    const page: readonly TreeNode[] = one.drive.tree.children(folder, { after, limit: slice });
    for (const node of page) yield { node, parent };
    after = page.length === slice ? page.at(-1)!.name : null;
    if (after !== null) await nextTurn();
  }
}

function nodeAt(one: OpenDrive, target: string): TreeNode {
  const node = target === '' ? null : one.drive.tree.resolve(target);
  if (!node) throw new AppError('not_found', `There is no ${target} in this drive any more.`);
  return node;
}

function folderAt(one: OpenDrive, target: string): TreeNode {
  const node = one.drive.tree.resolve(target);
  if (node?.kind !== 'dir') throw new AppError('not_found', `There is no folder ${target} in this drive.`);
  return node;
}

function taken(name: string): AppError {
  return new AppError('already_exists', `There is something called ${name} in this folder already.`);
}

/** @throws AppError `invalid_argument` */
function split(target: string): [folder: string, name: string] {
  const at = target.lastIndexOf('/');
  const name = target.slice(at + 1);
  // Where case does not count it is the same folder.
  const own = target.split('/').some((part) => part.toLowerCase() === '.extrachain');
  if (own || !target.split('/').every(isName)) {
    throw new AppError('invalid_argument', 'This name cannot be used in a drive.', { details: { name } });
  }
  return [target.slice(0, Math.max(0, at)), name];
}

/** Every folder on the way must be a folder of its own: nothing is written through a link. */
async function checkFolders(root: string, folder: string): Promise<void> {
  let at = root;
  for (const name of folder === '' ? [] : folder.split('/')) {
    at = path.join(at, name);
    const stat = await lstat(at).catch(() => null);
    if (stat && !stat.isDirectory())
      throw new AppError('not_allowed', `${name} is no folder of this drive on this computer.`);
  }
}

function writeError(cause: unknown, target: string): unknown {
  const code = (cause as NodeJS.ErrnoException | null)?.code;
  if (code === 'EEXIST') return taken(target.slice(target.lastIndexOf('/') + 1));
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new AppError('disk_full', 'The disk is full; nothing was kept of this file.', { cause });
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return new AppError('permission_denied', "The drive's folder can't be written to.", { cause });
  if (code === 'ABORT_ERR') return new AppError('cancelled', 'Sending this file was cancelled.', { cause });
  return cause;
}
