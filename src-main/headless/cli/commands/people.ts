import type { Command } from '@commander-js/extra-typings';
import { formatTable } from '../format.ts';
import type { Run } from '../program.ts';

/** `person ...`: what you call others; kept on this computer. */
export function addPersonCommands(program: Command, run: Run): void {
  const person = program
    .command('person')
    .description('names you give to other people, known to your own computers only');
  person
    .command('list')
    .description('the names given')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).people.list({}, { signal });
        const rows = value.map((one) => [one.name, one.userId]);
        return { value, text: () => formatTable(['name', 'user'], rows, 'No names were given yet.') };
      }),
    );
  person
    .command('name')
    .description('calls a user so; without a name forgets it')
    .argument('<user>')
    .argument('[name]')
    .action((user, given) =>
      run(async ({ client, signal }) => {
        const name = given ?? null;
        const value = await (await client()).people.name({ user, name }, { signal });
        return { value, text: name === null ? 'Forgotten.' : `Called ${name} here.` };
      }),
    );
}
