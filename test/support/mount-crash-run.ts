import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { connectToDaemon } from '../../src-main/headless/client.ts';
import { alive, startsPair, type CrashPoint } from './crash-run.ts';
import type { Daemon } from './daemon.ts';
import { differences, readTree, seeded, until, writeManyFiles } from './trees.ts';

/** Who dies: the one who shares a folder as a drive of its own (`a`), or a member whose computer takes it over (`b`). */
export type MountCrash = Pick<CrashPoint, 'side' | 'n'> & { readonly act: 'share' | 'unshare' };

export interface MountCrashBench {
  /** Points of an act, by side; of the main thread, which does all of it. */
  count(act: MountCrash['act']): Promise<Record<'a' | 'b', number>>;
  /** Runs the act, kills at the point, starts again, and throws unless both folders hold everything, nothing conflicts and nothing went to a trash. */
  run(crash: MountCrash): Promise<{ readonly reached: boolean }>;
}

const preload = pathToFileURL(path.join(import.meta.dirname, 'crash-points.ts')).href;
const holiday = 'Trip';

/** Makes two templates in `dir`: a drive of two members with a folder, and the same with the folder shared already. */
export async function prepareMountCrashes(dir: string): Promise<MountCrashBench> {
  const live = path.join(dir, 'live');
  const template = (act: MountCrash['act']): string => path.join(dir, `template-${act}`);
  const folder = (side: 'a' | 'b'): string => path.join(live, `folder-${side}`);
  const start = await startsPair(live, ['127.0.0.64', '127.0.0.65']);

  await mkdir(folder('a'), { recursive: true });
  await writeManyFiles(path.join(folder('a'), holiday), 14, { min: 10, max: 30_000 }, seeded(21));
  await writeManyFiles(path.join(folder('a'), 'beside'), 4, { min: 10, max: 3000 }, seeded(22));
  const [a, b] = [await start('a'), await start('b')];
  await a.cli('id', 'create');
  const { userId } = await b.cli<{ userId: string }>('id', 'create');
  const made = await a.cli<{ driveId: string }>('drive', 'create', 'Team', '--folder', folder('a'));
  const { driveId } = made;
  await a.cli('drive', 'share', driveId, userId, '--role', 'editor');
  await b.cli('drive', 'join', driveId, '--folder', folder('b'));
  await b.cli('drive', 'wait', driveId, '--timeout', '60');
  await a.cli('drive', 'wait', driveId, '--timeout', '60');
  await Promise.all([a.stop(), b.stop()]);
  await cp(live, template('share'), { recursive: true, preserveTimestamps: true });
  const again = [await start('a'), await start('b')] as const;
  await again[0].cli('drive', 'share-folder', 'Team', holiday);
  await settle(again, true);
  await Promise.all(again.map((daemon) => daemon.stop()));
  await cp(live, template('unshare'), { recursive: true, preserveTimestamps: true });

  /** What both do while it happens: one edit, one new file, one deleted, one renamed. */
  async function change(): Promise<Map<string, string>> {
    const all = own(await readTree(path.join(folder('b'), holiday)));
    const names = [...all].flatMap(([name, value]) => (value.startsWith('sha256:') ? [name] : []));
    const [edited, gone, moved] = names.sort();
    const at = (side: 'a' | 'b', name: string): string => path.join(folder(side), holiday, name);
    await writeFile(at('b', edited!), 'edited by b meanwhile');
    await writeFile(at('a', 'new of a.txt'), 'new of a');
    await rm(at('b', gone!));
    await rename(at('a', moved!), at('a', 'renamed.bin'));
    const expected = await readTree(folder('a'));
    const theirs = await readTree(folder('b'));
    expected.set(`${holiday}/${edited}`, theirs.get(`${holiday}/${edited}`)!);
    expected.delete(`${holiday}/${gone}`);
    return own(expected);
  }

  /** Without the engines' own. */
  function own(tree: ReadonlyMap<string, string>): Map<string, string> {
    return new Map([...tree].filter(([name]) => !name.split('/').includes('.extrachain')));
  }

  async function settle(daemons: readonly Daemon[], shared: boolean): Promise<void> {
    const apis = await Promise.all(daemons.map((daemon) => connectToDaemon(daemon.data)));
    try {
      await until(shared ? 'the mount on both sides' : 'its end on both sides', 90_000, async () => {
        for (const { client } of apis) {
          const list = await client.drives.list({});
          const [entry] = (await client.files.list({ drive: driveId, path: '' })).items.filter(
            (one) => one.name === holiday,
          );
          if ((list.length === 2) !== shared || (entry?.mount !== null) !== shared) return false;
          for (const one of list) await client.drives.wait({ drive: one.driveId, timeout: 60 });
        }
        const states = await Promise.all(
          apis.map(async ({ client }) =>
            Promise.all(
              (await client.drives.list({})).map((one) => client.drives.status({ drive: one.driveId })),
            ),
          ),
        );
        const heads = states.map((list) =>
          list
            .map((one) => `${one.driveId} ${one.heads.join()}`)
            .sort()
            .join(),
        );
        return (
          heads[0] === heads[1] && states.flat().every((one) => one.state === 'in_step' && one.copies === 2)
        );
      });
    } finally {
      for (const { close } of apis) close();
    }
  }

  async function check(daemons: readonly Daemon[], expected: ReadonlyMap<string, string>): Promise<void> {
    const found = differences([expected, own(await readTree(folder('a'))), own(await readTree(folder('b')))]);
    if (found.length > 0) throw new Error(`expected | a | b: ${found.slice(0, 8).join('; ')}`);
    for (const daemon of daemons) {
      for (const { driveId: one } of await daemon.cli<{ driveId: string }[]>('drive', 'list')) {
        const status = await daemon.cli<{ conflicts: number; problems: unknown[] }>('drive', 'status', one);
        if (status.conflicts > 0 || status.problems.length > 0)
          throw new Error(`conflicts or problems: ${JSON.stringify(status)}`);
        const report = await daemon.cli<{ ok: boolean }>('drive', 'verify', one);
        if (!report.ok) throw new Error(`the history does not verify: ${JSON.stringify(report)}`);
      }
    }
  }

  async function reset(act: MountCrash['act']): Promise<void> {
    await rm(live, { recursive: true, force: true });
    await cp(template(act), live, { recursive: true, preserveTimestamps: true });
  }

  const begin = async (act: MountCrash['act'], daemon: Daemon): Promise<void> => {
    const command = act === 'share' ? 'share-folder' : 'unshare-folder';
    await daemon.cli('drive', command, driveId, holiday).catch(() => {});
  };

  return {
    async count(act) {
      await reset(act);
      const armed = path.join(dir, 'armed');
      const env = (side: string): NodeJS.ProcessEnv => ({
        NODE_OPTIONS: `--import=${preload}`,
        EXTRACHAIN_CRASH_COUNT: path.join(dir, `count-${side}`),
        EXTRACHAIN_CRASH_ARMED: armed,
      });
      const daemons = [await start('a', env('a')), await start('b', env('b'))] as const;
      try {
        await writeFile(armed, '');
        const expected = await change();
        await begin(act, daemons[0]);
        await settle(daemons, act === 'share');
        await check(daemons, expected);
        await new Promise((resolve) => setTimeout(resolve, 500));
      } finally {
        await Promise.all(daemons.map((daemon) => daemon.stop()));
        await rm(armed, { force: true });
      }
      const read = async (side: string): Promise<number> =>
        Number(await readFile(path.join(dir, `count-${side}.main`), 'utf8').catch(() => '0'));
      return { a: await read('a'), b: await read('b') };
    },

    async run({ act, side, n }) {
      await reset(act);
      const armed = path.join(dir, 'armed');
      const env: NodeJS.ProcessEnv = {
        NODE_OPTIONS: `--import=${preload}`,
        EXTRACHAIN_CRASH_POINT: `main:${n}`,
        EXTRACHAIN_CRASH_ARMED: armed,
      };
      const daemons = {
        a: await start('a', side === 'a' ? env : {}),
        b: await start('b', side === 'b' ? env : {}),
      };
      let reached = true;
      try {
        await writeFile(armed, '');
        const expected = await change();
        const acting = begin(act, daemons.a);
        const victim = daemons[side];
        await until('the crash', 25_000, () => !alive(victim.pid), 20).catch(async () => {
          reached = false;
          await victim.kill();
        });
        await acting;
        await rm(armed, { force: true });
        daemons[side] = await start(side);
        // Before it was begun for good it has to be asked for again; afterwards it goes on by itself.
        await begin(act, daemons.a);
        await settle([daemons.a, daemons.b], act === 'share');
        await check([daemons.a, daemons.b], expected);
      } catch (error) {
        throw new Error(
          `${act}, ${side}:${n}: ${(error as Error).message}\n--- a\n${daemons.a.log()}\n--- b\n${daemons.b.log()}`,
          { cause: error },
        );
      } finally {
        await rm(armed, { force: true });
        await Promise.all([daemons.a.stop(), daemons.b.stop()]);
      }
      return { reached };
    },
  };
}
