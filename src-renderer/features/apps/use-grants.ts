import { computed, reactive, ref } from 'vue';
import { isAboutFolder } from '../../../src-shared/apps/permissions.ts';
import type { Grant, PermissionName, PermissionRequest } from '../../../src-shared/apps/index.ts';
import { granted, isAlways } from './permission-words.ts';

export interface AskedRow {
  readonly request: PermissionRequest;
  readonly needed: boolean;
}

/** What a person chose of what an app asks for: switches of the optional ones, and one folder for all that are about one. */
export function useGrants(
  asked: () => {
    readonly required: readonly PermissionRequest[];
    readonly optional: readonly PermissionRequest[];
  },
) {
  const on = reactive(new Map<PermissionName, boolean>());
  const folder = ref<{ drive: string; path: string } | null>(null);
  const rows = computed((): AskedRow[] => [
    ...asked().required.map((request) => ({ request, needed: true })),
    ...asked().optional.map((request) => ({ request, needed: false })),
  ]);
  const taken = computed(() => rows.value.filter((one) => one.needed || on.get(one.request.name) === true));
  return {
    rows,
    on,
    folder,
    /** Something needs a folder and none is picked. */
    lacksFolder: computed(
      () => folder.value === null && taken.value.some(({ request }) => isAboutFolder(request.name)),
    ),
    writes: computed(() => taken.value.some(({ request }) => request.name === 'drive.write')),
    grants: computed((): Grant[] =>
      taken.value
        .filter(({ request }) => !isAlways(request.name))
        .map(({ request }) => granted(request, folder.value)),
    ),
  };
}
