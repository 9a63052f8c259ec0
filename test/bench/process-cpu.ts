import { readFile, readdir } from 'node:fs/promises';

/** `/proc` counts processor time in these, by the kernel's fixed promise to programs (USER_HZ). */
const ticksPerSecond = 100;

/**
 * Processor seconds (user and system, all threads) that these processes, those they started and those of them that have ended
 * took so far. Linux only: null elsewhere, and when one of them is gone.
 */
export async function cpuSeconds(pids: readonly number[]): Promise<number | null> {
  try {
    const sums = await Promise.all(pids.map(ofTree));
    return sums.reduce((sum, ticks) => sum + ticks, 0) / ticksPerSecond;
  } catch {
    return null;
  }
}

async function ofTree(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The name, in parentheses, may hold anything; after it the fields are numbered from 3 in proc(5).
  const field = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [utime, stime, cutime, cstime] = [14, 15, 16, 17].map((n) => Number(field[n - 3]));
  let ticks = utime! + stime! + cutime! + cstime!;
  for (const tid of await readdir(`/proc/${pid}/task`)) {
    const children = await readFile(`/proc/${pid}/task/${tid}/children`, 'utf8').catch(() => '');
    for (const child of children.split(' ').filter((text) => text !== ''))
      ticks += await ofTree(Number(child));
  }
  return ticks;
}
