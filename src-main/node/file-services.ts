import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { FileEntry } from '../../src-shared/contract/index.ts';
import type { NodeServices } from '../api/index.ts';
import {
  rootNode,
  verifyProof,
  type Content,
  type Drive,
  type TreeNode,
  type Version,
} from '../drive/index.ts';
import type { Drives, OpenDrive } from './drives.ts';
import { isDriveId, looksLikeLink, parseDriveLink, type LinkPower } from './drive-link.ts';
import type { Readable, View, Views } from './sharing/views.ts';
import { createFileChanges, refuseByMode } from './file-changes.ts';
import { inside } from './inside.ts';
import { createFolderOrders } from './file-window.ts';
import type { Anchors } from './ledger/anchors.ts';
import type { FolderView } from './file-window.ts';
import { namesShown } from './shown-entries.ts';
import type { Shown } from './shown-entries.ts';
import { hex, iso } from './shown-values.ts';

const sizeOf = (content: Content | null): number => (content?.kind === 'file' ? content.size : 0);

/**
 * Whether a link of that power opens a drive to whoever has it. What is open here already, as it is kept or was looked at by another
 * link, would be read whatever the link says.
 */
function opens(power: LinkPower & { readonly t: 'read' }, one: OpenDrive | View): boolean {
  if (one.drive.visibility() === 'public') return true;
  if (power.secret === null) return false;
  // A view was opened with this very secret.
  if ('online' in one) return true;
  const secret = one.drive.visibility() === 'unlisted' ? one.drive.readSecret() : null;
  return secret !== null && Buffer.compare(secret, power.secret) === 0;
}

const notOpened = (): AppError =>
  new AppError('not_granted', 'This link does not open that to everybody who has it.');

export function createFileServices(
  drives: () => Drives,
  views: () => Views,
  anchors: () => Pick<Anchors, 'anchorOf' | 'withAnchor'>,
): Pick<NodeServices, 'files' | 'trash'> {
  function anchorOf(drive: Drive, version: string) {
    const found = anchors().anchorOf(drive, version);
    return { anchored: found !== null, anchor: found && { ...found, time: iso(found.time) } };
  }

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

  /** As `source`, at a path that may lead on into another drive. */
  async function sourceAt(text: string, path: string, into: boolean, signal: AbortSignal) {
    return inside<OpenDrive | View>(drives(), await source(text, signal), path, into);
  }

  function node(one: Readable, path: string): TreeNode {
    const found = one.drive.tree.resolve(path);
    if (!found)
      throw new AppError('not_found', `There is no ${path === '' ? 'folder' : path} in this drive.`);
    return found;
  }

  /** What is in a folder; of one that is a drive of its own, in that drive, if it is here. */
  function heldBy(
    one: Readable,
    { id, mount }: TreeNode,
  ): { readonly files: number; readonly bytes: number } {
    if (mount === null) return one.drive.tree.within(id);
    const inner = drives()
      .list()
      .find(({ record }) => record.driveId === mount);
    return inner?.drive.tree.count() ?? { files: 0, bytes: 0 };
  }

  /** @param prefix what stands before paths of this drive: see `inside` */
  function entry(one: Readable, parent: string, item: TreeNode, prefix = ''): FileEntry {
    const { content } = item;
    const held = item.kind === 'dir' ? heldBy(one, item) : null;
    const original = item.conflictOf === null ? null : one.drive.tree.path(item.conflictOf);
    const conflictOf = original === null ? null : `${prefix}${original}`;
    return {
      path: `${prefix}${parent === '' ? '' : `${parent}/`}${item.name}`,
      name: item.name,
      kind: item.kind,
      size: held?.bytes ?? sizeOf(content),
      files: held?.files ?? null,
      mtime: content?.kind === 'file' ? iso(content.mtime) : null,
      hash: content?.kind === 'file' ? hex(content.hash) : null,
      version: item.version,
      state: stateOf(one, item),
      conflictOf,
      mount: item.mount,
    };
  }

  /** Where its bytes are; of a folder whether it is on this disk. */
  function stateOf(one: Readable, { id, content }: TreeNode): FileEntry['state'] {
    const held = one.sync.online?.held(id) ?? null;
    if (held === 'online') return 'online';
    if (held === 'wanted') return 'pending';
    // Deleted in the folder, and a person has yet to say that it was meant.
    if (held === null && one.sync.status?.().state === 'held') return 'pending';
    if (content === null || one.sync.contentState(content) === 'here') return 'here';
    return one.online ? 'online' : 'pending';
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
      async window({ drive, path: at, sort, descending, show, offset, limit }, signal) {
        const { one, path, prefix } = await sourceAt(drive, at, true, signal);
        const { id } = folder(one, path);
        const view = { driveId: one.record.driveId, folder: id, sort, descending };
        const names = await namesIn(one, path, view, show, signal);
        const items = names.slice(offset, offset + limit).flatMap((name) => {
          const found = one.drive.tree.child(id, name);
          return found ? [entry(one, path, found, prefix)] : [];
        });
        return { total: names.length, items };
      },
      async locate({ drive, path: at, sort, descending, show, name, exact, from }, signal) {
        const { one, path } = await sourceAt(drive, at, true, signal);
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
      async list({ drive, path: at, after, limit }, signal) {
        const { one, path, prefix } = await sourceAt(drive, at, true, signal);
        const folder = node(one, path);
        if (folder.kind !== 'dir') return { items: [entry(one, parentOf(path), folder, prefix)], next: null };
        const page = one.drive.tree.children(folder.id, {
          ...(after !== null && { after }),
          limit: limit + 1,
        });
        const items = page.slice(0, limit).map((item) => entry(one, path, item, prefix));
        return { items, next: page.length > limit ? items.at(-1)!.name : null };
      },
      async history({ drive, path: at }, signal) {
        const { one, path } = await sourceAt(drive, at, false, signal);
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
          ...anchorOf(one.drive, item.version),
        }));
      },
      async restore({ drive, path: at, version }) {
        const { one, path } = inside(drives(), drives().get(drive), at, false);
        refuseByMode(one);
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
      async free({ drive, path: at }, signal) {
        const { one, path, prefix } = inside(drives(), drives().get(drive), at, true);
        const report = await one.sync.online.free(node(one, path).id, signal);
        return {
          ...report,
          reasons: report.reasons.map(({ path, error }) => ({
            path: `${prefix}${path}`,
            code: error.code,
            message: error.message,
          })),
        };
      },
      async fetch({ drive, path: at }, signal) {
        const { one, path } = inside(drives(), drives().get(drive), at, true);
        const { id } = node(one, path);
        // What has only just been heard of is not known in the folder yet.
        if (id !== rootNode && one.sync.online.held(id) === null) await one.sync.settled(signal);
        await one.sync.online.fetch(id, signal);
        return { ok: true };
      },
      async read({ drive, path: at, version, start, end }, signal) {
        const { one, path } = await sourceAt(drive, at, false, signal);
        const content = contentAt(one, path, version);
        if (content.kind !== 'file') throw new AppError('invalid_argument', `${path} is a link.`);
        const stop = Math.min(end ?? content.size, content.size);
        return { size: content.size, bytes: one.sync.readContent(content, { start, end: stop, signal }) };
      },
      async readOpened({ link, path, start, end }, signal) {
        const { power } = parseDriveLink(link);
        if (power?.t !== 'read') throw notOpened();
        const one = await source(link, signal);
        if (!opens(power, one)) throw notOpened();
        // Not by `inside`: what lies in it of other drives of the person's is not what the link opens.
        const content = contentAt(one, path, null);
        if (content.kind !== 'file') throw new AppError('invalid_argument', `${path} is a link.`);
        const stop = Math.min(end ?? content.size, content.size);
        return { size: content.size, bytes: one.sync.readContent(content, { start, end: stop, signal }) };
      },
      async proof({ drive, path: at, version }) {
        const { one, path } = inside(drives(), drives().get(drive), at, false);
        const bytes = await one.drive.proof(path, version ?? undefined);
        return anchors().withAnchor(one.drive, verifyProof(bytes).version, bytes);
      },
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
