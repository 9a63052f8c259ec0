import { readdir, readFile, readlink, realpath } from 'node:fs/promises';

/** Access mode in the flags of an open file (open(2)): 0 is reading only. */
const accessMode = 0o3;

/**
 * Which of these files some program of this user has open for writing now, as Linux tells in /proc. What is written to a file after its
 * name was taken away is lost, so it must keep its name until then. Elsewhere, and of programs of other users, nothing is known: none is.
 * @param paths absolute; links in them are followed
 */
export async function openForWriting(paths: ReadonlySet<string>): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  if (paths.size === 0 || process.platform !== 'linux') return found;
  // /proc tells of files under their real names.
  const asGiven = new Map<string, string>();
  for (const path of paths) asGiven.set(await realpath(path).catch(() => path), path);
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    // Programs end while they are looked at, and those of others show nothing.
    const open = await readdir(`/proc/${pid}/fd`).catch(() => []);
    await Promise.all(
      open.map(async (fd) => {
        const link = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
        const path = asGiven.get(link);
        if (path === undefined || found.has(path)) return;
        const info = await readFile(`/proc/${pid}/fdinfo/${fd}`, 'utf8').catch(() => '');
        const flags = Number.parseInt(/^flags:\s*([0-7]+)/m.exec(info)?.[1] ?? '0', 8);
        if ((flags & accessMode) !== 0) found.add(path);
      }),
    );
  }
  return found;
}
