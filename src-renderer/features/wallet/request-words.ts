import type { SigningRequest } from '../../../src-shared/contract/index.ts';

type Words = (key: string, values?: Record<string, unknown>) => string;

/** A request in a sentence. @param name how a person is called */
export function requestWords(
  one: SigningRequest,
  t: Words,
  name: (userId: string) => string,
  amount: (text: string) => string,
): string {
  if (one.kind === 'account') {
    return t('signing.wantsShared', { name: name(one.account), m: one.threshold, n: one.signers.length });
  }
  const [first] = one.messages;
  if (one.messages.length === 1 && first?.type === 'bank.send' && first.amount && first.to) {
    return t('signing.wantsSend', {
      amount: amount(first.amount),
      symbol: first.symbol ?? '',
      name: name(first.to),
    });
  }
  return one.messages
    .map(({ type, amount: value, symbol }) =>
      [type, value && amount(value), value && symbol].filter(Boolean).join(' '),
    )
    .join(', ');
}
