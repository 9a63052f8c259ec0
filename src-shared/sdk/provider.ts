/** What the host puts into an app's page as `window.extrachain`: the provider of EIP-1193. */
export interface Provider {
  /** @throws an error `{code, message, data}`, see `AppRequestError` */
  request(call: { readonly method: string; readonly params?: unknown }): Promise<unknown>;
  on(event: ProviderEvent, listener: (value: never) => void): unknown;
  removeListener(event: ProviderEvent, listener: (value: never) => void): unknown;
}
export type ProviderEvent = 'message' | 'connect' | 'disconnect' | 'sessionChanged';

/** EIP-6963: which provider it is. */
export interface ProviderInfo {
  readonly uuid: string;
  readonly name: string;
  readonly icon: string;
  readonly rdns: string;
}

/** As much of a page as is needed here: this folder is compiled without the DOM's types. */
interface Scope {
  readonly extrachain?: Provider;
  addEventListener(type: string, listener: (event: never) => void): void;
  removeEventListener(type: string, listener: (event: never) => void): void;
  dispatchEvent(event: unknown): boolean;
  readonly Event: new (type: string) => unknown;
  setTimeout(fn: () => void, ms: number): unknown;
}

const announced = 'extrachain:announceProvider';
const wanted = 'extrachain:requestProvider';

/**
 * Finds the provider, as EIP-6963 does it: it is asked for by an event and announces itself.
 * @param timeout ms; a page that is opened outside of ExtraChain has none
 * @throws Error when there is none
 */
export function findProvider(timeout = 2000): Promise<Provider> {
  const scope = globalThis as unknown as Scope;
  if (scope.extrachain) return Promise.resolve(scope.extrachain);
  return new Promise((resolve, reject) => {
    const listener = (event: { readonly detail: { readonly provider: Provider } }): void => {
      scope.removeEventListener(announced, listener);
      resolve(event.detail.provider);
    };
    scope.addEventListener(announced, listener);
    scope.setTimeout(() => {
      scope.removeEventListener(announced, listener);
      reject(new Error('This page is not open in ExtraChain: there is no provider.'));
    }, timeout);
    scope.dispatchEvent(new scope.Event(wanted));
  });
}
