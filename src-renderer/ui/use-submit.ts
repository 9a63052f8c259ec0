import { ref } from 'vue';
import { useFailure } from './use-failure.ts';

/**
 * What every form that asks the node for something has: it is busy meanwhile, and says in a sentence what went wrong.
 * @param work done when it is sent; what it throws becomes the sentence
 */
export function useSubmit(work: () => Promise<unknown>) {
  const { words } = useFailure();
  const busy = ref(false);
  const failure = ref('');
  async function submit(): Promise<void> {
    busy.value = true;
    failure.value = '';
    try {
      await work();
    } catch (error) {
      failure.value = words(error).title;
    } finally {
      busy.value = false;
    }
  }
  return { busy, failure, submit };
}
