import type { AppService, AppServiceCall, ParamsOf, ResultOf } from '../apps/methods/index.ts';
import { canonicalJson } from '../apps/canonical-json.ts';
import { toBytes } from './bytes.ts';
import { AppRequestError, providerErrors } from './errors.ts';
import type { Transport, Unsubscribe } from './transport.ts';

/** What every page has, and the types of this folder do not. */
const { subtle } = (
  globalThis as unknown as {
    crypto: { subtle: { digest(algorithm: string, bytes: Uint8Array): Promise<ArrayBuffer> } };
  }
).crypto;

/** Answers one method. With `item` an answer in parts is sent. @throws what the caller is told */
export type ServiceHandler = (
  params: never,
  call: {
    readonly user: string;
    readonly app: string | null;
    readonly local: boolean;
    /** Sends a part of a streaming answer. */
    item(value: unknown): Promise<void>;
  },
) => unknown;

export type ServiceRequest = ParamsOf<'exc_serviceCall'>;

/** ExAPI: services that other apps and programs offer, and what this app answers itself. Local and remote calls look the same. */
export interface Services {
  /**
   * The hash of an interface: what `find` finds it by, whoever offers it.
   * @param definition the interface as its JSON file has it
   * @returns SHA-256 of its canonical JSON, hex
   */
  hashOf(definition: unknown): Promise<string>;
  find(query?: { readonly search?: string; readonly interface?: string }): Promise<readonly AppService[]>;
  /**
   * Calls a service: the nearest and best provider answers, another one takes over when it fails.
   * @param service `<slug>`, `<user>/<slug>`, or the hash of an interface
   * @param options `maxFee`: the most it may cost, nothing if left out
   */
  call(
    service: string,
    method: string,
    params?: unknown,
    options?: Pick<ServiceRequest, 'maxFee' | 'timeout'>,
  ): Promise<ResultOf<'exc_serviceCall'>>;
  /** The same with parts as they come. @returns ends it */
  stream(
    service: string,
    method: string,
    params: unknown,
    listener: {
      item(value: unknown): void;
      done?(value: unknown): void;
      failed?(error: AppRequestError): void;
    },
    options?: Pick<ServiceRequest, 'maxFee' | 'timeout'>,
  ): Promise<Unsubscribe>;
  /**
   * Offers a service for as long as the page is open. Needs `services.provide`.
   * @param manifest slug, title, text, price, interface (see docs/apps.md)
   * @param handlers one for each method of the interface
   */
  provide(manifest: unknown, handlers: Readonly<Record<string, ServiceHandler>>): Promise<Unsubscribe>;
}

export function createServices(transport: Transport): Services {
  const { request } = transport;

  async function answer(
    asked: AppServiceCall,
    handlers: Readonly<Record<string, ServiceHandler>>,
  ): Promise<void> {
    const { call, method, params, user, app, local } = asked;
    const step = (value: ParamsOf<'exc_serviceReply'>['step']) =>
      request('exc_serviceReply', { call, step: value });
    try {
      const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined;
      if (!handler) throw new Error(`This app does not answer ${method}.`);
      const item = async (value: unknown): Promise<void> => void (await step({ kind: 'item', value }));
      const value = await handler(params as never, { user, app, local, item });
      await step({ kind: 'result', value: value ?? null });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      // Nobody waits any more when this fails, too.
      await step({ kind: 'error', message: message.slice(0, 500) || 'It failed.' }).catch(() => {});
    }
  }

  return {
    async hashOf(definition) {
      const digest = await subtle.digest('SHA-256', toBytes(canonicalJson(definition)));
      return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    },
    find: async ({ search = '', interface: hash } = {}) =>
      (await request('exc_serviceFind', { search, interface: hash ?? null })).services,
    call: (service, method, params = {}, options = {}) =>
      request('exc_serviceCall', { service, method, params, ...options }),
    stream: (service, method, params, listener, options = {}) =>
      transport.subscribe('exc_serviceCallWatch', { service, method, params, ...options }, (part) => {
        if (part.kind === 'item') listener.item(part.value);
        else if (part.kind === 'result') listener.done?.(part.value);
        else listener.failed?.(new AppRequestError(providerErrors.internal, part.code, part.message));
      }),
    provide: (manifest, handlers) =>
      transport.subscribe('exc_serviceProvide', { manifest }, (asked) => {
        if (asked.kind === 'call') void answer(asked, handlers);
      }),
  };
}
