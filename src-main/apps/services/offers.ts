import { AppError } from '../../../src-shared/errors.ts';
import type { DeviceId, UserId } from '../../identity/index.ts';
import type { JsonValue } from '../collections/index.ts';
import type { WirePrice } from './frames.ts';
import type { CheckedInterface } from './interface.ts';

/** Who calls, as far as it was checked: the device by its connection, the user by the device's card. */
export interface Caller {
  readonly user: UserId;
  readonly app: string | null;
  /** null: the call comes from this computer. */
  readonly device: DeviceId | null;
}

export interface OfferedCall {
  readonly method: string;
  readonly params: JsonValue;
  readonly caller: Caller;
}

/** A service that something on this computer answers. */
export interface Offer {
  readonly owner: UserId;
  readonly slug: string;
  readonly title: string;
  readonly text: string;
  readonly interface: CheckedInterface;
  /** Units; null: free. */
  readonly price: WirePrice | null;
  /** The app that provides it; null: a program at the command line. */
  readonly app: string | null;
  /** Answers one call: parts of a streaming answer as they come, the result at the end. */
  run(call: OfferedCall, signal: AbortSignal): AsyncGenerator<JsonValue, JsonValue>;
}

/** Services offered on this computer at one time. */
const mostOffers = 256;
/** Calls under way, and those of one person elsewhere. */
const mostCalls = 1024;
const mostOfCaller = 64;

/** The services offered here. Calls from here and from elsewhere go the same way. */
export interface Offers {
  /** @throws AppError `already_exists`, `too_many` @returns ends it */
  add(offer: Offer): () => void;
  list(): readonly Offer[];
  find(owner: UserId | null, slug: string | null, hash: string | null): readonly Offer[];
  /** An interface that something here has, by its hash. */
  interfaceOf(hash: string): CheckedInterface | null;
  /**
   * Runs a call with both checks of the interface.
   * @throws AppError `invalid_argument`, `method_unknown`, `rate_limited`; `malformed` when the provider answers wrongly
   */
  run(offer: Offer, call: OfferedCall, signal: AbortSignal): AsyncGenerator<JsonValue, JsonValue>;
}

export function createOffers(changed: () => void): Offers {
  const offers = new Set<Offer>();
  let running = 0;
  const ofCaller = new Map<string, number>();
  return {
    add(offer) {
      if (offers.size >= mostOffers) throw new AppError('too_many', 'Too many services are offered here.');
      if ([...offers].some((one) => one.owner === offer.owner && one.slug === offer.slug)) {
        throw new AppError('already_exists', `The service ${offer.slug} is offered here already.`);
      }
      offers.add(offer);
      changed();
      return () => {
        if (offers.delete(offer)) changed();
      };
    },
    list: () => [...offers],
    find: (owner, slug, hash) =>
      [...offers].filter(
        (one) =>
          (owner === null || one.owner === owner) &&
          (slug === null || one.slug === slug) &&
          (hash === null || one.interface.hash === hash),
      ),
    interfaceOf: (hash) => [...offers].find((one) => one.interface.hash === hash)?.interface ?? null,
    async *run(offer, call, signal) {
      offer.interface.check(call.method, 'params', call.params);
      if (running >= mostCalls)
        throw new AppError('rate_limited', 'This computer answers too many calls already.');
      const { user, device } = call.caller;
      const open = device === null ? 0 : (ofCaller.get(user) ?? 0);
      if (open >= mostOfCaller)
        throw new AppError(
          'rate_limited',
          `At most ${mostOfCaller} calls of one person are answered at a time.`,
        );
      if (device !== null) ofCaller.set(user, open + 1);
      running += 1;
      const answer = offer.run(call, signal);
      try {
        const { streams } = offer.interface.method(call.method);
        for (;;) {
          const step = await answer.next();
          if (step.done) {
            offer.interface.check(call.method, 'result', step.value);
            return step.value;
          }
          if (!streams) throw new AppError('malformed', `${call.method} answers once, not in parts.`);
          offer.interface.check(call.method, 'item', step.value);
          yield step.value;
        }
      } finally {
        await answer.return(null).catch(() => {});
        running -= 1;
        if (device !== null) {
          const left = ofCaller.get(user)! - 1;
          if (left > 0) ofCaller.set(user, left);
          else ofCaller.delete(user);
        }
      }
    },
  };
}
