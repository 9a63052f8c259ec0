import path from 'node:path';
import { once } from 'node:events';
import type { Command } from '@commander-js/extra-typings';
import { Option } from '@commander-js/extra-typings';
import type { FileEntry } from '../../../../src-shared/contract/index.ts';
import { deeds, driveHistory } from '../drive-history.ts';
import { formatBytes, formatTable, formatTime } from '../format.ts';
import { fetchBytes, fetchToFile } from '../fetch.ts';
import { inDrive, parseCount } from '../parse.ts';
import type { Run } from '../program.ts';
import { withDriveProgress } from './drives.ts';

export function addFileCommands(program: Command, run: Run): void {
  const file = program.command('file').description('files of a drive');
  file
    .command('list')
    .description('what a folder of a drive holds')
    .argument('<drive>')
    .argument('[path]', 'a folder in the drive', inDrive, '')
    .action((drive, folder) =>
      run(async ({ client, signal }) => {
        const { files } = await client();
        const value: FileEntry[] = [];
        for (let after: string | null = null; ;) {
          const page: Awaited<ReturnType<typeof files.list>> = await files.list(
            { drive, path: folder, after, limit: 1000 },
            { signal },
          );
          value.push(...page.items);
          after = page.next;
          if (after === null) break;
        }
        const rows = value.map((one) => [
          one.kind === 'dir' ? `${one.name}/` : one.name,
          one.kind === 'link' ? '' : formatBytes(one.size),
          formatTime(one.mtime),
          one.mount !== null ? `drive ${one.mount}` : one.state === 'online' ? 'online-only' : one.state,
        ]);
        return {
          value,
          text: () => formatTable(['name', 'size', 'changed', 'where'], rows, 'Nothing in here.'),
        };
      }),
    );
  file
    .command('uploads')
    .description('what a window began to upload and has not finished')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).files.uploads({}, { signal });
        const rows = value.map((one) => [
          one.path,
          `${formatBytes(one.received)} of ${formatBytes(one.size)}`,
          one.sending ? 'being sent' : 'waits',
          one.drive,
        ]);
        return {
          value,
          text: () => formatTable(['file', 'arrived', 'state', 'drive'], rows, 'There are none.'),
        };
      }),
    );
  file
    .command('history')
    .description('all versions of a file, or without a path what was done in the whole drive; newest first')
    .argument('<drive>')
    .argument('[path]', 'a file or folder of the drive', inDrive, '')
    .option('--user <id>', 'of the drive: only what this person did')
    .option('--device <id>', 'of the drive: only what was done on this computer')
    .addOption(new Option('--op <kind>', 'of the drive: only this').choices(deeds))
    .option('--limit <n>', 'of the drive: no more than this', parseCount, 200)
    .action((drive, where, options) =>
      run(async ({ client, signal }) => {
        if (where === '') return driveHistory((await client()).drives, drive, options, signal);
        const value = await (await client()).files.history({ drive, path: where }, { signal });
        const rows = value.map((one) => [
          formatTime(one.time),
          one.op,
          formatBytes(one.size),
          one.content,
          one.device,
          one.user ?? '',
          one.version,
        ]);
        const head = ['time', 'what', 'size', 'content', 'computer', 'user', 'version'];
        return { value, text: () => formatTable(head, rows, 'It has no history.') };
      }),
    );
  file
    .command('restore')
    .description('makes an older version the newest one')
    .argument('<drive>')
    .argument('<path>', '', inDrive)
    .requiredOption('--version <version>', 'as "file history" names it')
    .action((drive, where, { version }) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).files.restore({ drive, path: where, version }, { signal });
        return { value, text: 'Restored.' };
      }),
    );
  file
    .command('settle')
    .description('keeps one of two versions that were made at one time, under the name both wanted')
    .argument('<drive>')
    .argument('<path>', 'the copy, "name (conflict …)"', inDrive)
    .addOption(
      new Option('--keep <which>', 'the copy, or the original that has the name')
        .choices(['copy', 'original'] as const)
        .makeOptionMandatory(),
    )
    .action((drive, where, { keep }) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).files.settle({ drive, path: where, keep }, { signal });
        return { value, text: 'Settled; the other version is in the history and in the trash.' };
      }),
    );
  file
    .command('free')
    .description(
      'makes a file, or all of a folder, online-only: takes it off this disk, if enough others hold it',
    )
    .argument('<drive>')
    .argument('<path>', 'a file or folder of the drive; / is all of it', inDrive)
    .action((drive, where) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).files.free({ drive, path: where }, { signal });
        const freed = `${value.files} ${value.files === 1 ? 'file' : 'files'} freed, ${formatBytes(value.bytes)}.`;
        const stay = value.kept === 0 ? [] : [`${value.kept} stay here:`];
        return { value, text: [freed, ...stay, ...value.reasons.map(({ message }) => message)].join('\n') };
      }),
    );
  file
    .command('fetch')
    .description('brings an online-only file, or all of a folder, here to stay; returns when it is whole')
    .argument('<drive>')
    .argument('<path>', 'a file or folder of the drive; / is all of it', inDrive)
    .action((drive, where) =>
      run(async (session) => {
        const client = await session.client();
        const value = await withDriveProgress(session, client, drive, () =>
          client.files.fetch({ drive, path: where }, { signal: session.signal }),
        );
        return { value, text: 'It is here.' };
      }),
    );
  file
    .command('cat')
    .description('writes the bytes of a file to stdout, with --json too')
    .argument('<drive>')
    .argument('<path>', '', inDrive)
    .option('--version <version>', 'as "file history" names it')
    .action((drive, where, { version }) =>
      run(async ({ client, signal }) => {
        const { url } = await (
          await client()
        ).files.open({ drive, path: where, version: version ?? null }, { signal });
        let gone = false;
        process.stdout.once('error', () => (gone = true));
        for await (const chunk of fetchBytes(url, signal)) {
          if (gone) break;
          if (!process.stdout.write(chunk))
            await Promise.race([once(process.stdout, 'drain'), once(process.stdout, 'close')]);
        }
        return null;
      }),
    );
  file
    .command('proof')
    .description('writes a proof of one version that anybody can check with "extrachain verify"')
    .argument('<drive>')
    .argument('<path>', '', inDrive)
    .option('--version <version>', 'as "file history" names it; else the newest')
    .requiredOption('--out <file>', 'where the proof goes')
    .action((drive, where, { version, out }) =>
      run(async ({ client, signal }) => {
        const { files } = await client();
        const { url, size } = await files.proof({ drive, path: where, version: version ?? null }, { signal });
        const target = path.resolve(out);
        await fetchToFile(url, target, signal);
        return { value: { file: target, size }, text: `The proof is in ${target}.` };
      }),
    );
}

export function addTrashCommands(program: Command, run: Run): void {
  const trash = program.command('trash').description('what was deleted or replaced');
  trash
    .command('list')
    .argument('<drive>')
    .action((drive) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).trash.list({ drive }, { signal });
        const rows = value.map((one) => [formatTime(one.time), one.reason, formatBytes(one.size), one.path]);
        return {
          value,
          text: () => formatTable(['time', 'why', 'size', 'path'], rows, 'The trash is empty.'),
        };
      }),
    );
  trash
    .command('restore')
    .argument('<drive>')
    .argument('<path>', '', inDrive)
    .action((drive, where) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).trash.restore({ drive, path: where }, { signal });
        return { value, text: 'Restored.' };
      }),
    );
  trash
    .command('empty')
    .argument('<drive>')
    .action((drive) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).trash.empty({ drive }, { signal });
        return { value, text: 'The trash is empty now.' };
      }),
    );
}
