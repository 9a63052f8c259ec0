import { ref, watch } from 'vue';
import type { Ref } from 'vue';
import type { StreamSummary } from '../../../src-shared/contract/index.ts';
import { useLink } from '../../rpc/node-link.ts';

/** The address of a stream's picture; null while there is none, or it has not come. It may be asked of another computer. */
export function usePoster(stream: () => StreamSummary | null): Ref<string | null> {
  const link = useLink();
  const url = ref<string | null>(null);
  watch(
    () => stream()?.poster ?? null,
    (name) => {
      url.value = null;
      const id = stream()?.streamId;
      if (name === null || id === undefined) return;
      link
        .call((client) => client.streams.poster({ stream: id }))
        .then(
          (found) => {
            if (stream()?.poster === name) url.value = found.url;
          },
          // Without it the card has the face of who streams.
          () => {},
        );
    },
    { immediate: true },
  );
  return url;
}
