import { useI18n } from 'vue-i18n';
import type { AppDeed } from '../../../src-shared/contract/index.ts';
import { usePeople } from '../../stores/people.ts';
import { amountText } from '../../ui/token-amount.ts';
import { useFormat } from '../../ui/use-format.ts';

/** Methods of the provider that are one thing to a person. */
const kinds: Readonly<Record<string, string>> = {
  exc_sendTransaction: 'paid',
  exc_driveList: 'read',
  exc_driveEntries: 'read',
  exc_driveRead: 'read',
  exc_driveWatch: 'read',
  exc_driveWrite: 'wrote',
  exc_driveMkdir: 'wrote',
  exc_driveRemove: 'deleted',
  exc_driveShare: 'shared',
  exc_pickFolder: 'folder',
  exc_requestPermissions: 'more',
  exc_signIn: 'signIn',
  exc_signMessage: 'signed',
  exc_messageSend: 'message',
  exc_collectionShare: 'invited',
  exc_serviceCall: 'service',
  exc_serviceCallWatch: 'service',
  exc_serviceProvide: 'offered',
  exc_streamWatch: 'watched',
  exc_streamPublish: 'live',
  exc_notify: 'notice',
  exc_openLink: 'link',
};
const payment = /^(\S+) (\S+) to (exc1[a-z0-9]{58})$/;

/** What an app did, in plain words: the deed, and what it was about with people by their names. */
export function useDeedWords() {
  const { t } = useI18n();
  const { locale } = useFormat();
  const people = usePeople();
  function about(one: AppDeed): string {
    const [, amount, symbol = '', who = ''] = payment.exec(one.about) ?? [];
    if (amount !== undefined)
      return t('apps.deed.paidTo', {
        amount: amountText(amount, locale.value),
        symbol,
        who: people.nameOf(who),
      });
    return one.about.replaceAll(/\bexc1[a-z0-9]{58}\b/g, (id) => people.nameOf(id));
  }
  return (one: AppDeed): { readonly what: string; readonly about: string } => {
    const kind = kinds[one.method];
    // The root of a folder says nothing.
    const rest = one.about === '/' ? '' : about(one);
    return { what: kind === undefined ? one.method : t(`apps.deed.${kind}`), about: rest };
  };
}
