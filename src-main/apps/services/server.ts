import { AppError } from '../../../src-shared/errors.ts';
import type { Clock, Logger } from '../../../src-shared/runtime.ts';
import { deviceKeyOf, verifySignature } from '../../identity/index.ts';
import type { Signer, UserId } from '../../identity/index.ts';
import type { FrameStream, Network, ProtocolOptions } from '../../network/index.ts';
import {
  callBytes,
  decodeRequest,
  encodeFrame,
  failureOf,
  maxServiceFrame,
  openBytes,
  receiptBytes,
  serviceProtocol,
} from './frames.ts';
import type { CallParams, OpenParams, Receipt, ServiceAnswer, WireOffer } from './frames.ts';
import { jsonHash } from './interface.ts';
import type { Offer, Offers } from './offers.ts';

export const serviceOptions: ProtocolOptions = {
  maxFrame: maxServiceFrame,
  maxStreams: 8,
  idleTimeout: 0,
  maxRate: 1000,
};

/** What a call costs and who owes what, kept by the provider. */
export interface Credit {
  /** @throws AppError `payment_due` when the caller owes too much already */
  check(caller: UserId, offer: Offer): void;
  charge(caller: UserId, offer: Offer): void;
  /**
   * Takes a payment into account.
   * @returns what is owed after it, units
   * @throws AppError `not_found` (no such transaction in a block yet), `invalid_argument` (it pays something else)
   */
  settle(caller: UserId, owner: UserId, tx: string): Promise<bigint>;
}

/** ms between signs of life of a call under way. */
const workingEvery = 400;
/** Calls of one connection under way, and nonces remembered. */
const mostOpen = 64;
const mostNonces = 10_000;
/** A call may be under way for so long, ms. */
const longestCall = 10 * 60_000;
/** A session may last so long, ms. */
const longestSession = 24 * 3600_000;

export const offerShown = ({ owner, slug, title, text, interface: { hash }, price }: Offer): WireOffer => ({
  owner,
  slug,
  title,
  text,
  interface: hash,
  price,
});

/** Answers calls from other computers. */
export function createServiceServer(deps: {
  readonly network: Network;
  readonly offers: Offers;
  readonly credit: Credit;
  /** The device's key: signs receipts. */
  readonly device: () => Signer;
  readonly clock: Clock;
  readonly logger: Logger;
}): { stop(): void } {
  const { network, offers, credit, clock, logger } = deps;
  const ended = new AbortController();

  async function serve(stream: FrameStream): Promise<void> {
    let session: OpenParams | null = null;
    const open = new Map<number, AbortController>();
    const nonces = new Set<string>();
    const send = (message: ServiceAnswer): Promise<void> => stream.send(encodeFrame(message));
    const refuse = (id: number, error: unknown): Promise<void> =>
      send({ jsonrpc: '2.0', id, error: failureOf(error) });

    function begin(params: OpenParams): { user: UserId } {
      const { sig, v: _, ...signed } = params;
      const now = clock.now();
      if (params.expires < now || params.expires > now + longestSession) {
        throw new AppError('invalid_argument', 'This session is over, or would last too long.');
      }
      if (network.cards.userOf(stream.peer) !== params.user) {
        throw new AppError('forbidden', 'This computer does not speak for that person.');
      }
      const bytes = openBytes(network.peerId, signed);
      if (!verifySignature(deviceKeyOf(stream.peer), bytes, Buffer.from(sig, 'base64url'))) {
        throw new AppError('bad_signature', 'The session is not signed by the computer that opens it.');
      }
      session = params;
      return { user: params.user };
    }

    /** The checks before anything runs. @returns who is called */
    function admit(params: CallParams): Offer {
      if (!session) throw new AppError('forbidden', 'Open a session before calling.');
      const { sig, ...signed } = params;
      if (session.expires < clock.now()) throw new AppError('forbidden', 'This session is over.');
      if (nonces.has(params.nonce)) throw new AppError('already_exists', 'This call was made already.');
      const bytes = callBytes(network.peerId, signed);
      if (!verifySignature(Buffer.from(session.key, 'hex'), bytes, Buffer.from(sig, 'base64url'))) {
        throw new AppError('bad_signature', 'The call is not signed with the key of its session.');
      }
      if (nonces.size >= mostNonces) throw new AppError('rate_limited', 'Open a new session.');
      nonces.add(params.nonce);
      const offer = offers.find(params.owner, params.service, null)[0];
      if (!offer) throw new AppError('not_found', 'This service is not offered here.');
      if (offer.interface.hash !== params.interface) {
        throw new AppError('interface_changed', 'This service has another interface by now.');
      }
      const { price } = offer;
      if (price) {
        const { maxFee } = params;
        if (!maxFee || maxFee.symbol !== price.symbol || BigInt(maxFee.amount) < BigInt(price.amount)) {
          throw new AppError('price_exceeded', 'A call costs more than the caller would pay.', {
            details: { price },
          });
        }
        credit.check(session.user, offer);
      }
      return offer;
    }

    async function call(id: number, params: CallParams): Promise<void> {
      const abort = new AbortController();
      const offer = admit(params);
      const caller = session as OpenParams;
      open.set(id, abort);
      let timer = (): void => {};
      const alive = (): void => {
        timer = clock.after(workingEvery, () => {
          void send({ jsonrpc: '2.0', method: 'working', params: { id } }).catch(() => {});
          alive();
        });
      };
      const left = Math.min(longestCall, Math.max(0, params.deadline - clock.now()));
      const late = clock.after(left, () => abort.abort(new AppError('timeout', 'The call took too long.')));
      alive();
      const signal = AbortSignal.any([abort.signal, ended.signal]);
      const running = offers.run(
        offer,
        {
          method: params.method,
          params: params.params as never,
          caller: { user: caller.user, app: caller.app, device: stream.peer },
        },
        signal,
      );
      try {
        let items = 0;
        for (;;) {
          const step = await running.next();
          if (signal.aborted) throw signal.reason;
          if (!step.done) {
            items += 1;
            await send({ jsonrpc: '2.0', method: 'item', params: { id, value: step.value } });
            continue;
          }
          credit.charge(caller.user, offer);
          const body: Omit<Receipt, 'sig'> = {
            owner: offer.owner,
            service: offer.slug,
            interface: offer.interface.hash,
            method: params.method,
            caller: caller.user,
            app: caller.app,
            nonce: params.nonce,
            params: jsonHash(params.params),
            result: jsonHash(step.value),
            items,
            fee: offer.price,
            time: clock.now(),
          };
          const sig = Buffer.from(deps.device().sign(receiptBytes(body))).toString('base64url');
          await send({ jsonrpc: '2.0', id, result: { value: step.value, receipt: { ...body, sig } } });
          return;
        }
      } finally {
        // A call that is left in the middle gives its place back.
        await running.return(null).catch(() => {});
        timer();
        late();
        open.delete(id);
      }
    }

    async function handle(frame: Uint8Array): Promise<void> {
      const request = decodeRequest(frame);
      if (request.method === 'cancel') {
        open.get(request.params.id)?.abort(new AppError('cancelled', 'The caller has gone.'));
        return;
      }
      const { id } = request;
      try {
        switch (request.method) {
          case 'open':
            return await send({ jsonrpc: '2.0', id, result: begin(request.params) });
          case 'list':
            return await send({
              jsonrpc: '2.0',
              id,
              result: { offers: offers.list().map(offerShown) },
            });
          case 'describe': {
            const found = offers.interfaceOf(request.params.interface);
            if (!found) throw new AppError('not_found', 'Nothing here has this interface.');
            return await send({ jsonrpc: '2.0', id, result: { interface: found.definition } });
          }
          case 'settle': {
            if (!session) throw new AppError('forbidden', 'Open a session before paying.');
            const { owner, tx } = request.params;
            const owed = await credit.settle((session as OpenParams).user, owner, tx);
            return await send({ jsonrpc: '2.0', id, result: { owed: owed.toString() } });
          }
          case 'call':
            if (open.has(id) || open.size >= mostOpen) {
              throw new AppError('rate_limited', 'Too many calls are under way.');
            }
            return await call(id, request.params);
        }
      } catch (error) {
        if (!(error instanceof AppError)) logger.error({ err: error }, 'a call of a service failed');
        await refuse(id, error).catch(() => {});
      }
    }

    try {
      for (;;) {
        const frame = await stream.read();
        if (frame === null) break;
        // Calls run beside each other; what can't be read ends the stream.
        const work = handle(frame);
        let broken: unknown = null;
        work.catch((error: unknown) => {
          broken = error;
          network.penalise(stream.peer, 'a frame of a service');
          stream.abort(error as Error);
        });
        await Promise.resolve();
        if (broken !== null) break;
      }
    } finally {
      for (const abort of open.values()) abort.abort(new AppError('cancelled', 'The caller has gone.'));
    }
    await stream.close();
  }

  network.handle(serviceProtocol, serviceOptions, serve);
  return {
    stop() {
      ended.abort(new AppError('shutting_down', 'The node is stopping.'));
      network.unhandle(serviceProtocol);
    },
  };
}
