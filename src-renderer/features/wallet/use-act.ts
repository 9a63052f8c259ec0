import { computed, onUnmounted, ref, watch } from 'vue';
import type { Ref } from 'vue';
import { useI18n } from 'vue-i18n';
import { toast } from 'vue-sonner';
import type { TxPreview, WalletAct } from '../../../src-shared/contract/index.ts';
import { isAppError } from '../../../src-shared/errors.ts';
import { useLink } from '../../rpc/node-link.ts';
import { useSigning } from '../../stores/signing.ts';
import { useFailure } from '../../ui/use-failure.ts';
import { doAct } from './acts.ts';

/** Typing pauses before the node is asked what would happen, ms. */
const pause = 250;

/**
 * What an act would do, kept current while the form changes; null while there is nothing to tell. `password` is for the field of
 * `WhatHappens`; `secret()` goes with what is sent, empty where none is asked for.
 */
export function usePreview(
  act: () => WalletAct | null,
  joint: () => Joint = () => ({ account: null, sponsor: null }),
) {
  const link = useLink();
  const { words } = useFailure();
  const preview: Ref<TxPreview | null> = ref(null);
  const problem = ref('');
  const password = ref('');
  const secret = (): { password?: string } => (preview.value?.password ? { password: password.value } : {});
  let timer = 0;
  let asked = 0;
  watch(
    () => [act(), joint()] as const,
    ([wanted, { account, sponsor }]) => {
      clearTimeout(timer);
      const mine = ++asked;
      if (!wanted) {
        preview.value = null;
        problem.value = '';
        return;
      }
      timer = window.setTimeout(async () => {
        try {
          const found = await link.call((client) =>
            account === null && sponsor === null
              ? client.wallet.preview(wanted)
              : client.signing.preview({ act: wanted, account, sponsor }),
          );
          if (mine !== asked) return;
          preview.value = found;
          problem.value = found.message;
        } catch (error) {
          if (mine !== asked) return;
          preview.value = null;
          problem.value = words(error).title;
        }
      }, pause);
    },
    { deep: true, immediate: true },
  );
  return { preview, problem, password, secret };
}

/** Does an act and says how it went. */
export function useSubmit<T extends string | null>(
  work: () => Promise<{ hash: T }>,
  done: (hash: T) => void,
) {
  const { words } = useFailure();
  const busy = ref(false);
  const failure = ref('');
  /** The password is asked for, or was another one. */
  const wrongPassword = ref(false);
  async function submit() {
    busy.value = true;
    failure.value = '';
    try {
      done((await work()).hash);
    } catch (error) {
      failure.value = words(error).title;
      wrongPassword.value = isAppError(error, 'wrong_password');
    } finally {
      busy.value = false;
    }
  }
  return { busy, failure, wrongPassword, submit };
}

/** Whose transaction it is and who pays its fee, where that is not just the person here. */
export interface Joint {
  /** An account that several people sign for; null: one's own. */
  readonly account: string | null;
  /** null: whoever sends pays. */
  readonly sponsor: string | null;
}

interface ActOptions {
  /** It was handed in. */
  readonly sent: (hash: string) => void;
  /** Others were asked for their signatures first. */
  readonly asked?: () => void;
  /** Default: one's own account, with all its signers where there are several. */
  readonly joint?: () => Joint;
}

/** A form of one act: what would happen, the password where it is asked for, and doing it. */
export function useAct(act: () => WalletAct | null, { sent, asked, joint: given }: ActOptions) {
  const { t } = useI18n();
  const link = useLink();
  const signing = useSigning();
  onUnmounted(signing.look());
  const joint = given ?? (() => ({ account: signing.own?.account ?? null, sponsor: null }));
  const { preview, problem, password, secret } = usePreview(act, joint);
  const { busy, failure, submit } = useSubmit(
    () => {
      const [doing, { account, sponsor }] = [act(), joint()];
      if (!doing) throw new Error('There is nothing to do yet.');
      return link.call(async (client): Promise<{ hash: string | null }> =>
        account === null && sponsor === null
          ? doAct(client, doing, secret().password)
          : client.signing.propose({ act: doing, account, sponsor, ...secret() }),
      );
    },
    (hash) => {
      password.value = '';
      if (hash !== null) return sent(hash);
      toast.success(t('signing.askedOthers'));
      void signing.read();
      asked?.();
    },
  );
  const ready = computed(() => preview.value !== null && preview.value.code === '');
  const trouble = computed(() => problem.value || failure.value);
  return { preview, password, busy, ready, trouble, submit };
}
