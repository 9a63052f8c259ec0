/**
 * `@extrachain/app`: what an app is written with. Everything goes through `window.extrachain`, the provider that the host puts
 * into an app's page; there is nothing else an app can reach.
 */
export { connect } from './app.ts';
export type { App } from './app.ts';
export { AppRequestError, providerErrors } from './errors.ts';
export { findProvider } from './provider.ts';
export type { Provider, ProviderEvent, ProviderInfo } from './provider.ts';
export { fromBase64url, toBase64url, toBytes, toText } from './bytes.ts';
export type { Bytes } from './bytes.ts';
export type { Transport, Unsubscribe } from './transport.ts';
export type { Accounts } from './accounts.ts';
export type { Collection, Collections, CollectionChange } from './collections.ts';
export type { Crypto } from './crypto.ts';
export type { Messages } from './messages.ts';
export type { Services, ServiceHandler } from './services.ts';
export type { BlobLike, Drives, Folder } from './drives.ts';
export type { Streams } from './streams.ts';
export type { Wallet } from './wallet.ts';
export type * from './types.ts';
