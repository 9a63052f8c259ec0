import type { AppCollectionInvitation } from '../../../src-shared/sdk/index.ts';
import { h, shortId } from './dom.ts';

/** The card of an invitation into a collection, with a yes and a no. */
export const invitationCard = (
  { name, from }: AppCollectionInvitation,
  words: { readonly invited: string; readonly join: string; readonly decline: string },
  on: { readonly join: () => void; readonly decline: () => void },
): HTMLElement =>
  h(
    'div',
    { class: 'invited' },
    h('p', {}, h('b', {}, name), ' ', h('span', { class: 'quiet' }, `${shortId(from)} ${words.invited}`)),
    h(
      'p',
      {},
      h('button', { class: 'button primary', onclick: on.join }, words.join),
      ' ',
      h('button', { class: 'button', onclick: on.decline }, words.decline),
    ),
  );
