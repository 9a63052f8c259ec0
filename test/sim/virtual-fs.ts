import { createHash } from 'node:crypto';
import { AppError, type ErrorCode } from '../../src-shared/errors.ts';
import type { FileStamp, VirtualFs } from '../../src-main/drive/index.ts';
import type { EntryType, FolderFs, FsEntry, FsStat } from '../../src-main/sync/fs/types.ts';

/** What lies on a virtual disk: enough of a POSIX file system (case-sensitive, ordered journal, no hard links). */
interface Inode {
  readonly ino: bigint;
  readonly type: EntryType;
  readonly target: string;
  readonly birthNs: bigint;
  data: Uint8Array;
  mode: number;
  mtimeNs: bigint;
  ctimeNs: bigint;
  /** What a power cut leaves at least; null: nothing was ever flushed. */
  durable: { data: Uint8Array; mode: number; mtimeNs: bigint } | null;
}

/** A change of names; a rename is several that happen together. */
type Change = readonly { readonly dir: bigint; readonly name: string; readonly ino: bigint | null }[];

type Names = Map<bigint, Map<string, bigint>>;

export interface DiskImage {
  readonly names: Names;
  readonly inodes: ReadonlyMap<bigint, Inode>;
}

export interface VirtualDisk {
  /** The disk as one running program sees it; `point` is called before and after each operation and may throw. */
  view(point: (operation: string) => Promise<void> | void): FolderFs & VirtualFs;
  /** What the user does: at once, and flushed to the disk, as a careful editor does it. */
  readonly user: DiskUser;
  /** Told of every folder in which something happened. */
  onChange: (dir: string) => void;
  /** All is written without error while there is room. */
  full: boolean;
  /** The power goes: of what was not flushed, names survive up to some moment, bytes in part. */
  cutPower(random: () => number): void;
  image(): DiskImage;
  restore(image: DiskImage): void;
  /** Every file below, with its bytes and whether it is executable; `.extrachain` included. */
  files(dir: string): Map<string, { readonly bytes: Uint8Array; readonly exec: boolean }>;
  /** Path to what is there: `dir`, `link:…`, or mode, size and hash of a file; `.extrachain` left out. */
  tree(dir: string): Map<string, string>;
}

export interface DiskUser {
  write(path: string, bytes: Uint8Array): void;
  read(path: string): Uint8Array;
  mkdir(path: string): void;
  rename(from: string, to: string): void;
  remove(path: string): void;
  symlink(target: string, path: string): void;
  setExec(path: string, exec: boolean): void;
  list(dir: string): { readonly name: string; readonly type: EntryType }[];
  type(path: string): EntryType | null;
}

const sentences: Partial<Record<ErrorCode, string>> = {
  not_found: 'It is no longer there.',
  already_exists: 'Something with this name exists already.',
  not_allowed: 'The folder is not empty.',
  unsupported: 'It is not a regular file.',
  disk_full: 'The disk is full.',
};
const fail = (code: ErrorCode, path: string): never => {
  throw new AppError(code, sentences[code] ?? 'The disk answered with an error.', { details: { path } });
};
const page = 4096;

/** @param wallClock ms, of the computer the disk belongs to */
export function createVirtualDisk(wallClock: () => number): VirtualDisk {
  let names: Names = new Map([[1n, new Map()]]);
  let inodes = new Map<bigint, Inode>();
  let durableNames: Names = new Map([[1n, new Map()]]);
  let journal: Change[] = [];
  let nextIno = 2n;
  let ticks = 0n;
  inodes.set(1n, makeInode(1n, 'dir'));

  function nowNs(): bigint {
    ticks += 1000n;
    return BigInt(Math.floor(wallClock())) * 1_000_000n + (ticks % 1_000_000n);
  }

  function makeInode(ino: bigint, type: EntryType, target = ''): Inode {
    const at = nowNs();
    return {
      ino,
      type,
      target,
      birthNs: at,
      data: new Uint8Array(),
      mode: type === 'dir' ? 0o755 : 0o644,
      mtimeNs: at,
      ctimeNs: at,
      durable: null,
    };
  }

  function apply(to: Names, change: Change): void {
    for (const { dir, name, ino } of change) {
      const folder = to.get(dir) ?? new Map<string, bigint>();
      to.set(dir, folder);
      if (ino === null) folder.delete(name);
      else folder.set(name, ino);
    }
  }

  function commit(): void {
    for (const change of journal) apply(durableNames, change);
    journal = [];
    for (const inode of inodes.values()) {
      if (inode.durable) inode.durable = { ...inode.durable, mode: inode.mode };
    }
  }

  function flush(inode: Inode): void {
    inode.durable = { data: inode.data, mode: inode.mode, mtimeNs: inode.mtimeNs };
    commit();
  }

  const parts = (path: string): string[] => path.split('/').filter((part) => part !== '');

  function find(path: string): Inode | null {
    let ino = 1n;
    for (const part of parts(path)) {
      const next = names.get(ino)?.get(part);
      if (next === undefined) return null;
      ino = next;
    }
    return inodes.get(ino) ?? null;
  }

  function place(path: string): { dir: bigint; name: string; here: Inode | null } {
    const all = parts(path);
    const name = all.pop() ?? fail('not_found', path);
    const dir = find(all.join('/'));
    if (dir?.type !== 'dir') return fail('not_found', path);
    return { dir: dir.ino, name, here: find(path) };
  }

  function change(path: string, ...changes: Change): void {
    apply(names, changes);
    journal.push(changes);
    for (const { dir } of changes) {
      const inode = inodes.get(dir);
      if (inode) inode.mtimeNs = inode.ctimeNs = nowNs();
    }
    changed(path);
  }

  function changed(path: string): void {
    disk.onChange(`/${parts(path).slice(0, -1).join('/')}`);
  }

  function add(path: string, inode: Inode): Inode {
    const { dir, name, here } = place(path);
    if (here !== null) fail('already_exists', path);
    inodes.set(inode.ino, inode);
    if (inode.type === 'dir') names.set(inode.ino, new Map());
    change(path, { dir, name, ino: inode.ino });
    return inode;
  }

  function fileAt(path: string): Inode {
    const inode = find(path) ?? fail('not_found', path);
    if (inode.type !== 'file') fail('unsupported', path);
    return inode;
  }

  function fileToWrite(path: string): Inode {
    return find(path) === null ? add(path, makeInode(nextIno++, 'file')) : fileAt(path);
  }

  function touch(path: string, inode: Inode): void {
    inode.mtimeNs = inode.ctimeNs = nowNs();
    changed(path);
  }

  function rename(from: string, to: string): void {
    const source = place(from);
    if (source.here === null) return fail('not_found', from);
    const target = place(to);
    if (target.here !== null) {
      if (target.here.type === 'dir') return fail('already_exists', to);
      if (source.here.type === 'dir') return fail('not_found', to);
    }
    if (`${to}/`.startsWith(`${from}/`)) return fail('name_unsupported', to);
    source.here.ctimeNs = nowNs();
    change(
      to,
      { dir: source.dir, name: source.name, ino: null },
      { dir: target.dir, name: target.name, ino: source.here.ino },
    );
    changed(from);
  }

  function remove(path: string): void {
    const { dir, name, here } = place(path);
    if (here === null) return;
    if (here.type === 'dir')
      for (const child of [...(names.get(here.ino)?.keys() ?? [])]) remove(`${path}/${child}`);
    change(path, { dir, name, ino: null });
  }

  function stampOf(inode: Inode): FileStamp {
    const { ino, mtimeNs, ctimeNs, mode, data } = inode;
    return { ino, dev: 7n, size: inode.type === 'file' ? data.length : 0, mtimeNs, ctimeNs, mode };
  }
  const statOf = (inode: Inode): FsStat => ({ ...stampOf(inode), type: inode.type, birthNs: inode.birthNs });

  function writeAt(path: string, position: number, bytes: Uint8Array): void {
    if (disk.full) fail('disk_full', path);
    const inode = fileToWrite(path);
    const data = new Uint8Array(Math.max(inode.data.length, position + bytes.length));
    data.set(inode.data);
    data.set(bytes, position);
    inode.data = data;
    touch(path, inode);
  }

  function walk(dir: string, visit: (path: string, inode: Inode) => void, prefix = ''): void {
    const root = find(dir);
    for (const name of [...(root === null ? [] : (names.get(root.ino)?.keys() ?? []))].sort()) {
      const inode = find(`${dir}/${name}`);
      if (inode === null) continue;
      visit(`${prefix}${name}`, inode);
      if (inode.type === 'dir') walk(`${dir}/${name}`, visit, `${prefix}${name}/`);
    }
  }

  const copyNames = (from: Names): Names => new Map([...from].map(([ino, map]) => [ino, new Map(map)]));
  const copyInodes = (from: ReadonlyMap<bigint, Inode>): Map<bigint, Inode> =>
    new Map([...from].map(([ino, inode]) => [ino, { ...inode }]));

  /** A file after a power cut: as last flushed, as last written, or its pages partly one, partly the other. */
  function survivor(inode: Inode, random: () => number): void {
    const { durable } = inode;
    if (durable?.data === inode.data || inode.type !== 'file') return;
    const dice = random();
    if (dice < 0.3) return;
    const old = durable?.data ?? new Uint8Array();
    if (dice < 0.6) {
      inode.data = old;
      inode.mtimeNs = durable?.mtimeNs ?? inode.mtimeNs;
      return;
    }
    // The length is known, but not every page was written: those read as zeros.
    const torn = inode.data.slice();
    for (let at = 0; at < torn.length; at += page) {
      if (random() < 0.5) continue;
      const end = Math.min(at + page, torn.length);
      torn.fill(0, at, end);
      torn.set(old.subarray(at, end), at);
    }
    inode.data = torn;
  }

  const disk: VirtualDisk = {
    full: false,
    onChange: () => {},
    view(point) {
      async function step<T>(operation: string, path: string, work: () => T): Promise<T> {
        await point(`${operation} ${path}`);
        const result = work();
        await point(`${operation} ${path} done`);
        return result;
      }
      return {
        list: (path) =>
          step('list', path, () => {
            const dir = find(path);
            if (dir?.type !== 'dir') return fail('not_found', path);
            return [...(names.get(dir.ino) ?? [])].map(([name, ino]): FsEntry => {
              const inode = inodes.get(ino) ?? fail('not_found', path);
              return { raw: name, shown: name, stat: statOf(inode), error: null };
            });
          }),
        lstat: (path) =>
          step('lstat', path, () => {
            const inode = find(path);
            return inode === null ? null : statOf(inode);
          }),
        mkdir: (path, options) =>
          step('mkdir', path, () => {
            const all = parts(path);
            for (let i = options?.parents ? 1 : all.length; i <= all.length; i++) {
              const here = `/${all.slice(0, i).join('/')}`;
              const there = find(here);
              if (there === null) add(here, makeInode(nextIno++, 'dir'));
              else if (there.type !== 'dir') fail('already_exists', here);
            }
          }),
        rename: (from, to) => step('rename', `${from} -> ${to}`, () => rename(from, to)),
        async place(items) {
          const results: (FsStat | AppError)[] = [];
          for (const { from, to } of items) {
            const one = await step('place', `${from} -> ${to}`, () => {
              try {
                if (find(to) !== null) return fail('already_exists', to);
                rename(from, to);
                return statOf(find(to) ?? fail('not_found', to));
              } catch (error) {
                return error as AppError;
              }
            });
            results.push(one);
          }
          return results;
        },
        unlink: (path) =>
          step('unlink', path, () => {
            if (find(path)?.type === 'dir') fail('not_allowed', path);
            remove(path);
          }),
        rmdir: (path) =>
          step('rmdir', path, () => {
            const inode = find(path) ?? fail('not_found', path);
            if ((names.get(inode.ino)?.size ?? 0) > 0) fail('not_allowed', path);
            remove(path);
          }),
        removeTree: (path) => step('removeTree', path, () => remove(path)),
        symlink: (target, path) =>
          step('symlink', path, () => void add(path, makeInode(nextIno++, 'link', target))),
        readlink: (path) =>
          step('readlink', path, () => {
            const inode = find(path) ?? fail('not_found', path);
            return inode.type === 'link' ? inode.target : fail('name_unsupported', path);
          }),
        chmod: (path, mode) =>
          step('chmod', path, () => {
            const inode = find(path) ?? fail('not_found', path);
            inode.mode = mode;
            inode.ctimeNs = nowNs();
          }),
        fsyncDir: (path) => step('fsyncDir', path, commit),
        readSmall: (path, limit) =>
          step('readSmall', path, () => {
            const { data } = fileAt(path);
            return data.length > limit ? fail('too_large', path) : data.slice();
          }),
        writeSmall: (path, bytes) =>
          step('writeSmall', path, () => {
            const temp = `${path}.new`;
            if (find(temp)) remove(temp);
            writeAt(temp, 0, bytes);
            flush(fileAt(temp));
            rename(temp, path);
            commit();
          }),
        read: (path, offset, length) =>
          step('read', path, () => fileAt(path).data.slice(offset, offset + length)),
        reflink: (from, to) =>
          step('reflink', to, () => {
            if (find(to) !== null || disk.full) return false;
            const { data } = fileAt(from);
            const copy = add(to, makeInode(nextIno++, 'file'));
            copy.data = data;
            return true;
          }),
        freeBytes: async () => (disk.full ? 0 : 1e12),
        openForWriting: async () => new Set(),
        caseInsensitive: async () => false,
        async stop() {},
        readFile: (path) => step('readFile', path, () => fileAt(path).data.slice()),
        stat: (path) => step('stat', path, () => stampOf(fileAt(path))),
        writeAt: (path, position, bytes) => step('writeAt', path, () => writeAt(path, position, bytes)),
        truncate: (path, size) =>
          step('truncate', path, () => {
            const inode = fileToWrite(path);
            const data = new Uint8Array(size);
            data.set(inode.data.subarray(0, size));
            inode.data = data;
            touch(path, inode);
          }),
        setMeta: (path, { mode, mtime }) =>
          step('setMeta', path, () => {
            const inode = fileAt(path);
            inode.mode = mode;
            inode.mtimeNs = BigInt(mtime) * 1_000_000n;
            inode.ctimeNs = nowNs();
          }),
        sync: (path) => step('sync', path, () => flush(fileAt(path))),
        syncAll: () =>
          step('syncAll', '', () => {
            for (const inode of inodes.values()) if (inode.type === 'file') flush(inode);
          }),
      };
    },
    user: {
      write(path, bytes) {
        const inode = fileToWrite(path);
        inode.data = bytes.slice();
        touch(path, inode);
        flush(inode);
      },
      read: (path) => fileAt(path).data,
      mkdir(path) {
        add(path, makeInode(nextIno++, 'dir'));
        commit();
      },
      rename(from, to) {
        rename(from, to);
        commit();
      },
      remove(path) {
        remove(path);
        commit();
      },
      symlink(target, path) {
        add(path, makeInode(nextIno++, 'link', target));
        commit();
      },
      setExec(path, exec) {
        const inode = fileAt(path);
        inode.mode = exec ? 0o755 : 0o644;
        inode.ctimeNs = nowNs();
        changed(path);
        flush(inode);
      },
      list(dir) {
        const inode = find(dir);
        return [...(inode === null ? [] : (names.get(inode.ino) ?? []))].flatMap(([name, ino]) => {
          const child = inodes.get(ino);
          return child ? [{ name, type: child.type }] : [];
        });
      },
      type: (path) => find(path)?.type ?? null,
    },
    cutPower(random) {
      const kept = Math.floor(random() * (journal.length + 1));
      for (const change of journal.slice(0, kept)) apply(durableNames, change);
      journal = [];
      names = copyNames(durableNames);
      for (const inode of inodes.values()) {
        if (inode.type === 'dir' && !names.has(inode.ino)) names.set(inode.ino, new Map());
        survivor(inode, random);
        inode.durable = { data: inode.data, mode: inode.mode, mtimeNs: inode.mtimeNs };
      }
      durableNames = copyNames(names);
    },
    image: () => ({ names: copyNames(names), inodes: copyInodes(inodes) }),
    restore(image) {
      names = copyNames(image.names);
      durableNames = copyNames(image.names);
      inodes = copyInodes(image.inodes);
      // As a virtual machine's snapshot does it: to the last detail.
      for (const inode of inodes.values()) {
        inode.durable = { data: inode.data, mode: inode.mode, mtimeNs: inode.mtimeNs };
      }
      journal = [];
    },
    files(dir) {
      const found = new Map<string, { bytes: Uint8Array; exec: boolean }>();
      walk(dir, (path, inode) => {
        if (inode.type === 'file') found.set(path, { bytes: inode.data, exec: (inode.mode & 0o100) !== 0 });
      });
      return found;
    },
    tree(dir) {
      const found = new Map<string, string>();
      walk(dir, (path, inode) => {
        if (path === '.extrachain' || path.startsWith('.extrachain/')) return;
        if (inode.type === 'dir') found.set(path, 'dir');
        else if (inode.type === 'link') found.set(path, `link:${inode.target}`);
        else {
          const hash = createHash('sha256').update(inode.data).digest('hex').slice(0, 16);
          found.set(path, `${(inode.mode & 0o100) !== 0 ? 'x ' : ''}${inode.data.length} ${hash}`);
        }
      });
      return found;
    },
  };
  return disk;
}
