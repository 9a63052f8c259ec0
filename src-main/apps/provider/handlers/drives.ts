import type { AppFile, AppFolder } from '../../../../src-shared/apps/methods/index.ts';
import { maxInlineBytes } from '../../../../src-shared/apps/methods/index.ts';
import type { Grant, PermissionRequest } from '../../../../src-shared/apps/index.ts';
import type { FileEntry } from '../../../../src-shared/contract/index.ts';
import { AppError, isAppError } from '../../../../src-shared/errors.ts';
import { folderHandle, grantedFolders, locate, notGranted, pathInside } from '../../permissions/index.ts';
import type { GrantedFolder } from '../../permissions/index.ts';
import type { AppHandlers, Call, HandlerDeps } from '../types.ts';
import { declaredOf } from './session.ts';

type Names =
  | 'exc_pickFolder'
  | 'exc_driveList'
  | 'exc_driveEntries'
  | 'exc_driveRead'
  | 'exc_driveWrite'
  | 'exc_driveMkdir'
  | 'exc_driveRemove'
  | 'exc_driveWatch'
  | 'exc_driveShare'
  | 'exc_drivePublish';

/** Shortest time between two words about a watched folder, ms. */
const watchEvery = 250;

/** Files of the folders that the person picked. */
export function driveHandlers(deps: HandlerDeps): Pick<AppHandlers, Names> {
  const { node, records, clock } = deps;

  async function shownFolder(folder: GrantedFolder, signal: AbortSignal): Promise<AppFolder> {
    const drive = (await node.drives.list({}, signal)).find(({ driveId }) => driveId === folder.drive);
    const name = folder.path === '' ? (drive?.name ?? '') : folder.path.split('/').at(-1)!;
    return { folder: folder.handle, name, access: folder.access, missing: !drive };
  }
  const placeOf = (call: Call, need: 'drive.read' | 'drive.write', folder: string, path: string) => {
    const place = locate(call.app.appId, call.grants(), need, folder, path);
    call.about(place.path || '/');
    return place;
  };

  function sharing(call: Call): PermissionRequest {
    const declared = declaredOf(call.app, 'drive.share');
    if (declared) return declared;
    throw notGranted('drive.share', 'The manifest of this app does not name drive.share.');
  }
  const folderName = async (call: Call, handle: string, drive: string, path: string): Promise<string> =>
    path === '' ? (await shownFolder({ handle, drive, path, access: 'read' }, call.signal)).name : path;

  return {
    async exc_pickFolder(call, { access, reason }) {
      const { app, signal } = call;
      const names = access === 'write' ? (['drive.write', 'drive.read'] as const) : (['drive.read'] as const);
      const declared = names.map((name) => {
        const one = declaredOf(app, name);
        if (!one) throw notGranted(name, `The manifest of this app does not name ${name}.`);
        return { ...one, ...(reason !== '' && { reason }) };
      });
      const { grant } = await call.ask({
        kind: 'folder',
        text: reason,
        grants: declared,
        discloses: [access === 'write' ? 'folderWrite' : 'folderRead'],
        async check({ grant: picked }) {
          const { drive, path = '' } = picked?.caveats ?? {};
          if (drive === undefined) throw new AppError('invalid_argument', 'Choose a folder first.');
          await node.files.list({ drive, path, after: null, limit: 1 }, signal);
        },
      });
      const { drive, path = '' } = grant!.caveats as { drive: string; path?: string };
      for (const name of names) records.grant(app.appId, { name, caveats: { drive, path } } satisfies Grant);
      const handle = folderHandle(app.appId, drive, path);
      call.about(path || '/');
      const folder = grantedFolders(app.appId, call.grants()).find((one) => one.handle === handle)!;
      return shownFolder(folder, signal);
    },

    async exc_driveList({ app, grants, signal }) {
      const folders = grantedFolders(app.appId, grants());
      return { folders: await Promise.all(folders.map((one) => shownFolder(one, signal))) };
    },

    async exc_driveEntries(call, { folder: handle, path: inner, after, limit }) {
      const { drive, path, folder } = placeOf(call, 'drive.read', handle, inner);
      const page = await node.files.list({ drive, path, after, limit }, call.signal);
      return { items: page.items.map((one) => shownFile(folder, one)), next: page.next };
    },

    async exc_driveRead(call, { folder: handle, path: inner, as, offset, length }) {
      const { path } = placeOf(call, 'drive.read', handle, inner);
      const read = (start: number, end: number | null, signal: AbortSignal) => {
        // Looked at anew for every request of an address that was given out.
        const { drive } = locate(call.app.appId, call.grants(), 'drive.read', handle, inner);
        return node.files.read({ drive, path, version: null, start, end }, signal);
      };
      if (as === 'bytes') {
        const { size, bytes } = await read(offset, offset + Math.min(length, maxInlineBytes), call.signal);
        const parts: Uint8Array[] = [];
        for await (const part of bytes) parts.push(part);
        return { size, bytes: Buffer.concat(parts).toString('base64url') };
      }
      // Asked for no bytes at first: a failure is answered here, and not when the URL is fetched.
      const { size, bytes } = await read(0, 0, call.signal);
      await bytes[Symbol.asyncIterator]().return?.();
      const fileName = path.split('/').at(-1)!;
      const url = deps
        .bytes(call.app.appId)
        .offer({ fileName, type: deps.previewType(fileName), open: read });
      return { size, url };
    },

    async exc_driveWrite(call, { folder: handle, path: inner, bytes, size, replace }) {
      const { drive, path } = placeOf(call, 'drive.write', handle, inner);
      if ((bytes === undefined) === (size === undefined)) {
        throw new AppError('invalid_argument', 'Either bytes or a size.');
      }
      const content = bytes === undefined ? null : new Uint8Array(Buffer.from(bytes, 'base64url'));
      const upload = { drive, path, size: content?.length ?? size!, replace };
      await node.files.checkUpload(upload);
      if (content) {
        await node.files.write(upload, oneChunk(content), call.signal);
        return {};
      }
      const url = deps.bytes(call.app.appId).accept({
        label: { drive, path, modified: null },
        size: upload.size,
        take(incoming, signal) {
          locate(call.app.appId, call.grants(), 'drive.write', handle, inner);
          return node.files.write(upload, incoming, signal);
        },
      });
      return { url };
    },

    async exc_driveMkdir(call, { folder, path: inner }) {
      const { drive, path } = placeOf(call, 'drive.write', folder, inner);
      await node.files.mkdir({ drive, path }, call.signal);
      return { ok: true };
    },

    async exc_driveRemove(call, { folder, paths }) {
      const places = paths.map((path) => placeOf(call, 'drive.write', folder, path));
      if (paths.includes('')) {
        throw new AppError('invalid_argument', 'A folder that was given can be emptied, not deleted.');
      }
      call.about(places.length === 1 ? places[0]!.path : `${places.length} files`);
      await node.files.remove(
        { drive: places[0]!.drive, paths: places.map(({ path }) => path) },
        call.signal,
      );
      return { ok: true };
    },

    exc_driveWatch(call, { folder: handle }) {
      const allowed = (): GrantedFolder =>
        locate(call.app.appId, call.grants(), 'drive.read', handle, '').folder;
      const { drive } = allowed();
      return call.subscribe(
        'exc_driveWatch',
        (send) => {
          let cancel: (() => void) | null = null;
          const stop = node.on('drives', (changed) => {
            if ((changed !== null && changed !== drive) || cancel) return;
            cancel = clock.after(watchEvery, () => {
              cancel = null;
              send({ changed: true });
            });
          });
          return () => {
            stop();
            cancel?.();
          };
        },
        () => {
          try {
            allowed();
            return true;
          } catch (error) {
            if (isAppError(error, 'not_granted')) return false;
            throw error;
          }
        },
      );
    },

    async exc_driveShare(call, { folder, path: inner, role, expires, uses }) {
      const { drive, path } = placeOf(call, 'drive.read', folder, inner);
      await call.ask({
        kind: 'share',
        grants: [sharing(call)],
        text: await folderName(call, folder, drive, path),
        discloses: [role === 'editor' ? 'linkWrites' : 'linkReads', 'folderLearnsYou'],
      });
      // This folder may have been taken back while the question stood there, and another one not.
      placeOf(call, 'drive.read', folder, inner);
      records.grant(call.app.appId, { name: 'drive.share', caveats: { drive, path } });
      const shared =
        path === ''
          ? drive
          : (await node.drives.shareFolder({ drive, path, user: null, role: 'reader' }, call.signal)).driveId;
      const { link } = await node.drives.link({ drive: shared, role, expires, uses }, call.signal);
      return { link };
    },

    async exc_drivePublish(call, { folder, path: inner }) {
      const { drive, path } = placeOf(call, 'drive.read', folder, inner);
      await call.ask({
        kind: 'share',
        grants: [sharing(call)],
        text: await folderName(call, folder, drive, path),
        discloses: ['linkOpens', 'linkLearnsYou'],
      });
      // This folder may have been taken back while the question stood there, and another one not.
      placeOf(call, 'drive.read', folder, inner);
      records.grant(call.app.appId, { name: 'drive.share', caveats: { drive, path } });
      const opened =
        path === ''
          ? drive
          : (await node.drives.shareFolder({ drive, path, user: null, role: 'reader' }, call.signal)).driveId;
      const { visibility } = await node.drives.visibility({ drive: opened }, call.signal);
      if (visibility === 'private') {
        return node.drives.setVisibility({ drive: opened, visibility: 'unlisted' }, call.signal);
      }
      const { link } = await node.drives.link(
        { drive: opened, role: null, expires: null, uses: null },
        call.signal,
      );
      return { link };
    },
  };
}

function shownFile(folder: GrantedFolder, one: FileEntry): AppFile {
  const { name, kind, size, mtime, hash, version, state } = one;
  return { path: pathInside(folder, one.path), name, kind, size, mtime, hash, version, state };
}

async function* oneChunk(bytes: Uint8Array) {
  if (bytes.length > 0) yield bytes;
}
