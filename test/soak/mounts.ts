import { prepareMountCrashes, type MountCrash } from '../support/mount-crash-run.ts';
import { tempDir } from '../support/daemon.ts';

/**
 * SIGKILL at `count` numbered points while a folder is shared as a drive of its own, or made an ordinary one again, on the computer that
 * does it and on that of a member who changes files meanwhile.
 * @returns how many failed; each is printed as it comes
 */
export async function soakMounts(count: number): Promise<{ summary: string; failed: number }> {
  const temp = await tempDir('mount-crashes');
  let failed = 0;
  let reached = 0;
  let run = 0;
  try {
    const bench = await prepareMountCrashes(temp.dir);
    for (const act of ['share', 'unshare'] as const) {
      const points = await bench.count(act);
      for (const side of ['a', 'b'] as const) {
        const share = Math.max(1, Math.round(count / 4));
        for (let i = 0; i < share; i++) {
          const crash: MountCrash = { act, side, n: 1 + Math.floor((i * points[side]) / share) };
          run += 1;
          try {
            if ((await bench.run(crash)).reached) reached += 1;
            process.stdout.write(`mounts ${act} ${side}:${crash.n} of ${points[side]}: whole\n`);
          } catch (error) {
            failed += 1;
            process.stdout.write(`${(error as Error).message}\n`);
          }
        }
      }
    }
  } finally {
    await temp.remove();
  }
  return { summary: `mounts: ${run} crash points, ${reached} reached, ${failed} failed`, failed };
}
