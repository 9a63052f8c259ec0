import fs from 'node:fs';

/** Files kept open between batches, most recently used last; closed when idle, since an open file may not be renamed everywhere. */
export interface OpenFiles {
  /** A descriptor for reading and writing; creates the file (0600). Throws what `open` throws. */
  get(path: string): number;
  /** Takes the descriptor out of the cache; the caller closes it. */
  take(path: string): number;
  closeAll(): void;
}

const noFollow = fs.constants.O_NOFOLLOW ?? 0;

export function createOpenFiles(limit: number, idleMs: number): OpenFiles {
  const open = new Map<string, { fd: number; used: number }>();
  let timer: NodeJS.Timeout | null = null;

  function closeIdle(): void {
    const before = performance.now() - idleMs;
    for (const [path, file] of open) {
      if (file.used > before) break;
      open.delete(path);
      fs.closeSync(file.fd);
    }
    if (open.size > 0) timer!.refresh();
    else timer = null;
  }

  function get(path: string): number {
    const known = open.get(path);
    open.delete(path);
    // A file that was deleted meanwhile would swallow what is written to it.
    let fd = known?.fd ?? -1;
    if (fd >= 0 && fs.fstatSync(fd).nlink === 0) {
      fs.closeSync(fd);
      fd = -1;
    }
    if (fd < 0) fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT | noFollow, 0o600);
    open.set(path, { fd, used: performance.now() });
    if (open.size > limit) {
      const [oldest, file] = open.entries().next().value!;
      open.delete(oldest);
      fs.closeSync(file.fd);
    }
    timer ??= setTimeout(closeIdle, idleMs).unref();
    return fd;
  }

  return {
    get,
    take(path) {
      const fd = get(path);
      open.delete(path);
      return fd;
    },
    closeAll() {
      for (const file of open.values()) fs.closeSync(file.fd);
      open.clear();
    },
  };
}
