import path from 'node:path';
import type { Command } from '@commander-js/extra-typings';
import { Argument, Option } from '@commander-js/extra-typings';
import type { DriveStatus } from '../../../../src-shared/contract/index.ts';
import { foldWatched } from '../../../../src-shared/rpc/index.ts';
import { isAppError } from '../../../../src-shared/errors.ts';
import { formatBytes, formatFields, formatTable, formatTime } from '../format.ts';
import { inDrive, parseCount, parseMoment, parseSeconds } from '../parse.ts';
import { createDriveMeter } from '../progress.ts';
import type { AppClient, Session } from '../session.ts';
import type { Run } from '../program.ts';
import { verifyOffline } from '../offline.ts';

function statusText(status: DriveStatus): string {
  const fields: (readonly [string, string | number])[] = [
    ['drive', status.driveId],
    ['name', status.name],
    ['folder', status.folder],
    ...(status.mount ? [['in drive', `${status.mount.drive}, at ${status.mount.path}`] as const] : []),
    ['state', status.state.replace('_', ' ')],
    ['mode', status.mode],
    ['your role', status.role ?? 'none'],
    ['files', `${status.files} (${formatBytes(status.bytes)})`],
    ['to send', status.pendingUp],
    ['to fetch', `${status.pendingDown} (${formatBytes(status.pendingBytes)})`],
    ['kept apart', status.differing],
    ['conflicts', status.conflicts],
    ['full copies', status.copies],
    ['online-only', `${status.online.files} (${formatBytes(status.online.bytes)})`],
  ];
  for (const { code, path: where, message } of status.problems) {
    fields.push(['problem', `${where === '' ? '' : `${where}: `}${message} [${code}]`]);
  }
  return formatFields(fields);
}

/** Shows a bar on a terminal until `work` is done. */
export async function withDriveProgress<T>(
  session: Session,
  client: AppClient,
  drive: string,
  work: () => Promise<T>,
): Promise<T> {
  if (!process.stderr.isTTY) return work();
  const end = new AbortController();
  const meter = createDriveMeter(() => Date.now());
  const fold = foldWatched<DriveStatus>();
  const watching = (async () => {
    for await (const item of client.drives.watchStatus({ drive }, { signal: end.signal })) {
      const { fraction, note } = meter(fold(item));
      session.progress.update(fraction, note);
    }
  })().catch((error: unknown) => {
    // The command itself reports what is wrong with the drive; here it would only be said twice.
    if (!isAppError(error)) throw error;
  });
  try {
    return await work();
  } finally {
    end.abort();
    await watching;
  }
}

export function addDriveCommands(program: Command, run: Run): void {
  const drive = program.command('drive').description('folders in step on several computers');
  drive
    .command('create')
    .description('makes a drive of a folder')
    .argument('<name>')
    .requiredOption('--folder <path>', 'the folder; made when missing')
    .addOption(
      new Option('--visibility <who>', 'who may find it')
        .choices(['private', 'unlisted', 'public'] as const)
        .default('private' as const),
    )
    .action((name, { folder, visibility }) =>
      run(async ({ client, signal }) => {
        const input = { name, folder: path.resolve(folder), visibility };
        const value = await (await client()).drives.create(input, { signal });
        return {
          value,
          text: formatFields([
            ['drive', value.driveId],
            ['link', value.link],
          ]),
        };
      }),
    );
  drive
    .command('join')
    .description('brings a shared drive into a folder')
    .argument('<link>', 'a link, or the id of a drive shared with you')
    .requiredOption('--folder <path>', 'the folder; what it holds already is kept and compared')
    .option('--online-only', 'fetch files only when asked to')
    .option('--with-chain', 'follows the network the link names, too; an unused one of your own gives way')
    .action((link, { folder, onlineOnly = false, withChain = false }) =>
      run(async ({ client, signal }) => {
        const api = await client();
        const chain = await api.chain.inLink({ link }, { signal });
        if (withChain && chain && !chain.followed) await api.chain.join({ link }, { signal });
        const input = { link, folder: path.resolve(folder), onlineOnly };
        const value = await api.drives.join(input, { signal });
        const hint =
          chain && !chain.followed && !withChain
            ? `\nIts history is anchored in ${chain.chainId}; follow that with \`chain join\` and the same link.`
            : '';
        return { value, text: `Joined ${value.name} (${value.driveId}).${hint}` };
      }),
    );
  drive
    .command('look')
    .description('what a link opens, without joining; file list, file cat and the window take the link, too')
    .argument('<link>', 'a link, or the id of a public drive')
    .action((link) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).drives.look({ link }, { signal });
        const text = `${value.name}: ${value.files} files, ${formatBytes(value.bytes)}, ${value.visibility}.`;
        return { value, text };
      }),
    );
  drive
    .command('list')
    .description('the drives of this node')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).drives.list({}, { signal });
        const rows = value.map((one) => [
          one.name,
          one.state.replace('_', ' '),
          one.files,
          formatBytes(one.bytes),
          one.folder,
          one.driveId,
        ]);
        const head = ['name', 'state', 'files', 'size', 'folder', 'drive'];
        return {
          value,
          text: () => formatTable(head, rows, 'No drives yet: extrachain drive create NAME --folder PATH'),
        };
      }),
    );
  drive
    .command('status')
    .description('how far a drive is')
    .argument('<drive>')
    .action((id) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).drives.status({ drive: id }, { signal });
        return { value, text: statusText(value) };
      }),
    );
  drive
    .command('mode')
    .description(
      'whether this device sends its changes and takes those of others; without a word: what it keeps apart',
    )
    .argument('<drive>')
    .addArgument(new Argument('[mode]').choices(['send-receive', 'send-only', 'receive-only'] as const))
    .action((id, mode) =>
      run(async ({ client, signal }) => {
        const { drives } = await client();
        if (mode !== undefined) await drives.setMode({ drive: id, mode }, { signal });
        const now = await drives.status({ drive: id }, { signal });
        const differences = await drives.differences({ drive: id }, { signal });
        const value = { mode: now.mode, differing: now.differing, differences };
        const rows = differences.map(({ path: where, what }) => [what, where]);
        return {
          value,
          text: async () =>
            rows.length === 0 ? now.mode : `${now.mode}\n\n${await formatTable(['what', 'path'], rows, '')}`,
        };
      }),
    );
  drive
    .command('keeps')
    .description('which folders this computer keeps and which not ("file fetch" and "file free" say so)')
    .argument('<drive>')
    .action((id) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).drives.keeps({ drive: id }, { signal });
        const rows = value.map((one) => [one.keep ? 'kept here' : 'online-only', `/${one.path}`]);
        return {
          value,
          text: () => formatTable(['what comes is', 'folder'], rows, 'Everything is kept here.'),
        };
      }),
    );
  drive
    .command('move')
    .description('says where the folder of a drive is now, after it was moved or its disk was replaced')
    .argument('<drive>')
    .argument('<folder>')
    .option('--anew', 'it is another folder: what it lacks is brought from other computers')
    .action((id, folder, { anew = false }) =>
      run(async ({ client, signal }) => {
        const input = { drive: id, folder: path.resolve(folder), anew };
        const value = await (await client()).drives.move(input, { signal });
        return { value, text: statusText(value) };
      }),
    );
  for (const [name, description, text] of [
    ['pause', 'stops keeping it in step for now', 'Paused.'],
    ['resume', 'goes on', 'Goes on.'],
    ['leave', 'forgets the drive here; the folder and its files stay', 'Left. The folder stays as it is.'],
    ['confirm', 'lets a held mass delete go ahead', 'The delete goes ahead.'],
    [
      'revert',
      'on a receive-only device: undoes what was changed here (it goes to the trash)',
      'The folder is what the drive says.',
    ],
    [
      'override',
      'on a send-only device: undoes, for everybody, what others changed',
      'The drive is what the folder is.',
    ],
  ] as const) {
    drive
      .command(name)
      .description(description)
      .argument('<drive>')
      .action((id) =>
        run(async ({ client, signal }) => {
          const value = await (await client()).drives[name]({ drive: id }, { signal });
          return { value, text };
        }),
      );
  }
  drive
    .command('wait')
    .description('returns when it is in step with all reachable members')
    .argument('<drive>')
    .option('--timeout <seconds>', 'gives up after that', parseSeconds)
    .action((id, { timeout }) =>
      run(async (session) => {
        const client = await session.client();
        const value = await withDriveProgress(session, client, id, () =>
          client.drives.wait({ drive: id, timeout: timeout ?? null }, { signal: session.signal }),
        );
        return { value, text: `In step: ${value.files} files, ${formatBytes(value.bytes)}.` };
      }),
    );
  drive
    .command('link')
    .description('what others need to join; with a role, an invitation for whoever gets the link')
    .argument('<drive>')
    .addOption(
      new Option('--role <role>', 'what who comes in by it may do').choices([
        'reader',
        'editor',
        'manager',
      ] as const),
    )
    .option('--expires <time>', 'such as 30d or 2026-12-31', (text: string) => parseMoment(text, Date.now()))
    .option('--uses <n>', 'how many people it lets in', parseCount)
    .option('--revoke <invite>', 'ends an invitation; who came in by it stays')
    .action((id, { role = null, expires = null, uses = null, revoke }) =>
      run(async ({ client, signal }) => {
        const { drives } = await client();
        if (revoke !== undefined) {
          const value = await drives.endInvite({ drive: id, invite: revoke }, { signal });
          return { value, text: 'The invitation has ended. Who came in by it stays.' };
        }
        const value = await drives.link({ drive: id, role, expires, uses }, { signal });
        return { value, text: value.link };
      }),
    );
  drive
    .command('invites')
    .description('invitations by link')
    .argument('<drive>')
    .action((id) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).drives.invites({ drive: id }, { signal });
        const rows = value.map((one) => [
          one.state.replace('_', ' '),
          one.role,
          `${one.used.length}${one.uses === null ? '' : ` of ${one.uses}`}`,
          formatTime(one.expires),
          one.id,
        ]);
        const head = ['state', 'role', 'used', 'expires', 'invitation'];
        return { value, text: () => formatTable(head, rows, 'No invitations.') };
      }),
    );
  drive
    .command('visibility')
    .description('who may read it: members; whoever has the link; everybody. Without a word: shows it')
    .argument('<drive>')
    .addArgument(new Argument('[who]').choices(['private', 'unlisted', 'public'] as const))
    .action((id, who) =>
      run(async ({ client, signal }) => {
        const { drives } = await client();
        if (who === undefined) {
          const value = await drives.visibility({ drive: id }, { signal });
          return { value, text: value.visibility };
        }
        const value = await drives.setVisibility({ drive: id, visibility: who }, { signal });
        return { value: { visibility: who, ...value }, text: value.link };
      }),
    );
  drive
    .command('share')
    .description('lets a person in, or changes what they may do')
    .argument('<drive>')
    .argument('<user>')
    .addOption(
      new Option('--role <role>', 'what they may do')
        .choices(['reader', 'editor', 'manager'] as const)
        .makeOptionMandatory(),
    )
    .action((id, user, { role }) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).drives.share({ drive: id, user, role }, { signal });
        return { value, text: value.link };
      }),
    );
  drive
    .command('share-folder')
    .description('makes a drive of its own of a folder; its files stay where they are')
    .argument('<drive>', 'the drive the folder is in')
    .argument('<path>', 'the folder, in the drive', inDrive)
    .argument('[user]', 'somebody to let in at once, beside the members of the drive')
    .addOption(
      new Option('--role <role>', 'what they may do')
        .choices(['reader', 'editor', 'manager'] as const)
        .default('reader' as const),
    )
    .action((id, folder, user, { role }) =>
      run(async (session) => {
        const api = await session.client();
        const value = await withDriveProgress(session, api, id, () =>
          api.drives.shareFolder(
            { drive: id, path: folder, user: user ?? null, role },
            { signal: session.signal },
          ),
        );
        return {
          value,
          text: formatFields([
            ['drive', value.driveId],
            ['link', value.link],
          ]),
        };
      }),
    );
  drive
    .command('unshare-folder')
    .description('makes an ordinary folder of such a drive again; nothing in it is lost')
    .argument('<drive>', 'the drive the folder is in')
    .argument('<path>', 'the folder, in the drive', inDrive)
    .action((id, folder) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).drives.unshareFolder({ drive: id, path: folder }, { signal });
        return { value, text: 'An ordinary folder again.' };
      }),
    );
  drive
    .command('unshare')
    .description('takes a person out (what they have already read, they keep), or ends an invitation')
    .argument('<drive>')
    .argument('<user>', 'a user, or the id of an invitation')
    .action((id, user) =>
      run(async ({ client, signal }) => {
        const { drives } = await client();
        if (/^[0-9a-f]{32}$/.test(user)) {
          const ended = await drives.endInvite({ drive: id, invite: user }, { signal });
          return { value: ended, text: 'The invitation has ended. Who came in by it stays.' };
        }
        const value = await drives.unshare({ drive: id, user }, { signal });
        return { value, text: 'Taken out. What they have already read, they keep.' };
      }),
    );
  drive
    .command('members')
    .description('who may do what')
    .argument('<drive>')
    .action((id) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).drives.members({ drive: id }, { signal });
        const rows = value.map((member) => [
          member.role,
          formatTime(member.since),
          member.opened ? '' : 'not opened yet',
          member.userId,
        ]);
        return { value, text: () => formatTable(['role', 'since', '', 'user'], rows, 'Nobody.') };
      }),
    );
  drive
    .command('rights')
    .description('what was done to its rights: who let whom in, took whom out, opened it')
    .argument('<drive>')
    .action((id) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).drives.rights({ drive: id }, { signal });
        const rows = value.map((one) => [
          formatTime(one.time),
          one.kind,
          one.visibility ?? one.role ?? '',
          one.user ?? '',
          one.device,
          one.author,
        ]);
        return {
          value,
          text: () => formatTable(['time', 'what', '', 'whom', 'computer', 'by'], rows, 'Nothing yet.'),
        };
      }),
    );
  drive
    .command('shared')
    .description('drives shared with you that are not on this computer; drive join ID keeps one here')
    .option('--hide <drive>', 'takes one out of the list')
    .action(({ hide }) =>
      run(async ({ client, signal }) => {
        const { drives } = await client();
        if (hide !== undefined) {
          const value = await drives.hideShared({ drive: hide }, { signal });
          return { value, text: 'Taken out of the list.' };
        }
        const value = await drives.shared({}, { signal });
        const rows = value.map((one) => [one.name, one.role, formatTime(one.time), one.from, one.driveId]);
        return {
          value,
          text: () =>
            formatTable(['name', 'role', 'since', 'from', 'drive'], rows, 'Nothing is shared with you.'),
        };
      }),
    );
  drive
    .command('verify')
    .description('replays the whole history and checks every byte of it; works with no daemon, too')
    .argument('<drive>')
    .action((id) =>
      run(async (session) => {
        let value;
        try {
          value = await (await session.client()).drives.verify({ drive: id }, { signal: session.signal });
        } catch (error) {
          if (!isAppError(error, 'not_running')) throw error;
          value = await verifyOffline(session.dataDir, id, session.signal);
        }
        const rows = value.findings.map((one) => [one.kind, one.seq ?? '', one.entry ?? '', one.message]);
        const sum = `${value.entries} entries of ${value.writers} writers, ${value.forks} forks.`;
        return {
          value,
          text: async () =>
            value.ok
              ? `All is well: ${sum}`
              : `${await formatTable(['what', 'seq', 'entry', ''], rows, 'Not in order.')}\n\n${sum}`,
          failed: !value.ok,
        };
      }),
    );
}
