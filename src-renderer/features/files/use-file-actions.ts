import { useI18n } from 'vue-i18n';
import { toast } from 'vue-sonner';
import type { FileEntry } from '../../../src-shared/contract/index.ts';
import { isAppError } from '../../../src-shared/errors.ts';
import { useLink } from '../../rpc/node-link.ts';
import { useUploads } from '../../stores/uploads.ts';
import { useFailure } from '../../ui/use-failure.ts';
import type { Dropped } from './dropped-files.ts';

const most = 1000;
export const joined = (folder: string, name: string): string => (folder === '' ? name : `${folder}/${name}`);
export const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));

/** A ZIP file is called after the one folder in it, or the folder that its entries are in; `other` in the topmost. */
export function archiveName(entries: readonly Pick<FileEntry, 'path'>[], other: string): string {
  const [first] = entries;
  const at = entries.length === 1 ? (first?.path ?? '') : parentOf(first?.path ?? '');
  return `${at.split('/').at(-1) || other || 'ExtraChain'}.zip`;
}

/**
 * What can be done with the files of a drive. Failures are told where nobody waits for them.
 * @param nameOf of the drive, for what is saved of its topmost folder
 */
export function useFileActions(drive: () => string, nameOf: () => string) {
  const { t } = useI18n();
  const link = useLink();
  const uploads = useUploads();
  const failure = useFailure();

  async function restoreAll(paths: readonly string[]) {
    try {
      for (const path of paths) await link.call((client) => client.trash.restore({ drive: drive(), path }));
    } catch (error) {
      failure.tell(error);
    }
  }

  return {
    mkdir: (path: string) => link.call((client) => client.files.mkdir({ drive: drive(), path })),
    move: (from: string, to: string) =>
      link.call((client) => client.files.move({ drive: drive(), from, to })),
    async moveInto(entries: readonly FileEntry[], folder: string) {
      try {
        for (const entry of entries) {
          if (entry.path === folder || parentOf(entry.path) === folder) continue;
          await link.call((client) =>
            client.files.move({ drive: drive(), from: entry.path, to: joined(folder, entry.name) }),
          );
        }
      } catch (error) {
        failure.tell(error);
      }
    },
    async remove(entries: readonly FileEntry[]) {
      const paths = entries.map((entry) => entry.path);
      for (let at = 0; at < paths.length; at += most)
        await link.call((client) =>
          client.files.remove({ drive: drive(), paths: paths.slice(at, at + most) }),
        );
      const files = entries.filter((entry) => entry.kind !== 'dir').map((entry) => entry.path);
      const undo = files.length === paths.length && files.length <= 100;
      toast(t('files.removed', { n: entries.length }, entries.length), {
        ...(undo && { action: { label: t('act.undo'), onClick: () => void restoreAll(files) } }),
      });
    },
    /** Saves through the browser: its own list of downloads shows how far it is. Several, and folders, come as one ZIP file. */
    async download(entries: readonly FileEntry[], version: string | null = null) {
      const [first] = entries;
      if (!first) return;
      try {
        if (entries.length === 1 && first.kind === 'file') {
          const asked = { drive: drive(), path: first.path, version };
          save((await link.call((client) => client.files.open(asked))).url, first.name);
        } else {
          const name = archiveName(entries, nameOf());
          const asked = { drive: drive(), paths: entries.map(({ path }) => path), name };
          save((await link.call((client) => client.files.archive(asked))).url, name);
        }
      } catch (error) {
        failure.tell(error);
      }
    },
    async proof(path: string, version: string | null = null) {
      try {
        const { url } = await link.call((client) => client.files.proof({ drive: drive(), path, version }));
        save(url, `${path.split('/').at(-1)}.proof`);
      } catch (error) {
        failure.tell(error);
      }
    },
    async upload(folder: string, { folders, files }: Dropped) {
      try {
        for (const path of folders) {
          await link
            .call((client) => client.files.mkdir({ drive: drive(), path: joined(folder, path) }))
            .catch((error: unknown) => {
              if (!isAppError(error, 'already_exists')) throw error;
            });
        }
        uploads.add(
          drive(),
          files.map(({ path, file }) => ({ path: joined(folder, path), file })),
        );
      } catch (error) {
        failure.tell(error);
      }
    },
  };
}

export type FileActions = ReturnType<typeof useFileActions>;

function save(url: string, name: string) {
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = name;
  anchor.rel = 'noopener';
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
}
