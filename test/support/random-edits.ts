import { appendFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { seeded, seededBytes } from './trees.ts';

/** Edits a folder at random, as a restless person would, until `stop`; what it does is a function of the seed. */
export async function editAtRandom(folder: string, seed: number, stop: () => boolean): Promise<number> {
  const random = seeded(seed);
  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];
  let edits = 0;
  while (!stop()) {
    const { files, dirs } = await listing(folder);
    const dir = pick(dirs)!;
    const fresh = path.join(dir, `n${seed}-${edits}`);
    const file = pick(files);
    const dice = random();
    try {
      if (dice < 0.35 || file === undefined)
        await writeFile(`${fresh}.bin`, seededBytes(random, Math.floor(random() ** 3 * 300_000)));
      else if (dice < 0.5) await writeFile(file, seededBytes(random, Math.floor(random() * 20_000)));
      else if (dice < 0.6) await appendFile(file, seededBytes(random, 500));
      else if (dice < 0.7) await rename(file, `${fresh}-moved.bin`);
      else if (dice < 0.8) await rm(file);
      else if (dice < 0.9 && dirs.length < 30) await mkdir(fresh);
      else if (dirs.length > 3) {
        const from = pick(dirs.slice(1))!;
        if (!`${dir}/`.startsWith(`${from}/`)) await rename(from, `${fresh}-dir`);
      }
    } catch (error) {
      // The sync engine works in the same folder: what was picked may have gone meanwhile.
      if (
        !['ENOENT', 'ENOTEMPTY', 'EEXIST', 'EINVAL', 'EISDIR', 'ENOTDIR'].includes(
          (error as NodeJS.ErrnoException).code ?? '',
        )
      )
        throw error;
    }
    edits++;
    await new Promise((resolve) => setTimeout(resolve, 20 + random() * 120));
  }
  return edits;
}

async function listing(folder: string): Promise<{ files: string[]; dirs: string[] }> {
  const files: string[] = [];
  const dirs = [folder];
  for (let i = 0; i < dirs.length; i++) {
    const entries = await readdir(dirs[i]!, { withFileTypes: true }).catch(() => []);
    for (const entry of entries.sort((x, y) => (x.name < y.name ? -1 : 1))) {
      const full = path.join(dirs[i]!, entry.name);
      if (entry.name === '.extrachain') continue;
      if (entry.isDirectory()) dirs.push(full);
      else if (entry.isFile()) files.push(full);
    }
  }
  return { files, dirs };
}
