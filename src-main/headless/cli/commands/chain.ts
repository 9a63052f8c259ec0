import { readFile } from 'node:fs/promises';
import type { Command } from '@commander-js/extra-typings';
import { InvalidArgumentError } from '@commander-js/extra-typings';
import type { ChainBlock, ChainStatus, ChainValidator } from '../../../../src-shared/contract/index.ts';
import { AppError } from '../../../../src-shared/errors.ts';
import { formatBytes, formatFields, formatTable, formatTime } from '../format.ts';
import { parseCount, parseSeconds } from '../parse.ts';
import type { Run } from '../program.ts';

const chainRoles = ['validator', 'full', 'light'] as const;

function parseRole(text: string): 'auto' | (typeof chainRoles)[number] {
  if (text === 'auto') return text;
  const role = chainRoles.find((one) => one === text);
  if (role === undefined) throw new InvalidArgumentError('It must be auto, validator, full or light.');
  return role;
}

function parseHeight(text: string): number {
  return text === '0' ? 0 : parseCount(text);
}

/** Others that showed the same newest header; one validator has none that could contradict it. */
function witnessWords({ witnesses, validators }: ChainStatus): string {
  const count = String(witnesses ?? 0);
  return validators === 1 ? `${count}; with a single validator nobody could contradict it` : count;
}

/** A role that followed the size of the ledger says so, and the way back. */
function roleWords({ role, syncing, lightened }: ChainStatus): string {
  const words = lightened
    ? `${role}, by itself since ${formatTime(lightened.time)}, as the ledger took ${formatBytes(lightened.bytes)} here; \`chain role full\` checks every block again`
    : role;
  return syncing ? `${words}, catching up` : words;
}

function diskWords({ bytes, role, lightAbove }: ChainStatus): string {
  const taken = formatBytes(bytes ?? 0);
  return role === 'full' && lightAbove !== null
    ? `${taken}; above ${formatBytes(lightAbove)} this computer checks headers only`
    : taken;
}

function statusAnswer(value: ChainStatus) {
  const text = formatFields([
    ['chain', value.chainId],
    ['height', value.height],
    ['block', value.hash],
    ['state', value.stateRoot],
    ['time', formatTime(value.time)],
    ['validators', `${value.validators}, power ${value.power}`],
    ['role', roleWords(value)],
    ...(value.bytes === null ? [] : ([['on disk', diskWords(value)]] as const)),
    ['peers', value.peers],
    ...(value.witnesses === null ? [] : ([['witnesses', witnessWords(value)]] as const)),
    ['waiting', `${value.mempool} transactions`],
    ...(value.problem === null ? [] : ([['problem', value.problem]] as const)),
    ['link', value.link],
  ]);
  return { value, text };
}

function blockAnswer(value: ChainBlock) {
  const text = formatFields([
    ['height', value.height],
    ['block', value.hash],
    ['state', value.stateRoot],
    ['time', formatTime(value.time)],
    ['proposer', value.proposer],
    ['signed by', value.signatures],
    ...value.txs.map((one): [string, string] => [
      'transaction',
      `${one.hash}  ${one.ok ? 'done' : one.code}`,
    ]),
  ]);
  return { value, text };
}

function validatorRow(one: ChainValidator) {
  const state = one.tombstoned ? 'tombstoned' : one.jailed ? 'jailed' : one.active ? 'active' : 'waiting';
  return [one.validator, one.name, one.power, state, `${one.commission / 100} %`, one.userId];
}

async function readGenesis(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new AppError('invalid_argument', `Can't read ${file}: ${(cause as Error).message}.`, { cause });
  }
}

/** `chain ...`: the networks this computer follows. */
export function addChainCommands(program: Command, run: Run): void {
  const chain = program.command('chain').description('the ledgers this computer follows');
  chain
    .command('create')
    .description('founds a network of its own, with this computer as its validator')
    .argument('<name>', 'lower-case letters, digits and -')
    .option('--genesis-file <file>', 'parameters, tokens and balances to begin with (see docs/ledger.md)')
    .option('--continue <chain>', 'begins with the whole state of a network that stands still')
    .option('--validators <users>', 'who runs the validators that go on there, user ids with commas between')
    .option('--new-key', 'this computer validates there in place of yours that is gone')
    .action((name, { genesisFile, continue: old, validators, newKey = false }) =>
      run(async ({ client, signal }) => {
        if ((old === undefined) !== (validators === undefined))
          throw new AppError('invalid_argument', 'Give --continue and --validators together.');
        if (newKey && old === undefined)
          throw new AppError('invalid_argument', 'A new key goes with --continue.');
        const genesis = genesisFile === undefined ? null : await readGenesis(genesisFile);
        const continues =
          old === undefined
            ? {}
            : {
                continues: { chain: old, validators: (validators ?? '').split(',').filter(Boolean), newKey },
              };
        const value = await (await client()).chain.create({ name, genesis, ...continues }, { signal });
        return {
          value,
          text: formatFields([
            ['chain', value.chainId],
            ['link', value.link],
          ]),
        };
      }),
    );
  chain
    .command('join')
    .description('follows a network by its link and makes it the active one')
    .argument('<link>')
    .option('--light', 'keep headers only and ask others for everything else, with proofs')
    .action((link, { light }) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).chain.join({ link, light: light ?? false }, { signal });
        return { value, text: `Following ${value.chainId}.` };
      }),
    );
  chain
    .command('list')
    .description('the networks this computer follows')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).chain.list({}, { signal });
        const rows = value.map((one) => [
          one.active ? '*' : '',
          one.chainId,
          one.height,
          one.role,
          one.peers,
        ]);
        return {
          value,
          text: () => formatTable(['', 'chain', 'height', 'role', 'peers'], rows, 'There are none.'),
        };
      }),
    );
  chain
    .command('use')
    .description('makes a followed network the active one')
    .argument('<chain>')
    .action((chainId) =>
      run(async ({ client, signal }) =>
        statusAnswer(await (await client()).chain.use({ chainId }, { signal })),
      ),
    );
  chain
    .command('leave')
    .description('follows a network no longer and deletes what is kept of it')
    .argument('<chain>')
    .action((chainId) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).chain.leave({ chainId }, { signal });
        return { value, text: `${chainId} is not followed any more.` };
      }),
    );
  chain
    .command('status')
    .description('height, state and consensus of the active network')
    .action(() =>
      run(async ({ client, signal }) => statusAnswer(await (await client()).chain.status({}, { signal }))),
    );
  chain
    .command('wait')
    .description('returns when a height is reached')
    .requiredOption('--height <n>', 'the height', parseHeight)
    .option('--timeout <seconds>', 'gives up after so long', parseSeconds)
    .action(({ height, timeout }) =>
      run(async ({ client, signal }) =>
        statusAnswer(await (await client()).chain.wait({ height, timeout: timeout ?? null }, { signal })),
      ),
    );
  chain
    .command('verify')
    .description('runs the whole chain kept here once more and compares')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).chain.verify({}, { signal });
        const text = value.ok
          ? `All is well: blocks ${value.from + 1} to ${value.height} lead to the same state.`
          : value.message;
        return { value, text, failed: !value.ok };
      }),
    );
  chain
    .command('snapshot')
    .description('writes a snapshot of the state that others can start from')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).chain.snapshot({}, { signal });
        return {
          value,
          text: `Snapshot at ${value.height}: ${value.chunks} chunks, ${formatBytes(value.bytes)}.`,
        };
      }),
    );
  chain
    .command('role')
    .description(
      'how much of the chain this computer checks: validator, full or light; auto: full until it takes too much of the disk',
    )
    .argument('<role>', 'auto, validator, full or light', parseRole)
    .action((role) =>
      run(async ({ client, signal }) =>
        statusAnswer(await (await client()).chain.role({ role }, { signal })),
      ),
    );
  chain
    .command('validators')
    .description('who decides blocks')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).chain.validators({}, { signal });
        const head = ['validator', 'name', 'power', 'state', 'commission', 'user'];
        return { value, text: () => formatTable(head, value.map(validatorRow), 'There are none.') };
      }),
    );
  chain
    .command('block')
    .description('one block')
    .argument('<height>', 'its height', parseHeight)
    .action((height) =>
      run(async ({ client, signal }) =>
        blockAnswer(await (await client()).chain.block({ height }, { signal })),
      ),
    );
}
