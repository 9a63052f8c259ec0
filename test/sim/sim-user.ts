import { folder, type SimComputer } from './sim-computer.ts';

/** What users wrote and never took back: that must be in every folder at the end. */
export interface Keepsakes {
  /** A new text, written at that computer. */
  make(computer: string, size: number): Uint8Array;
  /** A user overwrote or deleted these bytes knowing what he did. */
  release(bytes: Uint8Array): void;
  /** An older state of a computer was put back: what it had before and nobody has now is gone, as with any backup. */
  forgetLost(before: ReadonlySet<string>, survivors: ReadonlySet<string>): void;
  /** Texts that must exist. */
  expected(): readonly string[];
}

const nameOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.subarray(0, 40)).toString().split('\n')[0] ?? '';

export function createKeepsakes(): Keepsakes {
  const alive = new Set<string>();
  let n = 0;
  return {
    make(computer, size) {
      const text = `${computer} wrote ${++n}`;
      alive.add(text);
      const bytes = new Uint8Array(Math.max(size, text.length + 1));
      // What follows differs from file to file in part only, so that blocks are shared.
      for (let i = 0; i < bytes.length; i++) bytes[i] = 97 + ((i >> 9) % 23);
      bytes.set(Buffer.from(`${text}\n`));
      return bytes;
    },
    release: (bytes) => void alive.delete(nameOf(bytes)),
    forgetLost(before, survivors) {
      for (const text of before) if (!survivors.has(text)) alive.delete(text);
    },
    expected: () => [...alive],
  };
}

/** The texts that lie in any file of a disk. */
export function textsOn(computer: SimComputer): Set<string> {
  return new Set([...computer.disk.files(folder).values()].map(({ bytes }) => nameOf(bytes)));
}

/** The texts a person sees: those of the folder itself, trash and temp files left out. */
export function textsShown(computer: SimComputer): Set<string> {
  const shown = new Set<string>();
  for (const [path, { bytes }] of computer.disk.files(folder))
    if (!path.startsWith('.extrachain/')) shown.add(nameOf(bytes));
  return shown;
}

/** One edit of a restless person. @returns what was done, for the protocol of a failing seed */
export function editOnce(computer: SimComputer, random: () => number, keepsakes: Keepsakes): string {
  const { user } = computer.disk;
  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];
  const files: string[] = [];
  const links: string[] = [];
  const dirs = [folder];
  for (const dir of dirs) {
    for (const { name, type } of user.list(dir)) {
      const path = `${dir}/${name}`;
      if (name === '.extrachain') continue;
      if (type === 'dir') dirs.push(path);
      else if (type === 'file') files.push(path);
      else links.push(path);
    }
  }
  const size = (): number => (random() < 0.6 ? 50 + random() * 3000 : random() * 600_000) | 0;
  const fresh = (): string =>
    `${pick(dirs)}/${'abcdefgh'[Math.floor(random() * 8)]}${Math.floor(random() * 3)}`;
  const releaseBelow = (path: string): void => {
    if (user.type(path) === 'file') keepsakes.release(user.read(path));
    else if (user.type(path) === 'dir')
      for (const { name } of user.list(path)) releaseBelow(`${path}/${name}`);
  };
  const write = (path: string): string => {
    const type = user.type(path);
    if (type === 'dir' || type === 'link') return `nothing (${path} is a ${type})`;
    if (type === 'file') keepsakes.release(user.read(path));
    const bytes = keepsakes.make(computer.name, size());
    user.write(path, bytes);
    return `write ${path} (${bytes.length}: ${nameOf(bytes)})`;
  };
  const move = (from: string): string => {
    const to = fresh();
    if (from === to || user.type(to) !== null || `${to}/`.startsWith(`${from}/`))
      return 'nothing (no place to move to)';
    user.rename(from, to);
    return `move ${from} to ${to}`;
  };

  const file = pick(files);
  const dir = pick(dirs.slice(1));
  const dice = random();
  if (dice < 0.3 || file === undefined) return write(`${fresh()}.txt`);
  if (dice < 0.45) return write(file);
  if (dice < 0.52) {
    // An append: the beginning stays, the text is a new one.
    const before = user.read(file);
    keepsakes.release(before);
    const head = keepsakes.make(computer.name, 0);
    const bytes = new Uint8Array(before.length + 700).fill(122);
    bytes.set(before);
    bytes.set(head);
    user.write(file, bytes);
    return `append to ${file} (${nameOf(bytes)})`;
  }
  if (dice < 0.65) return move(file);
  if (dice < 0.73) {
    keepsakes.release(user.read(file));
    user.remove(file);
    return `delete ${file}`;
  }
  if (dice < 0.81) {
    const path = fresh();
    if (user.type(path) !== null) return 'nothing (it exists)';
    user.mkdir(path);
    return `mkdir ${path}`;
  }
  if (dice < 0.89 && dir !== undefined) return move(dir);
  if (dice < 0.92 && dir !== undefined) {
    releaseBelow(dir);
    user.remove(dir);
    return `delete folder ${dir}`;
  }
  if (dice < 0.95) {
    const exec = random() < 0.5;
    user.setExec(file, exec);
    return `chmod ${exec ? '+x' : '-x'} ${file}`;
  }
  if (dice < 0.97) {
    const link = pick(links);
    if (link !== undefined && random() < 0.5) {
      user.remove(link);
      return `delete link ${link}`;
    }
    const path = `${fresh()}-link`;
    if (user.type(path) !== null) return 'nothing (it exists)';
    user.symlink(`target ${Math.floor(random() * 1000)}`, path);
    return `link ${path}`;
  }
  // As many editors save: a new file under a temporary name, put in the place of the old.
  keepsakes.release(user.read(file));
  const bytes = keepsakes.make(computer.name, size());
  user.write(`${file}~`, bytes);
  user.rename(`${file}~`, file);
  return `save ${file} by rename (${nameOf(bytes)})`;
}
