import { maxCardBytes } from '../identity/index.ts';
import type { ActorCard, UserId } from '../identity/index.ts';
import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { Logger } from '../../src-shared/runtime.ts';
import { certified } from './card-store.ts';
import type { CardStore } from './card-store.ts';
import type { CardDirectory } from './dht.ts';
import { decodeCardAnswer, decodeCardRequest, encodeMessage } from './messages.ts';
import type { CardRequest } from './messages.ts';
import type { CardBook, FrameStream, ProtocolOptions } from './types.ts';

/** Exchange of actor cards between peers: `/extrachain/card/1`. */
export interface Cards extends CardBook {
  /** Serves one stream. `greeted` is told when the peer introduced itself. */
  serve(stream: FrameStream, greeted: () => void): Promise<void>;
  /** Gives the peer our own card and takes its. */
  greet(peer: string): Promise<void>;
  /** Gives our own card to everyone connected and to the DHT. */
  announce(): void;
}

export interface CardsDeps {
  readonly store: CardStore;
  readonly logger: Logger;
  readonly ownCard: () => Uint8Array | null;
  readonly open: (peer: string, signal: AbortSignal) => Promise<FrameStream>;
  readonly connected: () => readonly string[];
  readonly directory: CardDirectory;
  readonly onCard: (card: ActorCard) => void;
  readonly penalise: (peer: string, reason: string) => void;
}

export const cardProtocol = 'card/1';
export const cardOptions: ProtocolOptions = {
  maxFrame: maxCardBytes + 1024,
  maxStreams: 16,
  idleTimeout: 10_000,
  maxRate: 50,
};

/** In all, `find` answers within about this time, ms. */
const findTimeout = 4500;
const peerTimeout = 2500;
const greetTimeout = 5000;
const maxAsked = 12;
const requestsPerStream = 16;

export function createCards(deps: CardsDeps): Cards {
  const { store } = deps;

  function add(bytes: Uint8Array): { readonly card: ActorCard; readonly fresh: boolean } {
    const added = store.add(bytes);
    if (added.fresh) deps.onCard(added.card);
    return added;
  }

  /** A card from a peer; one that does not hold is a breach. */
  function addFrom(peer: string, bytes: Uint8Array, own: boolean): void {
    try {
      const { card } = add(bytes);
      // Only what the device itself shows as its own binds it to a user.
      if (own && certified(card).includes(peer)) store.claim(peer, card.user);
    } catch (error) {
      // Not a peer's fault: the disk is full, for instance.
      if (!isAppError(error) || error.code === 'internal') {
        deps.logger.warn({ error: String(error) }, 'an actor card could not be stored');
        return;
      }
      deps.penalise(peer, `card: ${error.message}`);
    }
  }

  async function ask(peer: string, request: CardRequest, signal: AbortSignal): Promise<Uint8Array | null> {
    const stream = await deps.open(peer, signal);
    try {
      await stream.send(encodeMessage(request));
      await stream.close();
      const answer = await stream.read(signal);
      if (!answer) throw new AppError('protocol_violation', 'The other computer gave no answer.');
      return decodeCardAnswer(answer).card;
    } catch (error) {
      stream.abort(error as Error);
      if (isAppError(error, 'malformed')) deps.penalise(peer, `card: ${error.message}`);
      throw error;
    }
  }

  async function greet(peer: string): Promise<void> {
    const card = await ask(peer, { t: 'hello', card: deps.ownCard() }, AbortSignal.timeout(greetTimeout));
    if (card) addFrom(peer, card, true);
  }

  async function askPeers(user: UserId, signal: AbortSignal): Promise<void> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(peerTimeout)]);
    await Promise.allSettled(
      deps
        .connected()
        .slice(0, maxAsked)
        .map(async (peer) => {
          const bytes = await ask(peer, { t: 'get', user }, limited);
          if (bytes) addFrom(peer, bytes, false);
        }),
    );
  }

  async function askDirectory(user: UserId, signal: AbortSignal): Promise<void> {
    const bytes = await deps.directory.get(user, signal);
    if (bytes) add(bytes);
  }

  return {
    get: (user) => store.get(user),
    add: (bytes) => add(bytes).fresh,
    userOf: (device) => store.userOf(device),

    async find(user, signal) {
      const timeout = AbortSignal.timeout(findTimeout);
      const all = signal ? AbortSignal.any([signal, timeout]) : timeout;
      await askPeers(user, all);
      if (!store.get(user) && !all.aborted) {
        await askDirectory(user, all).catch((error: unknown) =>
          deps.logger.debug({ error: String(error) }, 'the DHT gave no card'),
        );
      }
      const card = store.get(user);
      if (card) return card;
      if (signal?.aborted) throw new AppError('cancelled', 'The search for a user was cancelled.');
      throw new AppError('user_unknown', `Nobody reachable knows the user ${user}.`, { details: { user } });
    },

    async serve(stream, greeted) {
      for (let n = 0; n < requestsPerStream; n++) {
        const frame = await stream.read();
        if (!frame) return;
        let request: CardRequest;
        try {
          request = decodeCardRequest(frame);
        } catch (error) {
          deps.penalise(stream.peer, `card: ${(error as Error).message}`);
          throw error;
        }
        if (request.t === 'hello') {
          if (request.card) addFrom(stream.peer, request.card, true);
          await stream.send(encodeMessage({ t: 'card', card: deps.ownCard() }));
          greeted();
        } else {
          await stream.send(encodeMessage({ t: 'card', card: store.bytes(request.user) }));
        }
      }
    },

    greet,

    announce() {
      const own = deps.ownCard();
      for (const peer of deps.connected()) {
        greet(peer).catch((error: unknown) =>
          deps.logger.debug({ peer, error: String(error) }, 'a peer did not take the card'),
        );
      }
      if (own) void deps.directory.put(own);
    },
  };
}
