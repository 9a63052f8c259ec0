import { z } from './zod.ts';
import { count, done, hash, peerId, time, userId } from './common.ts';
import { amount, symbol } from './amounts.ts';
import { command, query, subscription } from '../rpc/contract.ts';

const price = z.object({ symbol, amount });
/** `<slug>`, `<user>/<slug>`, or the hash of an interface. */
const service = z.string().min(1).max(200);
const slug = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/);

export const serviceProvider = z.object({
  /** null: this computer. */
  peerId: peerId.nullable(),
  connected: z.boolean(),
  /** Share of recent calls from here that it answered, 0 to 1. */
  success: z.number(),
  /** Mean time of its answers, ms; null: never called from here. */
  ms: z.number().nullable(),
  calls: count,
  /** What connected people told of their calls: the middle share that was answered, 0 to 1, and how many told; null: nobody. */
  rating: z.object({ success: z.number(), raters: count }).nullable(),
});
/** A service that can be called from here, and who answers it. */
export const serviceSummary = z.object({
  /** `<user>/<slug>`. */
  service: z.string(),
  slug: z.string(),
  owner: userId,
  title: z.string(),
  text: z.string(),
  /** SHA-256 of its interface. */
  interface: hash,
  /** Of one call; null: free. */
  price: price.nullable(),
  /** It stands in the ledger of the active network. */
  registered: z.boolean(),
  providers: z.array(serviceProvider),
});
export type ServiceSummary = z.infer<typeof serviceSummary>;

export const serviceReceipt = z.object({
  service: z.string(),
  method: z.string(),
  peerId,
  app: z.string().nullable(),
  fee: price.nullable(),
  time,
  /** SHA-256 of params and result. */
  params: hash,
  result: hash,
  /** The provider's signature, base64url. */
  signature: z.string(),
});

/** What a call brought. */
export const serviceOutcome = z.object({
  value: z.unknown(),
  service: z.string(),
  /** null: this computer. */
  peerId: peerId.nullable(),
  fee: price.nullable(),
  /** ms. */
  took: z.number().nonnegative(),
  /** Providers that were tried before. */
  failed: count,
});

export const serviceCallInput = z.object({
  service,
  method: z.string().min(1).max(64),
  /** Any JSON. */
  params: z.unknown(),
  /** The most it may cost; null: nothing; `listed`: what the service says. */
  maxFee: z
    .union([price, z.literal('listed')])
    .nullable()
    .default(null),
  timeout: z.number().min(0.1).max(600).default(30),
});

/** What goes to whoever answers a service. */
export const servicePending = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready'), service: z.string(), interface: hash }),
  z.object({
    kind: z.literal('call'),
    /** Names the call in `reply`. */
    call: z.string(),
    method: z.string(),
    params: z.unknown(),
    /** Who calls, and with which app. */
    user: userId,
    app: z.string().nullable(),
    /** It comes from this computer. */
    local: z.boolean(),
  }),
  /** Nobody waits for that answer any more. */
  z.object({ kind: z.literal('cancelled'), call: z.string() }),
]);

/** One step of an answer. */
export const serviceReply = z.object({
  call: z.string().min(1).max(64),
  step: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('item'), value: z.unknown() }),
    z.object({ kind: z.literal('result'), value: z.unknown() }),
    z.object({ kind: z.literal('error'), message: z.string().min(1).max(500) }),
  ]),
});

/** Services of apps and programs (ExAPI): offered, found, called, paid. */
export const services = {
  list: query(
    z.object({ search: z.string().max(100).default(''), interface: hash.nullable().default(null) }),
    z.array(serviceSummary),
  ),
  /** The interface of a service, with the JSON Schema of its methods. */
  describe: query(
    z.object({ service }),
    z.object({ interface: hash, definition: z.unknown(), price: price.nullable() }),
  ),
  /** Calls the nearest and best provider; another one takes over when it fails. Parts of a streaming answer come in a list. */
  call: command(serviceCallInput, serviceOutcome.extend({ items: z.array(z.unknown()) })),
  /** The same, part by part as they come; the last item is the result. */
  callStream: subscription(
    serviceCallInput,
    z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('item'), value: z.unknown() }),
      serviceOutcome.extend({ kind: z.literal('result') }),
    ]),
  ),
  /** Offers a service from here as long as the subscription lives; docs/apps.md has the manifest. */
  provide: subscription(z.object({ manifest: z.unknown() }), servicePending),
  /** Answers a call of `provide`. */
  reply: command(serviceReply, done),
  /** Puts it into the ledger, so that others find it; costs rent. */
  register: command(
    z.object({ manifest: z.unknown(), days: z.int().min(1).max(3650).default(30) }),
    z.object({ hash: z.string() }),
  ),
  remove: command(z.object({ slug }), z.object({ hash: z.string() })),
  /** Of calls made from here, newest first. */
  receipts: query(z.object({ limit: z.int().min(1).max(1000).default(100) }), z.array(serviceReceipt)),
  /** What calls from here cost and is not paid yet. It is paid by itself from time to time. */
  debts: query(z.object({}), z.array(z.object({ owner: userId, peerId, fee: price }))),
};
