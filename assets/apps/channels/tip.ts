import { AppRequestError, type App } from '../../../src-shared/sdk/index.ts';
import { h, shortId, whyOf } from '../common/dom.ts';
import type { Tip } from '../common/talk.ts';
import { say, words } from './words.ts';

/**
 * Sends a tip: the person says how much here, and yes in ExtraChain's own window.
 * @param to user id; `name`: what its owner goes by, or ''
 * @param tipped told what was sent, once it is final
 */
export async function openTip(
  app: App,
  {
    to,
    name,
    memo,
    tipped,
  }: {
    readonly to: string;
    readonly name: string;
    readonly memo: string;
    readonly tipped: (tip: Tip) => void;
  },
): Promise<void> {
  await app.ask('tokens.read', 'tokens.spend');
  const balances = (await app.wallet.balances()).filter(({ amount }) => Number(amount) > 0);
  const note = h('p', { class: 'quiet', role: 'status' });
  const amount = h('input', {
    inputmode: 'decimal',
    pattern: '\\d+(\\.\\d+)?',
    required: true,
    autocomplete: 'off',
    value: '1',
  });
  const token = h('select', {}, ...balances.map(({ symbol }) => h('option', {}, symbol)));
  const send = h('button', { class: 'button primary' }, words.send);
  const dialog = h(
    'dialog',
    { class: 'box', onclose: () => dialog.remove() },
    h(
      'form',
      { onsubmit: (event: Event) => (event.preventDefault(), void pay()) },
      h('h2', {}, words.tipTitle),
      h('p', { class: 'quiet' }, say(words.tipText, { to: name || shortId(to) })),
      balances.length === 0
        ? h('p', { class: 'problem' }, words.noTokens)
        : h(
            'div',
            { class: 'sum' },
            h('label', {}, words.amount, amount),
            h('label', {}, words.token, token),
          ),
      note,
      h(
        'footer',
        {},
        h('button', { type: 'button', class: 'button', onclick: () => dialog.close() }, words.close),
        balances.length > 0 && send,
      ),
    ),
  );

  async function pay(): Promise<void> {
    const what = `${amount.value} ${token.value}`;
    send.disabled = true;
    note.className = 'quiet';
    note.textContent = words.tipping;
    try {
      const hash = await app.wallet.pay({
        to,
        amount: amount.value,
        symbol: token.value,
        memo: memo.slice(0, 256),
      });
      const { ok, message } = await app.wallet.settled(hash, 120);
      if (!ok) throw new Error(message);
      note.textContent = say(words.tipped, { what });
      send.remove();
      tipped({ amount: amount.value, symbol: token.value, tx: hash });
    } catch (error) {
      send.disabled = false;
      const rejected = error instanceof AppRequestError && error.rejected;
      note.className = rejected ? 'quiet' : 'problem';
      note.textContent = rejected ? '' : `${words.failed} ${whyOf(error)}`;
    }
  }
  document.body.append(dialog);
  dialog.showModal();
  amount.select();
}
