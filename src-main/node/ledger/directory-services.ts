import type { NodeServices } from '../../api/index.ts';
import { hashOfUserId, userIdOfHash } from '../../identity/index.ts';
import { searchDirectory } from '../../ledger/index.ts';
import type { Online } from '../core.ts';
import type { Chains } from './chains.ts';
import { handIn } from './hand-in.ts';
import { marketMessage } from './market-messages.ts';
import { iso } from './shown.ts';
import type { Wallet } from './wallet.ts';

interface Parts {
  readonly online: () => Online;
  readonly chains: () => Chains;
  readonly wallet: () => Wallet;
}

/** The directory that the active network keeps, as the contract has it. */
export function createDirectoryServices({
  online,
  chains,
  wallet,
}: Parts): Pick<NodeServices['directory'], 'entries' | 'publish' | 'remove'> {
  const perform = async (act: Parameters<typeof marketMessage>[3]): Promise<{ hash: string }> => {
    const [now, own] = [online().clock.now(), hashOfUserId(wallet().user())];
    return handIn(
      { online: online(), wallet: wallet() },
      await chains().get(null),
      (view) => marketMessage(view, own, now, act),
      act.input,
    );
  };
  return {
    async entries({ text, limit }) {
      // What is looked for is for showing: where there is no network there is nothing.
      const open = chains().current();
      if (!open?.ledger) return [];
      return open.reader.read(
        ({ state }) =>
          searchDirectory(state, text, limit).map(({ owner, paidUntil, ...entry }) => ({
            ...entry,
            owner: userIdOfHash(owner),
            paidUntil: iso(paidUntil),
          })),
        'directory',
      );
    },
    publish: (input) => perform({ act: 'directoryPublish', input }),
    remove: (input) => perform({ act: 'directoryRemove', input }),
  };
}
