import { inject, readonly, ref } from 'vue';
import type { InjectionKey, Ref } from 'vue';
import { contract } from '../../src-shared/contract/index.ts';
import type { AppContract } from '../../src-shared/contract/index.ts';
import { AppError } from '../../src-shared/errors.ts';
import { createLink, foldWatched, foldWatchedList } from '../../src-shared/rpc/index.ts';
import type { Client, Link, WatchedItem, WatchedListItem } from '../../src-shared/rpc/index.ts';
import { wallClock } from '../../src-shared/wall-clock.ts';
import { dialShell, dialWebSocket } from './carriers.ts';
import { createTokenHolder } from './token.ts';

export type NodeClient = Client<AppContract>;

/** The window's way to its node. */
export interface NodeLink {
  /** `no_token`: opened without the address that the daemon printed. */
  readonly state: Readonly<Ref<'no_token' | 'connecting' | 'open'>>;
  /** In a desktop window the shell does what a page can't. */
  readonly desktop: boolean;
  /** Takes the token out of an address that a person pasted. */
  useAddress(address: string): boolean;
  /** Calls the node; while there is no connection it waits for one. */
  call<T>(work: (client: NodeClient) => Promise<T>): Promise<T>;
  /** Watches an object or a list for good; fresh snapshots after every lost connection. Returns what ends it. */
  watchObject<T extends object>(
    subscribe: (client: NodeClient) => AsyncIterableIterator<WatchedItem<T>>,
    onValue: (value: T) => void,
    onFailure?: (error: unknown) => void,
  ): () => void;
  watchList<T>(
    subscribe: (client: NodeClient) => AsyncIterableIterator<WatchedListItem<T>>,
    key: (item: T) => string,
    onItems: (items: readonly T[]) => void,
    onFailure?: (error: unknown) => void,
  ): () => void;
  watch: Link<AppContract>['watch'];
}

const linkKey: InjectionKey<NodeLink> = Symbol('node link');
export { linkKey };

/** The link that the app was started with. */
export function useLink(): NodeLink {
  const link = inject(linkKey);
  if (!link) throw new Error('The app was started without a link to a node.');
  return link;
}

/** Opens and keeps the connection to the node. */
export function createNodeLink(): NodeLink {
  const shell = window.extrachainHost;
  const tokens = createTokenHolder();
  const state = ref<'no_token' | 'connecting' | 'open'>(shell || tokens.get() ? 'connecting' : 'no_token');
  const link = createLink({
    contract,
    clock: wallClock,
    dial() {
      if (shell) return dialShell(shell);
      const token = tokens.get();
      if (token === null) return Promise.reject(new AppError('unreachable', 'There is no token.'));
      return dialWebSocket(`ws://${location.host}/rpc`, token);
    },
    onState(now) {
      state.value = now === 'connecting' && !shell && tokens.get() === null ? 'no_token' : now;
    },
  });
  void link.start();
  tokens.onChange(() => {
    if (state.value === 'no_token') state.value = 'connecting';
  });
  return {
    state: readonly(state),
    desktop: shell !== undefined,
    useAddress: (address) => tokens.take(address),
    async call(work) {
      return work(await link.ready());
    },
    watchObject<T extends object>(
      subscribe: (client: NodeClient) => AsyncIterableIterator<WatchedItem<T>>,
      onValue: (value: T) => void,
      onFailure?: (error: unknown) => void,
    ) {
      const fold = foldWatched<T>();
      return link.watch(subscribe, (item) => onValue(fold(item)), onFailure);
    },
    watchList<T>(
      subscribe: (client: NodeClient) => AsyncIterableIterator<WatchedListItem<T>>,
      key: (item: T) => string,
      onItems: (items: readonly T[]) => void,
      onFailure?: (error: unknown) => void,
    ) {
      const fold = foldWatchedList<T>(key);
      return link.watch(subscribe, (item) => onItems(fold(item)), onFailure);
    },
    watch: link.watch,
  };
}
