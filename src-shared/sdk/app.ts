import type { AppSession, PermissionName } from './types.ts';
import { createAccounts, type Accounts } from './accounts.ts';
import { createCollections, type Collections } from './collections.ts';
import { createCrypto, type Crypto } from './crypto.ts';
import { createDrives, type Drives } from './drives.ts';
import { createMessages, type Messages } from './messages.ts';
import { findProvider, type Provider } from './provider.ts';
import { createServices, type Services } from './services.ts';
import { createStreams, type Streams } from './streams.ts';
import { createTransport, type Transport, type Unsubscribe } from './transport.ts';
import { createWallet, type Wallet } from './wallet.ts';

/** A connected app: everything it can do, by subject. */
export interface App {
  /** Id, name, version, what is granted now, until when. */
  session(): Promise<AppSession>;
  /**
   * Asks the person for permissions that the manifest names. Nothing is shown for what is granted already.
   * @returns all that is granted then
   */
  ask(...permissions: readonly PermissionName[]): Promise<ReadonlySet<PermissionName>>;
  /** Whether a permission is granted now. */
  has(permission: PermissionName): Promise<boolean>;
  /** Told when permissions were given or taken back. */
  onSessionChanged(listener: () => void): Unsubscribe;
  readonly accounts: Accounts;
  readonly drives: Drives;
  readonly streams: Streams;
  readonly wallet: Wallet;
  readonly crypto: Crypto;
  readonly collections: Collections;
  readonly messages: Messages;
  readonly services: Services;
  /** A notice of the system, in the app's name. Needs `notifications`. */
  notify(title: string, body?: string): Promise<void>;
  /** Asks the person whether a link may be opened: an `extrachain:` one in the main window, an `https:` one in the browser. */
  openLink(link: string): Promise<void>;
  /** Every method of the provider, typed: for what has no function here. */
  readonly transport: Transport;
  readonly provider: Provider;
}

/**
 * Connects the page to ExtraChain.
 *
 * @example
 *   const app = await connect();
 *   const me = await app.accounts.own();
 *   const folder = await app.drives.pick({ access: 'read' });
 *   for await (const file of folder.list()) console.log(file.name, file.size);
 *
 * @param options `provider`: another than the page's; `timeout`: how long it is looked for, ms
 * @throws Error when the page is not open in ExtraChain
 */
export async function connect(
  options: { readonly provider?: Provider; readonly timeout?: number } = {},
): Promise<App> {
  const provider = options.provider ?? (await findProvider(options.timeout));
  const transport = createTransport(provider);
  const { request } = transport;
  const session = (): Promise<AppSession> => request('wallet_getSession');
  return {
    session,
    async ask(...permissions) {
      const answer = await request('exc_requestPermissions', { permissions: [...permissions] });
      return new Set(answer.permissions);
    },
    has: async (permission) => (await session()).sessionProperties.permissions.includes(permission),
    onSessionChanged(listener) {
      provider.on('sessionChanged', listener);
      return () => void provider.removeListener('sessionChanged', listener);
    },
    accounts: createAccounts(transport),
    drives: createDrives(transport),
    streams: createStreams(transport),
    wallet: createWallet(transport),
    crypto: createCrypto(transport),
    collections: createCollections(transport),
    messages: createMessages(transport),
    services: createServices(transport),
    notify: async (title, body = '') => void (await request('exc_notify', { title, body })),
    openLink: async (link) => void (await request('exc_openLink', { link })),
    transport,
    provider,
  };
}
