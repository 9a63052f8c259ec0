export interface Dropped {
  /** Folders to make first, parents before children, relative to where it was dropped. */
  readonly folders: readonly string[];
  readonly files: readonly { readonly path: string; readonly file: File }[];
}

/** Everything that was dropped, folders with all that is in them. */
export async function readDropped(data: DataTransfer): Promise<Dropped> {
  const folders: string[] = [];
  const files: { path: string; file: File }[] = [];
  // The list is emptied when the event is over: taken out at once.
  const found = [...data.items]
    .filter((item) => item.kind === 'file')
    // What never lay in a folder (a picture dragged out of a page) has no entry.
    .map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
  for (const one of found) {
    if (one instanceof File) files.push({ path: one.name.normalize('NFC'), file: one });
    else if (one) await walk(one, '', folders, files);
  }
  return { folders, files };
}

async function walk(
  entry: FileSystemEntry,
  parent: string,
  folders: string[],
  files: { path: string; file: File }[],
): Promise<void> {
  const path = `${parent}${entry.name.normalize('NFC')}`;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    files.push({ path, file });
    return;
  }
  folders.push(path);
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // Browsers hand out a hundred at a time.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (some.length === 0) return;
    for (const one of some) await walk(one, `${path}/`, folders, files);
  }
}
