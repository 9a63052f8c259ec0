import { defineStore } from 'pinia';
import { computed, shallowRef, triggerRef } from 'vue';
import type { Person } from '../../src-shared/contract/index.ts';
import { AppError } from '../../src-shared/errors.ts';
import { follow } from '../rpc/follow.ts';
import { useLink } from '../rpc/node-link.ts';
import { shortId } from '../ui/format.ts';
import { useNode } from './node.ts';

/** Ids that are shown are asked for together, and again after a while: names come and go. ms */
const gatherMs = 150;
const askAgainMs = 60_000;

/** The names this person gave to others; where there is none, the one they have on the network; else the id without its middle. */
export const usePeople = defineStore('people', () => {
  const link = useLink();
  const node = useNode();
  const list = shallowRef<readonly Person[]>([]);
  follow(
    () => node.online,
    (_, failed) =>
      link.watchList<Person>(
        (client) => client.people.watch(),
        (one) => one.userId,
        (items) => (list.value = items),
        failed,
      ),
  );
  const names = computed(() => new Map(list.value.map((one) => [one.userId, one.name])));
  /** Names of accounts on the network, null for those without one. */
  const onNetwork = shallowRef(new Map<string, string | null>());
  const askedAt = new Map<string, number>();
  const gathered: string[] = [];
  async function ask() {
    const users = gathered.splice(0, 200);
    try {
      const found = await link.call((client) => client.names.of({ users }));
      for (const user of users) onNetwork.value.set(user, found[user] ?? null);
      triggerRef(onNetwork);
    } catch {
      // The id is shown instead.
    }
    if (gathered.length > 0) setTimeout(ask, gatherMs);
  }
  /** `@name`, or null as long as none is known. */
  function networkName(userId: string): string | null {
    if (Date.now() - (askedAt.get(userId) ?? -askAgainMs) >= askAgainMs && node.online) {
      askedAt.set(userId, Date.now());
      gathered.push(userId);
      if (gathered.length === 1) setTimeout(ask, gatherMs);
    }
    const name = onNetwork.value.get(userId) ?? null;
    return name === null ? null : `@${name}`;
  }
  /** Who is meant by a name that this person gave, or by an id; what is no known name is taken for an id. */
  function idOf(text: string): string {
    const wanted = text.trim().toLocaleLowerCase();
    const named = list.value.filter((one) => one.name.toLocaleLowerCase() === wanted);
    return named.length === 1 ? (named[0]?.userId ?? wanted) : text.trim();
  }
  return {
    list,
    /** null: none was given. */
    givenName: (userId: string): string | null => names.value.get(userId) ?? null,
    nameOf: (userId: string): string => names.value.get(userId) ?? networkName(userId) ?? shortId(userId),
    idOf,
    /**
     * As `idOf`, and `@name` is asked for on the network.
     * @throws AppError `not_found` or what the node says, when nobody has that name
     */
    async find(text: string): Promise<string> {
      const meant = idOf(text);
      if (!meant.startsWith('@')) return meant;
      const name = meant.slice(1).toLowerCase();
      const { kind, target } = await link.call((client) => client.names.resolve({ name }));
      if (kind === 'person') return target;
      throw new AppError('not_found', `@${name} is not the name of a person.`);
    },
    setName: (user: string, name: string | null) => link.call((client) => client.people.name({ user, name })),
  };
});
