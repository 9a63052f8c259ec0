import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { AppError } from '../../../src-shared/errors.ts';
import type { AppView, LedgerView } from '../../ledger/index.ts';
import type { OpenChain } from '../ledger/chains.ts';
import { searchApps } from './store-search.ts';

const count = 6000;
/** As many as a light node takes in one list. */
const most = 2048;
const apps = Array.from({ length: count }, (_, n) => ({
  key: createHash('sha256').update(`${n}`).digest().toString('latin1'),
  row: { name: `App ${n}`, slug: `app-${n}`, text: '', categories: [] },
})).sort((a, b) => (a.key < b.key ? -1 : 1));

function chain(light: boolean) {
  const asked: string[] = [];
  const state = {
    get: () => null,
    *rows(table: { readonly name: string }, prefix = '') {
      if (table.name !== 'apps') return;
      asked.push(prefix);
      let told = 0;
      for (const { key, row } of apps.filter((one) => one.key.startsWith(prefix))) {
        if (light && ++told > most) throw new AppError('too_large', 'more than a light node looks through');
        yield [key, row];
      }
    },
  };
  const view = { state, time: 0 } as unknown as LedgerView;
  const open = {
    ledger: light ? null : {},
    reader: { read: async <T>(look: (one: LedgerView) => T) => look(view) },
  };
  return { asked, open: open as unknown as OpenChain };
}
async function all(open: OpenChain, wanted: (name: string) => boolean): Promise<string[]> {
  const found: string[] = [];
  for await (const some of searchApps(
    open,
    (row) => wanted(row.name),
    (_, app: AppView) => app.name,
  ))
    found.push(...some);
  return found;
}

it('looks through all of a register that no list holds, in slices, on light nodes too', async () => {
  for (const light of [false, true]) {
    const { asked, open } = chain(light);
    expect((await all(open, () => true)).length).toBe(count);
    expect(await all(open, (name) => name === 'App 5999')).toEqual(['App 5999']);
    expect(asked.filter((prefix) => prefix === '').length).toBe(light ? 2 : 0);
  }
});
