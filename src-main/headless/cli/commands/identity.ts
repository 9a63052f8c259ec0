import { open } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from '@commander-js/extra-typings';
import { InvalidArgumentError } from '@commander-js/extra-typings';
import type { Device, IdentityInfo } from '../../../../src-shared/contract/index.ts';
import { AppError } from '../../../../src-shared/errors.ts';
import { formatFields, formatTable, formatTime } from '../format.ts';
import { readSecret } from '../secrets.ts';
import type { Run } from '../program.ts';

function identityAnswer(value: IdentityInfo) {
  const text = formatFields([
    ['user', value.userId],
    ['signing key', value.signKey],
    ['encryption key', value.encKey],
    ['card', value.card],
  ]);
  return { value, text };
}

function parseWords(text: string): 12 | 24 {
  if (text === '12') return 12;
  if (text === '24') return 24;
  throw new InvalidArgumentError('It must be 12 or 24.');
}

export function addIdentityCommands(program: Command, run: Run): void {
  const id = program.command('id').description('who you are');
  id.command('create')
    .description('makes a new identity')
    .option('--words <n>', 'length of the phrase: 12 or 24', parseWords, 24)
    .action(({ words }) =>
      run(async ({ client, signal }) =>
        identityAnswer(await (await client()).identity.create({ words }, { signal })),
      ),
    );
  id.command('restore')
    .description('brings an identity back from its phrase')
    .requiredOption('--phrase-file <file>', 'file with the phrase (- for standard input)')
    .action(({ phraseFile }) =>
      run(async ({ client, signal }) => {
        const phrase = await readSecret(phraseFile, 'phrase');
        return identityAnswer(await (await client()).identity.restore({ phrase }, { signal }));
      }),
    );
  id.command('show')
    .description('the identity in use')
    .action(() =>
      run(async ({ client, signal }) => identityAnswer(await (await client()).identity.show({}, { signal }))),
    );
  id.command('backup')
    .description('writes the phrase into a new file that only you can read')
    .requiredOption('--out <file>', 'a file that does not exist yet')
    .action(({ out }) =>
      run(async ({ client, signal }) => {
        const { identity } = await client();
        const file = path.resolve(out);
        await writeNewSecret(file, async () => (await identity.phrase({}, { signal })).phrase);
        return { value: { file }, text: `The phrase is in ${file}. Keep it where nobody else finds it.` };
      }),
    );
  id.command('actors')
    .description('the identities of this phrase')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).identity.actors({}, { signal });
        const rows = value.map((actor) => [actor.current ? '*' : '', actor.name, actor.userId]);
        return { value, text: () => formatTable(['', 'name', 'user'], rows, 'There are none.') };
      }),
    );
  id.command('add-actor')
    .description('makes another identity of the same phrase')
    .argument('<name>')
    .action((name) =>
      run(async ({ client, signal }) =>
        identityAnswer(await (await client()).identity.addActor({ name }, { signal })),
      ),
    );
  id.command('use-actor')
    .description('changes the identity in use')
    .argument('<name>')
    .action((name) =>
      run(async ({ client, signal }) =>
        identityAnswer(await (await client()).identity.useActor({ name }, { signal })),
      ),
    );
}

/** The file is made first: nothing is asked for when it can't be. */
async function writeNewSecret(file: string, secret: () => Promise<string>): Promise<void> {
  const handle = await open(file, 'wx', 0o600).catch((cause: unknown) => {
    throw (cause as NodeJS.ErrnoException).code === 'EEXIST'
      ? new AppError('already_exists', `${file} exists already; nothing was written.`, { cause })
      : new AppError('invalid_argument', `Can't make ${file}: ${(cause as Error).message}.`, { cause });
  });
  try {
    await handle.writeFile(`${await secret()}\n`);
    await handle.sync();
  } catch (error) {
    const { rm } = await import('node:fs/promises');
    await rm(file, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

function deviceRow(device: Device) {
  const state = device.current ? 'this one' : device.connected ? 'connected' : '';
  return [device.name, device.state, state, formatTime(device.since), device.code ?? '', device.peerId];
}

export function addDeviceCommands(program: Command, run: Run): void {
  const device = program.command('device').description('your computers');
  device
    .command('list')
    .description('the computers of this identity')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).devices.list({}, { signal });
        const head = ['name', 'state', '', 'since', 'code', 'peer'];
        return { value, text: () => formatTable(head, value.map(deviceRow), 'There are none.') };
      }),
    );
  device
    .command('invite')
    .description('makes a code for a new computer')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).devices.invite({}, { signal });
        const text = `On the new computer: extrachain device join ${value.code}\nGood until ${formatTime(value.expires)}.`;
        return { value, text };
      }),
    );
  device
    .command('join')
    .description('asks to become a computer of the identity that made the code')
    .argument('<code>')
    .action((code) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).devices.join({ code }, { signal });
        const text = value.linked
          ? `Linked to ${value.userId}.`
          : `On the other computer, after comparing the code: extrachain device approve ${value.code}`;
        return { value, text };
      }),
    );
  device
    .command('approve')
    .description('lets a computer that asked become one of yours')
    .argument('<code>')
    .action((code) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).devices.approve({ code }, { signal });
        return { value, text: `${value.name} is one of your computers now.` };
      }),
    );
  device
    .command('name')
    .description('calls a computer something else; needs one with the recovery phrase')
    .argument('<device>', 'its peer id or name')
    .argument('<name>')
    .action((which, name) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).devices.name({ device: which, name }, { signal });
        return { value, text: `It is called ${value.name} now.` };
      }),
    );
  device
    .command('revoke')
    .description('takes a computer away: it may neither read nor write from now on')
    .argument('<device>', 'its peer id or name')
    .action((name) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).devices.revoke({ device: name }, { signal });
        return { value, text: 'Revoked. What it has already read, it keeps.' };
      }),
    );
}
