import { refDebounced } from '@vueuse/core';
import { computed, ref, shallowRef, watch } from 'vue';
import type { DirectoryEntry, ListedDrive, Name, StoreApp } from '../../../src-shared/contract/index.ts';
import { useLink } from '../../rpc/node-link.ts';
import { useStreams } from '../../stores/streams.ts';
import { useFailure } from '../../ui/use-failure.ts';

/** Typing pauses before the node is asked, ms. */
const pause = 200;
const most = 50;

/** Everything public that the words find: what neighbours tell, what stands on the network, apps, and the name itself. */
export function useDirectory() {
  const link = useLink();
  const streams = useStreams();
  const { words } = useFailure();
  const text = ref('');
  const settled = refDebounced(text, pause);
  const drives = shallowRef<readonly ListedDrive[]>([]);
  const entries = shallowRef<readonly DirectoryEntry[]>([]);
  const apps = shallowRef<readonly StoreApp[]>([]);
  const name = shallowRef<Name | null>(null);
  const loaded = ref(false);
  const failure = ref('');
  let asked = 0;

  async function load() {
    const mine = ++asked;
    const wanted = settled.value.trim();
    const exact = wanted.replace(/^@/, '').toLowerCase();
    try {
      const [told, listed, published, called] = await link.call((client) =>
        Promise.all([
          client.directory.search({ text: wanted, limit: most }),
          client.directory.entries({ text: wanted.replace(/^@/, ''), limit: most }),
          // A node without a network has neither apps nor names.
          client.apps.list({ search: wanted, limit: most }).catch(() => []),
          /^[a-z0-9][a-z0-9-]{1,30}[a-z0-9]$/.test(exact)
            ? client.names.resolve({ name: exact }).catch(() => null)
            : null,
        ]),
      );
      if (mine !== asked) return;
      drives.value = told;
      entries.value = listed;
      apps.value = published;
      name.value = called;
      failure.value = '';
      loaded.value = true;
    } catch (error) {
      if (mine === asked) failure.value = words(error).title;
    }
  }
  watch(settled, load, { immediate: true });

  const told = computed(() => new Set(drives.value.map((one) => one.driveId)));
  return {
    text,
    loaded,
    failure,
    load,
    name,
    apps,
    drives,
    /** Drives of the network that no neighbour speaks of. */
    listed: computed(() => entries.value.filter((one) => one.kind === 'drive' && !told.value.has(one.id))),
    people: computed(() => entries.value.filter((one) => one.kind === 'person')),
    /** Live ones that this node knows, then those of the network. */
    live: computed(() => {
      const wanted = settled.value.trim().toLocaleLowerCase();
      return streams.live.filter((one) => one.title.toLocaleLowerCase().includes(wanted));
    }),
    streams: computed(() =>
      entries.value.filter((one) => one.kind === 'stream' && !streams.byId.has(one.id)),
    ),
  };
}
