import { shallowReactive } from 'vue';
import type { FileEntry } from '../../../src-shared/contract/index.ts';

/** What a page of files has open besides the files, and of what. */
export interface FileDialogs {
  /** A conflict copy that is looked at beside the other version. */
  compared: FileEntry | null;
  sharing: boolean;
  trash: boolean;
  copies: boolean;
  /** What shall go online-only; `size` is null where it is not known before. */
  freeing: { readonly paths: string[]; readonly name: string; readonly size: number | null } | null;
  /** A folder that is about to become a drive of its own, or an ordinary one again. */
  folderShared: FileEntry | null;
  folderEnded: FileEntry | null;
  /** The drive of a shared folder, whose people and links are looked at from here. */
  mounted: string | null;
  naming: 'folder' | 'rename' | null;
  moving: boolean;
  removing: readonly FileEntry[] | null;
  leaving: boolean;
}

/** All closed. Entries are kept as they are: a dialog compares them with those of the list. */
export const createFileDialogs = (): FileDialogs =>
  shallowReactive<FileDialogs>({
    compared: null,
    sharing: false,
    trash: false,
    copies: false,
    freeing: null,
    folderShared: null,
    folderEnded: null,
    mounted: null,
    naming: null,
    moving: false,
    removing: null,
    leaving: false,
  });

/** Whether any of them is open. */
export const isAnyOpen = (dialogs: FileDialogs): boolean =>
  Object.values(dialogs).some((one) => one !== null && one !== false);
