import {
  serviceCallInput,
  serviceOutcome,
  servicePending,
  serviceReply,
  serviceSummary,
} from '../../contract/services.ts';
import { z } from '../../contract/zod.ts';
import { method, ok, watching } from './frame.ts';

export type AppService = z.infer<typeof serviceSummary>;
export type AppServiceCall = Extract<z.infer<typeof servicePending>, { kind: 'call' }>;

/** ExAPI: services of other apps and programs, near and far, and what this app answers itself. */
export const serviceMethods = {
  exc_serviceFind: method(
    ['services.call'],
    z.object({
      search: z.string().max(100).default(''),
      interface: z.string().max(64).nullable().default(null),
    }),
    z.object({ services: z.array(serviceSummary) }),
  ),
  /** Parts of a streaming answer come in a list; `exc_serviceCallWatch` brings them as they come. */
  exc_serviceCall: method(
    ['services.call'],
    serviceCallInput,
    serviceOutcome.extend({ items: z.array(z.unknown()) }),
  ),
  exc_serviceCallWatch: watching(
    ['services.call'],
    serviceCallInput,
    z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('item'), value: z.unknown() }),
      serviceOutcome.extend({ kind: z.literal('result') }),
      z.object({ kind: z.literal('error'), code: z.string(), message: z.string() }),
    ]),
  ),
  /** Offers a service that the manifest names, as long as the subscription lives. Each call is answered by `exc_serviceReply`. */
  exc_serviceProvide: watching(['services.provide'], z.object({ manifest: z.unknown() }), servicePending),
  exc_serviceReply: method(['services.provide'], serviceReply, ok),
};
