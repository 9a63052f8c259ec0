import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { FileEntry } from '../../src-shared/contract/index.ts';
import type { NodeServices } from '../api/index.ts';
import type { Content, TreeNode, Version } from '../drive/index.ts';
import type { Drives, OpenDrive } from './drives.ts';
import { isDriveId, looksLikeLink, parseDriveLink } from './drive-link.ts';
import type { Readable, View, Views } from './sharing/views.ts';
import { createFileChanges } from './file-changes.ts';
import { createFolderOrders } from './file-window.ts';
import type { FolderView } from './file-window.ts';
import { namesShown } from './shown-entries.ts';
import type { Shown } from './shown-entries.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const iso = (ms: number): string => new Date(ms).toISOString();
const sizeOf = (content: Content | null): number => (content?.kind === 'file' ? content.size : 0);

export function createFileServices(
  drives: () => Drives,
  views: () => Views,
): Pick<NodeServices, 'files' | 'trash'> {
  /** A drive kept here by its id, name or link; else what the link (or the id of a public drive) opens. */
  async function source(text: string, signal: AbortSignal): Promise<OpenDrive | View> {
    if (looksLikeLink(text)) {
      const { driveId } = parseDriveLink(text);
      const here = drives()
        .list()
        .find((one) => one.record.driveId === driveId);
      return here ?? views().open(text, signal);
    }
    try {
      return drives().get(text);
    } catch (error) {
      if (isAppError(error, 'drive_unknown') && isDriveId(text)) return views().open(text, signal);
      throw error;
    }
  }

  function node(one: Readable, path: string): TreeNode {
    const found = one.drive.tree.resolve(path);
    if (!found)
      throw new AppError('not_found', `There is no ${path === '' ? 'folder' : path} in this drive.`);
    return found;
  }

  function entry(one: Readable, parent: string, item: TreeNode): FileEntry {
    const { content } = item;
    const conflictOf = item.conflictOf === null ? null : one.drive.tree.path(item.conflictOf);
    return {
      path: parent === '' ? item.name : `${parent}/${item.name}`,
      name: item.name,
      kind: item.kind,
      size: sizeOf(content),
      mtime: content?.kind === 'file' ? iso(content.mtime) : null,
      hash: content?.kind === 'file' ? hex(content.hash) : null,
      version: item.version,
      state:
        content === null || one.sync.contentState(content) === 'here'
          ? 'here'
          : one.online
            ? 'online'
            : 'pending',
      conflictOf,
    };
  }

  /** An untouched conflict copy has no life of its own yet: what led to it stands with the file whose name it could not have. */
  function versionsAt(one: Pick<OpenDrive, 'drive'>, path: string): readonly Version[] {
    const found = one.drive.versions(path);
    const copy = found.length === 0 ? one.drive.tree.resolve(path) : null;
    const original = copy?.conflictOf ? one.drive.tree.path(copy.conflictOf) : null;
    if (!copy || original === null) return found;
    const all = one.drive.versions(original);
    const own = all.findIndex(({ version }) => version === copy.version);
    return own < 0 ? found : all.slice(own);
  }

  /** Content of a version (null: the current one) of a path, checked to belong to it. */
  function contentAt(one: Readable, path: string, version: string | null): Content {
    if (version === null) {
      const { content } = node(one, path);
      if (!content) throw new AppError('invalid_argument', `${path} is a folder.`);
      return content;
    }
    const known = versionsAt(one, path).find((item) => item.version === version);
    if (!known) throw new AppError('not_found', `${path} has no version ${version}.`);
    if (!known.content)
      throw new AppError('invalid_argument', 'This version is a deletion; it has no content.');
    return known.content;
  }

  const orders = createFolderOrders();

  async function namesIn(
    one: OpenDrive | View,
    path: string,
    view: FolderView,
    show: Shown,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const { names } = await orders.get(one.drive.tree, view, signal);
    if (show === 'all') return names;
    // Of a drive that is only looked at nothing is on its way, and nothing needs anybody.
    if ('online' in one) return [];
    const wanted = await namesShown(one, path, show);
    return wanted.size === 0 ? [] : names.filter((name) => wanted.has(name));
  }

  function folder(one: Readable, path: string): TreeNode {
    const found = node(one, path);
    if (found.kind !== 'dir') throw new AppError('invalid_argument', `${path} is not a folder.`);
    return found;
  }

  return {
    files: {
      ...createFileChanges(drives, entry),
      async window({ drive, path, sort, descending, show, offset, limit }, signal) {
        const one = await source(drive, signal);
        const { id } = folder(one, path);
        const view = { driveId: one.record.driveId, folder: id, sort, descending };
        const names = await namesIn(one, path, view, show, signal);
        const items = names.slice(offset, offset + limit).flatMap((name) => {
          const found = one.drive.tree.child(id, name);
          return found ? [entry(one, path, found)] : [];
        });
        return { total: names.length, items };
      },
      async locate({ drive, path, sort, descending, show, name, exact, from }, signal) {
        const one = await source(drive, signal);
        const { id } = folder(one, path);
        const view = { driveId: one.record.driveId, folder: id, sort, descending };
        const names =
          show === 'all'
            ? (await orders.get(one.drive.tree, view, signal)).lower()
            : (await namesIn(one, path, view, show, signal)).map((text) => text.toLowerCase());
        const wanted = name.normalize('NFC').toLowerCase();
        const fits = (text: string): boolean => (exact ? text === wanted : text.startsWith(wanted));
        const later = names.findIndex((text, index) => index >= from && fits(text));
        const index = later >= 0 ? later : names.findIndex(fits);
        return { index: index >= 0 ? index : null };
      },
      async list({ drive, path, after, limit }, signal) {
        const one = await source(drive, signal);
        const folder = node(one, path);
        if (folder.kind !== 'dir') return { items: [entry(one, parentOf(path), folder)], next: null };
        const page = one.drive.tree.children(folder.id, {
          ...(after !== null && { after }),
          limit: limit + 1,
        });
        const items = page.slice(0, limit).map((item) => entry(one, path, item));
        return { items, next: page.length > limit ? items.at(-1)!.name : null };
      },
      async history({ drive, path }, signal) {
        const one = await source(drive, signal);
        const versions = versionsAt(one, path);
        if (versions.length === 0) throw new AppError('not_found', `This drive never had a ${path}.`);
        return versions.map((item) => ({
          version: item.version,
          writer: item.writer,
          user: item.user,
          device: item.device,
          time: iso(item.time),
          size: item.size,
          hash: item.hash && hex(item.hash),
          op: item.op,
          content: item.content ? one.sync.contentState(item.content) : 'here',
          anchored: false,
        }));
      },
      async restore({ drive, path, version }) {
        const one = drives().get(drive);
        const versions = one.drive.versions(path);
        const content = contentAt(one, path, version);
        if (one.sync.contentState(content) === 'lost') {
          throw new AppError(
            'content_lost',
            'No computer that can be reached has the bytes of this version any more.',
          );
        }
        const target = versions.find((item) => item.version === version)!;
        const current = one.drive.tree.get(target.node);
        await one.drive.commit([
          { t: 'put', node: target.node, base: current ? [current.version] : [], content },
        ]);
        return { ok: true };
      },
      free() {
        throw new AppError('unsupported', 'Freeing up space comes with hosting, in a later version.');
      },
      async fetch({ drive, path }, signal) {
        const one = drives().get(drive);
        node(one, path);
        await one.sync.settled(signal);
        return { ok: true };
      },
      async read({ drive, path, version, start, end }, signal) {
        const one = await source(drive, signal);
        const content = contentAt(one, path, version);
        if (content.kind !== 'file') throw new AppError('invalid_argument', `${path} is a link.`);
        const stop = Math.min(end ?? content.size, content.size);
        return { size: content.size, bytes: one.sync.readContent(content, { start, end: stop, signal }) };
      },
      proof: ({ drive, path, version }) =>
        drives()
          .get(drive)
          .drive.proof(path, version ?? undefined),
    },
    trash: {
      list: ({ drive }) =>
        drives()
          .get(drive)
          .sync.trash.list()
          .map((item) => ({
            path: item.path,
            size: item.size,
            time: iso(item.trashedAt),
            reason: item.reason,
          })),
      async restore({ drive, path }) {
        await drives().get(drive).sync.trash.restore(path);
        return { ok: true };
      },
      async empty({ drive }) {
        await drives().get(drive).sync.trash.empty();
        return { ok: true };
      },
    },
  };
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}
