import type { AppAccount, ParamsOf, ResultOf } from '../apps/methods/index.ts';
import type { Transport } from './transport.ts';

/** Who the person is for this app. */
export interface Accounts {
  /** The app's own account; with `identity.shared` the real one follows. */
  list(): Promise<readonly AppAccount[]>;
  /** The account that this app has of the person: the same on each of their computers that hold the recovery phrase. */
  own(): Promise<AppAccount>;
  /** The real identity; null without the permission `identity.shared`. */
  user(): Promise<AppAccount | null>;
  /**
   * Lets the person sign in: a text in the layout of EIP-4361, signed.
   * @param wish `nonce`: 8 to 96 letters and digits, new each time
   * @throws AppRequestError `rejected`
   */
  signIn(wish: ParamsOf<'exc_signIn'>): Promise<ResultOf<'exc_signIn'>>;
}

export function createAccounts({ request }: Transport): Accounts {
  const list = async (): Promise<readonly AppAccount[]> => (await request('exc_accounts')).accounts;
  return {
    list,
    own: async () => (await list()).find(({ kind }) => kind === 'app')!,
    user: async () => (await list()).find(({ kind }) => kind === 'user') ?? null,
    signIn: (wish) => request('exc_signIn', wish),
  };
}
