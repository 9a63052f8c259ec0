import { defineStore } from 'pinia';
import { computed, ref, shallowRef } from 'vue';
import type { Approval, InstalledApp } from '../../src-shared/contract/index.ts';
import { follow } from '../rpc/follow.ts';
import { useLink } from '../rpc/node-link.ts';
import { useNode } from './node.ts';

/** Where an app that is looked at comes from, as the contract names it: published, a file, or a file sent to the node. */
export type BundleSource =
  { readonly app: string } | { readonly file: string } | { readonly received: string };

/** Addresses of pictures are good for a minute after their last use, ms. */
const pictureLife = 50_000;

/** Installed apps, what waits for a yes, and their pictures. */
export const useApps = defineStore('apps', () => {
  const link = useLink();
  const node = useNode();
  const installed = shallowRef<readonly InstalledApp[]>([]);
  const loaded = ref(false);
  const failure = shallowRef<unknown>(null);
  const approvals = shallowRef<readonly Approval[]>([]);

  follow(
    () => node.ready,
    (_, failed) =>
      link.watchList<InstalledApp>(
        (client) => client.apps.watchInstalled(),
        (one) => one.appId,
        (items) => {
          installed.value = items;
          loaded.value = true;
          failure.value = null;
        },
        failed,
      ),
    (error) => (failure.value = error),
  );
  follow(
    () => node.ready,
    (_, failed) =>
      link.watchList<Approval>(
        (client) => client.apps.watchApprovals(),
        (one) => one.approvalId,
        (items) => (approvals.value = items),
        failed,
      ),
  );

  const pictures = new Map<string, { readonly url: Promise<string | null>; readonly until: number }>();
  /** Where a picture of an app is to be had now; null: it has none that can be reached. */
  function picture(source: BundleSource, version: string, kind: 'icon' | 'screenshot', index = 0) {
    const key = JSON.stringify([source, version, kind, index]);
    const kept = pictures.get(key);
    if (kept && kept.until > Date.now()) return kept.url;
    const url = link
      .call((client) => client.apps.media({ ...source, kind, index }))
      .then((one) => one.url)
      .catch(() => null);
    pictures.set(key, { url, until: Date.now() + pictureLife });
    return url;
  }

  /** A link into ExtraChain that an app was allowed to open: the window takes it as one from outside. */
  const openedLink = ref<string | null>(null);
  const byName = computed(() =>
    installed.value.toSorted((a, b) => Number(b.pinned) - Number(a.pinned) || a.name.localeCompare(b.name)),
  );
  return {
    /** Pinned ones first. */
    list: byName,
    byId: computed(() => new Map(installed.value.map((one) => [one.appId, one]))),
    loaded,
    failure,
    /** Oldest first. */
    approvals: computed(() => approvals.value.toSorted((a, b) => a.createdAt.localeCompare(b.createdAt))),
    /** How much a person has to look at: approvals, updates that ask for more, and installed apps that should not be used. */
    waiting: computed(
      () =>
        approvals.value.length +
        installed.value.filter((one) => (one.update?.grows.length ?? 0) > 0 || one.revoked || one.blocked)
          .length,
    ),
    picture,
    openedLink,
    /** Opens what an app asked for and the person agreed to. */
    openLink(text: string): void {
      if (text.startsWith('https:')) window.open(text, '_blank', 'noopener,noreferrer');
      else openedLink.value = text;
    },
    /** Opens an app in a tab or window of its own. `path`: where in it. */
    async open(app: string, path = ''): Promise<void> {
      const { url } = await link.call((client) => client.apps.launch({ app, path }));
      // The desktop shell shows its own window.
      if (!link.desktop) window.open(url, '_blank', 'noopener');
    },
  };
});
